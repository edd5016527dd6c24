package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"hash/maphash"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/countersign-go/countersign/internal/clock"
)

// Nonces remembers which nonces were used. Implementations must be safe for concurrent use.
// Verifiers that share one must accept a request for the same length of time.
type Nonces interface {
	// Claim records that id made a request with nonce, and reports whether the request was the
	// first. Claim must check and record in one step: of concurrent copies, exactly one is fresh.
	// id is the Subject of the request's identity, so a user with many identifiers has one quota.
	// until is the same for every copy, and from then on the request is too old. Claim must
	// remember the nonce until then, and must not return true from then on. If a store cannot
	// decide, or is full, Claim must return an error.
	Claim(ctx context.Context, id, nonce string, until time.Time) (fresh bool, err error)
}

const (
	slotSeconds  = 5
	defaultMax   = 1 << 20
	defaultPerID = 1 << 16
	maxSpans     = 32
)

var _ Nonces = (*NonceMemory)(nil)

// A NonceMemory is [Nonces] in the memory of one process. It accepts no copy of a request, whatever
// the clock does. Processes that serve the same identifiers need one shared store, not a
// NonceMemory each. A NonceMemory forgets everything when the process ends: see NotBefore of
// mac.Verifier.
//
// The zero value is ready for use. A NonceMemory must not be copied, and its fields must not be
// changed, after its first use. It is safe for concurrent use.
type NonceMemory struct {
	// Max is the largest number of nonces at a time. If zero, 1<<20: some 16,000 requests a second,
	// as a nonce lives for about 65 s. That many take 35 MiB if few ids use them, and 100 MiB if
	// each id uses one.
	Max int

	// MaxPerID is the largest number of nonces of one id at a time. If zero, 1<<16: some 1,000
	// requests a second.
	MaxPerID int

	once  sync.Once
	marks sync.Pool           // of *marker; New, owner and began are set by once
	owner func(string) uint64 // a hash of an id, for counting only
	began time.Time

	mu        sync.Mutex      // guards all below
	elapsed   time.Duration   // the latest reading of the monotonic clock
	swept     [2]int64        // when slots were last dropped, by both clocks, in slots
	slots     map[int64]*slot // by their end on the wall clock, in units of slotSeconds
	forgotten spans           // the numbers of slots that were dropped
	total     int             // nonces in all slots
	perID     map[uint64]int  // nonces of each id, by a hash of the id
	mostIDs   int             // the size that perID has memory for
}

// A reading is the present time on both clocks.
type reading struct {
	second  int64         // on the wall clock, which can be set
	elapsed time.Duration // on the monotonic clock, which cannot, but stops while a machine sleeps
}

// A slot holds the nonces that end within the same few seconds. They are dropped together.
type slot struct {
	seen  map[mark]struct{}
	perID map[uint64]int
	end   time.Duration // the latest end of its nonces, on the monotonic clock
}

// A mark stands for the id, the nonce and the end of one request. It is 128 bits of an HMAC.
type mark [16]byte

// A marker holds the state to compute marks.
type marker struct {
	keyed hash.Hash
	text  []byte
	sum   [sha256.Size]byte
}

// Claim implements [Nonces]. It never blocks, and it works even after the end of ctx. If it cannot
// decide, it returns an error that wraps [ErrUnavailable] and has a method RetryAfter()
// time.Duration. It takes a new nonce for a used one with a probability below 2^-64.
//
// Claim remembers a nonce until both the wall clock and the monotonic clock have passed its end, so
// a clock that is ahead for a moment does no harm. If the wall clock is set back to a time whose
// nonces are forgotten, requests of that time are refused with 503, for at most as long as the
// clock was set back by.
func (m *NonceMemory) Claim(ctx context.Context, id, nonce string, until time.Time) (bool, error) {
	return m.claim(m.read(clock.Now(ctx)), id, nonce, until)
}

// read returns the time of both clocks at now.
func (m *NonceMemory) read(now time.Time) reading {
	m.once.Do(m.start)
	return reading{now.Unix(), now.Sub(m.began)}
}

func (m *NonceMemory) claim(now reading, id, nonce string, until time.Time) (bool, error) {
	m.once.Do(m.start)
	end := until.Unix()
	if until.Nanosecond() > 0 {
		end++
	}
	one := m.mark(id, nonce, end)
	owner := m.owner(id)
	number := ceil(end, slotSeconds)

	m.mu.Lock()
	defer m.mu.Unlock()
	m.elapsed = max(m.elapsed, now.elapsed)
	m.sweep(now.second)
	if end <= now.second {
		return false, nil
	}
	if err := m.lost(number, end); err != nil {
		return false, err
	}
	if s := m.slots[number]; s != nil {
		if _, used := s.seen[one]; used {
			return false, nil
		}
	}
	if m.full(owner) != nil {
		// The wall clock was ahead, or was set back. Do not wait for it.
		m.drop(now.second, func(_ int64, s *slot) bool { return s.end <= m.elapsed })
		if err := errors.Join(m.lost(number, end), m.full(owner)); err != nil {
			return false, err
		}
	}
	m.add(number, one, owner, time.Duration(number*slotSeconds-now.second)*time.Second)
	return true, nil
}

