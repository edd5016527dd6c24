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

	maxDepth = time.Duration(math.MaxInt64 / 4) // small enough that sums of times do not overflow
)

// A Limiter limits how many requests each sender may make: up to Burst at once, and one more for
// each Every that passes. It answers others with 429 and Retry-After (RFC 6585, section 4) before
// they reach a verifier:
//
//	limiter := &auth.Limiter{Every: time.Minute, Burst: 20}
//	guard := &auth.Guard{Stack: stack, Decided: limiter.Decided}
//	http.Handle("/", limiter.Handler(guard.Handler(page)))
//
// With [Limiter.Decided], only wrong credentials count, which limits password guessing. Without it,
// every request counts.
//
// A Limiter uses 1 MiB, and no flood makes it forget a sender. It rarely mistakes a sender for a
// busier one, 1 % while 10,000 are at their limit. A flood of 32768 requests per Every, each from
// another address, slows down all senders; a coarser Key helps.
//
// A nil *Limiter limits nothing. A Limiter is safe for concurrent use. Do not copy or change it
// after its first use.
type Limiter struct {
	Every time.Duration // the time until one more is allowed; if zero, 1 s
	Burst int           // how many are allowed at once; if zero, 10

	// Key names the sender of a request. Requests of one name, even "", count together. Key must
	// not trust a field that the sender can choose, such as an unchecked X-Forwarded-For. If nil,
	// the name is the address in RemoteAddr, or its /64 network for IPv6. Behind a proxy, that is
	// the proxy: set a Key, or have middleware set RemoteAddr to the client's.
	Key func(req *http.Request) string

	// Limited is called with each request that is refused. If nil, it is not called.
	Limited func(req *http.Request)

	once  sync.Once // sets the fields from seed to depth
	seed  maphash.Seed
	start time.Time
	every time.Duration
	depth time.Duration // Burst times every

	mu   sync.Mutex                 // guards rows
	rows [limitRows][]time.Duration // when each cell becomes empty, as time since start
}

// Handler returns a handler that calls next for the requests within the limit.
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

// Decided refunds the cost of req at [Limiter.Handler], unless its credentials were wrong. It is
// for Decided of a [Guard] behind that handler. A request counts until then, so concurrent guesses
// are limited too.
//
// Credentials are wrong if id is nil and err is a [SpentError] whose Spent returns true, or any
// error but [ErrNone], [ErrLimited], [ErrUnavailable], a [*ScopeError] or a context's error.
func (l *Limiter) Decided(req *http.Request, _ Authenticator, id *Identity, err error) {
	if l == nil {
		return
	}
	if one, ok := req.Context().Value(chargeKey{l}).(*charge); ok {
		if id != nil { // right credentials are not a guess
			err = nil
		}
		l.settle(one, err)
	}
}

// settle refunds one, unless err says that the credentials were wrong.
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

// Attempt counts an attempt to log in as name, before the password is checked. If there were too
// many, it does not count this one, and returns a [DelayError] that wraps [ErrLimited]. Otherwise
// the caller must call done with the outcome, which refunds the attempt as [Limiter.Decided] does.
// name counts with the names that Key returns. Limited is not called. It fits Attempt of a
// basic.Verifier:
//
//	Attempt: func(_ *http.Request, user string) (func(error), error) {
//		return perUser.Attempt(strings.ToLower(user))
//	},
//
// This limits guesses at one password from many addresses, but an attack locks the user out of
// password logins (not of sessions) while it lasts. So allow few attempts per address, with a
// Handler in front, and per name far more than people need: a Burst of 100 and one a minute leave
// 1540 guesses a day.
//
// Count unknown names too, or a 429 reveals which users exist. Normalize names as the Checker does,
// or every spelling gets its own limit.
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

// A limited is an ErrLimited that knows how long to wait.
type limited struct{ wait time.Duration }

func (e *limited) Error() string             { return ErrLimited.Error() }
func (e *limited) Unwrap() error             { return ErrLimited }
func (e *limited) RetryAfter() time.Duration { return e.wait }

// Allow counts one request of name, for use without an HTTP handler. If there were too many, it
// does not count this one, and returns false and the time to wait. name counts with the names that
// Key returns.
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

// network returns the address in remote without the port, and for IPv6 the /64 network, since the
// sender can choose the last 64 bits. It returns other texts, as of a Unix socket, unchanged.
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

// A charge is the cost of one request.
type charge struct {
	hash     uint64
	added    [limitRows]time.Duration
	until    time.Duration // when it will have drained, as time since start
	returned atomic.Bool
}

// A chargeKey is the context key of one Limiter's charge. Several Limiters may handle one request.
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

// cell returns the cell of row i for hash. l.mu is held.
func (l *Limiter) cell(i int, hash uint64) *time.Duration {
	return &l.rows[i][hash>>(limitBits*i)%limitSize]
}

// take charges name for one request. If that is too many, it returns nil and the time to wait.
//
// Each name is counted in four cells, one in each of four rows of 32768, which a keyed hash
// chooses. The lowest of the four counts. So cells are never evicted, and a name is mistaken for a
// busier one only if others fill all four of its cells. The chance is below one in a million while
// 1,000 names are at their limit, and 1 % at 10,000.
func (l *Limiter) take(name string) (one *charge, wait time.Duration) {
	l.once.Do(l.prepare)
	one = &charge{hash: maphash.String(l.seed, name)}
	l.mu.Lock()
	defer l.mu.Unlock()
	// A bucket is stored as the time at which it will be empty. A time before now means an empty
	// bucket, so cells need no sweeping.
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
		// A cell that is higher is shared with another name, and is high enough already.
		if c := l.cell(i, one.hash); *c < next {
			one.added[i] = next - max(*c, now)
			*c = next
		}
	}
	one.until = next
	return one, 0
}

// giveBack refunds the part of one that has not drained yet.
func (l *Limiter) giveBack(one *charge) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// The part that has drained is free again already. To refund it too would let clients that
	// delay many decisions make room for many guesses. Earlier charges drain first. If those were
	// refunded in the meantime, this one has drained before one.until. To track that would take a
	// queue, and the limit holds without it, at up to twice as many guesses.
	left := max(0, one.until-time.Since(l.start))
	for i, added := range one.added {
		*l.cell(i, one.hash) -= min(added, left)
	}
}
