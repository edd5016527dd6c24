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

// A Cache implements these optional interfaces.
var (
	_ creds.Accepter[*key]  = (*creds.Cache[*key])(nil)
	_ creds.Confirmer[*key] = (*creds.Cache[*key])(nil)
	_ creds.Failer          = (*creds.Cache[*key])(nil)
	_ creds.Rejecter[*key]  = (*creds.Cache[*key])(nil)
	_ creds.Waiter[*key]    = (*creds.Cache[*key])(nil)
)

// refuse reports a refusal of k to c, and returns how long that took.
func refuse(t *testing.T, c *creds.Cache[*key], k *key) (waited bool, took time.Duration) {
	t.Helper()
	start := time.Now()
	waited, err := c.Wait(t.Context(), is(k))
	if err != nil {
		t.Error(err)
	}
	return waited, time.Since(start)
}

// wantWaits refuses k, and checks that these are the only waits.
func wantWaits(t *testing.T, c *creds.Cache[*key], k *key, waits ...time.Duration) {
	t.Helper()
	for _, wait := range append(waits, 0) {
		if waited, took := refuse(t, c, k); waited != (wait > 0) || took != wait {
			t.Errorf("waited %v: %v, want %v", took, waited, wait)
		}
	}
}

func TestWait(t *testing.T) {
	const s = time.Second
	for _, test := range []struct {
		name  string
		age   time.Duration // of the key, when it is refused
		event func(*creds.Cache[*key], *key)
		waits []time.Duration
	}{
		{"new", 0, nil, []time.Duration{s, 2 * s}},
		{"not so new", 2 * s, nil, []time.Duration{s, 2 * s}},
		{"too old for the second", 4 * s, nil, []time.Duration{s}},
		{"old", 5 * s, nil, nil},
		{"accepted", 0, func(c *creds.Cache[*key], k *key) { c.Accept(is(k)) }, nil},
		{"mended a call", 0, func(c *creds.Cache[*key], k *key) { c.Confirm(is(k)) }, nil},
		{"rejected", 0, func(c *creds.Cache[*key], k *key) { c.Reject(is(k), nil) }, nil},
		{"another was accepted", 0, func(c *creds.Cache[*key], _ *key) { c.Accept(nothing) },
			[]time.Duration{s, 2 * s}},
		{"stored an hour ago", 0, func(c *creds.Cache[*key], _ *key) {
			c.Issued = func(*key) time.Time { return time.Now().Add(-time.Hour) }
		}, nil},
		{"stored now by a clock ahead", 0, func(c *creds.Cache[*key], _ *key) {
			c.Issued = func(*key) time.Time { return time.Now().Add(time.Hour) }
		}, []time.Duration{s, 2 * s}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := new(endpoint).cache()
				if test.event != nil && test.name[:6] == "stored" {
					test.event(c, nil)
				}
				k := want(t, c, "key 1")
				if test.event != nil {
					test.event(c, k)
				}
				time.Sleep(test.age)
				wantWaits(t, c, k, test.waits...)
			})
		})
	}
}

// A refusal of a replaced key does not cause a wait.
func TestLateWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := new(endpoint).cache()
		k := want(t, c, "key 1")
		c.Reject(is(k), nil)
		want(t, c, "key 2")
		wantWaits(t, c, k)
	})
}

// All callers that wait share one wait.
func TestWaitTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := new(endpoint).cache()
		k := want(t, c, "key 1")
		start := time.Now()
		var callers sync.WaitGroup
		for i := range 100 {
			callers.Go(func() {
				time.Sleep(time.Duration(i) * 9 * time.Millisecond)
				if waited, _ := refuse(t, c, k); !waited || time.Since(start) != time.Second {
					t.Errorf("caller %d: %v after %v", i, waited, time.Since(start))
				}
				if waited, _ := refuse(t, c, k); !waited || time.Since(start) != 3*time.Second {
					t.Errorf("caller %d, again: %v after %v", i, waited, time.Since(start))
				}
			})
		}
		callers.Wait()
		wantWaits(t, c, k)
	})
}

