package transport

import (
	"maps"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/countersign-go/countersign/internal/origin"
)

// A Clock knows what time it is at each origin. The zero value is ready to use and everywhere says
// the time of this machine; a [Transport] moves it when a server refuses a timestamp. What it
// learns is held against the monotonic clock, so that a step of this machine's clock changes
// nothing. It never touches the clock of the system. All methods are safe for concurrent use.
type Clock struct {
	// Moved, if not nil, is called once for each new offset, when a server has accepted a request
	// that was signed with it. u is the origin; the offset is what to add to the time of this
	// machine. Together with Set it carries an offset over to the next process. It may be called
	// concurrently.
	Moved func(u *url.URL, offset time.Duration)

	mu       sync.Mutex                                      // guards replacements of the other two
	watchers []func(*url.URL, time.Duration)                 // never changed in place
	readings atomic.Pointer[map[origin.Origin]*clockReading] // never changed in place; nil: none
}

// A clockReading says that it was server there when it was local here.
type clockReading struct {
	server   time.Time
	local    time.Time     // with its monotonic part
	previous *clockReading // what to go back to; guarded by Clock.mu
	accepted atomic.Bool   // a server has taken a request signed with it
}

func (r *clockReading) at(local time.Time) time.Time {
	if r == nil {
		return local
	}
	return r.server.Add(local.Sub(r.local))
}

// Now returns the time at the origin of u: the time of this machine where nothing was learned.
func (c *Clock) Now(u *url.URL) time.Time {
	return c.reading(origin.Of(u)).at(time.Now())
}

// Set makes the origin of u differ from this machine by offset, from now on. An offset of zero
// makes it follow this machine again.
func (c *Clock) Set(u *url.URL, offset time.Duration) {
	var r *clockReading
	if offset != 0 {
		now := time.Now()
		r = &clockReading{server: now.Round(0).Add(offset), local: now}
		r.accepted.Store(true)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store(origin.Of(u), r)
}

// Watch has f called whenever Moved is, and after it, as long as c is in use: it is for those who
// are given a Clock that others may be using already. Like Moved, f may be called concurrently; it
// runs in a goroutine of its own, together with the others, so it must not panic. The answer waits
// until all have returned. Nobody can be taken off again.
func (c *Clock) Watch(f func(u *url.URL, offset time.Duration)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watchers = append(slices.Clip(c.watchers), f)
}

func (c *Clock) reading(o origin.Origin) *clockReading {
	m := c.readings.Load()
	if m == nil {
		return nil
	}
	return (*m)[o]
}

// store is called with c.mu held.
func (c *Clock) store(o origin.Origin, r *clockReading) {
	next := make(map[origin.Origin]*clockReading)
	if m := c.readings.Load(); m != nil {
		maps.Copy(next, *m)
	}
	if r == nil {
		delete(next, o)
	} else {
		next[o] = r
	}
	c.readings.Store(&next)
}

// learn publishes that it was server at o when it was local here, for a call that signed with
// used. Where another call was faster and says the same, its reading stands, so that calls refused
// at the same moment share one correction.
func (c *Clock) learn(o origin.Origin, used *clockReading, server, local time.Time) *clockReading {
	c.mu.Lock()
	defer c.mu.Unlock()
	current := c.reading(o)
	if current != used && current.at(local).Sub(server).Abs() <= tolerance {
		return current
	}
	r := &clockReading{server: server, local: local, previous: current}
	if current != nil && !current.accepted.Load() {
		r.previous = current.previous // nobody vouches for current: go back to before it
	}
	c.store(o, r)
	return r
}

// accept notes that a server took a request signed with r. It puts r back where a call that failed
// for other reasons has undone it in the meantime.
func (c *Clock) accept(o origin.Origin, r *clockReading) {
	if r == nil || r.accepted.Load() {
		return
	}
	c.mu.Lock()
	first := r.accepted.CompareAndSwap(false, true)
	if first {
		if c.reading(o) == r.previous {
			c.store(o, r)
		}
		r.previous = nil
	}
	watchers := c.watchers
	c.mu.Unlock()
	if !first {
		return
	}
	tell := func(f func(*url.URL, time.Duration)) {
		now := time.Now()
		f(o.URL(), r.at(now).Sub(now.Round(0)))
	}
	if c.Moved != nil {
		tell(c.Moved)
	}
	var wg sync.WaitGroup
	for _, f := range watchers {
		wg.Go(func() { tell(f) }) // each may wait, and the answer for the slowest only
	}
	wg.Wait()
}

// undo takes r back, unless a request signed with it was accepted, or it has been replaced.
func (c *Clock) undo(o origin.Origin, r *clockReading) {
	if r == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !r.accepted.Load() && c.reading(o) == r {
		c.store(o, r.previous)
	}
}
