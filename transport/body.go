package transport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/countersign-go/countersign/internal/rewind"
)

var (
	errTakenBack = errors.New("transport: this attempt's body went to the next attempt")
	errStillRead = errors.New("transport: the body is still being read for the last attempt")
)

// expectAbove is the length of a body that cannot be read twice from which on the server is asked
// first: below, a round trip to ask costs more than the body.
const expectAbove = 1 << 20

// A body gives the caller's request body to one attempt after another. It closes the caller's body
// exactly once: when the last attempt is through with it.
type body struct {
	src     io.ReadCloser
	getBody func() (io.ReadCloser, error) // nil: cannot be read twice
	plain   bool                          // net/http may have src itself, and read it in any way
	reading chan struct{}                 // full while src is read

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
	return &body{
		src: req.Body, getBody: req.GetBody,
		plain:   req.GetBody != nil && rewind.InMemory(req.Body),
		reading: make(chan struct{}, 1),
	}
}

// attach puts the body on an attempt's request.
func (b *body) attach(signed *http.Request) error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	first := b.holder == nil
	if first {
		b.holder = &bodyReader{b: b, closed: b.plain}
		b.closed = b.plain // the attempt closes it
	}
	holder, rewind := b.holder, !first && b.getBody != nil
	b.again = b.again || rewind
	b.mu.Unlock()
	switch {
	case rewind:
		return b.rewind(signed)
	case !b.plain:
		signed.Body = holder
	}
	return nil
}

// rewind gives an attempt a body of its own. GetBody may go back in the very file that the last
// attempt is still reading, so that read has to end first.
func (b *body) rewind(signed *http.Request) error {
	select {
	case b.reading <- struct{}{}:
		<-b.reading
	case <-time.After(discardTime):
		return errStillRead
	case <-signed.Context().Done():
		return context.Cause(signed.Context())
	}
	r, err := rewind.Body(b.getBody, b.src)
	if err == nil {
		signed.Body = r
	}
	return err
}

// expects reports whether the server should be asked before the body is sent: being told "no"
// before it leaves is the one way to recover a request whose body cannot be read twice.
func (b *body) expects(req *http.Request) bool {
	if b == nil || b.getBody != nil || req.Header["Expect"] != nil {
		return false
	}
	if req.ContentLength > 0 {
		return req.ContentLength > expectAbove
	}
	// Of unknown length, but these methods rarely have any.
	return req.Method != "" && req.Method != http.MethodGet && req.Method != http.MethodHead
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
	b := r.b
	b.reading <- struct{}{}
	defer func() { <-b.reading }()
	b.mu.Lock()
	if b.holder != r || b.again {
		b.mu.Unlock()
		return 0, errTakenBack
	}
	b.read = true
	b.mu.Unlock()
	return b.src.Read(p)
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
