package portal

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// defaultWait is a quarter of a second less than a second, so that a login is decided or refused
// within a second where a hash takes up to a quarter of one.
const defaultWait = 750 * time.Millisecond

// Slots bound how many logins are worked on at once, and how long the others wait.
type slots struct {
	once sync.Once
	free chan struct{} // made by once
}

// take waits for a slot, up to wait and as long as ctx allows. n is the number of slots. The zero
// values of both stand for defaults.
func (s *slots) take(ctx context.Context, n int, wait time.Duration) (release func(), err error) {
	s.once.Do(func() {
		if n <= 0 {
			n = runtime.GOMAXPROCS(0)
		}
		s.free = make(chan struct{}, n)
	})
	if ctx.Err() != nil {
		return nil, noTime(ctx)
	}
	release = func() { <-s.free }
	select {
	case s.free <- struct{}{}:
		return release, nil
	default:
	}
	timer := time.NewTimer(orElse(wait, defaultWait))
	defer timer.Stop()
	select {
	case s.free <- struct{}{}:
		return release, nil
	case <-timer.C:
		return nil, busy{}
	case <-ctx.Done():
		return nil, noTime(ctx)
	}
}

func noTime(ctx context.Context) error {
	return fmt.Errorf("portal: no time left to check a password: %w", context.Cause(ctx))
}

// A busy error is ErrBusy, for how long.
type busy struct{}

func (busy) Error() string             { return ErrBusy.Error() }
func (busy) Unwrap() error             { return ErrBusy }
func (busy) RetryAfter() time.Duration { return time.Second }
