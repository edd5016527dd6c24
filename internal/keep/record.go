// Package keep reads and writes a record of a Store within a bounded time. A Store that hangs and
// ignores its context delays a fetch once, for a limited time.
package keep

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	lockTime   = 20 * time.Second // how long a fetch waits for other processes
	callTime   = 3 * time.Second  // the least time that a fetch keeps for its own call
	loadTime   = 5 * time.Second  // how long a Store may take to read a record
	saveTime   = 2 * time.Second  // how long a caller of Update waits for the record to be written
	finishTime = 10 * time.Second // how long a Store may take to write in the background
)

var (
	// ErrStays is the error that the function given to Update returns to leave the record
	// unchanged.
	ErrStays = errors.New("the record stays")

	// ErrSlow means that a Store took too long.
	ErrSlow = errors.New("the store took too long")

	errHeld = errors.New("others held it for too long")
)

// A Store is a creds.Store.
type Store interface {
	Load(ctx context.Context, name string) ([]byte, error)
	Update(ctx context.Context, name string, f func(old []byte) ([]byte, error)) error
}

// A Record is one record of a Store. It is safe for concurrent use and must not be copied.
type Record struct {
	Store Store
	Name  string

	// Trouble is called for each "read" or "update" that failed. It is called for the same error
	// once, until Begin is called or the Store works again.
	Trouble func(ctx context.Context, operation string, err error)

	// Works is called when every operation that had failed has succeeded since. If nil, it is not
	// called.
	Works func(ctx context.Context)

	// Began is called before an Update of the Store starts. Ended is called when that is over, in
	// another goroutine. If nil, they are not called.
	Began, Ended func()

	mu      sync.Mutex      // guards all below
	hung    int             // calls of the Store that have been given up
	told    string          // the text of the last error that Trouble was called with
	failing map[string]bool // operations that have failed, and not succeeded since
}

// Begin makes Trouble report errors again that it has reported before.
func (r *Record) Begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = ""
}

// Failed reports to Trouble that an operation failed, or that the record itself cannot be used.
func (r *Record) Failed(ctx context.Context, operation string, err error) {
	text := err.Error()
	r.mu.Lock()
	again := r.told == text
	r.told = text
	if r.failing == nil {
		r.failing = make(map[string]bool)
	}
	r.failing[operation] = true
	r.mu.Unlock()
	if !again {
		r.Trouble(ctx, operation, err)
	}
}

// Worked reports to Works that an operation succeeded, if it was the last one that had failed.
func (r *Record) Worked(ctx context.Context, operation string) {
	r.mu.Lock()
	last := r.failing[operation] && len(r.failing) == 1
	delete(r.failing, operation)
	if last {
		r.told = ""
	}
	r.mu.Unlock()
	if last && r.Works != nil {
		r.Works(ctx)
	}
}

// Load returns the record without waiting for a lock. After 5 s, or when ctx ends, it returns
// [ErrSlow].
func (r *Record) Load(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, loadTime, ErrSlow)
	defer cancel()
	ended := make(chan struct{})
	var read []byte
	var failed error
	go func() {
		defer close(ended)
		failed = Guarded(func() (err error) {
			read, err = r.Store.Load(ctx, r.Name)
			return err
		})
		if failed != nil && ctx.Err() != nil {
			failed = ErrSlow // also if both happened at once
		}
	}()
	select {
	case <-ended:
		return read, failed
	case <-ctx.Done():
		r.Forsake(ended)
		return nil, ErrSlow
	}
}

// Turn returns the time until which a fetch waits for its turn to update a record before it goes on
// without the record: 20 s from now, or less if ctx ends soon.
func Turn(ctx context.Context) time.Time {
	turn := time.Now().Add(lockTime)
	if end, ok := ctx.Deadline(); ok && end.Add(-callTime).Before(turn) {
		return end.Add(-callTime)
	}
	return turn
}

// Update calls f with the record, under its lock, and writes the record that f returns. It waits
// for its turn until the given time, and reports whether f was called. f runs in the goroutine of
// the caller, and may take long. Update waits 2 s for the record to be written; after that, writing
// goes on in the background. If f returns an error or panics, the record stays. An error that wraps
// [ErrStays] is not reported to Trouble.
func (r *Record) Update(
	ctx context.Context, turn time.Time, f func(old []byte) ([]byte, error),
) (called bool) {
	e := r.edit(ctx)
	late := time.NewTimer(time.Until(turn))
	defer late.Stop()
	select {
	case old := <-e.old:
		r.decide(e, old, f)
		return true
	case <-e.ended:
	case <-late.C:
		r.Failed(ctx, "update", errHeld)
		r.Forsake(e.ended)
		e.cancel(errHeld)
	}
	return false
}

func (r *Record) decide(e *edit, old []byte, f func(old []byte) ([]byte, error)) {
	next := verdict{err: ErrStays}
	defer func() { // also if f panics
		stop := time.AfterFunc(finishTime, func() { e.cancel(ErrSlow) })
		e.next <- next
		wait := time.NewTimer(saveTime)
		defer wait.Stop()
		select {
		case <-e.ended:
			stop.Stop()
		case <-wait.C:
			r.Forsake(e.ended)
		}
	}()
	next.data, next.err = f(old)
}

// An edit is an Update of the Store that runs apart from the fetch that needs it.
type edit struct {
	old    chan []byte   // delivers the record once the Update has the lock
	next   chan verdict  // receives the decision; must be sent exactly once
	ended  chan struct{} // closed when the Update is over
	cancel context.CancelCauseFunc
}

// A verdict is the result that an Update returns to the Store.
type verdict struct {
	data []byte
	err  error
}

// edit starts an Update.
func (r *Record) edit(ctx context.Context) *edit {
	// The fetch, and its context, may end before the Update does.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	e := &edit{make(chan []byte), make(chan verdict, 1), make(chan struct{}), cancel}
	if r.Began != nil {
		r.Began()
	}
	go func() {
		defer cancel(nil)
		defer close(e.ended)
		if r.Ended != nil {
			defer r.Ended()
		}
		var got *verdict
		err := Guarded(func() error {
			return r.Store.Update(ctx, r.Name, func(old []byte) ([]byte, error) {
				if got != nil { // a Store may call it again
					return got.data, got.err
				}
				select {
				case e.old <- old:
				case <-ctx.Done():
					return nil, context.Cause(ctx)
				}
				v := <-e.next
				got = &v
				return v.data, v.err
			})
		})
		switch {
		case err == nil:
			r.Worked(ctx, "update")
		case errors.Is(err, ErrStays): // nothing was written, so a full disk may still be full
		case !errors.Is(context.Cause(ctx), errHeld): // that was reported already
			r.Failed(ctx, "update", err)
		}
	}()
	return e
}

// Forsake makes [Record.Hung] report true until ended is closed.
func (r *Record) Forsake(ended <-chan struct{}) {
	r.mu.Lock()
	r.hung++
	r.mu.Unlock()
	go func() {
		<-ended
		r.mu.Lock()
		defer r.mu.Unlock()
		r.hung--
	}()
}

// Hung reports whether a call of the Store has been given up but has not returned. Callers should
// then not use the Store.
func (r *Record) Hung() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hung > 0
}

// Guarded calls f and returns an error if it panics. The error does not contain the panic's value,
// which may hold a secret.
func Guarded(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the store panicked with a %T", v)
		}
	}()
	return f()
}
