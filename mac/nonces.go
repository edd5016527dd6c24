package mac

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"hash/maphash"
	"math"
	"sync"
	"time"

	"github.com/countersign-go/countersign/auth"
)

// Nonces remembers which nonces were used. Claim notes that a request was made with nonce by id,
// and reports whether it was the first. It checks and notes in one step, so that of any number of
// concurrent copies exactly one is fresh. id is the Subject of the request's identity, so that a
// user with many identifiers is one to any quota. until depends on the request and on the Window of
// the Verifier alone, so that it is the same for every copy, and from then on the request is
// refused for its age: until then the nonce has to be remembered, whatever happens, and from then
// on Claim must not return true. Verifiers that share Nonces need the same Window. A store that
// cannot tell, or has no room, returns an error. Implementations are safe for concurrent use.
type Nonces interface {
	Claim(ctx context.Context, id, nonce string, until time.Time) (fresh bool, err error)
}

const (
	slotSeconds   = 5
	defaultMax    = 1 << 20
	defaultPerID  = 1 << 16
	maxRetryAfter = 300 // seconds
)

// A NonceMemory is [Nonces] in the memory of one process. A replay never passes: what it remembers
// is not dropped for want of room, and time that has passed once stays passed when the clock is set
// back. If it is full, or while the clock stands before a time it has seen, Claim returns an error
// that wraps [auth.ErrUnavailable] and has a method RetryAfter() time.Duration. A nonce that is new
// is taken for a used one with a chance below 2^-64.
//
// It forgets everything with the process: see [Verifier] on NotBefore. Several processes that serve
// the same identifiers need one store in common, not a NonceMemory each.
//
// The zero value is ready for use. A NonceMemory must not be copied, nor its fields changed, after
// its first use.
type NonceMemory struct {
	Max      int // most nonces at a time; 0: 1<<20, which takes 30 MB and more
	MaxPerID int // most nonces of one id at a time; 0: 1<<16

	once  sync.Once
	marks sync.Pool           // of *marker; New and owner are set by once
	owner func(string) uint64 // a hash of an id, for counting only

	mu    sync.Mutex      // guards all below
	last  int64           // the latest second seen; never goes back
	slots map[int64]*slot // by their end, in units of slotSeconds
	total int             // nonces in all slots
	perID map[uint64]int  // and of each id, by a hash of it
}

// A slot holds the nonces that end within the same few seconds: they are forgotten together.
type slot struct {
	seen  map[mark]struct{}
	perID map[uint64]int
}

// A mark stands for the id, the nonce and the end of one request: 128 bits of an HMAC.
type mark [16]byte

// A marker makes marks.
type marker struct {
	keyed hash.Hash
	text  []byte
	sum   [sha256.Size]byte
}

// Claim is as [Nonces] has it. It never blocks, and does not look at ctx.
func (m *NonceMemory) Claim(_ context.Context, id, nonce string, until time.Time) (bool, error) {
	return m.claim(time.Now(), id, nonce, until)
}

func (m *NonceMemory) claim(now time.Time, id, nonce string, until time.Time) (bool, error) {
	m.once.Do(m.start)
	end := until.Unix()
	if until.Nanosecond() > 0 {
		end++
	}
	one := m.mark(id, nonce, end)
	owner := m.owner(id)

	m.mu.Lock()
	defer m.mu.Unlock()
	second := now.Unix()
	m.advance(second)
	if end <= m.last {
		// The nonce may have been forgotten by now.
		if second < m.last {
			return false, &outage{"the clock was set back", m.last - second}
		}
		return false, nil
	}
	number := ceil(end, slotSeconds)
	s := m.slots[number]
	if s == nil {
		s = &slot{seen: map[mark]struct{}{}, perID: map[uint64]int{}}
	}
	if _, used := s.seen[one]; used {
		return false, nil
	}
	if m.total >= orDefault(m.Max, defaultMax) {
		return false, m.full("the nonce memory is full", func(*slot) bool { return true })
	}
	if m.perID[owner] >= orDefault(m.MaxPerID, defaultPerID) {
		return false, m.full("the nonce memory is full for this id",
			func(s *slot) bool { return s.perID[owner] > 0 })
	}
	if m.slots == nil {
		m.slots, m.perID = map[int64]*slot{}, map[uint64]int{}
	}
	m.slots[number] = s
	s.seen[one] = struct{}{}
	s.perID[owner]++
	m.perID[owner]++
	m.total++
	return true, nil
}

// start draws the keys. They belong to this NonceMemory, so that nobody outside can choose nonces
// that collide, and are held by functions, since package fmt prints fields.
func (m *NonceMemory) start() {
	key := make([]byte, sha256.Size)
	rand.Read(key) // never fails
	m.marks.New = func() any { return &marker{keyed: hmac.New(sha256.New, key)} }
	seed := maphash.MakeSeed()
	m.owner = func(id string) uint64 { return maphash.String(seed, id) }
}

// mark hashes what tells one request from another. The lengths are fixed or written down, so that
// no two requests share a text.
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

// advance notes the time and drops the slots that ended. m.mu is held.
func (m *NonceMemory) advance(second int64) {
	if second <= m.last {
		return
	}
	before := m.last
	m.last = second
	if before/slotSeconds == second/slotSeconds {
		return
	}
	for number, s := range m.slots {
		if number*slotSeconds > m.last {
			continue
		}
		delete(m.slots, number)
		m.total -= len(s.seen)
		for owner, n := range s.perID {
			if m.perID[owner] -= n; m.perID[owner] == 0 {
				delete(m.perID, owner)
			}
		}
	}
}

// full is the error for want of room, until the first of the slots that count ends. m.mu is held.
func (m *NonceMemory) full(what string, counts func(*slot) bool) error {
	first := int64(math.MaxInt64)
	for number, s := range m.slots {
		if counts(s) {
			first = min(first, number*slotSeconds)
		}
	}
	return &outage{what, first - m.last}
}

// ceil is n/unit, rounded up.
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

// An outage is a NonceMemory that cannot tell, and for how many seconds, at least one.
type outage struct {
	what    string
	seconds int64
}

func (o *outage) Error() string { return "mac: " + o.what }

func (o *outage) Unwrap() error { return auth.ErrUnavailable }

// RetryAfter is at most 5 min.
func (o *outage) RetryAfter() time.Duration {
	return time.Duration(min(o.seconds, maxRetryAfter)) * time.Second
}
