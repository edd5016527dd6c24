package creds

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"time"

	"github.com/countersign-go/countersign/internal/logs"
)

const (
	fetchTime = 30 * time.Second // the time for Fetch
	graceTime = time.Second      // the time for Fetch to return after that
	patience  = 5 * time.Second  // how long callers with valid credentials wait for a fetch
	firstStep = time.Second      // the shortest back-off
	finalStep = 5 * time.Minute  // the longest, unless the service asks for more time
	maxPause  = 24 * time.Hour   // the longest wait that a service may ask for

	maxRepeats  = 2                      // how often a fetch is repeated
	firstRepeat = 500 * time.Millisecond // the least wait before the first; the next has twice that

	youth     = 5 * time.Second // credentials that are younger may not be known everywhere
	maxWaits  = 2               // how often Wait waits for young credentials
	firstWait = time.Second     // how long the first one is; the next is twice as long
	spareTime = time.Minute     // how long useless waits and replacements are not repeated

	renewTime  = time.Minute // the longest renewal window
	renewShare = 5           // the window is at most a life divided by this
)

// Errors that a [Cache] itself detects.
var (
	// ErrSame means that Fetch returned the same credentials that had been rejected.
	ErrSame = errors.New("creds: fetched the same credentials that were rejected: " +
		"the service may have refused for another reason")

	// ErrExpired means that Fetch returned credentials that had already expired.
	ErrExpired = errors.New("creds: fetched credentials that have already expired: " +
		"compare the clock here with that of the service")

	// ErrRecursive means that Fetch asked its own [Cache] for credentials, and would have waited
	// for itself.
	ErrRecursive = errors.New("creds: Fetch asked for the credentials that it is to fetch: " +
		"let it use another client or signer")
)

// A flight is one fetch. Its result, in landed or failed, may be read once done is closed.
type flight[C any] struct {
	began  time.Time
	done   chan struct{}
	flying bool // guarded by Cache.mu, as are writes to the next four fields
	landed *entry[C]
	failed *failure
	ends   *entry[C] // the credentials that were current when it failed, or nil
	mends  bool      // the fetch before it has failed

	patience int         // how often it may be repeated
	refusal  http.Header // the refusal for which it is made, nil if unknown
}

// within is the key under which the context of a fetch holds its flight.
type within[C any] struct{ c *Cache[C] }

// A failure is the error of a fetch.
type failure struct {
	err   error
	pause time.Duration // the least back-off

	final, transient, postponed bool // see Cache.Fetch

	least time.Time // the earliest end of the back-off
	until time.Time // the end of the back-off
}

// Error names the time of the next attempt unless the error is final.
func (f *failure) Error() string {
	text := f.err.Error()
	if f.final {
		return text
	}
	if !strings.HasPrefix(text, "creds: ") {
		text = "creds: fetch failed: " + text
	}
	return text + "; next try at " + f.until.UTC().Format(time.TimeOnly+" MST")
}

func (f *failure) Unwrap() error { return f.err }

// fly runs one fetch in its own goroutine. It always ends the flight, even if get panics, hangs or
// calls runtime.Goexit.
func (c *Cache[C]) fly(
	first context.Context, f *flight[C], get func(context.Context) (C, error),
) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(first), fetchTime)
	defer cancel()
	// Without this, a Fetch that ignores its context would block all callers permanently.
	overdue := time.AfterFunc(fetchTime+graceTime, func() {
		err := fmt.Errorf("given up: Fetch or Fetched did not return within %s, "+
			"though the context had ended: %w", fetchTime+graceTime, context.DeadlineExceeded)
		if c.land(f, nil, &failure{err: err}) {
			c.report(ctx, f)
		}
	})
	defer overdue.Stop()

	var e *entry[C]
	// This error remains if Fetch ends the goroutine instead of returning.
	failed := &failure{err: errors.New("runtime.Goexit was called in Fetch or Fetched")}
	defer func() {
		if c.land(f, e, failed) {
			c.report(ctx, f)
		}
	}()
	inside := context.WithValue(ctx, within[C]{c}, f)
	if f.refusal != nil || Challenge(ctx) != nil { // the first caller may itself be in a Fetch
		inside = context.WithValue(inside, challengeKey{}, f.refusal)
	}
	for try := 0; ; try++ {
		e, failed = c.fetch(inside, f, get)
		if failed == nil || f.patience <= try || !c.waitAfter(ctx, try, failed) {
			return
		}
	}
}

