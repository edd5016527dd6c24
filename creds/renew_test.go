package creds_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/creds"
)

// wantAtOnce is like want, for a caller that must not wait.
func wantAtOnce(t *testing.T, c *creds.Cache[*key], id string) *key {
	t.Helper()
	start := time.Now()
	k := want(t, c, id)
	if took := time.Since(start); took != 0 {
		t.Errorf("%s was given after %v, want at once", id, took)
	}
	return k
}

// sleepUntil sleeps until the given time before the end of k.
func sleepUntil(before time.Duration, k *key) { time.Sleep(time.Until(k.expires) - before) }

// landed waits until a fetch that has just started is over.
func (e *endpoint) landed() {
	time.Sleep(e.latency)
	synctest.Wait()
}

func TestRenewedInBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{latency: 200 * time.Millisecond, lifetime: time.Hour}
		c := e.cache()
		k := want(t, c, "key 1")
		for round := int32(1); round <= 3; round++ {
			sleepUntil(30*time.Second, k)
			for range 2 { // the first callers, and callers during the fetch
				errs, took := crowd(c, 10_000)
				if err := errors.Join(errs...); err != nil || took != 0 {
					t.Fatalf("got %v after %v; want credentials at once", err, took)
				}
				wantAtOnce(t, c, fmt.Sprint("key ", round))
				time.Sleep(e.latency / 2)
			}
			synctest.Wait()
			k = wantAtOnce(t, c, fmt.Sprint("key ", round+1))
			e.wantCalls(t, round+1, "for 20,000 callers in the window")
		}
	})
}

// Of all callers in the window, only one takes the slow path. Only that path looks at a caller's
// context.
func TestHotDuringRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{latency: 200 * time.Millisecond, lifetime: time.Hour}
		c := e.cache()
		k := want(t, c, "key 1")
		e.fails = errors.New("it is down")
		sleepUntil(30*time.Second, k)
		want(t, c, "key 1")
		slow := reentrant{t.Context(), func() { t.Error("the context was looked at") }}
		for range 119 { // 200 ms of the renewal, and 1 s of its back-off
			time.Sleep(10 * time.Millisecond)
			if k, err := c.Credentials(slow); err != nil || k.id != "key 1" {
				t.Fatalf("got %v, %v", k, err)
			}
		}
	})
}

// A bot asks all the time for a day, and only waits for the first key.
func TestBusyDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{latency: 200 * time.Millisecond, lifetime: 5 * time.Minute}
		c := e.cache()
		c.SetRandom(nil)
		start := time.Now()
		waited := 0
		for time.Since(start) < 24*time.Hour {
			began := time.Now()
			if k, err := c.Credentials(t.Context()); err != nil || !time.Now().Before(k.expires) {
				t.Fatalf("got %v, %v", k, err)
			}
			if time.Since(began) > 0 {
				waited++
			}
			time.Sleep(time.Second)
		}
		if waited != 1 {
			t.Errorf("%d calls had to wait, want only the first", waited)
		}
		if n := e.calls.Load(); n < 24*60/5 || n > 24*60/4+1 {
			t.Errorf("%d fetches in a day, want one in each 4 to 5 min", n)
		}
	})
}

func TestRenewalWindow(t *testing.T) {
	for _, row := range []struct {
		reason   string
		lifetime time.Duration
		opens    [2]time.Duration // before the end: earliest, latest
	}{
		{"long: a minute", 24 * time.Hour, [2]time.Duration{60 * time.Second, 30 * time.Second}},
		{"shortest with a minute", 5 * time.Minute,
			[2]time.Duration{60 * time.Second, 30 * time.Second}},
		{"short: a fifth", 50 * time.Second, [2]time.Duration{10 * time.Second, 5 * time.Second}},
		{"very short", 100 * time.Nanosecond, [2]time.Duration{20, 10}},
	} {
		for i, random := range []func(time.Duration) time.Duration{shortest, longest} {
			t.Run(fmt.Sprint(row.reason, ", ", row.opens[i]), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					e := &endpoint{latency: time.Nanosecond, lifetime: row.lifetime}
					c := e.cache()
					c.SetRandom(random)
					k := want(t, c, "key 1")
					sleepUntil(row.opens[i]+1, k)
					wantAtOnce(t, c, "key 1")
					synctest.Wait()
					e.wantCalls(t, 1, "just before the window opens")
					sleepUntil(row.opens[i], k)
					wantAtOnce(t, c, "key 1")
					synctest.Wait()
					e.wantCalls(t, 2, "when the window opens")
					e.landed()
					wantAtOnce(t, c, "key 2")
				})
			})
		}
	}
}

