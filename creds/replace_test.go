package creds_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// with returns a function for Replace that replaces k by next, and nothing else.
func with(k, next *key) func(*key) (*key, bool) {
	return func(current *key) (*key, bool) { return next, current == k }
}

// Credentials that a service sends are used from then on, without a fetch; their end counts.
func TestReplace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{lifetime: time.Hour}
		c := e.cache()
		c.Replace(func(*key) (*key, bool) { t.Error("asked about nothing"); return nil, true })
		k := want(t, c, "key 1")
		sent := &key{id: "sent", expires: time.Now().Add(10 * time.Minute)}
		c.Replace(with(k, sent))
		synctest.Wait()
		wantAtOnce(t, c, "sent")
		e.wantCalls(t, 1, "for one that was sent")

		sleepUntil(0, sent)
		want(t, c, "key 2")
		e.wantCalls(t, 2, "once it has ended")
	})
}

// A late answer to a request with old credentials does not replace newer ones.
func TestReplaceLate_F12(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		c := e.cache()
		old := want(t, c, "key 1")
		c.Reject(is(old), nil)
		want(t, c, "key 2")
		c.Replace(with(old, &key{id: "late"}))
		synctest.Wait()
		wantAtOnce(t, c, "key 2")
	})
}

// Replace does not affect credentials that arrived while next was running.
func TestReplaceMeanwhile_F12(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		c := e.cache()
		want(t, c, "key 1")
		c.Replace(func(k *key) (*key, bool) {
			c.Reject(is(k), nil)
			want(t, c, "key 2")
			return &key{id: "late"}, true
		})
		synctest.Wait()
		wantAtOnce(t, c, "key 2")
	})
}

func TestReplaceIgnored(t *testing.T) {
	past := func() time.Time { return time.Now().Add(-time.Second) }
	for name, next := range map[string]func() (*key, bool){
		"none":     func() (*key, bool) { return &key{id: "x"}, false },
		"nil":      func() (*key, bool) { return nil, true },
		"expired":  func() (*key, bool) { return &key{id: "x", expires: past()}, true },
		"rejected": func() (*key, bool) { return &key{id: "key 1"}, true },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{}
				c := e.cache()
				c.Fetched = func(k *key) {
					if k.id == "x" || k.expires != (time.Time{}) {
						t.Errorf("told of %v", k)
					}
				}
				k := want(t, c, "key 1")
				if name == "rejected" {
					c.Reject(is(k), nil)
				}
				c.Replace(func(*key) (*key, bool) { return next() })
				synctest.Wait()
				if err := c.Err(); err != nil {
					t.Errorf("it counts as a failed fetch: %v", err)
				}
				if name == "rejected" {
					want(t, c, "key 2")
					return
				}
				wantAtOnce(t, c, "key 1")
			})
		})
	}
}

// A fetch under way brings newer credentials than those that a service sends before it ends.
func TestReplaceDuringFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{lifetime: time.Hour}
		c := e.cache()
		k := want(t, c, "key 1")
		e.latency = time.Second
		sleepUntil(30*time.Second, k)
		wantAtOnce(t, c, "key 1") // starts the renewal
		c.Replace(with(k, &key{id: "sent", expires: time.Now().Add(time.Hour)}))
		time.Sleep(2 * time.Second)
		wantAtOnce(t, c, "key 2")
	})
}

// Fetched is called first, and callers with other good credentials do not wait for that.
func TestReplaceTellsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{lifetime: time.Hour}
		c := e.cache()
		k := want(t, c, "key 1")
		var told []string
		c.Fetched = func(k *key) {
			told = append(told, k.id)
			time.Sleep(3 * time.Second)
		}
		start := time.Now()
		c.Replace(with(k, &key{id: "sent", expires: time.Now().Add(time.Hour)}))
		c.Replace(with(k, &key{id: "sent too", expires: time.Now().Add(time.Hour)}))
		if time.Since(start) != 0 {
			t.Error("Replace waited")
		}
		time.Sleep(time.Second)
		wantAtOnce(t, c, "key 1")
		c.Reject(is(k), nil) // callers without good credentials wait for the replacement
		want(t, c, "sent")
		took := time.Since(start)
		if took != 3*time.Second || !slices.Equal(told, []string{"sent"}) {
			t.Errorf("after %v, told of %q", took, told)
		}
		e.wantCalls(t, 1, "in all")
	})
}

// A panic in Fetched leaves the old credentials in use.
func TestReplaceFetchedPanics_F16(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		c := e.cache()
		k := want(t, c, "key 1")
		c.Fetched = func(*key) { panic("the disk is full") }
		c.Replace(with(k, &key{id: "sent"}))
		synctest.Wait()
		wantAtOnce(t, c, "key 1")
		if c.Err() == nil {
			t.Error("nobody learns of it")
		}
		c.Fetched = nil
		c.Replace(with(k, &key{id: "sent"}))
		synctest.Wait()
		wantAtOnce(t, c, "sent")
	})
}

// next is called without a lock, so it may ask the Cache.
func TestReplaceAsksTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := (&endpoint{}).cache()
		want(t, c, "key 1")
		c.Replace(func(k *key) (*key, bool) {
			wantAtOnce(t, c, k.id)
			c.Confirm(is(k))
			return &key{id: "sent"}, c.Err() == nil
		})
		synctest.Wait()
		wantAtOnce(t, c, "sent")
	})
}

// After a failed fetch, a replacement ends the back-off.
func TestReplaceAfterFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		c := e.cache()
		k := want(t, c, "key 1")
		c.Reject(is(k), nil)
		e.fails = errors.New("it is down")
		want(t, c, "key 1")
		c.Replace(with(k, &key{id: "sent"}))
		synctest.Wait()
		wantAtOnce(t, c, "sent")
		if err := c.Err(); err != nil {
			t.Error(err)
		}
	})
}

// A replacement does not end a back-off that a service has asked for.
func TestReplaceAfterRetryAfter_F14(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		c := e.cache()
		k := want(t, c, "key 1")
		c.Reject(is(k), nil)
		e.fails = pauseError{after: 4 * time.Minute}
		want(t, c, "key 1")
		for n := range 20 {
			sent := &key{id: fmt.Sprint("sent ", n), expires: time.Now().Add(10 * time.Second)}
			c.Replace(with(k, sent))
			synctest.Wait()
			k = wantAtOnce(t, c, sent.id)
			time.Sleep(9900 * time.Millisecond)
			wantAtOnce(t, c, sent.id) // in its renewal window
			if err := c.Err(); !errors.Is(err, e.fails) {
				t.Fatalf("why it is not renewed: %v", err)
			}
		}
		e.wantCalls(t, 2, "before the service may be asked again")
		time.Sleep(time.Minute)
		e.fails = nil
		want(t, c, "key 3")
	})
}
