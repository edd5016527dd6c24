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

// A Cache is a [Source] and a [Rejecter] that keeps what Fetch gave it. It renews that before it
// expires, and replaces it once it has expired or was rejected, each time with one fetch for all
// callers:
//
//   - Good credentials are given out at once. The first call within their renewal window starts a
//     fetch, and neither it nor any other waits for that. The window opens between 60 and 30 s
//     before the end, or, if they live for less than 5 min, when between a fifth and a tenth of
//     their life is left. Within these bounds the moment is left to chance, all of them being
//     equally likely, so that a fleet does not ask at once. If the fetch fails, it is tried again
//     after a back-off, and the old credentials are used to their very end.
//   - Who finds them expired or rejected waits for a fetch, or for the rest of one under way.
//     Rejected ones that have not expired are still given out if no others can be had within 5 s,
//     because a refusal may have had another reason.
//   - A fetch runs apart from its callers, with the values of the first one's context and a
//     deadline of 30 s. A caller whose own context ends leaves, and the fetch goes on for the
//     others.
//   - If there are no good credentials, and the fetch before it has not failed, a fetch is repeated
//     twice where its error is transient: after the wait that the service asks for, or else after
//     0.5 to 1 s and 1 to 2 s, within those 30 s.
//   - A failed fetch is one failure for all callers that wait, and one record of the Logger. It is
//     remembered for a back-off; a caller that needs credentials in that time gets the same error
//     at once. The back-off is the wait that the service asked for and a random time on top: of up
//     to 1 s, then of up to twice as long each time in a row, and of up to 5 min at most. If it is
//     longer than the service asked for, it also ends when good credentials end.
//   - A replacement of rejected credentials cannot be rejected itself for 1 s, and for twice as
//     long each time, up to 5 min, so that a page that is always refused does not cost a fetch
//     each time. For a replacement of credentials that no server had accepted ([Cache.Accept]), it
//     is 60 s at least. [Cache.Confirm] ends this.
//   - Credentials that are refused although they are younger than 5 s, and that no server has
//     accepted yet, may not have reached each replica of the service. [Cache.Wait] gives them 1 s,
//     and the next time 2 s, before they are replaced. All callers share these waits, and no others
//     follow until credentials of this Cache were accepted, nor for 60 s after the second one
//     unless the call has succeeded ([Cache.Confirm]). So a page that is always refused delays a
//     program once.
//
// A renewal that brings the same credentials again is no failure: some services give new ones at
// the last moment only. Their window is then reckoned anew, from the life that is left.
//
// Only Fetch is required. The fields must not be changed once the Cache is in use, and a Cache
// must not be copied. It is safe for concurrent use. No function given to it is ever called under
// a lock, and a panic in one of its fields is an error of that fetch. An idle Cache runs nothing,
// so it renews nothing either.
type Cache[C any] struct {
	// Fetch gets new credentials. It is called once at a time and has to return when ctx ends; a
	// second after that it is given up: its result is dropped, and it may be called again. It must
	// not ask the same Cache, for instance by a client that signs with it; if it does so under ctx
	// and would have to wait for itself, that is [ErrRecursive].
	//
	// Its error says more if it is a [DelayError], a [FinalError], a [TransientError] or a
	// [PostponedError], as found by [errors.As].
	Fetch func(ctx context.Context) (C, error)

	// StepUp says that Fetch looks at [Challenge], and gets credentials with the scope, the recent
	// login or the claims that the server asks for there, beside those of the old credentials. If
	// false, a refusal that asks for these starts no fetch, since that would bring the same again.
	StepUp bool

	// Expires tells when credentials end, by this machine's clock. It is asked once for each fetch.
	// Nil, or the zero time, means never; then they are not renewed either.
	Expires func(C) time.Time

	// Issued tells when credentials were issued, by this machine's clock. It is asked once for each
	// fetch. If nil, or for the zero time, that is when Fetch returned them. Set it where Fetch may
	// return stored credentials.
	Issued func(C) time.Time

	// ID tells credentials apart: those with equal IDs are the same ones, so where a service may
	// change the key of an id, both belong in it. It is not printed. Nil means that no two are the
	// same; then [ErrSame] is never found.
	ID func(C) string

	// Fetched is told of new credentials before anybody is given them, for instance to store them.
	// It runs in the goroutine of the fetch, as a part of it: who waits for the fetch waits for
	// Fetched, and if it panics or takes too long, the fetch has failed and the credentials are not
	// used. It must not ask the same Cache. Those that were current already, with the same ID and
	// the same end, are not new. Nil means that nobody is told.
	Fetched func(C)

	// Logger is told of each fetch that failed, at level Warn, with its error, the end of the
	// current credentials and the time of the next try. A success after that is told at level Info.
	// If nil, the Logger of the transport.Transport whose request started the fetch.
	Logger *slog.Logger

	// current is what was fetched last, nil before that. It is read at any time, written under mu.
	current atomic.Pointer[entry[C]]

	// random draws from the range of 0 to d. Nil, as it is but in tests, means evenly.
	random func(d time.Duration) time.Duration

	mu      sync.Mutex    // guards all below; never held while a function of the user runs
	flight  *flight[C]    // the latest fetch, under way or done; nil before the first
	asked   *flight[C]    // the latest after which the service asked for a back-off; nil: none
	backoff time.Duration // the longest that the latest failure could last, 0 after a success
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
	expires  time.Time   // zero: never
	issued   time.Time   // by the monotonic clock
	suspect  atomic.Bool // goes from false to true
	refusal  http.Header // for which it is suspect; guarded by Cache.mu
	accepted atomic.Bool // a server has accepted it; goes from false to true

	// due is from when on whoever asks has more to do than to take the value: start a renewal, or
	// wait for another entry. Never after expires; nil: never. Once shared, written under Cache.mu.
	due atomic.Pointer[time.Time]
}

