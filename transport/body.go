package transport

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

var errTakenBack = errors.New("transport: this attempt's body went to the next attempt")

// expectAbove is the length of a body that cannot be read twice from which on the server is asked
// first: below, a round trip to ask costs more than the body.
const expectAbove = 1 << 20

// A body gives the caller's request body to one attempt after another. It closes the caller's body
// exactly once: when the last attempt is through with it.
type body struct {
	src     io.ReadCloser
	getBody func() (io.ReadCloser, error) // nil: cannot be read twice

	mu     sync.Mutex // guards what follows
	holder *bodyReader
	read   bool // something was read, or is being read
	again  bool // a second reader came from getBody: the first one's attempt is over
	last   bool // there will be no further attempt
	closed bool
}

// newBody returns nil for a request without a body.
func newBody(req *http.Request) *body {
	if req.Body == nil || req.Body == http.NoBody {
		return nil
	}
	return &body{src: req.Body, getBody: req.GetBody}
}

// attach puts the body on an attempt's request.
func (b *body) attach(signed *http.Request) error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.holder != nil && b.getBody != nil {
		again, err := b.getBody()
		if err != nil {
			return err
		}
		b.again = true
		signed.Body = again
		return nil
	}
	b.holder = &bodyReader{b: b}
	signed.Body = b.holder
	// Being told "no" before the body leaves is the one way to recover such a request. Close, since
	// a server that never saw the body may wait for it on the same connection.
	if b.getBody == nil && (signed.ContentLength <= 0 || signed.ContentLength > expectAbove) &&
		signed.Header["Expect"] == nil {
		signed.Header["Expect"] = []string{"100-continue"}
		signed.Close = true
	}
	return nil
}

// takeBack reports whether another attempt can have the whole body. net/http may go on reading a
// body after RoundTrip has returned, so the check and the taking are one step.
func (b *body) takeBack() bool {
	if b == nil || b.getBody != nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.read {
		return false
	}
	b.holder = nil
	return true
}

// finish says that no further attempt will follow.
func (b *body) finish() {
	if b == nil {
		return
	}
	b.mu.Lock()
	b.last = true
	idle := b.holder == nil || b.holder.closed
	b.mu.Unlock()
	if idle {
		_ = b.close() // nobody is left to hear of it
	}
}

func (b *body) close() error {
	b.mu.Lock()
	first := !b.closed
	b.closed = true
	b.mu.Unlock()
	if !first {
		return nil
	}
	return b.src.Close()
}

// A bodyReader is the caller's body in the hands of one attempt.
type bodyReader struct {
	b      *body
	closed bool // guarded by b.mu
}

func (r *bodyReader) Read(p []byte) (int, error) {
	r.b.mu.Lock()
	if r.b.holder != r || r.b.again {
		r.b.mu.Unlock()
		return 0, errTakenBack
	}
	r.b.read = true
	r.b.mu.Unlock()
	return r.b.src.Read(p)
}

func (r *bodyReader) Close() error {
	b := r.b
	b.mu.Lock()
	r.closed = true
	// Unread, it may still go to another attempt.
	keep := b.holder != r || b.getBody == nil && !b.read && !b.last
	b.mu.Unlock()
	if keep {
		return nil
	}
	return b.close()
}
