package creds_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/creds"
)

func TestFirstCallerCancelled_F4(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type name string
		var seen any
		e := &endpoint{latency: 200 * time.Millisecond}
		c := e.cache()
		c.Fetch = func(ctx context.Context) (*key, error) {
			seen = ctx.Value(name("tenant"))
			if end, ok := ctx.Deadline(); !ok || time.Until(end) != 30*time.Second {
				t.Errorf("the fetch has until %v, want 30s from now", end)
			}
			return e.fetch(ctx)
		}
		boss := errors.New("the boss says stop")
		ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), name("tenant"), 7))
		first := make(chan error)
		go func() {
			_, err := c.Credentials(ctx)
			first <- err
		}()
		synctest.Wait()
		go func() {
			time.Sleep(10 * time.Millisecond)
			cancel(boss)
		}()
		var others []error
		var all sync.WaitGroup
		all.Go(func() { others, _ = crowd(c, 9_999) })
		start := time.Now()
		err := <-first
		if !errors.Is(err, context.Canceled) || !errors.Is(err, boss) {
			t.Errorf("the first caller got %v; want its context's error and cause", err)
		}
		if took := time.Since(start); took != 10*time.Millisecond {
			t.Errorf("the first caller was back after %v, want 10ms", took)
		}
		all.Wait()
		if err := errors.Join(others...); err != nil {
			t.Errorf("another caller failed: %v", err)
		}
		e.wantCalls(t, 1, "for all")
		if seen != 7 {
			t.Errorf("the fetch saw the context value %v, want that of the first caller", seen)
		}
	})
}

func TestWaiterDeadline_F4(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{latency: 200 * time.Millisecond}
		c := e.cache()
		start := time.Now()
		var others []error
		var all sync.WaitGroup
		all.Go(func() { others, _ = crowd(c, 9_999) })
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := c.Credentials(ctx)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want a deadline error", err)
		}
		if took := time.Since(start); took != 50*time.Millisecond {
			t.Errorf("back after %v, want 50ms", took)
		}
		want(t, c, "key 1")
		if took := time.Since(start); took != e.latency {
			t.Errorf("the next caller was served after %v, want %v", took, e.latency)
		}
		all.Wait()
		if err := errors.Join(others...); err != nil {
			t.Errorf("another caller failed: %v", err)
		}
		e.wantCalls(t, 1, "for all")
	})
}

// A caller whose context has ended does not start a fetch, but gets a good key.
func TestCallerGone_F4(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		c := e.cache()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Credentials(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
		synctest.Wait()
		e.wantCalls(t, 0, "for a caller that has gone")
		want(t, c, "key 1")
		if _, err := c.Credentials(ctx); err != nil {
			t.Errorf("current credentials were refused to a caller that has gone: %v", err)
		}
	})
}

// A Fetch that ignores its context delays callers by its deadline and one second at most.
func TestFetchHangs_F4(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var calls atomic.Int32
		c := &creds.Cache[*key]{Fetch: func(context.Context) (*key, error) {
			if calls.Add(1) == 1 {
				<-release
				return &key{id: "late"}, nil
			}
			return &key{id: "prompt"}, nil
		}}
		errs, took := crowd(c, 100)
		for _, err := range errs {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("got %v, want a deadline error", err)
			}
		}
		if took != 31*time.Second {
			t.Errorf("all were back after %v, want 31s", took)
		}
		time.Sleep(time.Second)
		want(t, c, "prompt")
		close(release)
		synctest.Wait()
		want(t, c, "prompt")
	})
}

func TestFetchHeedsDeadline_F4(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{latency: time.Hour}
		errs, took := crowd(e.cache(), 100)
		for _, err := range errs {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("got %v, want a deadline error", err)
			}
		}
		if took != 30*time.Second {
			t.Errorf("all were back after %v, want 30s", took)
		}
	})
}

// pauseError is an error that asks for a back-off.
type pauseError struct {
	after time.Duration
	final bool
}

func (e pauseError) Error() string             { return "come back later" }
func (e pauseError) RetryAfter() time.Duration { return e.after }
func (e pauseError) Final() bool               { return e.final }

func TestFailingEndpoint_F14(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{latency: 200 * time.Millisecond, fails: errors.New("it is down")}
		c := e.cache()
		errs, took := crowd(c, 10_000)
		for _, err := range errs {
			if !errors.Is(err, e.fails) {
				t.Fatalf("got %v, want %v", err, e.fails)
			}
		}
		if took != e.latency {
			t.Errorf("all were back after %v, want %v", took, e.latency)
		}
		e.wantCalls(t, 1, "for 10,000 callers")

		errs, took = crowd(c, 10_000)
		if took != 0 || !errors.Is(errs[9_999], e.fails) {
			t.Errorf("the next got %v after %v, want the same failure at once", errs[9_999], took)
		}
		e.wantCalls(t, 1, "for 20,000 callers")
		text := "creds: fetch failed: it is down; next try at 00:00:01 UTC"
		if got := errs[0].Error(); got != text {
			t.Errorf("the error reads %q", got)
		}
	})
}

