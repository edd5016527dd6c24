package provision

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	loadTime   = 5 * time.Second  // what a Store has to read a record
	saveTime   = 2 * time.Second  // how long credentials that are there wait to be written
	finishTime = 10 * time.Second // what a Store has to write in the background
)

var (
	errKeep = errors.New("the record stays")
	errHeld = errors.New("others held it for too long")
	errSlow = errors.New("the store took too long")
)

// An edit is an Update of the record that runs apart from the fetch it belongs to, so that a Store
// that hangs, even one that does not heed its context, does not hold up the fetch. What decides on
// the record, and makes calls, still runs in the goroutine of the fetch.
type edit struct {
	old    chan []byte   // gives the record as it is, once the Update has the lock
	next   chan verdict  // takes what is to become of it; has to follow
	ended  chan struct{} // closed when the Update is over
	cancel context.CancelCauseFunc
}

// A verdict is what an Update is to return. An error that wraps errKeep is no trouble.
type verdict struct {
	data []byte
	err  error
}

// edit starts an Update.
func (f *fetcher) edit(ctx context.Context) *edit {
	// The fetch, and its context, may end before the Update does.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	e := &edit{make(chan []byte), make(chan verdict, 1), make(chan struct{}), cancel}
	f.begin()
	go func() {
		defer cancel(nil)
		defer close(e.ended)
		defer f.end()
		var got *verdict
		err := guarded(func() error {
			return f.store.Update(ctx, f.place.name, func(old []byte) ([]byte, error) {
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
		if err != nil && !errors.Is(err, errKeep) && context.Cause(ctx) != errHeld {
			f.trouble("update", err) // errHeld was told already
		}
	}()
	return e
}

// loaded is Store.Load with a bound on the time it takes.
func (f *fetcher) loaded(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, loadTime, errSlow)
	defer cancel()
	e := &edit{ended: make(chan struct{})}
	var read []byte
	var failed error
	go func() {
		defer close(e.ended)
		failed = guarded(func() (err error) {
			read, err = f.store.Load(ctx, f.place.name)
			return err
		})
		if failed != nil && ctx.Err() != nil {
			failed = errSlow // also if both came at once
		}
	}()
	select {
	case <-e.ended:
		return read, failed
	case <-ctx.Done():
		f.forsake(e)
		return nil, errSlow
	}
}

// forsake has the Store left alone until e is over.
func (f *fetcher) forsake(e *edit) {
	f.mu.Lock()
	f.hung++
	f.mu.Unlock()
	go func() {
		<-e.ended
		f.mu.Lock()
		defer f.mu.Unlock()
		f.hung--
	}()
}

func (f *fetcher) isHung() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hung > 0
}

// guarded makes an error of a panic of the Store. Its value may hold a secret.
func guarded(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the store panicked with a %T", v)
		}
	}()
	return f()
}
