package testkit

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Stage is a RoundTripper that answers by a plan and records the requests. Like a real one, it
// reads and closes their bodies.
type Stage struct {
	Plan   []Reply // one for each request; the last one also for all later requests
	Closed int     // how many times idle connections were closed

	mu     sync.Mutex // guards the fields below
	Sent   []*http.Request
	Bodies []string
	Times  []time.Time // of each request
}

// A Reply is an error, or an answer.
type Reply struct {
	Status int
	Header string // "Name: value"
	Body   io.ReadCloser
	Err    error
}

// Statuses returns a plan of answers that have these statuses.
func Statuses(list ...int) (plan []Reply) {
	for _, status := range list {
		plan = append(plan, Reply{Status: status})
	}
	return plan
}

// RoundTrip answers by the plan.
func (s *Stage) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	r := s.Plan[min(len(s.Sent), len(s.Plan)-1)]
	s.Sent = append(s.Sent, req)
	s.Times = append(s.Times, time.Now())
	s.mu.Unlock()
	if req.Body != nil {
		body, err := io.ReadAll(req.Body)
		_ = req.Body.Close()
		s.mu.Lock()
		s.Bodies = append(s.Bodies, string(body))
		s.mu.Unlock()
		if err != nil {
			return nil, err
		}
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	if r.Err != nil {
		return nil, r.Err
	}
	resp := &http.Response{StatusCode: r.Status, Header: make(http.Header), Body: r.Body}
	if name, value, ok := strings.Cut(r.Header, ": "); ok {
		resp.Header.Set(name, value)
	}
	if r.Body == nil {
		resp.Body = io.NopCloser(strings.NewReader("a reason"))
	}
	return resp, nil
}

// CloseIdleConnections adds 1 to Closed.
func (s *Stage) CloseIdleConnections() { s.Closed++ }

// Waits returns the time from each attempt to the next.
func (s *Stage) Waits() (waits []time.Duration) {
	for i, t := range s.Times[1:] {
		waits = append(waits, t.Sub(s.Times[i]))
	}
	return waits
}

// Do sends a request, and returns the status and the body of its answer.
func Do(t *testing.T, client *http.Client, req *http.Request) (int, string, error) {
	t.Helper()
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("the body of the answer: %v", err)
	}
	return resp.StatusCode, string(body), nil
}

// Request returns a request to https://api.example.com.
func Request(t *testing.T, method string, body io.Reader) *http.Request {
	t.Helper()
	const url = "https://api.example.com/path?query"
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// A RoundTripper is a function that sends requests.
type RoundTripper func(*http.Request) (*http.Response, error)

// RoundTrip calls f.
func (f RoundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
