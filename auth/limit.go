package auth

import (
	"context"
	"errors"
	"hash/maphash"
	"math"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	limitRows = 4
	limitBits = 15
	limitSize = 1 << limitBits // cells in a row

	defaultEvery = time.Second
	defaultBurst = 10

	maxDepth = time.Duration(math.MaxInt64 / 4) // so that no sum of times overflows
)

// A Limiter bounds how many requests each sender may make: up to Burst at once, and one more for
// each Every that has passed. What is beyond is answered with 429 and Retry-After (RFC 6585,
// section 4), before anything behind the Limiter has looked at it. So it can stand in front of any
// verifier:
//
//	limiter := &auth.Limiter{Every: time.Minute, Burst: 20}
//	guard := &auth.Guard{Stack: stack, Decided: limiter.Decided}
//	http.Handle("/", limiter.Handler(guard.Handler(page)))
//
// With [Limiter.Decided] told of the decisions, as here, only wrong credentials count, which bounds
// how many passwords can be tried; without it each request counts.
//
// A Limiter takes 1 MiB, from its first use on, however many senders there are. Each is counted in
// four cells, one in each of four rows of 32768, which a keyed hash chooses, and the lowest of the
// four is what counts. So nothing is ever evicted: a flood of strangers cannot make the Limiter
// forget anybody. The price is that a sender may be taken for a busier one, who shares its four
// cells; the chance is below one in a million while a thousand senders are at their limit, and 1 %
// with ten thousand. A flood from so many addresses that all cells fill up, 32768 requests for each
// Every, slows down everybody; the remedy is a coarser Key.
//
// A nil *Limiter limits nothing. The fields must not be changed after the first use, and a Limiter
// must not be copied then. It is safe for concurrent use.
type Limiter struct {
	Every time.Duration // after how long there is room for one more; 0: 1 s
	Burst int           // how many there is room for at once; 0: 10

	// Key names who sent a request; all requests of one name count together, also of the name "".
	// It must not trust what the sender may choose, such as X-Forwarded-For as it comes. For the
	// user name that is tried, see [Limiter.Attempt]. Nil: the address in RemoteAddr, of IPv6 the
	// network (/64). Behind a proxy that is the proxy's: let a middleware in front set RemoteAddr
	// to what the proxy says, or set a Key.
	Key func(req *http.Request) string

	// Limited is told of each request that is answered with 429. Nil: nobody is told.
	Limited func(req *http.Request)

	once  sync.Once // sets those up to depth
	seed  maphash.Seed
	start time.Time
	every time.Duration
	depth time.Duration // Burst times every

	mu   sync.Mutex                 // guards rows
	rows [limitRows][]time.Duration // until when, counted from start, a cell is not empty
}

// Handler returns a handler that stands in front of next.
func (l *Limiter) Handler(next http.Handler) http.Handler {
	if l == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		one, wait := l.take(l.key(req))
		if one == nil {
			l.refuse(w, req, wait)
			return
		}
		ctx := context.WithValue(req.Context(), chargeKey{l}, one)
		next.ServeHTTP(w, req.WithContext(ctx))
	})
}

func (l *Limiter) refuse(w http.ResponseWriter, req *http.Request, wait time.Duration) {
	if l.Limited != nil {
		l.Limited(req)
	}
	setRetryAfter(w.Header(), wait)
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, "too many requests", http.StatusTooManyRequests)
}

// Decided gives back what req cost at [Limiter.Handler], unless its credentials were wrong: it does
// nothing where id is nil and err is anything but nil, [ErrNone], [ErrLimited], [ErrUnavailable], a
// [*ScopeError] or that of a context, nor where err is a [SpentError] that says so. It is made for
// Decided of a [Guard] behind the Handler. While the decision is pending, a request counts, so that
// guesses made at the same time are bounded too.
func (l *Limiter) Decided(req *http.Request, _ Authenticator, id *Identity, err error) {
	if l == nil {
		return
	}
	if one, ok := req.Context().Value(chargeKey{l}).(*charge); ok {
		if id != nil { // with right credentials, nobody is guessing
			err = nil
		}
		l.settle(one, err)
	}
}

// settle gives back what was not spent on wrong credentials.
func (l *Limiter) settle(one *charge, err error) {
	if err != nil && !isNone(err) && !isUndecided(err) && !isScope(err) {
		return
	}
	if g, ok := errors.AsType[SpentError](err); ok && g.Spent() {
		return
	}
	if one.returned.CompareAndSwap(false, true) {
		l.giveBack(one)
	}
}

