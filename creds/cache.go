package creds

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"
	"time"
)

// A Cache is a [Source] that keeps the credentials that Fetch returned. It renews them before they
// expire, and replaces them once they have expired or were rejected. Each time, it makes one fetch
// for all callers.
//
// Only Fetch is required. The fields must not be changed once the Cache is in use, and a Cache must
// not be copied. It is safe for concurrent use. It calls none of its functions under a lock, and a
// panic in one of its fields is an error of that fetch. An idle Cache does not run anything, so it
// does not renew credentials either.
type Cache[C any] struct {
	// Fetch gets new credentials. It runs apart from the callers: ctx has the values of the first
	// caller's context and a deadline of 30 s. The Cache makes one call at a time, which must
	// return when ctx ends. One second later it is given up: its result is dropped, and Fetch may
	// be called again.
	//
	// Fetch must not ask the same Cache, for instance by a client that signs with it. If it does so
	// under ctx and would have to wait for itself, Credentials returns [ErrRecursive].
	//
	// Its error may be a [DelayError], a [FinalError], a [TransientError] or a [PostponedError], as
	// found by [errors.As]. Without good credentials, and unless the fetch before it has failed, a
	// fetch with a transient error is repeated up to twice within its 30 s. The first repetition
	// follows after 0.5 to 1 s, the second after 1 to 2 s, or later if the service asks for a
	// longer wait.
	//
	// All callers that wait for a fetch get its error. A back-off follows, in which a caller that
	// needs credentials gets the same error at once. It lasts for the wait that the service asked
	// for and a random time on top: up to 1 s, then up to twice as long after each failure in a
	// row, and at most 5 min. If it is longer than the service asked for, it also ends when good
	// credentials end.
	Fetch func(ctx context.Context) (C, error)

	// StepUp means that Fetch reads [Challenge], and adds the scope, the recent login or the claims
	// that the server asks for there to the rights of the old credentials. If false, a refusal that
	// asks for these does not start a fetch, which would bring the same credentials again.
	StepUp bool

	// Expires returns when credentials end, by this machine's clock. It is called once for each
	// fetch. If nil, or if it returns the zero time, the credentials never end and are not renewed.
	//
	// The renewal window opens between 60 and 30 s before the end. If the credentials live for less
	// than 5 min, it opens when between a fifth and a tenth of their life is left. All moments
	// between these bounds are equally likely, so that the members of a fleet do not fetch at the
	// same time.
	//
	// A renewal may return the same credentials again, as some services give new ones only at the
	// last moment. The window then follows from the life that is left.
	Expires func(C) time.Time

	// Issued returns when credentials were issued, by this machine's clock. It is called once for
	// each fetch. If nil, or if it returns the zero time, they were issued when Fetch returned
	// them. Set it if Fetch may return stored credentials.
	Issued func(C) time.Time

	// ID identifies credentials: those with equal IDs are the same ones. If the service may change
	// the key of an id, the ID must contain both. It is not printed. If nil, no two credentials are
	// the same, and the Cache never returns [ErrSame].
	ID func(C) string

	// Fetched is called with new credentials before any caller gets them, for instance to store
	// them. Credentials with the same ID and the same end as the current ones are not new. Fetched
	// runs in the goroutine of the fetch, as a part of it, so callers that wait for the fetch also
	// wait for Fetched. If it panics or takes too long, the fetch has failed and the credentials
	// are not used. It must not ask the same Cache. If nil, it is not called.
	Fetched func(C)

	// Logger gets one record at level Warn for each fetch that failed, with the error, the end of
	// the current credentials and the time of the next attempt. The first success after a failure
	// is a record at level Info. If nil, the Logger of the transport.Transport whose request
	// started the fetch.
	Logger *slog.Logger

	// current holds the credentials that were fetched last, nil before the first fetch. It is read
	// at any time, and written under mu.
	current atomic.Pointer[entry[C]]

	// random returns a duration from 0 to d. If nil, all are equally likely. Only tests set it.
	random func(d time.Duration) time.Duration

	mu      sync.Mutex    // guards all below; never held while a function of the user runs
	flight  *flight[C]    // the latest fetch, under way or done; nil before the first
	asked   *flight[C]    // the latest after which the service asked for a back-off, or nil
	backoff time.Duration // the longest back-off after the latest failure, 0 after a success
	shield  time.Time     // until then, Reject does nothing
	step    time.Duration // the length of the latest shield, 0 if it was lifted
	waits   int           // how often Wait has waited, since credentials were accepted
	waiting time.Time     // the end of the latest of these waits
	taken   bool          // credentials were accepted, so that waits can be 0 again
	failing bool          // the latest fetch has failed
}

