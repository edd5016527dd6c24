package creds_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/creds"
)

// call signs one request to a server that accepts some keys, as a signer does. If the request is
// refused, call rejects the key and signs once more if the Cache has another.
func call(c *creds.Cache[*key], accept func(*key) bool) (ok bool, err error) {
	k, err := c.Credentials(context.Background())
	if err != nil || accept(k) {
		return err == nil, err
	}
	c.Reject(is(k), nil)
	next, err := c.Credentials(context.Background())
	if err != nil || next == k || !accept(next) {
		return false, err
	}
	c.Confirm(is(next))
	return true, nil
}

func nothing(*key) bool { return false }

func all(*key) bool { return true }

func TestRejectReplaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{latency: 200 * time.Millisecond}
		c := e.cache()
		c.Reject(is(want(t, c, "key 1")), nil)
		e.wantCalls(t, 1, "before anybody asks") // Reject itself does not fetch
		start := time.Now()
		want(t, c, "key 2")
		if took := time.Since(start); took != e.latency {
			t.Errorf("the next caller waited %v, want %v", took, e.latency)
		}
	})
}

func TestLateReject_F12(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		c := e.cache()
		old := want(t, c, "key 1")
		c.Reject(is(old), nil)
		k := want(t, c, "key 2")
		c.Confirm(is(k)) // ends the shield: only the function protects the newer key
		for range 1000 {
			c.Reject(is(old), nil)
			want(t, c, "key 2")
		}
		c.Confirm(is(old)) // about a replaced key: has no effect

		// A refusal that is judged while the key is being replaced does not affect the new key
		// either.
		c.Reject(func(judged *key) bool {
			c.Reject(is(judged), nil)
			c.Confirm(is(want(t, c, "key 3")))
			return judged == k
		}, nil)
		want(t, c, "key 3")
		e.wantCalls(t, 3, "in all")
	})
}

// A success that is judged while its key is being replaced does not count for the next key.
func TestLateConfirm_F12(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		c := e.cache()
		c.Confirm(is(want(t, c, "key 1")))
		c.Confirm(func(judged *key) bool {
			c.Reject(is(judged), nil)
			want(t, c, "key 2")
			return true
		})
		c.Reject(is(want(t, c, "key 2")), nil)
		want(t, c, "key 2") // still within the shield
	})
}

// A key is revoked, and the refusals of 1000 calls arrive over 5 s.
func TestStormOfRefusals_F12(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{latency: 200 * time.Millisecond}
		c := e.cache()
		k := want(t, c, "key 1")
		var all sync.WaitGroup
		for i := range 1000 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 5 * time.Millisecond)
				c.Reject(is(k), nil)
				next, err := c.Credentials(context.Background())
				if err != nil || next.id != "key 2" {
					t.Errorf("call %d got %v, %v; want key 2", i, next, err)
				}
			})
		}
		all.Wait()
		e.wantCalls(t, 2, "in all")
	})
}

func TestUsedToItsEnd_F13(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{latency: 100 * time.Millisecond, lifetime: time.Minute}
		c := e.cache()
		k := want(t, c, "key 1")
		e.fails = errors.New("it is down")
		c.Reject(is(k), nil)
		start := time.Now()
		for _, row := range []struct {
			at    time.Duration
			calls int32 // so far
		}{
			{0, 2},               // waits for a fetch, which fails until 1.1 s
			{time.Second, 2},     // within the back-off
			{2 * time.Second, 3}, // fails until 4.1 s
			{4 * time.Second, 3},
			{5 * time.Second, 4},
			{30 * time.Second, 5},
			{time.Minute - time.Second, 6},
		} {
			time.Sleep(row.at - time.Since(start))
			errs, took := crowd(c, 10)
			if err := errors.Join(errs...); err != nil {
				t.Errorf("at %v: %v", row.at, err)
			}
			if took > e.latency {
				t.Errorf("at %v: took %v, want at most one latency", row.at, took)
			}
			e.wantCalls(t, row.calls, fmt.Sprint("at ", row.at))
			want(t, c, "key 1")
			if err := c.Err(); !errors.Is(err, e.fails) {
				t.Errorf("at %v, the failure is %v, want %v", row.at, err, e.fails)
			}
		}
		time.Sleep(time.Minute - time.Since(start))
		wantErr(t, c, e.fails)
		e.fails = nil
		time.Sleep(5 * time.Minute)
		want(t, c, fmt.Sprint("key ", e.calls.Load()+1))
	})
}

