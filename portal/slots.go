package portal

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// defaultWait is a quarter of a second less than a second. So a login is decided or refused within
// a second if a hash takes up to a quarter of a second.
const defaultWait = 750 * time.Millisecond

// Slots limits how many logins are processed at once, and how long the others wait.
type slots struct {
	once sync.Once
	free chan struct{} // made by once
}

// take waits for a slot, at most wait and until ctx ends. n is the number of slots. If n or wait is
// zero, a default is used.
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

// A busy error is ErrBusy with a method RetryAfter.
type busy struct{}

func (busy) Error() string             { return ErrBusy.Error() }
func (busy) Unwrap() error             { return ErrBusy }
func (busy) RetryAfter() time.Duration { return time.Second }
