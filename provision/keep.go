package provision

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/fetch"
)

const (
	// lockTime is how long a fetch waits for other processes before it goes on alone. What is left
	// of the 30 s that a creds.Cache gives is enough for a call of its own.
	lockTime = 20 * time.Second
	// noteTime is how long a call that has succeeded may wait for its clock offset to be stored.
	noteTime = 2 * time.Second
)

// errKeep leaves a record as it is.
var errKeep = errors.New("the record stays")

// obtain is the Fetch of the Cache: it takes what another process has stored meanwhile, or else
// makes a call. Trouble with the Store is no reason to fail.
func (f *fetcher) obtain(ctx context.Context) (*grant, error) {
	if err := f.setup(); err != nil {
		return nil, err
	}
	g, err := f.another(ctx)
	if err != nil {
		return nil, err
	}
	if last := f.last.Load(); last.valid() && last.rejected.Load() && last.is(g) {
		g.rejected.Store(true)
	}
	f.last.Store(g)
	return g, nil
}

func (f *fetcher) another(ctx context.Context) (*grant, error) {
	if f.store != nil {
		if g := f.load(ctx); g != nil {
			return g, nil
		}
	}
	if err := f.paused(); err != nil {
		return nil, err
	}
	if f.store == nil {
		return f.call(ctx)
	}
	return f.update(ctx)
}

// load looks into the Store without its lock, and without a write: that is how a process starts
// where another one has left off.
func (f *fetcher) load(ctx context.Context) *grant {
	data, err := f.store.Load(ctx, f.place.name)
	if errors.Is(err, creds.ErrNotFound) {
		return nil
	}
	var r *clientRecord
	if err == nil {
		r, err = f.read(data)
	}
	if err != nil {
		f.trouble("read", err)
	}
	f.restore(r)
	return f.pick(r)
}

// update makes a call within the lock of the record, unless a look at the record shows that another
// process has made it. So of those that start at once, one calls.
func (f *fetcher) update(ctx context.Context) (got *grant, failure error) {
	f.begin()
	defer f.end()
	wait, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(lockTime, func() { cancel(errors.New("others held it for too long")) })
	defer timer.Stop()

	called := false
	err := f.store.Update(wait, f.place.name, func(old []byte) ([]byte, error) {
		timer.Stop() // it is our turn
		r, err := f.read(old)
		if err != nil {
			return nil, err
		}
		f.restore(r)
		if got = f.pick(r); got != nil {
			return nil, errKeep
		}
		called = true
		if got, failure = f.call(ctx); failure != nil {
			return nil, failure
		}
		if last := f.last.Load(); last.valid() && last.rejected.Load() && last.is(got) {
			return nil, errKeep // the Cache will find that it is of no use
		}
		return f.recordOf(got, r).encode()
	})
	if failure != nil || got != nil && errors.Is(err, errKeep) {
		return got, failure
	}
	if err != nil {
		f.trouble("update", err)
	}
	if !called && got == nil {
		return f.call(ctx)
	}
	return got, nil
}

// read decodes a record. Nil data is none, and so is what was stored for somebody else: the name
// was given to this Client, so it is going to be replaced.
func (f *fetcher) read(data []byte) (*clientRecord, error) {
	if data == nil {
		return nil, nil
	}
	r, err := decodeClientRecord(data)
	if err != nil {
		return nil, err
	}
	if r.owner != f.place.owner {
		f.logger.Warn("provision: the stored record is for another endpoint or account, "+
			"and not used: give each its own Client.Name", "name", f.place.name)
		return nil, nil
	}
	return r, nil
}

// pick returns the grant of r if it is good, and better than what there is: it must not be the same
// one, and where that was not refused, it must last longer.
func (f *fetcher) pick(r *clientRecord) *grant {
	if r == nil {
		return nil
	}
	g, last := r.current(time.Now()), f.last.Load()
	switch {
	case !g.valid(), last.is(g):
		return nil
	case last.valid() && !last.rejected.Load() && !g.outlives(last):
		return nil
	}
	return g
}

// recordOf returns the record for g, with the offsets of the old one, if there is one, and of those
// that have been learned here.
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

func (f *fetcher) trouble(verb string, err error) {
	f.logger.Warn("provision: credentials are kept in memory only: the store is of no use",
		"name", f.place.name, "operation", verb, "err", err)
}

// restore sets the Clock to what it was when the credentials in r last worked, once in a process.
// What was learned here counts more.
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

// moved is told of each new offset that a server has accepted. It stores it before the answer
// reaches the caller: a script may end with that.
func (f *fetcher) moved(u *url.URL, offset time.Duration) {
	f.begin()
	defer f.end()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.offsets[fetch.Origin(u)] = offset
	f.unsaved = true
}

// begin tells that an update of the record is under way, or about to be.
func (f *fetcher) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writers++
}

// end tells that it is over. The last one stores the offsets that are in no record yet. So moved,
// which may be called in the middle of an update, does not wait for itself.
func (f *fetcher) end() {
	for {
		f.mu.Lock()
		late := f.writers == 1 && f.unsaved
		if !late {
			f.writers--
		}
		f.mu.Unlock()
		if !late {
			return
		}
		f.note()
	}
}

// known returns the offsets that were learned here, for a record that is about to be written.
func (f *fetcher) known() map[string]time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unsaved = false
	return maps.Clone(f.offsets)
}

// note adds the offsets to the record. If there is none, they wait for one.
func (f *fetcher) note() {
	offsets := f.known()
	ctx, cancel := context.WithTimeout(context.Background(), noteTime)
	defer cancel()
	err := f.store.Update(ctx, f.place.name, func(old []byte) ([]byte, error) {
		r, err := f.read(old)
		if err != nil {
			return nil, err
		}
		if r == nil {
			return nil, errKeep
		}
		return r.with(offsets).encode()
	})
	if err != nil && !errors.Is(err, errKeep) {
		f.trouble("update", err)
	}
}
