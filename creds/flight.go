package creds

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strings"
	"time"
)

const (
	fetchTime = 30 * time.Second // what Fetch has
	graceTime = time.Second      // what it has to return afterwards
	patience  = 5 * time.Second  // how long a fetch keeps those waiting who have something else
	firstStep = time.Second      // the shortest back-off
	finalStep = 5 * time.Minute  // the longest

	youth     = 5 * time.Second // credentials that are younger may not be known everywhere
	maxWaits  = 2               // how often there is a wait for that
	firstWait = time.Second     // how long the first one is; the next is twice as long
	spareTime = time.Minute     // how long neither waits nor replacements follow those in vain

	renewTime  = time.Minute // the longest renewal window
	renewShare = 5           // the part of a life that it is at most: one in so many
)

// The failures that a [Cache] finds itself.
var (
	// ErrSame: Fetch gave the very credentials that had been rejected.
	ErrSame = errors.New("creds: fetched the same credentials that were rejected: " +
		"the service may have refused for another reason")

	// ErrExpired: Fetch gave credentials that had already expired.
	ErrExpired = errors.New("creds: fetched credentials that have already expired: " +
		"compare the clock here with that of the service")

	// ErrRecursive: Fetch asked its own [Cache] for credentials, and would have waited for itself.
	ErrRecursive = errors.New("creds: Fetch asked for the credentials that it is to fetch: " +
		"let it use another client or signer")
)

// A flight is one fetch. Its result, in landed or failed, may be read once done is closed.
type flight[C any] struct {
	began  time.Time
	done   chan struct{}
	flying bool // guarded by Cache.mu, as the setting of what follows
	landed *entry[C]
	failed *failure
}

// within is the context key under which the context of a fetch holds its flight.
type within[C any] struct{ c *Cache[C] }

// A failure is the error of a flight.
type failure struct {
	err   error
	pause time.Duration // the least back-off
	least time.Time     // the end of that
	until time.Time     // the end of the back-off
}

func (f *failure) Error() string {
	return fmt.Sprintf("creds: fetch failed, next try after %s: %v",
		f.until.UTC().Format(time.TimeOnly+" MST"), f.err)
}

func (f *failure) Unwrap() error { return f.err }

// fly runs one fetch, in its own goroutine. Whatever get does, the flight lands.
func (c *Cache[C]) fly(
	first context.Context, f *flight[C], get func(context.Context) (C, error),
) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(first), fetchTime)
	defer cancel()
	// Without this, a Fetch that does not heed its context would block all callers for ever.
	overdue := time.AfterFunc(fetchTime+graceTime, func() {
		err := fmt.Errorf("given up: Fetch or Fetched did not return within %s, "+
			"though the context had ended: %w", fetchTime+graceTime, context.DeadlineExceeded)
		c.land(f, nil, &failure{err: err})
	})
	defer overdue.Stop()

	var e *entry[C]
	// What remains if Fetch does not return, but ends this goroutine.
	failed := &failure{err: errors.New("runtime.Goexit was called in Fetch or Fetched")}
	defer func() { c.land(f, e, failed) }()
	e, failed = c.fetch(context.WithValue(ctx, within[C]{c}, f), f, get)
}

// fetch calls the functions of the user and judges what they gave.
func (c *Cache[C]) fetch(
	ctx context.Context, f *flight[C], get func(context.Context) (C, error),
) (e *entry[C], failed *failure) {
	old := c.current.Load() // only a landing replaces it, and that is ours
	defer func() {
		if v := recover(); v != nil {
			e, failed = nil, &failure{err: panicked(v)}
		}
	}()
	value, err := get(ctx)
	if err != nil {
		return nil, &failure{err: err, pause: pause(err)}
	}
	if isNil(reflect.ValueOf(&value).Elem()) {
		return nil, &failure{err: errors.New("the Fetch function returned nil, and no error")}
	}
	e = c.enter(value)
	if !e.valid() {
		return nil, &failure{err: ErrExpired}
	}
	again := c.ID != nil && old.valid() && old.id == e.id
	if again && old.suspect.Load() {
		return nil, &failure{err: ErrSame}
	}
	if again {
		e.issued = old.issued
		e.accepted.Store(old.accepted.Load())
	}
	if c.Fetched != nil && !(again && old.expires.Equal(e.expires)) && c.inFlight(f) {
		c.Fetched(value)
	}
	return e, nil
}