// Attempt counts one attempt to log in by the given name, before it is known whether that is right.
// Where there were too many, it is not counted, and the error wraps [ErrLimited] and is a
// [DelayError] that says when there is room. Else done is to be called with the outcome:
// it gives back what the attempt cost, as [Limiter.Decided] does, unless the credentials were
// wrong. Names are those of Key, which is not called; nor is Limited. It fits Attempt of a
// basic.Verifier:
//
//	Attempt: func(_ *http.Request, user string) (func(error), error) {
//		return perUser.Attempt(strings.ToLower(user))
//	},
//
// This bounds the guesses at one password that come from many addresses, for a price: whoever
// spends them locks that user out, from everywhere, for as long as the guessing goes on. So bound
// what comes from one address tightly, by a Handler in front, and leave room here for far more
// attempts than people need: with a Burst of 100 and one each minute, a day has 1540 guesses, which
// find the most common passwords only. Sessions and other credentials of that user work as before.
// Count names that are nobody's too, or a 429 tells who is a user, and count as one what the
// Checker takes for one name, or each spelling has guesses of its own.
func (l *Limiter) Attempt(name string) (done func(error), err error) {
	if l == nil {
		return func(error) {}, nil
	}
	one, wait := l.take(name)
	if one == nil {
		return nil, &limited{wait}
	}
	return func(err error) { l.settle(one, err) }, nil
}

// A limited is ErrLimited, for how long.
type limited struct{ wait time.Duration }

func (e *limited) Error() string             { return ErrLimited.Error() }
func (e *limited) Unwrap() error             { return ErrLimited }
func (e *limited) RetryAfter() time.Duration { return e.wait }

// Allow counts one request of the given name, for use without a handler: in a login of another
// protocol, say. Where that is too many, it is not counted, ok is false, and wait is how long it is
// until there is room. Names are those of Key, which is not called.
func (l *Limiter) Allow(name string) (wait time.Duration, ok bool) {
	if l == nil {
		return 0, true
	}
	one, wait := l.take(name)
	return wait, one != nil
}

func (l *Limiter) key(req *http.Request) string {
	if l.Key != nil {
		return l.Key(req)
	}
	return network(req.RemoteAddr)
}

// network returns the address in RemoteAddr, without its port. The last 64 bits of IPv6 are left to
// whoever has the network to choose. What is no address, as for a Unix socket, is one sender.
func network(remote string) string {
	hostPort, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote
	}
	address := hostPort.Addr().Unmap().WithZone("")
	if address.Is4() {
		return address.String()
	}
	net64, _ := address.Prefix(64) // IPv6 has as many bits
	return net64.String()
}

// A charge is what one request cost.
type charge struct {
	hash     uint64
	added    [limitRows]time.Duration
	until    time.Duration // counted from start: by then it has drained
	returned atomic.Bool
}

// A chargeKey is under which a context holds the charge of one Limiter, as several may stand behind
// each other.
type chargeKey struct{ limiter *Limiter }

func (l *Limiter) prepare() {
	l.seed, l.start = maphash.MakeSeed(), time.Now()
	for i := range l.rows {
		l.rows[i] = make([]time.Duration, limitSize)
	}
	l.every = defaultEvery
	if l.Every > 0 {
		l.every = min(l.Every, maxDepth)
	}
	burst := int64(defaultBurst)
	if l.Burst > 0 {
		burst = int64(l.Burst)
	}
	l.depth = time.Duration(min(burst, int64(maxDepth/l.every))) * l.every
}

// cell returns the cell of row i that a hash chooses. l.mu is held.
func (l *Limiter) cell(i int, hash uint64) *time.Duration {
	return &l.rows[i][hash>>(limitBits*i)%limitSize]
}

// take returns nil and how long to wait where there is no room.
func (l *Limiter) take(name string) (one *charge, wait time.Duration) {
	l.once.Do(l.prepare)
	one = &charge{hash: maphash.String(l.seed, name)}
	l.mu.Lock()
	defer l.mu.Unlock()
	// A bucket is kept as the time at which it will be empty. What has drained before now counts
	// for nothing, so cells need no sweeping.
	now := time.Since(l.start)
	lowest := *l.cell(0, one.hash)
	for i := 1; i < limitRows; i++ {
		lowest = min(lowest, *l.cell(i, one.hash))
	}
	next := max(lowest, now) + l.every
	if next > now+l.depth {
		return nil, next - now - l.depth
	}
	for i := range limitRows {
		// A cell that is higher belongs to somebody else, too, and holds enough already.
		if c := l.cell(i, one.hash); *c < next {
			one.added[i] = next - max(*c, now)
			*c = next
		}
	}
	one.until = next
	return one, 0
}

func (l *Limiter) giveBack(one *charge) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// What has drained was given back by time, so to give it back again would let those who hold
	// many decisions back make room for many guesses. What came before drains first. If that has
	// been given back since, this one drained earlier than until; that much is not worth a queue,
	// as it bounds the guesses all the same, by twice as many.
	left := max(0, one.until-time.Since(l.start))
	for i, added := range one.added {
		*l.cell(i, one.hash) -= min(added, left)
	}
}