func (e *entry[C]) valid() bool {
	return e != nil && (e.expires.IsZero() || time.Now().Before(e.expires))
}

func (e *entry[C]) fresh() bool { return e != nil && !e.suspect.Load() && e.valid() }

// settled reports whether e can be given out with nothing else to do. This is the hot path.
func (e *entry[C]) settled() bool {
	if e == nil || e.suspect.Load() {
		return false
	}
	due := e.due.Load()
	return due == nil || time.Now().Before(*due)
}

// setDue sets due to so long before the end. As it is reckoned from the end, it goes by the same
// clock, monotonic or not, and never comes after it, whatever becomes of the other clock.
func (e *entry[C]) setDue(before time.Duration) {
	if e.expires.IsZero() {
		return
	}
	due := e.expires.Add(-max(before, 0))
	e.due.Store(&due)
}

// Check returns why Credentials would fail each time, or nil: Fetch is not set. Call it when a
// program starts.
func (c *Cache[C]) Check() error {
	if c.Fetch == nil {
		return errors.New("creds: a Cache needs a Fetch function: set its Fetch field")
	}
	return nil
}

// Credentials returns the current credentials, or waits for new ones if they have expired or were
// rejected. Good ones are returned even if ctx has ended. Its error wraps that of Fetch, or
// [ErrSame], [ErrExpired] or [ErrRecursive], or, if ctx ended first, both its error and its cause.
func (c *Cache[C]) Credentials(ctx context.Context) (C, error) {
	if e := c.current.Load(); e.settled() {
		return e.value, nil
	}
	return c.await(ctx)
}

// await is the way of those who have to start a fetch, or wait for one, or be told why they need
// not.
func (c *Cache[C]) await(ctx context.Context) (C, error) {
	var zero C
	f, err := c.board(ctx)
	old := c.current.Load()
	if old.fresh() {
		return old.value, nil // how its renewal goes is not for this caller to know
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
	case <-f.done: // also if both came at once: the result is worth more
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
// its result is still good, else a new one.
func (c *Cache[C]) board(ctx context.Context) (*flight[C], error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, left(ctx)
	}
	inside := ctx.Value(within[C]{c}) // before the lock: a Context may be the user's own

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
		// What was sent meanwhile, by Replace, says nothing about the service that is asked.
		c.flight = a
		return a, nil
	}
	if e != nil {
		e.setDue(0) // nobody else needs to come here for a renewal
	}
	return c.depart(ctx, c.Fetch), nil
}

// depart starts a flight. The caller holds c.mu.
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

// left is the error of a caller whose context has ended.
func left(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return fmt.Errorf("creds: no longer waiting for credentials: %w", cause)
	}
	return fmt.Errorf("creds: no longer waiting for credentials: %w: %w", err, cause)
}

// Reject tells the Cache that a server refused credentials for which bad reports true. If they are
// the current ones, the next call of Credentials waits for others; if that fetch fails or takes
// over 5 s, it and later calls get the rejected ones until they expire, and [Cache.Err] tells why;
// it is tried again as after any failure. For a while after rejected credentials were replaced,
// nothing more can be rejected (see [Cache]). The fetch finds refusal by [Challenge], if it is not
// nil. Reject does not block. bad is called at most once;
// its panics are the caller's.
func (c *Cache[C]) Reject(bad func(C) bool, refusal http.Header) {
	e := c.current.Load()
	if !e.fresh() || !bad(e.value) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// Those that came while bad was running were not refused.
	if c.current.Load() == e && e.valid() && !time.Now().Before(c.shield) {
		e.refusal = refusal.Clone()
		e.suspect.Store(true)
	}
}

// StepsUp returns StepUp.
func (c *Cache[C]) StepsUp() bool { return c.StepUp }

// Confirm tells the Cache that a call that had been refused has succeeded with credentials for
// which good reports true. If they are the current ones, fetching them was no waste, and they can
// be rejected at once should they be revoked too. It is not needed for calls that succeed at once.
// good is called at most once; its panics are the caller's.
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

// Replace puts what next returns in the place of the current credentials, if it reports true: a
// service has sent others without being asked. next is given the current ones, and returns their
// replacement. That goes the way of what was fetched: Fetched is told of it first, and those who
// have good credentials meanwhile do not wait for it. Nothing happens if it has expired, or is what
// was rejected, or if a fetch is under way, which is going to bring others. A back-off that the
// service asked for goes on: it holds for the fetch that the replacement will need. Replace does
// not block. next is called at most once; its panics are the caller's, and so are those of Expires
// and ID.
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

// Err returns the error of the latest fetch, nil if it succeeded or has not ended. With it, one who
// still gets rejected credentials from Credentials learns why there are no others, and one who
// watches over the process that a renewal has failed.
func (c *Cache[C]) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.flight; f != nil && f.failed != nil {
		return f.failed
	}
	return nil
}
