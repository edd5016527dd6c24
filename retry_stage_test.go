package countersign_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign-go/countersign"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
)

// A stage is a Base that answers by a plan, the last part of it for ever, and that remembers what
// it was sent. Like a real one it reads the body, and closes it.
type stage struct {
	plan   []reply
	closed int // idle connections, how many times

	mu     sync.Mutex // guards what follows
	sent   []*http.Request
	bodies []string
	times  []time.Time
}

// A reply is an error, or an answer.
type reply struct {
	status int
	header string // "Name: value"
	body   io.ReadCloser
	err    error
}

func statuses(list ...int) (plan []reply) {
	for _, status := range list {
		plan = append(plan, reply{status: status})
	}
	return plan
}

func (s *stage) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	r := s.plan[min(len(s.sent), len(s.plan)-1)]
	s.sent = append(s.sent, req)
	s.times = append(s.times, time.Now())
	s.mu.Unlock()
	if req.Body != nil {
		body, err := io.ReadAll(req.Body)
		_ = req.Body.Close()
		s.mu.Lock()
		s.bodies = append(s.bodies, string(body))
		s.mu.Unlock()
		if err != nil {
			return nil, err
		}
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	if r.err != nil {
		return nil, r.err
	}
	resp := &http.Response{StatusCode: r.status, Header: make(http.Header), Body: r.body}
	if name, value, ok := strings.Cut(r.header, ": "); ok {
		resp.Header.Set(name, value)
	}
	if r.body == nil {
		resp.Body = io.NopCloser(strings.NewReader("a reason"))
	}
	return resp, nil
}

func (s *stage) CloseIdleConnections() { s.closed++ }

// waits returns how long it took from each attempt to the next.
func (s *stage) waits() (waits []time.Duration) {
	for i, t := range s.times[1:] {
		waits = append(waits, t.Sub(s.times[i]))
	}
	return waits
}

func (s *stage) client(retries int) *http.Client {
	return countersign.NewClient(countersign.Config{
		Signer: &mac.Signer{
			Source: &mac.Credentials{ID: "id", Key: creds.Secret("canary-4e7213")},
		},
		Base: s, Retries: retries,
	})
}

// do sends a request and closes the answer.
func do(t *testing.T, client *http.Client, req *http.Request) (int, string, error) {
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

func request(t *testing.T, method string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, origin+"/path?query", body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}