// waitAfter waits before a failed fetch is repeated. It reports whether to repeat it.
func (c *Cache[C]) waitAfter(ctx context.Context, try int, failed *failure) bool {
	if !failed.transient || failed.final || c.current.Load().fresh() {
		return false
	}
	least := firstRepeat << try
	wait := max(failed.pause, least+c.draw(least))
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait+patience {
		return false // the service would have too little time to answer
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// report logs a fetch that failed, and the first one that succeeds after a failure.
func (c *Cache[C]) report(ctx context.Context, f *flight[C]) {
	defer func() { _ = recover() }() // of a user's handler
	logger := logs.From(ctx, c.Logger)
	switch failed := f.failed; {
	case failed != nil && !failed.postponed:
		attrs := []slog.Attr{slog.Any("err", failed.err), slog.Time("next", failed.until)}
		if f.ends.valid() && !f.ends.expires.IsZero() {
			attrs = append(attrs, slog.Time("ends", f.ends.expires))
		}
		logger.LogAttrs(ctx, slog.LevelWarn, "creds: fetch failed", attrs...)
	case failed == nil && f.mends:
		var attrs []slog.Attr
		if end := f.landed.expires; !end.IsZero() {
			attrs = append(attrs, slog.Time("ends", end))
		}
		logger.LogAttrs(ctx, slog.LevelInfo, "creds: fetch succeeded again", attrs...)
	}
}

// fetch calls the user's functions and checks their results.
func (c *Cache[C]) fetch(
	ctx context.Context, f *flight[C], get func(context.Context) (C, error),
) (e *entry[C], failed *failure) {
	old := c.current.Load() // only the end of a fetch replaces it, and this is the only fetch
	defer func() {
		if v := recover(); v != nil {
			e, failed = nil, &failure{err: panicked(v)}
		}
	}()
	value, err := get(ctx)
	if err != nil {
		return nil, failureOf(err)
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

// enter returns an entry for credentials that Fetch returned.
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
	// The second half of the window is not random: it is the time for the fetch and its repetition.
	window := max(min(renewTime, time.Until(e.expires)/renewShare), 0)
	e.setDue(window - c.draw(window/2))
	return e
}

// inFlight reports whether f is still wanted, because it was not given up.
func (c *Cache[C]) inFlight(f *flight[C]) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return f.flying
}

// land ends a fetch with an entry or a failure, and wakes the callers that wait. It reports false
// if the fetch was given up before.
func (c *Cache[C]) land(f *flight[C], e *entry[C], failed *failure) bool {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !f.flying {
		return false
	}
	f.flying = false
	defer close(f.done)
	old := c.current.Load()
	if failed != nil {
		c.backOff(now, old, failed)
		f.failed, f.ends = failed, old
		c.failing = c.failing || !failed.postponed
		if failed.pause > 0 {
			c.asked = f
		}
		return true
	}
	c.backoff = 0
	f.mends, c.failing = c.failing, false
	if old != nil && old.suspect.Load() {
		c.step = longer(c.step)
		c.shield = now.Add(c.step)
		if !old.accepted.Load() {
			c.shield = now.Add(max(c.step, spareTime))
		}
	}
	c.current.Store(e)
	f.landed = e
	return true
}

// backOff sets the time until which no other fetch starts, after one has failed at now. The caller
// holds c.mu.
func (c *Cache[C]) backOff(now time.Time, old *entry[C], failed *failure) {
	c.backoff = longer(c.backoff)
	// The random time comes on top of the wait that the service asked for, since it asked the whole
	// fleet for the same wait.
	failed.least = now.Add(failed.pause)
	failed.until = failed.least.Add(c.draw(c.backoff))
	if !old.valid() || old.expires.IsZero() {
		return
	}
	// Waiting costs nothing while there are good credentials. After their end only the wait that
	// the service asked for continues.
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

// longer returns the back-off that follows one of d.
func longer(d time.Duration) time.Duration { return min(max(2*d, firstStep), finalStep) }

// failureOf returns the failure for an error of Fetch, with the properties that the error reports.
func failureOf(err error) *failure {
	f := &failure{err: err}
	var final FinalError
	f.final = errors.As(err, &final) && final.Final()
	var transient TransientError
	f.transient = errors.As(err, &transient) && transient.Transient()
	var postponed PostponedError
	f.postponed = errors.As(err, &postponed) && postponed.Postponed()
	var after DelayError
	if errors.As(err, &after) {
		f.pause = min(max(after.RetryAfter(), 0), maxPause)
	}
	if f.final {
		f.pause = max(f.pause, finalStep)
	}
	return f
}

// panicked returns an error for a recovered panic. Its text contains the value only if that is a
// runtime.Error, since any other value may hold a secret.
func panicked(v any) error {
	if err, ok := v.(runtime.Error); ok {
		return fmt.Errorf("panic in %s: %w", panicSite(), err)
	}
	return fmt.Errorf("panic in %s with a %T", panicSite(), v)
}

// panicSite returns the function and line that panicked. Call it while the panic is being
// recovered, when the stack still contains them.
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