// An entry is one set of credentials. Only the atomic fields ever change.
type entry[C any] struct {
	value    C
	id       string      // "" if the Cache has no ID
	expires  time.Time   // zero if never
	issued   time.Time   // by the monotonic clock
	suspect  atomic.Bool // goes from false to true
	refusal  http.Header // for which it is suspect; guarded by Cache.mu
	accepted atomic.Bool // a server has accepted it; goes from false to true

	// due is the time from which a caller must do more than take the value: start a renewal, or
	// wait for another entry. It is never after expires. If nil, that time never comes. Once e is
	// shared, due is written under Cache.mu.
	due atomic.Pointer[time.Time]
}

func (e *entry[C]) valid() bool {
	return e != nil && (e.expires.IsZero() || time.Now().Before(e.expires))
}

func (e *entry[C]) fresh() bool { return e != nil && !e.suspect.Load() && e.valid() }

// settled reports whether e can be returned to a caller without further work. This is the hot path.
func (e *entry[C]) settled() bool {
	if e == nil || e.suspect.Load() {
		return false
	}
	due := e.due.Load()
	return due == nil || time.Now().Before(*due)
}

// setDue sets due to the end minus before. due is derived from the end, so it uses the same clock,
// monotonic or not, and never comes after the end, even if the other clock is changed.
func (e *entry[C]) setDue(before time.Duration) {
	if e.expires.IsZero() {
		return
	}
	due := e.expires.Add(-max(before, 0))
	e.due.Store(&due)
}

// Check returns an error if Credentials would always fail because Fetch is not set. Call it when a
// program starts.
func (c *Cache[C]) Check() error {
	if c.Fetch == nil {
		return errors.New("creds: a Cache needs a Fetch function: set its Fetch field")
	}
	return nil
}

// Credentials returns the current credentials if they are good, even if ctx has ended. The first
// call within their renewal window starts a fetch; see Expires. Callers do not wait for that fetch.
// If it fails, it is tried again after a back-off, and the old credentials are used until they end.
//
// If the credentials have expired or were rejected, Credentials waits for a fetch, or for the rest
// of one that is under way. If ctx ends, this caller leaves, and the fetch goes on for the others.
// Rejected credentials that have not expired are returned if others do not arrive within 5 s,
// because a refusal may have had another reason.
//
// The error wraps the error of Fetch, or [ErrSame], [ErrExpired] or [ErrRecursive]. If ctx ended
// first, it wraps both the error and the cause of ctx.
func (c *Cache[C]) Credentials(ctx context.Context) (C, error) {
	if e := c.current.Load(); e.settled() {
		return e.value, nil
	}
	return c.await(ctx)
}

// await starts a fetch or joins one, and returns its result, or the reason why it cannot.
func (c *Cache[C]) await(ctx context.Context) (C, error) {
	var zero C
	f, err := c.board(ctx)
	old := c.current.Load()
	if old.fresh() {
		return old.value, nil // a failed renewal does not concern this caller
	}
	if err != nil {
		return zero, err
	}
	wait, stop := context.WithCancel(ctx)
	if old.valid() {
		wait, stop = context.WithDeadline(ctx, f.began.Add(patience))
	}
	defer stop()
	select {
	case <-f.done:
	case <-wait.Done():
	}
	select {
	case <-f.done: // also if both happened at once: prefer the result
	default:
		if ctx.Err() != nil {
			return zero, left(ctx)
		}
		return old.value, nil
	}
	if f.failed == nil {
		return f.landed.value, nil
	}
	if e := c.current.Load(); e.valid() {
		return e.value, nil
	}
	return zero, f.failed
}

