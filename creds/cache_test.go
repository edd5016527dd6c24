package creds_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/creds"
)

// A key is the type of the credentials that the endpoints of these tests return.
type key struct {
	id      string
	expires time.Time
}

// An endpoint returns a new key for each call, after latency.
type endpoint struct {
	latency  time.Duration
	lifetime time.Duration // if 0, keys never expire
	fails    error
	calls    atomic.Int32
}

func (e *endpoint) fetch(ctx context.Context) (*key, error) {
	n := e.calls.Add(1)
	if e.latency > 0 {
		select {
		case <-time.After(e.latency):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if e.fails != nil {
		return nil, e.fails
	}
	k := &key{id: fmt.Sprint("key ", n)}
	if e.lifetime > 0 {
		k.expires = time.Now().Add(e.lifetime)
	}
	return k, nil
}

// cache returns a Cache whose random choices are always the same: back-offs are as long as
// possible, and the renewal window opens as late as possible.
func (e *endpoint) cache() *creds.Cache[*key] {
	c := &creds.Cache[*key]{
		Fetch:   e.fetch,
		Expires: func(k *key) time.Time { return k.expires },
		ID:      func(k *key) string { return k.id },
	}
	c.SetRandom(longest)
	return c
}

func longest(d time.Duration) time.Duration { return d }

func shortest(time.Duration) time.Duration { return 0 }

func (e *endpoint) wantCalls(t *testing.T, want int32, when string) {
	t.Helper()
	if got := e.calls.Load(); got != want {
		t.Errorf("%d fetches %s, want %d", got, when, want)
	}
}

func want(t *testing.T, c *creds.Cache[*key], id string) *key {
	t.Helper()
	k, err := c.Credentials(t.Context())
	if err != nil {
		t.Fatalf("no credentials: %v; want %s", err, id)
	}
	if k.id != id {
		t.Fatalf("got %s, want %s", k.id, id)
	}
	return k
}

func wantErr(t *testing.T, c *creds.Cache[*key], target error) {
	t.Helper()
	if k, err := c.Credentials(t.Context()); !errors.Is(err, target) || k != nil {
		t.Fatalf("got %v, %v; want the error %v", k, err, target)
	}
}

func is(k *key) func(*key) bool { return func(other *key) bool { return other == k } }

// crowd lets n callers ask at once. It returns their errors and the time when the last one
// returned.
func crowd(c *creds.Cache[*key], n int) (errs []error, took time.Duration) {
	start := time.Now()
	errs = make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { _, errs[i] = c.Credentials(context.Background()) })
	}
	all.Wait()
	return errs, time.Since(start)
}

// No caller asks in the renewal window, and then all callers ask at once.
func TestOneFetchAtExpiry_F3(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{latency: 200 * time.Millisecond, lifetime: time.Hour}
		c := e.cache()
		for round := int32(1); round <= 3; round++ {
			errs, took := crowd(c, 10_000)
			if err := errors.Join(errs...); err != nil {
				t.Fatal(err)
			}
			if took != e.latency {
				t.Errorf("the last caller was back after %v, want %v", took, e.latency)
			}
			e.wantCalls(t, round, "for 10,000 callers")
			time.Sleep(e.lifetime)
		}
	})
}

func TestNeverExpires(t *testing.T) {
	for name, expires := range map[string]func(*key) time.Time{
		"no Expires": nil,
		"zero time":  func(*key) time.Time { return time.Time{} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{}
				c := &creds.Cache[*key]{Fetch: e.fetch, Expires: expires}
				for range 3 {
					want(t, c, "key 1")
					time.Sleep(100 * 365 * 24 * time.Hour)
				}
			})
		})
	}
}

func TestFetchMissing(t *testing.T) {
	var c creds.Cache[*key]
	c.Reject(func(*key) bool { t.Error("asked about nothing"); return true }, nil)
	c.Confirm(func(*key) bool { t.Error("asked about nothing"); return true })
	if err := c.Err(); err != nil {
		t.Errorf("a Cache that was never asked has failed: %v", err)
	}
	_, err := c.Credentials(t.Context())
	if err == nil || !strings.Contains(err.Error(), "Fetch") {
		t.Errorf("got %v, want an error that names Fetch", err)
	}
}

func TestNilCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &creds.Cache[*key]{Fetch: func(context.Context) (*key, error) { return nil, nil }}
		if _, err := p.Credentials(t.Context()); err == nil {
			t.Error("a nil pointer was taken for credentials")
		}
		i := &creds.Cache[any]{Fetch: func(context.Context) (any, error) { return nil, nil }}
		if _, err := i.Credentials(t.Context()); err == nil {
			t.Error("a nil interface was taken for credentials")
		}
		s := &creds.Cache[string]{Fetch: func(context.Context) (string, error) { return "", nil }}
		if _, err := s.Credentials(t.Context()); err != nil {
			t.Errorf("an empty string is no nil: %v", err)
		}
	})
}

// With keys that end and an endpoint that sometimes fails, fetches never overlap, and every caller
// gets a current key.
func TestConcurrentUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{latency: 50 * time.Millisecond, lifetime: 3 * time.Second}
		c := e.cache()
		var flying atomic.Int32
		c.Fetch = func(ctx context.Context) (*key, error) {
			if n := flying.Add(1); n != 1 {
				t.Errorf("%d fetches at once", n)
			}
			defer flying.Add(-1)
			if k, err := e.fetch(ctx); e.calls.Load()%3 != 1 {
				return k, err
			}
			return nil, errors.New("it is down")
		}
		var given, failed atomic.Int32
		var all sync.WaitGroup
		for i := range 64 {
			all.Go(func() {
				for n := range 500 {
					k, err := c.Credentials(context.Background())
					switch {
					case err != nil:
						failed.Add(1)
					case k == nil || !time.Now().Before(k.expires):
						t.Errorf("got %v at %v, and no error", k, time.Now())
					default:
						given.Add(1)
					}
					switch (i + n) % 7 {
					case 0:
						c.Reject(is(k), nil)
					case 3:
						c.Confirm(is(k))
					}
					time.Sleep(time.Duration(i+n) * time.Millisecond)
				}
			})
		}
		all.Wait()
		if given.Load() == 0 || failed.Load() == 0 {
			t.Errorf("%d calls got a key, %d failed; want both", given.Load(), failed.Load())
		}
	})
}

// An idle Cache costs nothing, even when its credentials should be renewed. If a goroutine were
// left, synctest would report it at the end.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{latency: time.Second, lifetime: time.Minute}
		if _, took := crowd(e.cache(), 100); took != e.latency {
			t.Errorf("took %v, want %v", took, e.latency)
		}
		time.Sleep(24 * time.Hour)
		e.wantCalls(t, 1, "in an idle day")
	})
}

func TestStatic(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if v, err := (creds.Static[int]{Value: 7}).Credentials(ctx); v != 7 || err != nil {
		t.Errorf("got %d, %v; want 7", v, err)
	}
}
