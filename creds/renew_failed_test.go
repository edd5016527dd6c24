package creds_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestFailedRenewal_F13(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{latency: 200 * time.Millisecond, lifetime: time.Hour}
		c := e.cache()
		k := want(t, c, "key 1")
		e.fails = errors.New("it is down")
		sleepUntil(30*time.Second, k)
		for time.Now().Before(k.expires) {
			wantAtOnce(t, c, "key 1")
			time.Sleep(10 * time.Millisecond)
		}
		if err := c.Err(); !errors.Is(err, e.fails) {
			t.Errorf("the failure is %v, want %v", err, e.fails)
		}
		e.wantCalls(t, 1+5, "to the end") // 0, 1.2, 3.4, 7.6, 15.8 s after the window opened
		if errs, took := crowd(c, 100); !errors.Is(errs[0], e.fails) || took != e.latency {
			t.Errorf("at the end: got %v after %v", errs[0], took)
		}
		e.wantCalls(t, 1+6, "when others are needed")
		e.fails = nil
		time.Sleep(32*time.Second - time.Nanosecond)
		wantErr(t, c, c.Err())
		time.Sleep(time.Nanosecond)
		want(t, c, "key 8")
	})
}

// A renewal that hangs is given up like any other fetch; callers do not wait for it before the end.
func TestHangingRenewal_F13(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{latency: time.Millisecond, lifetime: time.Hour}
		c := e.cache()
		c.SetRandom(shortest)
		k := want(t, c, "key 1")
		e.latency = time.Hour
		sleepUntil(time.Minute, k)
		for range 60 {
			wantAtOnce(t, c, "key 1")
			time.Sleep(time.Second - time.Nanosecond)
		}
		synctest.Wait()
		e.wantCalls(t, 1+2, "in the last minute")
		e.latency = time.Millisecond
		time.Sleep(time.Minute)
		want(t, c, "key 4")
	})
}

// When the old credentials end, callers do not wait for the end of a back-off, unless the service
// asked for it.
func TestEndEndsBackOff_F14(t *testing.T) {
	for _, row := range []struct {
		reason string
		fails  error
		end    time.Duration // of the back-off, after the end of the credentials
	}{
		{"chance", errors.New("it is down"), 0},
		{"the service asked for less", pauseError{after: 5500 * time.Millisecond}, 0},
		{"the service asked for more", pauseError{after: time.Minute}, 54 * time.Second},
		{"final", pauseError{final: true}, 294 * time.Second},
	} {
		t.Run(row.reason, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{lifetime: time.Minute}
				c := e.cache()
				k := want(t, c, "key 1")
				e.fails = row.fails
				c.SetRandom(func(time.Duration) time.Duration { return 7 * time.Second })
				sleepUntil(6*time.Second, k)
				wantAtOnce(t, c, "key 1")
				sleepUntil(time.Nanosecond, k)
				wantAtOnce(t, c, "key 1")
				e.wantCalls(t, 2, "before the end")
				e.fails = nil
				if row.end > 0 {
					sleepUntil(0, k)
					wantErr(t, c, row.fails)
					sleepUntil(-row.end+time.Nanosecond, k)
					wantErr(t, c, row.fails)
				}
				sleepUntil(-row.end, k)
				wantAtOnce(t, c, "key 3")
			})
		})
	}
}
