package countersign

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/countersign-go/countersign/internal/rewind"
)

var errTakenBack = errors.New("countersign: this attempt's body went to the next attempt")

func hasBody(req *http.Request) bool { return req.Body != nil && req.Body != http.NoBody }

// firstAttempt returns the request to send first. It has the caller's own Body.
func firstAttempt(req *http.Request) (*http.Request, *readers) {
	if !hasBody(req) || rewind.InMemory(req.Body) {
		return req, nil
	}
	return guarded(req, req.Body)
}

// prepare makes the request to send next. It reports false if the body cannot be had again.
func (c *call) prepare(ctx context.Context) bool {
	c.next = c.req
	if !hasBody(c.req) {
		return true
	}
	if c.body != nil && !c.body.stop(ctx) {
		return false
	}
	body, err := rewind.Body(c.req.GetBody, c.req.Body)
	if err != nil {
		return false
	}
	if c.body != nil {
		c.next, c.body = guarded(c.req, body)
		return true
	}
	c.next = new(http.Request)
	*c.next = *c.req
	c.next.Body = body
	return true
}

// readers are the readers of a body that one attempt has. net/http may go on reading after
// RoundTrip has returned, and GetBody may go back in the very file that is being read, so that the
// next attempt would miss a part.
type readers struct {
	mu      sync.Mutex // guards what follows
	reading int        // how many are at it
	stopped bool
	ended   chan struct{} // closed when none is any more, once stopped
}

// guarded returns a copy of req with that body, and what stops the reading of it.
func guarded(req *http.Request, body io.ReadCloser) (*http.Request, *readers) {
	all := &readers{ended: make(chan struct{})}
	next := new(http.Request)
	*next = *req
	next.Body = &reader{body, all}
	next.GetBody = func() (io.ReadCloser, error) {
		again, err := rewind.Body(req.GetBody, body)
		if err != nil {
			return nil, err
		}
		return &reader{again, all}, nil
	}
	return next, all
}

// stop lets nobody begin to read, and reports whether nobody reads any more. If somebody does, the
// attempt keeps its body.
func (r *readers) stop(ctx context.Context) bool {
	r.mu.Lock()
	r.stopped = true
	idle := r.reading == 0
	r.mu.Unlock()
	if idle {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, discardTime)
	defer cancel()
	select {
	case <-r.ended:
		return true
	case <-ctx.Done():
		r.mu.Lock()
		r.stopped = false
		r.mu.Unlock()
		return false
	}
}

func (r *readers) begin() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return false
	}
	r.reading++
	return true
}

func (r *readers) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reading--; r.stopped && r.reading == 0 {
		close(r.ended)
	}
}

type reader struct {
	io.ReadCloser
	all *readers
}

func (r *reader) Read(p []byte) (int, error) {
	if !r.all.begin() {
		return 0, errTakenBack
	}
	defer r.all.end()
	return r.ReadCloser.Read(p)
}