// Rejected keys without an end also follow the back-off.
func TestBackOffWithoutEnd_F14(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		c := e.cache()
		c.Reject(is(want(t, c, "key 1")), nil)
		e.fails = errors.New("it is down")
		for range 300 { // 30 s: attempts at 0, 1, 3, 7 and 15 s
			want(t, c, "key 1")
			time.Sleep(100 * time.Millisecond)
		}
		e.wantCalls(t, 1+5, "in 30 s")
	})
}

// One page is always refused; calls to the others must not be affected.
func TestRefusedForever(t *testing.T) {
	for _, row := range []struct {
		spacing time.Duration
		fetches int32 // the first, one at once, and then others after 1, 3, 7, 15, ... s
	}{
		{0, 2},
		{10 * time.Millisecond, 5}, // 10 s
		{100 * time.Millisecond, 8},
		{480 * time.Millisecond, 10}, // 8 min
		{time.Second, 12},            // in the end, one every 5 min
	} {
		for _, latency := range []time.Duration{0, 200 * time.Millisecond} {
			name := fmt.Sprintf("%v apart, %v", row.spacing, latency)
			t.Run("one by one, "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					e := &endpoint{latency: latency}
					c := e.cache()
					for range 1000 {
						if _, err := c.Credentials(t.Context()); err != nil {
							t.Fatal(err)
						}
						c.Accept(all)
						if ok, err := call(c, nothing); ok || err != nil {
							t.Fatalf("got %v, %v; want a refusal", ok, err)
						}
						time.Sleep(row.spacing)
					}
					e.wantCalls(t, row.fetches, "for 1000 calls")
				})
			})
			t.Run("side by side, "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					e := &endpoint{latency: latency}
					c := e.cache()
					var all sync.WaitGroup
					for i := range 1000 {
						all.Go(func() {
							time.Sleep(time.Duration(i) * row.spacing)
							if ok, err := call(c, nothing); ok || err != nil {
								t.Errorf("got %v, %v; want a refusal", ok, err)
							}
						})
					}
					all.Wait()
					if n := e.calls.Load(); n > row.fetches {
						t.Errorf("%d fetches for 1000 calls, want at most %d", n, row.fetches)
					}
				})
			})
		}
	}
}

// Keys with a life shorter than the shields are renewed as usual, but refusals cost no further
// fetches.
func TestRefusedForeverShortLived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{lifetime: 2 * time.Second}
		c := e.cache()
		for range 4000 { // 400 s with a renewal every 1.8 s, which makes 223
			if ok, err := call(c, nothing); ok || err != nil {
				t.Fatalf("got %v, %v; want a refusal", ok, err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := e.calls.Load(); n > 223+10 {
			t.Errorf("%d fetches for 223 keys, want at most 10 more", n)
		}
	})
}

func TestMendedAndRevokedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		c := e.cache()
		want(t, c, "key 1")
		for revoked := int32(1); revoked <= 50; revoked++ {
			newer := func(k *key) bool { return k.id == fmt.Sprint("key ", revoked+1) }
			if ok, err := call(c, newer); !ok || err != nil {
				t.Fatalf("revocation %d: got %v, %v; want a mended call", revoked, ok, err)
			}
			e.wantCalls(t, revoked+1, fmt.Sprint("after revocation ", revoked))
		}
	})
}