// If 10,000 callers ask all the time, each step of the back-off costs one fetch, and no caller
// waits for more than one.
func TestFailingForLong_F14(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{latency: 200 * time.Millisecond, fails: errors.New("it is down")}
		c := e.cache()
		start := time.Now()
		var all sync.WaitGroup
		for i := range 10_000 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 500 * time.Microsecond) // spread over 5 s
				for time.Since(start) < 20*time.Second {
					began := time.Now()
					_, err := c.Credentials(context.Background())
					if took := time.Since(began); !errors.Is(err, e.fails) || took > e.latency {
						t.Errorf("got %v after %v", err, took)
					}
					time.Sleep(5 * time.Second)
				}
			})
		}
		all.Wait()
		e.wantCalls(t, 5, "in 20 s") // at 0, 1.2, 3.4, 7.6 and 15.8 s
	})
}

func TestBackOff_F14(t *testing.T) {
	plain := errors.New("it is down")
	most := []int{1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300}
	none := []int{0, 0, 0, 0, 0}
	for _, row := range []struct {
		reason string
		err    error
		// Seconds from one fetch to the next, with the smallest and the largest random times.
		least, most []int
	}{
		{"doubles up to 5 min", plain, none, most},
		{"a wish makes it longer", pauseError{after: 10 * time.Second}, []int{10, 10, 10, 10},
			[]int{11, 12, 14, 18, 26, 42, 74, 138, 266, 310, 310}},
		{"a wish is found under a wrapper", fmt.Errorf("x: %w", pauseError{after: 5 * time.Second}),
			[]int{5, 5, 5}, []int{6, 7, 9, 13}},
		{"a negative wish is none", pauseError{after: -time.Hour}, none, most},
		{"a wish of an hour is obeyed", pauseError{after: time.Hour},
			[]int{3600, 3600}, []int{3601, 3602}},
		{"a wish ends at a day", pauseError{after: 1<<63 - 1},
			[]int{86400, 86400}, []int{86401, 86402}},
		{"final is 5 min at least", pauseError{final: true}, []int{300, 300}, []int{301, 302}},
		{"final, and a wish", pauseError{final: true, after: time.Hour},
			[]int{3600, 3600}, []int{3601, 3602}},
	} {
		t.Run(row.reason+", least", func(t *testing.T) {
			wantPauses(t, row.err, shortest, row.least)
		})
		t.Run(row.reason+", most", func(t *testing.T) {
			wantPauses(t, row.err, longest, row.most)
		})
	}
}

func wantPauses(t *testing.T, err error, random func(time.Duration) time.Duration, want []int) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{fails: err}
		c := e.cache()
		c.SetRandom(random)
		wantErr(t, c, err)
		for i, pause := range want {
			if pause > 0 {
				time.Sleep(time.Duration(pause)*time.Second - time.Nanosecond)
				wantErr(t, c, err)
				e.wantCalls(t, int32(i)+1, fmt.Sprint("just before the end of pause ", i+1))
				time.Sleep(time.Nanosecond)
			}
			wantErr(t, c, err)
			e.wantCalls(t, int32(i)+2, fmt.Sprint("at the end of pause ", i+1))
		}
	})
}

// The first back-off is a random time of up to a second, evenly distributed.
func TestFullJitter_F14(t *testing.T) {
	const caches = 1000
	var ended [11]int // in each tenth of the second, and after it
	synctest.Test(t, func(t *testing.T) {
		for range caches {
			e := &endpoint{fails: errors.New("it is down")}
			c := e.cache()
			c.SetRandom(nil)
			wantErr(t, c, e.fails)
			tenth := -1
			for e.calls.Load() == 1 && tenth < 10 {
				time.Sleep(100 * time.Millisecond)
				wantErr(t, c, e.fails)
				tenth++
			}
			ended[tenth]++
		}
	})
	wantEven(t, ended[:10])
	if ended[10] > 0 {
		t.Errorf("%d of %d back-offs took over a second", ended[10], caches)
	}
}

// wantEven checks how often 1000 draws fell into each of ten equal parts of a range.
func wantEven(t *testing.T, met []int) {
	t.Helper()
	for i, n := range met {
		if n < 40 || n > 160 { // 100 expected, with a deviation of 9.5
			t.Errorf("%d of 1000 draws from tenth %d of the range", n, i+1)
		}
	}
}

func TestSuccessEndsBackOff_F14(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("it is down")
		e := &endpoint{lifetime: time.Minute}
		c := e.cache()
		for _, first := range []int32{1, 5} {
			e.fails = down
			for range 3 { // with pauses of 1, 2 and 4 s
				wantErr(t, c, down)
				time.Sleep(4 * time.Second)
			}
			e.fails = nil
			want(t, c, fmt.Sprint("key ", first+3))
			time.Sleep(e.lifetime)
		}
	})
}
