package issue_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/provision/issue"
)

func TestQuota(t *testing.T) {
	for name, r := range registries(t) {
		synctest.Test(t, func(t *testing.T) {
			r.Quota, r.Lifetime = 2, time.Hour
			first := issued(t, r, "ann")
			time.Sleep(time.Minute)
			second := issued(t, r, "ann")
			c, err := r.Issue(t.Context(), subject("ann"))
			var later interface{ RetryAfter() time.Duration }
			if c != nil || !errors.Is(err, issue.ErrQuota) || !errors.As(err, &later) ||
				later.RetryAfter() != 59*time.Minute {
				t.Fatalf("%s: %v, %v", name, c, err)
			}
			issued(t, r, "bob") // has a separate quota

			// A credential that ends or is revoked makes room.
			time.Sleep(59 * time.Minute)
			issued(t, r, "ann")
			if err := r.Revoke(t.Context(), second.ID); err != nil {
				t.Fatal(err)
			}
			issued(t, r, "ann")
			if _, err := r.Issue(t.Context(), subject("ann")); !errors.Is(err, issue.ErrQuota) {
				t.Errorf("%s: a third one: %v", name, err)
			}
			if known(t, r, first) {
				t.Errorf("%s: one that had ended took the place of others", name)
			}
		})
	}
}

func TestQuotaDefaults(t *testing.T) {
	for _, tt := range []struct{ quota, want int }{{0, 100}, {-1, 150}, {1, 1}} {
		r := &issue.Registry{Quota: tt.quota}
		n := 0
		for range 150 {
			if _, err := r.Issue(t.Context(), subject("ann")); err == nil {
				n++
			}
		}
		if n != tt.want {
			t.Errorf("a Quota of %d: %d were issued, want %d", tt.quota, n, tt.want)
		}
	}
}

// However many processes issue at once, none exceeds the quota, and each credential that was issued
// is listed.
func TestQuotaConcurrently(t *testing.T) {
	store := new(mapStore)
	var got sync.Map
	var n, refused atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		r := &issue.Registry{Store: store, Quota: 10}
		for range 10 {
			wg.Go(func() {
				c, err := r.Issue(t.Context(), subject("ann"))
				switch {
				case err == nil:
					got.Store(c.ID, true)
					n.Add(1)
				case errors.Is(err, issue.ErrQuota):
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	if n.Load() != 10 || refused.Load() != 30 {
		t.Errorf("%d issued, %d refused", n.Load(), refused.Load())
	}
	listed := ids(t, &issue.Registry{Store: store}, "ann")
	if len(listed) != 10 || store.len() != 11 {
		t.Errorf("%d listed, %d records", len(listed), store.len())
	}
	for _, id := range listed {
		if _, ok := got.Load(id); !ok {
			t.Errorf("%s is listed and was not handed out", id)
		}
	}
}

// If two processes see room for one more at the same moment, only one uses it.
func TestQuotaRace(t *testing.T) {
	store := new(mapStore)
	other := &issue.Registry{Store: store, Quota: 1}
	r := &issue.Registry{Quota: 1, Store: &interleaved{Store: store, first: func() {
		issued(t, other, "ann")
	}}}
	if c, err := r.Issue(t.Context(), subject("ann")); !errors.Is(err, issue.ErrQuota) {
		t.Errorf("%v, %v", c, err)
	}
	if n := len(ids(t, other, "ann")); n != 1 || store.len() != 2 {
		t.Errorf("%d listed, %d records", n, store.len())
	}
}

// interleaved is a Store that calls first before the first Update.
type interleaved struct {
	creds.Store

	once  sync.Once
	first func()
}

func (i *interleaved) Update(ctx context.Context, name string,
	f func([]byte) ([]byte, error)) error {
	i.once.Do(i.first)
	return i.Store.Update(ctx, name, f)
}

// Clients are told for an hour that their credentials have ended. After that, the credentials are
// removed when their subject gets the next one.
func TestEnded(t *testing.T) {
	for name, r := range registries(t) {
		synctest.Test(t, func(t *testing.T) {
			r.Lifetime = time.Minute
			c := issued(t, r, "ann")
			time.Sleep(time.Hour) // ended 59 minutes ago
			issued(t, r, "ann")
			key, err := r.Key(t.Context(), c.ID)
			if err != nil || time.Since(key.Identity.Expires) != 59*time.Minute {
				t.Errorf("%s: %v, %v", name, key, err)
			}
			if got := ids(t, r, "ann"); len(got) != 1 {
				t.Errorf("%s: listed %v", name, got)
			}
			time.Sleep(time.Minute)
			issued(t, r, "ann")
			if known(t, r, c) {
				t.Errorf("%s: still there", name)
			}
		})
	}
}

// A client that gets new credentials every second, for a day, does not fill the store.
func TestRegistryIsBounded_S3(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(mapStore)
		r := &issue.Registry{Store: store, Lifetime: 2 * time.Second, Quota: 5}
		for range 2000 {
			issued(t, r, "ann")
			if n, size := store.len(), store.size(); n > 6 || size > 2000 {
				t.Fatalf("%d records, %d bytes", n, size)
			}
			time.Sleep(time.Second)
		}
	})
}