// add records a nonce that ends after life. m.mu must be held.
func (m *NonceMemory) add(number int64, one mark, owner uint64, life time.Duration) {
	if m.slots == nil {
		m.slots = map[int64]*slot{}
	}
	if m.perID == nil {
		m.perID = map[uint64]int{}
	}
	s := m.slots[number]
	if s == nil {
		s = &slot{seen: map[mark]struct{}{}, perID: map[uint64]int{}, end: m.elapsed}
		m.slots[number] = s
	}
	s.seen[one] = struct{}{}
	s.perID[owner]++
	s.end = max(s.end, m.elapsed+life)
	m.perID[owner]++
	m.mostIDs = max(m.mostIDs, len(m.perID))
	m.total++
}

// start creates the keys. Each NonceMemory has its own, so that an attacker cannot choose nonces
// that collide. Functions hold the keys, because package fmt prints fields.
func (m *NonceMemory) start() {
	key := make([]byte, sha256.Size)
	rand.Read(key) // never fails
	m.marks.New = func() any { return &marker{keyed: hmac.New(sha256.New, key)} }
	seed := maphash.MakeSeed()
	m.owner = func(id string) uint64 { return maphash.String(seed, id) }
	m.began = time.Now()
	m.elapsed = math.MinInt64
}

// mark hashes the values that distinguish one request from another. The end has a fixed length, and
// the length of the id is part of the text, so that no two requests share a text.
func (m *NonceMemory) mark(id, nonce string, end int64) (one mark) {
	w := m.marks.Get().(*marker)
	w.text = binary.BigEndian.AppendUint64(w.text[:0], uint64(end))
	w.text = binary.BigEndian.AppendUint64(w.text, uint64(len(id)))
	w.text = append(append(w.text, id...), nonce...)
	w.keyed.Reset()
	w.keyed.Write(w.text)
	copy(one[:], w.keyed.Sum(w.sum[:0]))
	m.marks.Put(w)
	return one
}

// sweep drops the slots that have ended on both clocks. m.mu must be held.
func (m *NonceMemory) sweep(second int64) {
	present := [2]int64{second / slotSeconds, int64(m.elapsed / (slotSeconds * time.Second))}
	if present == m.swept {
		return
	}
	m.swept = present
	m.drop(second, func(number int64, s *slot) bool {
		return number*slotSeconds <= second && s.end <= m.elapsed
	})
}

// drop drops the slots that which selects, and records their numbers as forgotten. m.mu must be
// held.
func (m *NonceMemory) drop(second int64, which func(int64, *slot) bool) {
	var dropped []int64
	for number, s := range m.slots {
		if !which(number, s) {
			continue
		}
		dropped = append(dropped, number)
		delete(m.slots, number)
		m.total -= len(s.seen)
		for owner, n := range s.perID {
			if m.perID[owner] -= n; m.perID[owner] == 0 {
				delete(m.perID, owner)
			}
		}
	}
	if dropped == nil {
		return
	}
	slices.Sort(dropped)
	for _, number := range dropped {
		m.forgotten.add(number)
	}
	m.forgotten.limit(second / slotSeconds)
	if len(m.perID) <= m.mostIDs/8 {
		// A map keeps the memory for all keys that it ever held.
		m.perID, m.mostIDs = maps.Collect(maps.All(m.perID)), len(m.perID)
	}
}

// lost returns an error if number is among the slots that were dropped. A client that is told to
// wait signs again later, so its end moves on with the clock. m.mu must be held.
func (m *NonceMemory) lost(number, end int64) error {
	last, found := m.forgotten.find(number)
	if !found {
		return nil
	}
	wait := time.Duration(last*slotSeconds+1-end) * time.Second
	return &outage{"the clock was set back to a time whose nonces are forgotten", wait}
}

// full returns an error if the memory is full. The error has the time until a slot ends that makes
// room. m.mu must be held.
func (m *NonceMemory) full(owner uint64) error {
	what, counts := "", func(*slot) bool { return true }
	switch {
	case m.total >= orDefault(m.Max, defaultMax):
		what = "the nonce memory is full"
	case m.perID[owner] >= orDefault(m.MaxPerID, defaultPerID):
		what = "the nonce memory is full for this id"
		counts = func(s *slot) bool { return s.perID[owner] > 0 }
	default:
		return nil
	}
	first := time.Duration(math.MaxInt64)
	for _, s := range m.slots {
		if counts(s) {
			first = min(first, s.end)
		}
	}
	return &outage{what, first - m.elapsed}
}

// ceil returns n/unit, rounded up.
func ceil(n, unit int64) int64 {
	if n%unit > 0 {
		return n/unit + 1
	}
	return n / unit
}

func orDefault(n, def int) int {
	if n == 0 {
		return def
	}
	return n
}

// An outage says why a NonceMemory cannot decide, and for how long.
type outage struct {
	what string
	wait time.Duration
}

func (o *outage) Error() string { return "auth: " + o.what }

func (o *outage) Unwrap() error { return ErrUnavailable }

// RetryAfter returns how long it takes until a newly signed request can be accepted.
func (o *outage) RetryAfter() time.Duration { return o.wait }
