// Package body handles the bodies of requests that may be sent more than once, and of answers that
// are discarded.
package body

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

var (
	errTakenBack = errors.New("body: the request's body went to the next attempt")
	errStillRead = errors.New("body: the request's body is still being read for the last attempt")
)

// stopTime is how long Lend waits until a read of the previous attempt has ended.
const stopTime = time.Second

// A Lender lends a request's body to one attempt after another. It closes the caller's body exactly
// once. All methods of a nil Lender, which stands for a request without a body, are valid. A Lender
// is safe for concurrent use, but only one attempt can have the body at a time.
type Lender struct {
	src     io.ReadCloser
	getBody func() (io.ReadCloser, error) // nil if src cannot be read twice
	plain   bool                          // net/http may get src itself, unwrapped

	mu     sync.Mutex // guards the fields below, the attempts and the readers
	now    *attempt   // nil before the first attempt
	first  *Reader    // the reader of src that was lent last
	read   bool       // an attempt has read a part of src
	last   bool       // there will be no further attempt
	closed bool
	peeked *prefix
}

// An attempt holds the state of all readers of one attempt: net/http may get more of them by
// GetBody.
type attempt struct {
	reading int           // how many reads are in progress
	stopped bool          // no read begins
	idle    chan struct{} // if not nil, closed when the last read has ended

	over chan struct{} // closed when the wait can end
	done bool          // over is closed
	wait func() error  // nil if the first read does not wait
}

// New returns the Lender of the request's body, or nil if the request has no body.
func New(req *http.Request) *Lender {
	if req.Body == nil || req.Body == http.NoBody {
		return nil
	}
	return &Lender{
		src: req.Body, getBody: req.GetBody,
		plain: req.GetBody != nil && inMemory(req.Body),
	}
}

// Lend sets the body of req, the request of the next attempt, and stops the readers of the previous
// attempt. GetBody may rewind the same file that a reader is reading, so a read in progress must
// end first. If that takes too long, or if GetBody fails, Lend returns an error and the previous
// attempt keeps its body.
//
// If wait is not nil, the first read of the attempt calls wait before it begins, and fails with the
// error of wait. wait must return soon after over is closed.
func (l *Lender) Lend(req *http.Request, wait func(over <-chan struct{}) error) error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	before := l.now
	l.mu.Unlock()
	src, own := l.src, true
	if before != nil && l.getBody != nil {
		own = false
		if err := l.stop(req.Context(), before); err != nil {
			return err
		}
		var err error
		if src, err = again(l.getBody, l.src); err != nil {
			l.resume(before)
			return err
		}
	}
	a := &attempt{over: make(chan struct{})}
	if wait != nil {
		a.wait = sync.OnceValue(func() error { return wait(a.over) })
	}
	r := &Reader{lender: l, attempt: a, src: src, own: own}
	l.mu.Lock()
	l.now = a
	if own {
		l.first = r
		if l.plain {
			r.closed, l.closed = true, true // the attempt itself closes src
		}
	}
	l.mu.Unlock()
	before.release(l)
	switch {
	case l.plain:
		req.Body = src
	case l.getBody == nil:
		req.Body = r
	default:
		req.Body = r
		req.GetBody = func() (io.ReadCloser, error) {
			src, err := again(l.getBody, src)
			if err != nil {
				return nil, err
			}
			return &Reader{lender: l, attempt: a, src: src}, nil
		}
	}
	return nil
}

// release ends the wait of an attempt's first read.
func (a *attempt) release(l *Lender) {
	if a == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !a.done {
		a.done = true
		close(a.over)
	}
}

// stop prevents new reads of a, and waits until no read is in progress.
func (l *Lender) stop(ctx context.Context, a *attempt) error {
	l.mu.Lock()
	a.stopped = true
	if a.reading == 0 {
		l.mu.Unlock()
		return nil
	}
	idle := make(chan struct{})
	a.idle = idle
	l.mu.Unlock()
	limit := time.NewTimer(stopTime)
	defer limit.Stop()
	var err error
	select {
	case <-idle:
		return nil
	case <-limit.C:
		err = errStillRead
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	l.resume(a)
	return err
}

func (l *Lender) resume(a *attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a.stopped, a.idle = false, nil
}

// TakeBack reports whether another attempt can have the whole body: the body can be read twice, or
// no part of it was read. In the second case, the current attempt can no longer read it. TakeBack
// checks that and stops the attempt in one step, since net/http may go on reading after RoundTrip
// has returned.
func (l *Lender) TakeBack() bool {
	if l == nil || l.getBody != nil {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.read {
		return false
	}
	if l.now != nil {
		l.now.stopped = true
	}
	return true
}

// GiveBack undoes TakeBack: the current attempt can read the body again.
func (l *Lender) GiveBack() {
	if l == nil || l.getBody != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now != nil {
		l.now.stopped = false
	}
}

// Finish must be called when no further attempt follows. The current attempt may go on reading.
func (l *Lender) Finish() {
	if l == nil {
		return
	}
	l.mu.Lock()
	l.last = true
	now, r := l.now, l.first
	unused := r == nil || r.closed || l.getBody == nil && r.attempt.stopped
	l.mu.Unlock()
	if unused {
		_ = l.close() // no caller is left to hear of an error
	}
	now.release(l)
}

func (l *Lender) close() error {
	l.mu.Lock()
	first := !l.closed
	l.closed = true
	l.mu.Unlock()
	if !first {
		return nil
	}
	return l.src.Close()
}

// A Reader is a request's body, lent to one attempt.
type Reader struct {
	lender  *Lender
	attempt *attempt
	src     io.ReadCloser
	own     bool // src is the caller's body, not one from GetBody
	closed  bool // guarded by lender.mu
}

// Read reads from the body. It fails if the body was taken back, or lent to another attempt.
func (r *Reader) Read(p []byte) (int, error) {
	l, a := r.lender, r.attempt
	if a.wait != nil {
		if err := a.wait(); err != nil {
			return 0, err
		}
	}
	if r.own {
		l.awaitPeek(a.over)
	}
	if err := r.begin(); err != nil {
		return 0, err
	}
	defer r.end()
	if r.own {
		return l.readSource(p)
	}
	return r.src.Read(p)
}

func (r *Reader) begin() error {
	l, a := r.lender, r.attempt
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case a.stopped:
		return errTakenBack
	case r.closed:
		return http.ErrBodyReadAfterClose
	}
	a.reading++
	l.read = l.read || r.own && !l.isEmpty()
	return nil
}

func (r *Reader) end() {
	l, a := r.lender, r.attempt
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.reading--; a.reading == 0 && a.idle != nil {
		close(a.idle)
		a.idle = nil
	}
}

// Close closes the body. If the caller's body was not read, another attempt may still get it, so it
// stays open until Finish.
func (r *Reader) Close() error {
	l := r.lender
	r.attempt.release(l)
	l.mu.Lock()
	first := !r.closed
	r.closed = true
	keep := l.getBody == nil && (l.first != r || !l.read && !l.last)
	l.mu.Unlock()
	switch {
	case r.own && keep:
		return nil
	case r.own:
		return l.close()
	case first:
		return r.src.Close()
	}
	return nil
}
