package provision

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/keep"
	"github.com/countersign-go/countersign/internal/logs"
)

// obtain is the Fetch of the Cache: it takes credentials that another process has stored in the
// meantime, or else makes a call. A failure of the Store does not make it fail.
func (f *fetcher) obtain(ctx context.Context) (*grant, error) {
	if f.unnamed.CompareAndSwap(true, false) {
		f.log(ctx).WarnContext(ctx, "provision: credentials are kept in memory only, as nothing "+
			"tells whose they are: set Client.Name to another name for each account")
	}
	if f.store == nil || f.record.Hung() {
		return f.alone(ctx)
	}
	turn := keep.Turn(ctx)
	f.record.Begin()
	g, err := f.load(ctx)
	switch {
	case g != nil:
		return g, nil
	case errors.Is(err, keep.ErrSlow):
		return f.alone(ctx) // the Store has had its time, so do not wait for it again
	}
	if err := f.paused(); err != nil {
		return nil, err
	}
	return f.update(ctx, turn)
}

// alone makes a call without the Store.
func (f *fetcher) alone(ctx context.Context) (*grant, error) {
	if err := f.paused(); err != nil {
		return nil, err
	}
	return f.call(ctx)
}

// load reads the Store without its lock and without a write: so a process starts with the
// credentials of the one before it. An error has been logged.
func (f *fetcher) load(ctx context.Context) (*grant, error) {
	data, err := f.record.Load(ctx)
	if errors.Is(err, creds.ErrNotFound) {
		f.record.Worked(ctx, "read")
		return nil, nil
	}
	var r *clientRecord
	if err == nil {
		r, err = f.read(ctx, data)
	}
	if err != nil {
		f.record.Failed(ctx, "read", err)
	} else {
		f.record.Worked(ctx, "read")
	}
	f.restore(r)
	return f.pick(r), err
}

// update makes a call within the lock of the record, unless the record shows that another process
// has made it. So of processes that start at once, one makes the call. It waits for the lock until
// turn.
func (f *fetcher) update(ctx context.Context, turn time.Time) (g *grant, err error) {
	called := f.record.Update(ctx, turn, func(old []byte) ([]byte, error) {
		r, unread := f.read(ctx, old)
		if unread != nil {
			g, err = f.call(ctx)
			return nil, unread
		}
		f.restore(r)
		if g = f.pick(r); g != nil {
			return nil, keep.ErrStays
		}
		if g, err = f.call(ctx); err != nil || f.useless(g) {
			return nil, keep.ErrStays
		}
		return f.recordOf(g, r).encode()
	})
	if !called {
		return f.call(ctx)
	}
	return g, err
}

// useless reports whether the Cache will find the result of a call to be of no use: the answer was
// slow, or had credentials that a server had refused.
func (f *fetcher) useless(g *grant) bool {
	if !g.valid() {
		return true
	}
	last := f.last.Load()
	return last.valid() && last.is(g) && f.wasRefused(g)
}

// read decodes a record. It returns nil for nil data, and for a record of another endpoint or
// account: the name was given to this Client, so that record will be replaced.
func (f *fetcher) read(ctx context.Context, data []byte) (*clientRecord, error) {
	if data == nil {
		return nil, nil
	}
	r, err := decodeClientRecord(data)
	if err != nil {
		return nil, err
	}
	if r.owner != f.place.owner {
		f.log(ctx).WarnContext(ctx, "provision: the stored record is for another endpoint or "+
			"account, and not used: give each its own Client.Name", "name", f.place.name)
		return nil, nil
	}
	return r, nil
}

// pick returns the grant of r if it is good and better than the last one: it must be another one,
// and unless the last one was refused, it must last longer.
func (f *fetcher) pick(r *clientRecord) *grant {
	if r == nil {
		return nil
	}
	g, last := r.current(time.Now()), f.last.Load()
	switch {
	case !g.valid(), last.is(g), f.wasRefused(g):
		return nil
	case last != nil && g.born.Before(last.born): // the last one could not be stored
		return nil
	case last.valid() && !f.wasRefused(last) && !g.outlives(last):
		return nil
	}
	return g
}

// recordOf returns the record for g. It has the offsets of the old record, if there is one, and
// those that this process has learned.
func (f *fetcher) recordOf(g *grant, old *clientRecord) *clientRecord {
	r := &clientRecord{owner: f.place.owner, grant: g, offsets: make(map[string]time.Duration)}
	now := time.Now()
	r.saved = now.Round(0)
	if end := g.creds.Expires; !end.IsZero() {
		r.lifetime = end.Sub(now)
	}
	if old != nil {
		r.offsets = old.offsets
	}
	return r.with(f.known())
}

func (f *fetcher) log(ctx context.Context) *slog.Logger {
	return logs.From(ctx, f.client.Logger)
}

func (f *fetcher) trouble(ctx context.Context, operation string, err error) {
	f.log(ctx).WarnContext(ctx, "provision: the store failed",
		"name", f.place.name, "operation", operation, "err", err)
}

func (f *fetcher) works(ctx context.Context) {
	f.log(ctx).InfoContext(ctx, "provision: the store works again", "name", f.place.name)
}

// restore sets the Clock to the offsets with which the credentials in r last worked, once in a
// process. Offsets that this process has learned take precedence.
func (f *fetcher) restore(r *clientRecord) {
	if r == nil {
		return
	}
	f.mu.Lock()
	first := !f.restored
	f.restored = true
	f.mu.Unlock()
	if !first {
		return
	}
	for origin, offset := range r.offsets {
		u, err := url.Parse(origin)
		if err == nil && time.Until(f.clock.Now(u)).Abs() < time.Second {
			f.clock.Set(u, offset)
		}
	}
}
