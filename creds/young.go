package creds

import (
	"context"
	"fmt"
	"time"
)

// Accept tells the Cache that a server accepted credentials for which good reports true. Those are
// not waited for when they are refused later, see [Cache]. good is called at most once; its panics
// are the caller's.
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

// Wait is for a caller whose request was refused with credentials for which refused reports true.
// If they are the current ones, were never accepted, and are younger than 5 s, it waits 1 s, or 2 s
// the next time, and reports true: the service may know them now. All callers share a wait. Wait
// reports false if there is no reason to wait, and an error too if ctx ends, or would end, before
// the wait. refused is called at most once; its panics are the caller's.
func (c *Cache[C]) Wait(ctx context.Context, refused func(C) bool) (waited bool, err error) {
	e := c.current.Load()
	if !e.fresh() || e.accepted.Load() || !refused(e.value) {
		return false, nil
	}
	deadline, limited := ctx.Deadline() // before the lock: a Context may be the user's own
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

// endOfWait returns when a wait for e ends, and whether it has to be started; the zero time if
// there is none. The caller holds c.mu.
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
