// Package keep reads and writes a record of a Store without ever being held up by it for long: even
// a Store that hangs and does not heed its context costs a fetch a bounded time, once.
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
	callTime   = 3 * time.Second  // the least that is left of it for a call of its own
	loadTime   = 5 * time.Second  // what a Store has to read a record
	saveTime   = 2 * time.Second  // how long who is done waits for the record to be written
	finishTime = 10 * time.Second // what a Store has to write in the background
)

var (
	// ErrStays is what the function given to Update returns if the record is to stay as it is.
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

	// Trouble is told of each "read" or "update" that failed, but of the same error once until
	// Begin is called or the Store works again.
	Trouble func(ctx context.Context, operation string, err error)

	// Works is told that all that failed has succeeded since. If nil, that is not told.
	Works func(ctx context.Context)

	// Began is called before an Update of the Store starts, and Ended when that is over, in another
	// goroutine. Nil: neither is.
	Began, Ended func()

	mu      sync.Mutex      // guards all below
	hung    int             // calls of the Store that have been given up
	told    string          // the text of the error that Trouble was told last
	failing map[string]bool // operations that have failed, and not succeeded since
}

// Begin has errors told that were told before.
func (r *Record) Begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = ""
}

// Failed tells Trouble of an operation that failed, also where it is the record that cannot be
// used.
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

// Worked tells Works of an operation that succeeded, if it was the last one that had failed.
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

// Load returns the record as it is, without waiting for a lock, and for 5 s at most: then the error
// is [ErrSlow].
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
			failed = ErrSlow // also if both came at once
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

// Turn returns until when a fetch waits for its turn to update a record before it goes on without:
// for 20 s, or less where ctx ends soon.
func Turn(ctx context.Context) time.Time {
	turn := time.Now().Add(lockTime)
	if end, ok := ctx.Deadline(); ok && end.Add(-callTime).Before(turn) {
		return end.Add(-callTime)
	}
	return turn
}

// Update lets f decide on the record, within its lock, and writes what f returns. It waits for its
// turn until then, and reports whether that came and f was called. f runs in the goroutine of the
// caller, and may take long. Update waits 2 s for the writing, which then goes on in the
// background. If f returns an error or panics, the record stays; an error that wraps [ErrStays] is
// no trouble.
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

// An edit is an Update of the Store that runs apart from the fetch it belongs to.
type edit struct {
	old    chan []byte   // gives the record as it is, once the Update has the lock
	next   chan verdict  // takes what is to become of it; has to follow
	ended  chan struct{} // closed when the Update is over
	cancel context.CancelCauseFunc
}

// A verdict is what an Update is to return.
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
				if got != nil { // a Store may ask again
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
		case errors.Is(err, ErrStays): // nothing was written, so a full disk can still be full
		case !errors.Is(context.Cause(ctx), errHeld): // which was told already
			r.Failed(ctx, "update", err)
		}
	}()
	return e
}

// Forsake has [Record.Hung] report true until ended is closed.
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

// Hung reports whether the Store still has a call that nobody waits for any more, and should be
// left alone.
func (r *Record) Hung() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hung > 0
}

// Guarded makes an error of a panic of the Store. Its value may hold a secret.
func Guarded(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the store panicked with a %T", v)
		}
	}()
	return f()
}
