package transport_test

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/countersign-go/countersign/transport"
)

// A token is a scheme made up for these tests: it sends an id, the time and a nonce. Its zero value
// signs as "id0" and, each time it is refreshed, with the next number.
type token struct {
	mu        sync.Mutex
	issued    int
	refreshes int
	failing   error
	signed    []*http.Request
	observed  []int
	outcomes  []transport.Outcome
	distrusts func(*http.Response) error // if nil, no answer
}

func (s *token) Sign(req *http.Request, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signed = append(s.signed, req)
	req.Header.Set("Authorization", "Token id"+strconv.Itoa(s.issued)+" "+
		strconv.FormatInt(now.Unix(), 10))
	req.Header.Set("X-Nonce", strconv.Itoa(len(s.signed)))
	return nil
}

func (s *token) Refresh(resp *http.Response) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failing != nil {
		return false, s.failing
	}
	if id, _, _ := credentials(resp.Request); id == "id"+strconv.Itoa(s.issued) {
		s.issued++
		s.refreshes++
	}
	return true, nil
}

func (s *token) Read(resp *http.Response) transport.Refusal {
	challenge, ok := strings.CutPrefix(resp.Header.Get("WWW-Authenticate"), "Token")
	if !ok && resp.Header.Get("WWW-Authenticate") != "" {
		return transport.Refusal{}
	}
	r := transport.Refusal{Cause: transport.CauseUnknown}
	for field := range strings.FieldsSeq(challenge) {
		if ts, ok := strings.CutPrefix(field, "ts="); ok {
			seconds, _ := strconv.ParseInt(ts, 10, 64)
			r.ServerTime = time.Unix(seconds, 0)
		} else {
			r.Cause = transport.Cause(field)
		}
	}
	return r
}

func (s *token) Observe(resp *http.Response, o transport.Outcome) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.observed = append(s.observed, resp.StatusCode)
	s.outcomes = append(s.outcomes, o)
	if s.distrusts != nil {
		return s.distrusts(resp)
	}
	return nil
}

// outcome returns the latest Outcome.
func (s *token) outcome() transport.Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outcomes[len(s.outcomes)-1]
}

// credentials returns the id, time and nonce that Sign wrote.
func credentials(req *http.Request) (id string, ts int64, ok bool) {
	fields := strings.Fields(req.Header.Get("Authorization"))
	if len(fields) != 3 || fields[0] != "Token" {
		return "", 0, false
	}
	ts, err := strconv.ParseInt(fields[2], 10, 64)
	return fields[1], ts, err == nil
}

// A base is a network and a server in one function.
type base func(*http.Request) (*http.Response, error)

func (b base) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b(req)
	if req.Body != nil {
		_ = req.Body.Close()
	}
	return resp, err
}

// answer makes a response; header is name, value, name, value, ...
func answer(status int, header ...string) (*http.Response, error) {
	h := make(http.Header)
	for i := 0; i < len(header); i += 2 {
		h.Add(header[i], header[i+1])
	}
	return &http.Response{
		StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader("body of the answer")),
	}, nil
}

// A service verifies tokens: the time within a window, then the id.
type service struct {
	off    time.Duration                // of its clock
	window time.Duration                // if zero, a minute
	valid  func(id string) bool         // if nil, all are valid
	hint   func(now time.Time) []string // header fields of a refusal; if nil, Date

	mu   sync.Mutex
	sent int
}

func (s *service) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.sent++
	s.mu.Unlock()
	if req.Body != nil {
		defer req.Body.Close()
	}
	now := time.Now().Add(s.off)
	id, ts, ok := credentials(req)
	window := max(s.window, time.Minute)
	if ok && now.Sub(time.Unix(ts, 0)).Abs() <= window && (s.valid == nil || s.valid(id)) {
		return answer(200)
	}
	if s.hint == nil {
		return answer(401, "Date", date(now))
	}
	return answer(401, s.hint(now)...)
}

func (s *service) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent
}

var errBroken = errors.New("connection broken")

func date(t time.Time) string { return t.UTC().Format(http.TimeFormat) }

func get(rt http.RoundTripper, url string) (*http.Response, error) {
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		return nil, err
	}
	return rt.RoundTrip(req)
}