// enter makes an entry of what Fetch gave.
func (c *Cache[C]) enter(value C) *entry[C] {
	e := &entry[C]{value: value, issued: time.Now()}
	if c.ID != nil {
		e.id = c.ID(value)
	}
	if c.Issued != nil {
		if issued := c.Issued(value); !issued.IsZero() {
			e.issued = e.issued.Add(-max(e.issued.Sub(issued), 0))
		}
	}
	if c.Expires == nil {
		return e
	}
	e.expires = c.Expires(value)
	// The second half of the window is not left to chance: it is for the fetch and its repetition.
	window := max(min(renewTime, time.Until(e.expires)/renewShare), 0)
	e.setDue(window - c.draw(window/2))
	return e
}

// inFlight reports whether f was not given up.
func (c *Cache[C]) inFlight(f *flight[C]) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return f.flying
}

// land ends a flight, with an entry or a failure, and lets those who wait go.
func (c *Cache[C]) land(f *flight[C], e *entry[C], failed *failure) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !f.flying {
		return // given up before
	}
	f.flying = false
	defer close(f.done)
	old := c.current.Load()
	if failed != nil {
		c.backOff(now, old, failed)
		f.failed = failed
		if failed.pause > 0 {
			c.asked = f
		}
		return
	}
	c.backoff = 0
	if old != nil && old.suspect.Load() {
		c.step = longer(c.step)
		c.shield = now.Add(c.step)
		if !old.accepted.Load() {
			c.shield = now.Add(max(c.step, spareTime))
		}
	}
	c.current.Store(e)
	f.landed = e
}

// backOff decides until when there is no other fetch, after one has failed at now. The caller holds
// c.mu.
func (c *Cache[C]) backOff(now time.Time, old *entry[C], failed *failure) {
	c.backoff = longer(c.backoff)
	// Chance comes on top of what the service asked for, since it asked the whole fleet for it.
	failed.least = now.Add(failed.pause)
	failed.until = now.Add(min(failed.pause+c.draw(c.backoff), finalStep))
	if !old.valid() || old.expires.IsZero() {
		return
	}
	// Waiting was easy while there were good credentials. Only what the service asked for holds on.
	if old.expires.Before(failed.until) {
		failed.until = old.expires
		if failed.until.Before(failed.least) {
			failed.until = failed.least
		}
	}
	old.setDue(old.expires.Sub(failed.until))
}

// draw returns a random duration of up to d.
func (c *Cache[C]) draw(d time.Duration) time.Duration {
	if c.random != nil {
		return c.random(d)
	}
	return rand.N(d + 1) //nolint:gosec // spreads load, and guards nothing
}

func isNil(v reflect.Value) bool {
	return (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) && v.IsNil()
}

// longer returns the back-off that follows d.
func longer(d time.Duration) time.Duration { return min(max(2*d, firstStep), finalStep) }

// pause returns the shortest back-off that err asks for.
func pause(err error) time.Duration {
	var final interface{ Final() bool }
	if errors.As(err, &final) && final.Final() {
		return finalStep
	}
	var after interface{ RetryAfter() time.Duration }
	if errors.As(err, &after) {
		return min(max(after.RetryAfter(), 0), finalStep)
	}
	return 0
}

// panicked makes an error of a recovered panic. Its text has the value only if that is the
// runtime's own, since any other may hold a secret.
func panicked(v any) error {
	if err, ok := v.(runtime.Error); ok {
		return fmt.Errorf("panic in %s: %w", panicSite(), err)
	}
	return fmt.Errorf("panic in %s with a %T", panicSite(), v)
}

// panicSite names the function and line that panicked. It is to be called while the panic is being
// recovered, when the stack still shows them.
func panicSite() string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	panicking := false
	for {
		frame, more := frames.Next()
		ours := !strings.HasPrefix(frame.Function, "runtime.")
		if panicking && ours {
			return fmt.Sprintf("%s, line %d", frame.Function, frame.Line)
		}
		panicking = panicking || frame.Function == "runtime.gopanic"
		if !more {
			return "an unknown function"
		}
	}
}
