package creds

import (
	"context"
	"fmt"
	"time"
)

// Accept tells the Cache that a server accepted credentials for which good reports true. If they
// are refused later, [Cache.Wait] does not wait for them.
func (c *Cache[C]) Accept(good func(C) bool) {
	e := c.current.Load()
	if e == nil || e.accepted.Load() || !good(e.value) {
		return
	}
	e.accepted.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken = true
}

// Wait gives a service time to learn new credentials. Call it when a request was refused with
// credentials for which refused reports true. If they are the current ones, are younger than 5 s,
// and were never accepted, they may not have reached every replica of the service. Wait then waits
// 1 s, or 2 s the next time, and reports true. Otherwise it reports false. It also returns an error
// if ctx ends before the wait, or has a deadline before its end.
//
// All callers share a wait. After the second wait, Wait reports false for 60 s, and until a server
// has accepted credentials of this Cache; [Cache.Confirm] ends this. So a page that is always
// refused delays a program once.
func (c *Cache[C]) Wait(ctx context.Context, refused func(C) bool) (waited bool, err error) {
	e := c.current.Load()
	if !e.fresh() || e.accepted.Load() || !refused(e.value) {
		return false, nil
	}
	deadline, limited := ctx.Deadline() // before the lock: a user may have implemented the Context
	c.mu.Lock()
	end, start := c.endOfWait(e)
	late := limited && deadline.Before(end)
	if start && !late {
		c.waits++
		c.waiting = end
	}
	c.mu.Unlock()
	wait := time.Until(end)
	switch {
	case end.IsZero():
		return false, nil
	case late:
		return false, fmt.Errorf("creds: the server may not know the new credentials yet, and "+
			"there is no time to wait %v for that: %w", wait.Round(time.Millisecond),
			context.DeadlineExceeded)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true, nil
	case <-ctx.Done():
		return false, left(ctx)
	}
}

// endOfWait returns when a wait for e ends, and whether the caller must start it. The zero time
// means that e is not waited for. The caller holds c.mu.
func (c *Cache[C]) endOfWait(e *entry[C]) (end time.Time, start bool) {
	now := time.Now()
	if c.taken && (c.waits < maxWaits || now.Sub(c.waiting) >= spareTime) {
		c.waits, c.taken = 0, false
	}
	switch {
	case c.current.Load() != e:
		return time.Time{}, false
	case now.Before(c.waiting):
		return c.waiting, false
	case c.waits >= maxWaits || now.Sub(e.issued) >= youth:
		return time.Time{}, false
	}
	return now.Add(firstWait << c.waits), true
}
