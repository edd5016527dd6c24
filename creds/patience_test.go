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

// An outage is an error of a Fetch that implements every optional interface.
type outage struct {
	transient, final, postponed bool
	wait                        time.Duration
}

func (outage) Error() string               { return "the endpoint is away" }
func (o outage) Transient() bool           { return o.transient }
func (o outage) Final() bool               { return o.final }
func (o outage) Postponed() bool           { return o.postponed }
func (o outage) RetryAfter() time.Duration { return o.wait }

// A fetch without other credentials to fall back on is repeated if that may help.
func TestPatientFetch(t *testing.T) {
	const ms, s = time.Millisecond, time.Second
	for _, test := range []struct {
		name        string
		fails       outage
		times       int // how many calls fail
		ok          bool
		calls       int32
		least, most time.Duration
	}{
		{"once", outage{transient: true}, 1, true, 2, 500 * ms, s},
		{"twice", outage{transient: true}, 2, true, 3, 1500 * ms, 3 * s},
		{"for long", outage{transient: true}, 9, false, 3, 1500 * ms, 3 * s},
		{"a wait is asked for", outage{transient: true, wait: 7 * s}, 1, true, 2, 7 * s, 7 * s},
		{"a wait that is too long", outage{transient: true, wait: 25 * s}, 1, false, 1, 0, 0},
		{"not transient", outage{}, 1, false, 1, 0, 0},
		{"final", outage{transient: true, final: true}, 1, false, 1, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := new(endpoint)
				c := e.cache()
				c.Fetch = func(ctx context.Context) (*key, error) {
					k, err := e.fetch(ctx)
					if int(e.calls.Load()) <= test.times {
						return nil, fmt.Errorf("wrapped: %w", test.fails)
					}
					return k, err
				}
				start := time.Now()
				_, err := c.Credentials(t.Context())
				took := time.Since(start)
				if (err == nil) != test.ok || took < test.least || took > test.most {
					t.Errorf("%v after %v, want %v to %v", err, took, test.least, test.most)
				}
				e.wantCalls(t, test.calls, "for the first caller")
			})
		})
	}
}

// A fetch is repeated only if there are no good credentials, and only once in an outage.
func TestPatienceHasItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{lifetime: time.Hour}
		c := e.cache()
		want(t, c, "key 1")
		e.fails = outage{transient: true}
		time.Sleep(time.Hour - 20*time.Second)
		want(t, c, "key 1")
		time.Sleep(10 * time.Second)
		before := e.calls.Load()
		if c.Err() == nil || before > 5 {
			t.Errorf("%v after %d calls: a renewal that has time is not repeated", c.Err(), before)
		}
		e.fails = nil
		time.Sleep(10 * time.Second)
		k := want(t, c, fmt.Sprint("key ", before+1))

		// A rejected key does not count as good. Waiting for another takes no longer than without
		// repetitions.
		e.fails = outage{transient: true}
		c.Accept(is(k))
		c.Reject(is(k), nil)
		before = e.calls.Load()
		want(t, c, k.id)
		e.wantCalls(t, before+3, "at the beginning of an outage")
		time.Sleep(time.Minute)
		want(t, c, k.id)
		if n := e.calls.Load() - before; n > 3+6 {
			t.Errorf("%d calls in the first minute of an outage", n)
		}
	})
}

// An error begins with the reason and ends with the time of the next attempt, if that may help.
func TestErrorText(t *testing.T) {
	for _, test := range []struct {
		fails error
		want  string
	}{
		{outage{}, "creds: fetch failed: the endpoint is away; next try at 00:00:01 UTC"},
		{outage{final: true}, "the endpoint is away"},
		{errors.New("creds: odd"), "creds: odd; next try at 00:00:01 UTC"},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := (&endpoint{fails: test.fails}).cache()
			_, err := c.Credentials(t.Context())
			if err == nil || err.Error() != test.want {
				t.Errorf("%v, want %s", err, test.want)
			}
		})
	}
	c := new(creds.Cache[*key])
	_, err := c.Credentials(t.Context())
	if check := c.Check(); check == nil || err == nil || check.Error() != err.Error() {
		t.Errorf("Check says %v, and the first call %v", check, err)
	}
	if err := new(endpoint).cache().Check(); err != nil {
		t.Error(err)
	}
}
