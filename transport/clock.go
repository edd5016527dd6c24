package transport

import (
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/countersign-go/countersign/internal/origin"
)

// A Clock holds the time at each origin. The zero value is ready to use and has the time of this
// machine for all origins. A [Transport] changes it when a server refuses a timestamp. An offset is
// held against the monotonic clock, so it does not change when this machine's clock is stepped. The
// clock of the system is never set. All methods are safe for concurrent use.
//
// A Clock remembers 1,024 origins. When there are more, it forgets an origin that was not used
// recently. It forgets an origin whose offset came from Set only after all others. The next refusal
// corrects the time of a forgotten origin again.
type Clock struct {
	// Moved, if not nil, is called once for each new offset, when a server has accepted a request
	// that was signed with it. u is the origin; the offset is the time there minus the time of this
	// machine. It is 0 if a server refused an offset of Set and then accepted the time of this
	// machine. A program can store the offset and pass it to Set in its next process. Moved may be
	// called concurrently.
	Moved func(u *url.URL, offset time.Duration)

	mu       sync.Mutex                      // held while readings or watchers are replaced
	watchers []func(*url.URL, time.Duration) // never changed in place
	readings origin.Map[*clockReading]
	inUse    atomic.Bool // readings may hold one
}

// A clockReading says that the time at an origin was server when it was local on this machine.
type clockReading struct {
	server   time.Time
	local    time.Time     // with its monotonic part
	own      bool          // it is the time of this machine, in place of a reading that was refused
	set      bool          // by Set: neither learned in this process, nor reported
	previous *clockReading // undo restores it; guarded by Clock.mu
	yielded  bool          // the time of this machine was tried instead; guarded by Clock.mu
	accepted atomic.Bool   // a server has accepted a request signed with it
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

// Now returns the time at the origin of u. If no offset is known for the origin, that is the time
// of this machine.
func (c *Clock) Now(u *url.URL) time.Time {
	return c.reading(origin.Of(u)).at(time.Now())
}

// Set sets the offset between the clock at the origin of u and the clock of this machine. If offset
// is zero, the origin has the time of this machine again. If a server refuses a request signed with
// the offset before it has accepted one, and its answer does not state the time, the time of this
// machine is tried once.
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

// Watch has f called for each new offset, after Moved, for as long as c is in use. It is for
// packages that share a Clock with other packages. All functions passed to Watch are called at the
// same time, each in its own goroutine, so f must not panic. Like Moved, f may be called
// concurrently. The caller gets the answer when all of them have returned. f cannot be removed
// again.
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

// learn stores that the time at o was server when it was local on this machine, for a call that
// signed with used. If another call has already stored the same time, within a few seconds, learn
// keeps its reading, so that calls refused at the same moment share one correction.
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
		r.previous = current.previous // no server has accepted current, so undo must skip it
	}
	c.store(o, r)
	return r
}

// doubts reports whether a refused request that was signed with used is worth signing again by
// another time, which yield returns.
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

// accept records that a server accepted a request signed with r. If a call that failed for another
// reason has undone r in the meantime, accept restores it. It reports whether r is a new offset.
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
			c.store(o, nil) // from now on, no offset is stored for o
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
		wg.Go(func() { f(o.URL(), r.offset()) }) // one that is slow does not delay the others
	}
	wg.Wait()
	return true
}

// undo restores the reading before r, unless a request signed with r was accepted, or r has been
// replaced.
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