// Confirm also resets the length of the next shield.
func TestConfirmResetsStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		c := e.cache()
		want(t, c, "key 1")
		for range 10 { // shields of 1, 2, 4 s
			c.Accept(all)
			_, _ = call(c, nothing)
			time.Sleep(time.Second)
		}
		e.wantCalls(t, 5, "in 10 s")
		c.Confirm(nothing)
		_, _ = call(c, nothing)
		e.wantCalls(t, 5, "under a shield of 8 s that nothing has lifted")
		c.Confirm(all)
		_, _ = call(c, nothing)
		e.wantCalls(t, 6, "once it was lifted")
		time.Sleep(time.Second)
		_, _ = call(c, nothing)
		e.wantCalls(t, 7, "a second later, since the shields start anew")
	})
}

func TestSameCredential_F2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{lifetime: time.Minute}
		c := e.cache()
		c.ID = func(*key) string { return "always the same" }
		c.Reject(is(want(t, c, "key 1")), nil)
		start := time.Now()
		for range 300 { // 30 s: attempts at 0, 1, 3, 7 and 15 s
			want(t, c, "key 1")
			time.Sleep(100 * time.Millisecond)
		}
		e.wantCalls(t, 6, "in 30 s")
		time.Sleep(45*time.Second - time.Since(start))
		want(t, c, "key 1") // the attempt that was due at 31 s; the next would be at 77 s
		e.wantCalls(t, 7, "in 45 s")
		if err := c.Err(); !errors.Is(err, creds.ErrSame) {
			t.Errorf("the failure is %v, want %v", err, creds.ErrSame)
		}

		// When the key ends, the same key with a later end is accepted, without waiting for the
		// back-off.
		time.Sleep(time.Minute - time.Since(start))
		want(t, c, "key 8")
		e.wantCalls(t, 8, "at the end of the key")
		if err := c.Err(); err != nil {
			t.Errorf("the failure is %v, want none after a success", err)
		}
	})
}

func TestExpiredCredential_F2(t *testing.T) {
	for _, past := range []time.Duration{0, time.Nanosecond, 100 * 365 * 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			e := &endpoint{lifetime: time.Hour}
			c := e.cache()
			c.Expires = func(*key) time.Time { return time.Now().Add(-past) }
			for range 300 { // 30 s
				wantErr(t, c, creds.ErrExpired)
				time.Sleep(100 * time.Millisecond)
			}
			e.wantCalls(t, 5, "in 30 s") // at 0, 1, 3, 7, 15 s
		})
	}
}

// Without ID, credentials are not compared, and each set counts as new.
func TestNotCompared_F2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &key{id: "static"}
		c := &creds.Cache[*key]{Fetch: func(context.Context) (*key, error) { return k, nil }}
		for range 1000 {
			if ok, err := call(c, nothing); ok || err != nil {
				t.Fatalf("got %v, %v; want a refusal", ok, err)
			}
		}
	})
}

// An endpoint that hangs after a rejection does not use up the deadline of any caller: the rejected
// key may still be good for other pages.
func TestHangingReplacement_F13(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := false
		c := &creds.Cache[string]{Fetch: func(ctx context.Context) (string, error) {
			if hang {
				<-ctx.Done()
				return "", ctx.Err()
			}
			return "old", nil
		}}
		if _, err := c.Credentials(t.Context()); err != nil {
			t.Fatal(err)
		}
		hang = true
		c.Reject(func(string) bool { return true }, nil)
		for range 60 {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			begin := time.Now()
			got, err := c.Credentials(ctx)
			if took := time.Since(begin); got != "old" || err != nil || took > 5*time.Second {
				t.Errorf("%q, %v after %v", got, err, took)
			}
			cancel()
			time.Sleep(time.Second)
		}
		time.Sleep(time.Minute) // for the last fetch to end
	})
}
