package transport

import (
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/countersign-go/countersign/internal/origin"
)

// A Clock knows the time at each origin. The zero value is ready to use and has the time of this
// machine everywhere; a [Transport] moves it when a server refuses a timestamp. An offset is held
// against the monotonic clock, so that a step of this machine's clock changes nothing. The clock of
// the system stays untouched. All methods are safe for concurrent use.
//
// A Clock remembers 1,024 origins. When there are more, it forgets one that was not used for a
// while, and origins with an offset of Set last; the next refusal teaches it again.
type Clock struct {
	// Moved, if not nil, is called once for each new offset, when a server has accepted a request
	// that was signed with it. u is the origin; the offset is the time there less the time of this
	// machine. It is 0 if an offset of Set was refused and the time of this machine accepted.
	// Together with Set it carries an offset over to the next process. It may be called
	// concurrently.
	Moved func(u *url.URL, offset time.Duration)

	mu       sync.Mutex                      // held to replace readings and watchers
	watchers []func(*url.URL, time.Duration) // never changed in place
	readings origin.Map[*clockReading]
	inUse    atomic.Bool // readings may hold one
}

// A clockReading says that it was server there when it was local here.
type clockReading struct {
	server   time.Time
	local    time.Time     // with its monotonic part
	own      bool          // it is the time of this machine, in place of a reading that was refused
	set      bool          // by Set: neither learned in this process, nor reported
	previous *clockReading // goes back to its place; guarded by Clock.mu
	yielded  bool          // own time was tried in its place once; guarded by Clock.mu
	accepted atomic.Bool   // a server has taken a request signed with it
}

func (r *clockReading) at(local time.Time) time.Time {
	if r == nil || r.own {
		return local
	}
	return r.server.Add(local.Sub(r.local))
}

// isOwn reports whether r is the time of this machine, in place of a reading that was refused.
func (r *clockReading) isOwn() bool { return r != nil && r.own }

// offset returns how far the server is ahead of this machine.
func (r *clockReading) offset() time.Duration {
	now := time.Now()
	return r.at(now).Sub(now.Round(0))
}

// Now returns the time at the origin of u: the time of this machine where nothing was learned.
func (c *Clock) Now(u *url.URL) time.Time {
	return c.reading(origin.Of(u)).at(time.Now())
}

// Set makes the origin of u differ from this machine by offset, from now on. An offset of zero
// makes it follow this machine again. If a request that was signed with the offset is refused
// before one was accepted, and the answer tells no time, the time of this machine is tried once.
func (c *Clock) Set(u *url.URL, offset time.Duration) {
	var r *clockReading
	if offset != 0 {
		now := time.Now()
		r = &clockReading{server: now.Round(0).Add(offset), local: now, set: true}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store(origin.Of(u), r)
}

// Watch has f called whenever Moved is, and after it, as long as c is in use: it is for packages
// that are given a Clock which others may be using already. Like Moved, f may be called
// concurrently; it runs in a goroutine of its own, together with the others, so it must not panic.
// The answer waits until all have returned. There is no way to take f off again.
func (c *Clock) Watch(f func(u *url.URL, offset time.Duration)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watchers = append(slices.Clip(c.watchers), f)
}

func (c *Clock) reading(o origin.Origin) *clockReading {
	if !c.inUse.Load() {
		return nil
	}
	return c.readings.Get(o)
}

// store is called with c.mu held.
func (c *Clock) store(o origin.Origin, r *clockReading) {
	if r == nil {
		c.readings.Delete(o)
		return
	}
	c.readings.Put(o, r, r.set)
	c.inUse.Store(true)
}

// learn publishes that it was server at o when it was local here, for a call that signed with
// used. If another call was faster and says the same, within a few seconds, its reading stands, so
// that calls refused at the same moment share one correction.
func (c *Clock) learn(
	o origin.Origin, used *clockReading, server, local time.Time, within time.Duration,
) *clockReading {
	c.mu.Lock()
	defer c.mu.Unlock()
	current := c.reading(o)
	if current != used && current.at(local).Sub(server).Abs() <= min(within, tolerance) {
		return current
	}
	r := &clockReading{server: server, local: local, previous: current}
	if current != nil && !current.set && !current.accepted.Load() {
		r.previous = current.previous // no server has confirmed current: go back to before it
	}
	c.store(o, r)
	return r
}

// doubts reports whether a request that was signed with used, and refused, is worth signing again
// without it: yield has something new.
func (c *Clock) doubts(o origin.Origin, used *clockReading) bool {
	if used == nil || !used.set || used.accepted.Load() {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return !used.yielded || c.reading(o) != used
}

// yield puts the time of this machine in place of used, once for each reading of Set, and returns
// the reading to sign with.
func (c *Clock) yield(o origin.Origin, used *clockReading) *clockReading {
	c.mu.Lock()
	defer c.mu.Unlock()
	current := c.reading(o)
	if current != used || used.yielded {
		return current // another call was faster
	}
	used.yielded = true
	r := &clockReading{own: true, previous: used}
	c.store(o, r)
	return r
}

// accept notes that a server took a request signed with r. It puts r back where a call that failed
// for other reasons has undone it in the meantime. It reports whether r is a new offset.
func (c *Clock) accept(o origin.Origin, r *clockReading) bool {
	if r == nil || r.accepted.Load() {
		return false
	}
	c.mu.Lock()
	news := r.accepted.CompareAndSwap(false, true) && !r.set
	if news {
		current := c.reading(o)
		if current == r.previous {
			c.store(o, r)
		}
		if r.own && (current == r || current == r.previous) {
			c.store(o, nil) // from now on o is like any other
		}
		r.previous = nil
	}
	watchers := c.watchers
	c.mu.Unlock()
	if !news {
		return false
	}
	if c.Moved != nil {
		c.Moved(o.URL(), r.offset())
	}
	var wg sync.WaitGroup
	for _, f := range watchers {
		wg.Go(func() { f(o.URL(), r.offset()) }) // each may wait, the answer for the slowest only
	}
	wg.Wait()
	return true
}

// undo takes r back, unless a request signed with it was accepted, or it has been replaced.
func (c *Clock) undo(o origin.Origin, r *clockReading) {
	if r == nil || r.set {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !r.accepted.Load() && c.reading(o) == r {
		c.store(o, r.previous)
	}
}
