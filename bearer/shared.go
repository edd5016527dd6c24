package bearer

import (
	"context"
	"errors"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/keep"
	"github.com/countersign-go/countersign/internal/logs"
)

// shared returns a token that another process has stored, or else calls Fetch. It does not fail
// because of trouble with the Store.
func (k *tokenKeeper) shared(ctx context.Context) (*tokenGrant, error) {
	if k.record == nil || k.record.Hung() {
		return k.alone(ctx)
	}
	turn := keep.Turn(ctx)
	k.record.Begin()
	data, err := k.record.Load(ctx)
	switch {
	case errors.Is(err, keep.ErrSlow):
		k.record.Failed(ctx, "read", err)
		return k.alone(ctx) // without another wait: the Store has had its time
	case err == nil:
		stored, err := k.read(data)
		if err != nil {
			k.record.Failed(ctx, "read", err)
		} else {
			k.record.Worked(ctx, "read")
		}
		if g := k.pick(stored); g != nil {
			return g, nil
		}
	case errors.Is(err, creds.ErrNotFound):
		k.record.Worked(ctx, "read")
	default:
		k.record.Failed(ctx, "read", err)
	}
	return k.update(ctx, turn)
}

// errHeld means that another process may be using the refresh token. The next call finds the token
// that it stores.
var errHeld = errors.New("bearer: another process has been getting a token for too long")

// update calls Fetch within the lock of the record, unless the record shows that another process
// has done so. If several processes start at once, only one calls Fetch, and no process uses a
// refresh token that another one is about to use up. update waits for the lock until turn.
func (k *tokenKeeper) update(ctx context.Context, turn time.Time) (g *tokenGrant, err error) {
	called := k.record.Update(ctx, turn, func(old []byte) ([]byte, error) {
		stored, unread := k.read(old)
		if unread != nil {
			g, err = k.alone(ctx)
			return nil, unread
		}
		if g = k.pick(stored); g != nil {
			return nil, keep.ErrStays
		}
		if g = k.first(); g != nil && stored == nil {
			return nil, keep.ErrStays // every process begins with this token
		}
		last := k.last()
		if last.before(stored.grantOrNil()) {
			last = stored.grant
		}
		if g, err = k.call(ctx, last); err != nil {
			return nil, keep.ErrStays
		}
		return k.recordOf(g, stored).encode()
	})
	if called {
		return g, err
	}
	if old := k.last(); old != nil && old.token.RefreshToken != "" && !time.Now().Before(turn) {
		return nil, errHeld
	}
	return k.alone(ctx)
}

// read decodes a record. It returns nil for nil data, and for a record whose tokens began with
// another token than this program: then the user has logged in again.
func (k *tokenKeeper) read(data []byte) (*tokenRecord, error) {
	if data == nil {
		return nil, nil
	}
	r, err := decodeTokenRecord(data)
	if err != nil {
		return nil, err
	}
	if k.begin != nil && r.seed != k.seed && !sameToken(r.grant.token, k.begin.token) {
		return nil, nil
	}
	return r, nil
}

// pick returns the token of r if it is valid and newer than the latest one.
func (k *tokenKeeper) pick(r *tokenRecord) *tokenGrant {
	g, latest := r.grantOrNil(), k.latest.Load()
	switch {
	case !g.valid():
		return nil
	case latest != nil && (!latest.before(g) || latest.token.AccessToken == g.token.AccessToken):
		return nil
	}
	return g
}

// recordOf returns the record for g. It keeps the seed of the old record if this process has none.
func (k *tokenKeeper) recordOf(g *tokenGrant, old *tokenRecord) *tokenRecord {
	r := &tokenRecord{grant: g, seed: k.seed}
	if k.begin == nil && old != nil {
		r.seed = old.seed
	}
	return r
}

// saveLater stores the latest token in the background. One goroutine stores all tokens, so that
// they do not pile up if a server sends a new token with each response.
func (k *tokenKeeper) saveLater() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.unsaid = true
	if k.saving {
		return
	}
	k.saving = true
	go func() {
		for k.more() {
			k.save()
		}
	}()
}

func (k *tokenKeeper) more() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.saving, k.unsaid = k.unsaid, false
	return k.saving
}

func (k *tokenKeeper) save() {
	if k.record.Hung() {
		return
	}
	turn := keep.Turn(context.Background())
	k.record.Update(context.Background(), turn, func(old []byte) ([]byte, error) {
		stored, err := k.read(old)
		if err != nil {
			return nil, err
		}
		g := k.last()
		if !stored.grantOrNil().before(g) {
			return nil, keep.ErrStays
		}
		return k.recordOf(g, stored).encode()
	})
}

func (k *tokenKeeper) trouble(ctx context.Context, operation string, err error) {
	logs.From(ctx, k.tokens.Logger).WarnContext(ctx, "bearer: the store failed",
		"name", k.record.Name, "operation", operation, "err", err)
}

func (k *tokenKeeper) works(ctx context.Context) {
	logs.From(ctx, k.tokens.Logger).InfoContext(ctx, "bearer: the store works again",
		"name", k.record.Name)
}
