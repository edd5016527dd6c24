package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/countersign-go/countersign/transport"
)

// steps prints the actions of a client, one line for each step. All of it is observed: a
// RoundTripper below the library sees the requests, and transport.History has their outcome.
type steps struct {
	w        io.Writer
	colorful bool

	mu     sync.Mutex // guards all below: keys are fetched in another goroutine
	seen   []step     // since the last call of tell
	hadKey bool
}

type step struct {
	name    string
	request string // "" if the step is not a request
	result  string
}

// The names of steps.
const (
	provisioned    = "provisioned"
	keyRenewed     = "key renewed"
	noKey          = "no key"
	signed         = "signed"
	clockCorrected = "clock corrected"
	number         = "number"
	refused        = "refused"
	waited         = "waited"
	counted        = "service counted"
)

// watchKeys returns a RoundTripper for the requests of a provision.Client.
func (s *steps) watchKeys(base http.RoundTripper) http.RoundTripper {
	return watch(base, func(request, status string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		name := provisioned
		switch {
		case status != "200":
			name = noKey
		case s.hadKey:
			name = keyRenewed
		}
		s.hadKey = s.hadKey || status == "200"
		s.seen = append(s.seen, step{name, request, status})
	})
}

// watchSigned returns a RoundTripper for requests that the library has signed.
func (s *steps) watchSigned(base http.RoundTripper) http.RoundTripper {
	return watch(base, func(request, status string) { s.note(step{signed, request, status}) })
}

// moved is the Moved of a transport.Clock, called when a service has accepted a corrected time.
func (s *steps) moved(_ *url.URL, offset time.Duration) {
	s.note(step{name: clockCorrected, result: "by " + offset.Round(time.Second).String()})
}

func (s *steps) note(seen step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, seen)
}

// tell prints the steps since its last call. They have ended with resp, or nil for an error.
func (s *steps) tell(resp *http.Response) {
	s.mu.Lock()
	seen := s.seen
	s.seen = nil
	s.mu.Unlock()
	// History is nil if the first attempt was not refused. Then the status is the whole result.
	history := transport.History(resp)
	for _, one := range seen {
		if one.name == signed && len(history) > 0 {
			one.result, history = history[0].String(), history[1:]
		}
		if one.request != "" {
			one.result = one.request + ": " + one.result
		}
		s.print(one.name, one.result)
	}
}

// print writes one line.
func (s *steps) print(name, text string) {
	fmt.Fprintf(s.w, "   %s %s\n", s.paint(colors[name], fmt.Sprintf("%-16s", name)), text)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// watch returns a RoundTripper that sends by base, and calls note with each request and the status
// of its answer.
func watch(base http.RoundTripper, note func(request, status string)) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		resp, err := base.RoundTrip(req)
		status := "no answer"
		if err == nil {
			status = strconv.Itoa(resp.StatusCode)
		}
		// Show the scheme of the credentials, and no more of them.
		request := req.Method + " " + req.URL.Path
		if scheme, _, _ := strings.Cut(req.Header.Get("Authorization"), " "); scheme != "" {
			request += " with " + scheme
		}
		note(request, status)
		return resp, err
	})
}
