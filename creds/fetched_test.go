package creds_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// No caller gets a key before Fetched was called with it, and callers that need the key wait for
// that.
func TestFetchedBeforeUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{latency: 200 * time.Millisecond, lifetime: time.Hour}
		c := e.cache()
		var told atomic.Pointer[key]
		c.Fetched = func(k *key) {
			time.Sleep(100 * time.Millisecond)
			told.Store(k)
		}
		errs, took := crowd(c, 100)
		if err := errors.Join(errs...); err != nil || took != 300*time.Millisecond {
			t.Errorf("got %v after %v; want credentials after 300ms", err, took)
		}
		k := wantAtOnce(t, c, "key 1")
		sleepUntil(30*time.Second, k)
		for range 300 {
			if k := wantAtOnce(t, c, k.id); k != told.Load() {
				t.Fatalf("given %s, which Fetched was not told of", k.id)
			}
			if time.Sleep(time.Millisecond); told.Load() != k {
				break
			}
		}
		synctest.Wait()
		if k = wantAtOnce(t, c, "key 2"); k != told.Load() {
			t.Errorf("given %s, which Fetched was not told of", k.id)
		}
	})
}

func TestFetchedOnlyOfNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{lifetime: time.Hour}
		c := e.cache()
		var told []string
		c.Fetched = func(k *key) { told = append(told, k.id) }
		k := want(t, c, "key 1")

		c.Reject(is(k), nil)
		e.fails = errors.New("it is down")
		want(t, c, "key 1")
		e.fails = nil

		time.Sleep(time.Minute)
		c.ID = func(*key) string { return "key 1" }
		want(t, c, "key 1") // ErrSame
		c.ID = func(k *key) string { return k.id }

		time.Sleep(time.Minute)
		c.Expires = func(*key) time.Time { return time.Now() }
		want(t, c, "key 1") // ErrExpired
		c.Expires = func(k *key) time.Time { return k.expires }

		time.Sleep(time.Minute)
		want(t, c, "key 5")
		if got := []string{"key 1", "key 5"}; !slices.Equal(told, got) {
			t.Errorf("told of %q, want %q", told, got)
		}
	})
}

// Without ID, credentials are not compared, and each set counts as new.
func TestFetchedWithoutID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &key{id: "static"}
		told := 0
		e := &endpoint{}
		c := e.cache()
		c.ID = nil
		c.Fetch = func(context.Context) (*key, error) { return k, nil }
		c.Fetched = func(*key) { told++ }
		for range 3 {
			c.Reject(is(want(t, c, "static")), nil)
			c.Confirm(is(want(t, c, "static")))
		}
		if told != 4 {
			t.Errorf("told %d times, want 4", told)
		}
	})
}

// If Fetched panics, the key is not used. Callers do not notice a renewal that fails in this way.
func TestFetchedPanics_F16(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{lifetime: time.Hour}
		c := e.cache()
		k := want(t, c, "key 1")
		c.Fetched = func(*key) { panic("the disk is full") }
		sleepUntil(30*time.Second, k)
		for time.Now().Before(k.expires) {
			wantAtOnce(t, c, "key 1")
			time.Sleep(time.Second)
		}
		if c.Err() == nil {
			t.Error("a panic in Fetched is no failure")
		}
		synctest.Wait()
		c.Fetched = nil
		time.Sleep(5 * time.Minute)
		if k, err := c.Credentials(t.Context()); err != nil || k.id == "key 1" {
			t.Errorf("got %v, %v; want a new key", k, err)
		}
	})
}

// A fetch that was given up has no later effect, whether it hangs in Fetch or in Fetched.
func TestFetchedTooLate_F4(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		c := e.cache()
		release := make(chan struct{})
		var mu sync.Mutex // a fetch that was given up runs concurrently with the next one
		var told []string
		c.Fetch = func(ctx context.Context) (*key, error) {
			if e.calls.Load() == 0 {
				e.calls.Add(1)
				<-release
				return &key{id: "late"}, nil
			}
			return e.fetch(ctx)
		}
		c.Fetched = func(k *key) {
			mu.Lock()
			told = append(told, k.id)
			mu.Unlock()
			if k.id == "key 2" {
				<-release
			}
		}
		for range 2 {
			errs, took := crowd(c, 100)
			if !errors.Is(errs[0], context.DeadlineExceeded) || took != 31*time.Second {
				t.Errorf("got %v after %v; want a deadline error after 31s", errs[0], took)
			}
			time.Sleep(5 * time.Second)
		}
		want(t, c, "key 3")
		close(release)
		synctest.Wait()
		want(t, c, "key 3")
		mu.Lock()
		defer mu.Unlock()
		if got := []string{"key 2", "key 3"}; !slices.Equal(told, got) {
			t.Errorf("told of %q, want %q", told, got)
		}
	})
}