// The members of a fleet that got their keys at the same time renew them over half a minute.
func TestFleetDoesNotKnockAtOnce(t *testing.T) {
	var opened [11]int // in each 3 s from a minute before the end, and after that
	synctest.Test(t, func(t *testing.T) {
		for range 1000 {
			e := &endpoint{latency: time.Nanosecond, lifetime: time.Hour}
			c := e.cache()
			c.SetRandom(nil)
			sleepUntil(time.Minute, want(t, c, "key 1"))
			part := -1
			for e.calls.Load() == 1 && part < 10 {
				time.Sleep(3 * time.Second)
				want(t, c, "key 1")
				synctest.Wait()
				part++
			}
			e.landed()
			opened[part]++
		}
	})
	wantEven(t, opened[:10])
	if opened[10] > 0 {
		t.Errorf("%d of 1000 were renewed in the last half minute only", opened[10])
	}
}

// Keys that live for less than a fetch takes, or for too short to be divided, still work.
func TestShortLife(t *testing.T) {
	for _, lifetime := range []time.Duration{1, 4, 7, time.Millisecond, 100 * time.Millisecond} {
		t.Run(lifetime.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{latency: 200 * time.Millisecond, lifetime: lifetime}
				c := e.cache()
				c.SetRandom(nil)
				start := time.Now()
				for time.Since(start) < 10*time.Second {
					began := time.Now()
					k, err := c.Credentials(t.Context())
					if err != nil || !time.Now().Before(k.expires) {
						t.Fatalf("got %v, %v at %v", k, err, time.Now())
					}
					if took := time.Since(began); took > e.latency {
						t.Errorf("waited %v, want at most %v", took, e.latency)
					}
					time.Sleep(time.Millisecond)
				}
				if n := e.calls.Load(); n > 10_000/200 {
					t.Errorf("%d fetches in 10 s, want one at a time", n)
				}
				time.Sleep(e.latency) // for the last one
			})
		})
	}
}

// A caller at the end of a key finds the renewal under way, and waits for the rest of it.
func TestEndDuringRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{latency: 20 * time.Second, lifetime: time.Hour}
		c := e.cache()
		k := want(t, c, "key 1")
		sleepUntil(15*time.Second, k)
		wantAtOnce(t, c, "key 1")
		sleepUntil(time.Nanosecond, k)
		wantAtOnce(t, c, "key 1")
		sleepUntil(0, k)
		if errs, took := crowd(c, 100); errors.Join(errs...) != nil || took != 5*time.Second {
			t.Errorf("got %v after %v; want credentials after 5s", errs[0], took)
		}
		want(t, c, "key 2")
		e.wantCalls(t, 2, "in all")
	})
}

// A service may return the same key again while that key is good.
func TestSameAgainEarly_F2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{lifetime: time.Hour}
		c := e.cache()
		var told []string
		c.Fetched = func(k *key) { told = append(told, k.id) }
		k := want(t, c, "key 1")
		c.Fetch = func(ctx context.Context) (*key, error) {
			if time.Now().Before(k.expires) {
				e.calls.Add(1)
				same := *k
				return &same, nil
			}
			return e.fetch(ctx)
		}
		sleepUntil(30*time.Second, k)
		for time.Now().Before(k.expires) {
			wantAtOnce(t, c, "key 1")
			if err := c.Err(); err != nil {
				t.Fatalf("failed: %v", err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		e.wantCalls(t, 1+3, "to the end") // 30, 3 and 0.3 s before
		want(t, c, "key 5")
		if len(told) != 2 || told[1] != "key 5" {
			t.Errorf("told of %q, want of the first and the last", told)
		}
	})
}

// A renewal with the same key does not delay a fetch that a caller needs.
func TestSameAgainThenRejected_F2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{lifetime: time.Hour}
		c := e.cache()
		k := want(t, c, "key 1")
		c.Fetch = func(context.Context) (*key, error) { return k, nil }
		sleepUntil(30*time.Second, k)
		wantAtOnce(t, c, "key 1")
		synctest.Wait()
		c.Reject(is(k), nil)
		wantAtOnce(t, c, "key 1") // the same key once more, which is a failure now
		if err := c.Err(); !errors.Is(err, creds.ErrSame) {
			t.Errorf("the failure is %v, want %v", err, creds.ErrSame)
		}
		c.Fetch = e.fetch
		time.Sleep(time.Second)
		wantAtOnce(t, c, "key 2")
	})
}