// board returns the fetch whose result the caller gets: the latest one, if it is still under way or
// its result is still good, or else a new one.
func (c *Cache[C]) board(ctx context.Context) (*flight[C], error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, left(ctx)
	}
	inside := ctx.Value(within[C]{c}) // before the lock: a user may have implemented the Context

	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.current.Load()
	switch f := c.flight; {
	case f == nil:
	case f.flying && inside == f:
		return nil, ErrRecursive
	case f.flying, e.settled(), f.failed != nil && time.Now().Before(f.failed.until):
		return f, nil
	}
	if a := c.asked; a != nil && time.Now().Before(a.failed.least) {
		// Credentials that Replace took in the meantime say nothing about the service that Fetch
		// asks.
		c.flight = a
		return a, nil
	}
	if e != nil {
		e.setDue(0) // no other caller needs to come here for a renewal
	}
	return c.depart(ctx, c.Fetch), nil
}

// depart starts a fetch by get. The caller holds c.mu.
func (c *Cache[C]) depart(ctx context.Context, get func(context.Context) (C, error)) *flight[C] {
	c.flight = &flight[C]{began: time.Now(), done: make(chan struct{}), flying: true}
	if e := c.current.Load(); e != nil && e.suspect.Load() {
		c.flight.refusal = e.refusal
	}
	if !c.failing {
		c.flight.patience = maxRepeats
	}
	go c.fly(ctx, c.flight, get)
	return c.flight
}

// left returns the error for a caller whose context has ended.
func left(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return fmt.Errorf("creds: no longer waiting for credentials: %w", cause)
	}
	return fmt.Errorf("creds: no longer waiting for credentials: %w: %w", err, cause)
}

// Reject tells the Cache that a server refused credentials for which bad reports true. If they are
// the current ones, the next call of Credentials waits for others. If that fetch fails or takes
// over 5 s, that call and later ones get the rejected credentials until they expire, and
// [Cache.Err] returns the reason. The fetch is tried again as after any failure. It finds refusal
// by [Challenge], if refusal is not nil. Reject does not block.
//
// After rejected credentials were replaced, Reject has no effect for 1 s, and for twice as long
// each further time, up to 5 min. So a page that is always refused does not cost a fetch each time.
// If a server had never accepted the rejected credentials ([Cache.Accept]), that time is at least
// 60 s. [Cache.Confirm] ends it.
func (c *Cache[C]) Reject(bad func(C) bool, refusal http.Header) {
	e := c.current.Load()
	if !e.fresh() || !bad(e.value) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// Credentials that arrived while bad was running were not refused.
	if c.current.Load() == e && e.valid() && !time.Now().Before(c.shield) {
		e.refusal = refusal.Clone()
		e.suspect.Store(true)
	}
}

// StepsUp returns c.StepUp.
func (c *Cache[C]) StepsUp() bool { return c.StepUp }

// Confirm tells the Cache that a call that had been refused has succeeded with credentials for
// which good reports true. If they are the current ones, the fetch was useful, and they can be
// rejected at once if they are revoked too. Confirm is not needed for calls that succeed at once.
func (c *Cache[C]) Confirm(good func(C) bool) {
	e := c.current.Load()
	if e == nil || !good(e.value) {
		return
	}
	e.accepted.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waits, c.taken = 0, false
	if c.current.Load() == e {
		c.shield, c.step = time.Time{}, 0
	}
}

// Replace makes credentials that a service sent without a request for them the current ones. next
// gets the current ones and returns their replacement, and whether to use it. Fetched is called
// with the replacement first. Callers that have good credentials do not wait for that. Replace does
// not block. It calls next at most once, and does not recover panics in next, Expires and ID.
//
// Replace does nothing if the replacement has expired or has the ID of rejected credentials, or if
// a fetch is under way, since that will bring others. A back-off that the service asked for goes
// on, for the fetch that will follow the replacement.
func (c *Cache[C]) Replace(next func(current C) (C, bool)) {
	old := c.current.Load()
	if old == nil {
		return
	}
	value, ok := next(old.value)
	if !ok || isNil(reflect.ValueOf(&value).Elem()) {
		return
	}
	e := c.enter(value)
	if !e.valid() || c.ID != nil && old.suspect.Load() && old.id == e.id {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current.Load() == old && !c.flight.flying {
		c.depart(context.Background(), func(context.Context) (C, error) { return value, nil })
	}
}

// Err returns the error of the latest fetch, or nil if it succeeded or has not ended. It tells a
// caller that still gets rejected credentials why others did not arrive, and a monitor of the
// process that a renewal has failed.
func (c *Cache[C]) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.flight; f != nil && f.failed != nil {
		return f.failed
	}
	return nil
}