// The waits are counted for the whole Cache, until a server accepts its credentials.
func TestWaitsOfASource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := new(endpoint).cache()
		k := want(t, c, "key 1")
		wantWaits(t, c, k, time.Second, 2*time.Second)
		c.Reject(is(k), nil)
		k = want(t, c, "key 2")
		wantWaits(t, c, k) // the waits did not help
		c.Confirm(is(k))
		c.Reject(is(k), nil)
		k = want(t, c, "key 3")
		wantWaits(t, c, k, time.Second, 2*time.Second)
		c.Accept(is(k)) // by another page: the waits were useless
		c.Reject(is(k), nil)
		k = want(t, c, "key 4")
		wantWaits(t, c, k)
		c.Accept(is(k))
		time.Sleep(time.Minute)
		c.Reject(is(k), nil)
		wantWaits(t, c, want(t, c, "key 5"), time.Second, 2*time.Second)
	})
}

// The replacement of a key that was never accepted is kept for a minute, unless it repairs a call.
func TestReplacementOfUnaccepted(t *testing.T) {
	for _, mended := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := new(endpoint).cache()
			c.Reject(is(want(t, c, "key 1")), nil)
			k := want(t, c, "key 2")
			if mended {
				c.Confirm(is(k))
				c.Reject(is(k), nil)
				want(t, c, "key 3")
				return
			}
			time.Sleep(time.Minute - 1)
			c.Reject(is(k), nil)
			want(t, c, "key 2")
			time.Sleep(time.Nanosecond)
			c.Reject(is(k), nil)
			want(t, c, "key 3")
		})
	}
}

// A caller waits for as long as its context allows, and does not wait if that is too short.
func TestWaitContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := new(endpoint).cache()
		k := want(t, c, "key 1")
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		waited, err := c.Wait(ctx, is(k))
		if waited || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 0 {
			t.Errorf("%v, %v after %v", waited, err, time.Since(start))
		}
		cause := errors.New("the program ends")
		ended, end := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second/2, func() { end(cause) })
		waited, err = c.Wait(ended, is(k))
		if waited || !errors.Is(err, cause) || time.Since(start) != time.Second/2 {
			t.Errorf("%v, %v after %v", waited, err, time.Since(start))
		}
		// A wait that was interrupted counts.
		time.Sleep(time.Second)
		wantWaits(t, c, k, 2*time.Second)
	})
}

// Refresh does the work of a Signer after a refusal.
func TestRefreshOfSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(endpoint)
		c := e.cache()
		k := want(t, c, "key 1")
		refused := is(k)
		for _, step := range []struct {
			took         time.Duration
			again, young bool
			id           string
		}{
			{time.Second, true, true, "key 1"},
			{2 * time.Second, true, true, "key 1"},
			{0, true, true, "key 2"},
			{0, true, true, "key 2"}, // a late refusal
		} {
			start := time.Now()
			again, young, err := creds.Refresh(t.Context(), c, refused, nil)
			if again != step.again || young != step.young || err != nil ||
				time.Since(start) != step.took {
				t.Errorf("%v, %v, %v after %v; want %+v",
					again, young, err, time.Since(start), step)
			}
			want(t, c, step.id)
		}
		again, young, err := creds.Refresh(t.Context(), c, is(want(t, c, "key 2")), nil)
		if again || young || err != nil {
			t.Errorf("a replacement that is kept: %v, %v, %v", again, young, err)
		}
		e.fails = errors.New("it is down")
		time.Sleep(time.Minute)
		again, young, err = creds.Refresh(t.Context(), c, is(want(t, c, "key 2")), nil)
		if again || young || !errors.Is(err, e.fails) {
			t.Errorf("no other to be had: %v, %v, %v", again, young, err)
		}
	})
	static := creds.Static[string]{Value: "a"}
	for text, want := range map[string]bool{"a": false, "b": true} {
		refused := func(s string) bool { return s == text }
		again, young, err := creds.Refresh(t.Context(), static, refused, nil)
		if again != want || young || err != nil {
			t.Errorf("static, %s refused: %v, %v, %v", text, again, young, err)
		}
	}
}

func ExampleRefresh() {
	n := 0
	source := &creds.Cache[string]{Fetch: func(context.Context) (string, error) {
		n++
		return fmt.Sprint("token ", n), nil
	}}
	ctx := context.Background()
	sent, err := source.Credentials(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	isSent := func(token string) bool { return token == sent }
	source.Accept(isSent)
	// Then a server refuses it.
	again, young, err := creds.Refresh(ctx, source, isSent, nil)
	fmt.Println(again, young, err)
	// Output: true true <nil>
}