// A renewal may change the end of the same key.
func TestProlonged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{latency: time.Nanosecond, lifetime: time.Hour}
		c := e.cache()
		c.ID = func(*key) string { return "always the same" }
		var told []string
		c.Fetched = func(k *key) { told = append(told, k.id) }
		k := want(t, c, "key 1")
		for round := 2; round <= 10; round++ {
			sleepUntil(30*time.Second, k)
			want(t, c, fmt.Sprint("key ", round-1))
			e.landed()
			k = wantAtOnce(t, c, fmt.Sprint("key ", round))
			if len(told) != round || told[round-1] != k.id {
				t.Errorf("told of %q, want of each, since each ends later", told)
			}
		}
	})
}

// A key rejected during its renewal is replaced by that renewal, and then a shield follows.
func TestRejectedDuringRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{latency: 200 * time.Millisecond, lifetime: time.Hour}
		c := e.cache()
		k := want(t, c, "key 1")
		sleepUntil(30*time.Second, k)
		wantAtOnce(t, c, "key 1")
		time.Sleep(50 * time.Millisecond)
		c.Reject(is(k), nil)
		start := time.Now()
		next := want(t, c, "key 2")
		if took := time.Since(start); took != 150*time.Millisecond {
			t.Errorf("waited %v, want the 150ms that were left", took)
		}
		c.Reject(is(next), nil)
		wantAtOnce(t, c, "key 2")
		e.wantCalls(t, 2, "in all")
	})
}

// Renewed credentials were never refused, so they can be rejected at once.
func TestRenewedIsNotShielded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{latency: time.Nanosecond, lifetime: time.Hour}
		c := e.cache()
		sleepUntil(30*time.Second, want(t, c, "key 1"))
		want(t, c, "key 1")
		e.landed()
		c.Reject(is(want(t, c, "key 2")), nil)
		want(t, c, "key 3")
	})
}

// A caller that starts a renewal may leave at once: the renewal has the values of its context, but
// not its end.
func TestRenewalIsDetached_F4(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type name string
		e := &endpoint{latency: 200 * time.Millisecond, lifetime: time.Hour}
		c := e.cache()
		sleepUntil(30*time.Second, want(t, c, "key 1"))
		var seen any
		c.Fetch = func(ctx context.Context) (*key, error) {
			seen = ctx.Value(name("tenant"))
			return e.fetch(ctx)
		}
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), name("tenant"), 7))
		if k, err := c.Credentials(ctx); err != nil || k.id != "key 1" {
			t.Errorf("got %v, %v", k, err)
		}
		cancel()
		e.landed()
		wantAtOnce(t, c, "key 2")
		if seen != 7 {
			t.Errorf("the fetch saw the context value %v, want that of the caller", seen)
		}
	})
}

// A caller whose context has ended gets the current key, and does not start a fetch.
func TestCallerGoneInWindow_F4(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{latency: time.Nanosecond, lifetime: time.Hour}
		c := e.cache()
		sleepUntil(30*time.Second, want(t, c, "key 1"))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if k, err := c.Credentials(ctx); err != nil || k.id != "key 1" {
			t.Errorf("got %v, %v", k, err)
		}
		synctest.Wait()
		e.wantCalls(t, 1, "for a caller that has gone")
		want(t, c, "key 1")
		e.landed()
		want(t, c, "key 2")
	})
}

// A renewal may sign with the credentials that it renews, if it does not have to wait for them.
func TestRecursiveRenewal_F17(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{latency: time.Nanosecond, lifetime: time.Hour}
		c := e.cache()
		k := want(t, c, "key 1")
		var rejected error
		served := make(chan struct{}) // closed when the caller has the old key
		c.Fetch = func(ctx context.Context) (*key, error) {
			if now, err := c.Credentials(ctx); now != k || err != nil {
				t.Errorf("the renewal got %v, %v", now, err)
			}
			<-served
			c.Reject(is(k), nil)
			_, rejected = c.Credentials(ctx)
			return e.fetch(ctx)
		}
		sleepUntil(30*time.Second, k)
		wantAtOnce(t, c, "key 1")
		close(served)
		e.landed()
		wantAtOnce(t, c, "key 2")
		if !errors.Is(rejected, creds.ErrRecursive) {
			t.Errorf("once it was rejected, the renewal got %v, want ErrRecursive", rejected)
		}
	})
}
