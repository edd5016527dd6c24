package auth_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
)

// A machine has a wall clock that can be set, and a monotonic clock that stops during sleep.
type machine struct {
	wall    time.Time
	elapsed time.Duration
	memory  auth.NonceMemory
}

func (m *machine) pass(d time.Duration)  { m.wall, m.elapsed = m.wall.Add(d), m.elapsed+d }
func (m *machine) step(d time.Duration)  { m.wall = m.wall.Add(d) }
func (m *machine) sleep(d time.Duration) { m.wall = m.wall.Add(d) }

// A claimed is a request as a NonceMemory sees it, with the default window.
type claimed struct {
	ts    int64
	nonce int
}

func (m *machine) timely(c claimed) bool {
	gap := c.ts - m.wall.Unix()
	return -60 <= gap && gap <= 60
}

func (m *machine) claim(c claimed) (bool, error) {
	until := time.Unix(c.ts+62, 0)
	return m.memory.ClaimBy(m.wall, m.elapsed, "id", fmt.Sprint(c.nonce), until)
}

// TestClockSteps simulates a service with a request each second, whose clock is set. No copy of a
// request must be accepted, and the outage must not be longer than documented.
func TestClockSteps(t *testing.T) {
	const second, hour = time.Second, time.Hour
	type step struct{ at, by time.Duration }
	for _, tt := range []struct {
		reason string
		steps  []step
		max    int           // 1<<20 if 0
		run    time.Duration // the length of the simulation
		most   time.Duration // the longest outage, in which requests get 503
	}{
		{"a clock that is right", nil, 0, hour, 0},
		{"ahead by 6 h for one request",
			[]step{{100 * second, 6 * hour}, {101 * second, -6 * hour}}, 0, 7 * hour, 0},
		{"ahead by 6 h for a minute",
			[]step{{100 * second, 6 * hour}, {160 * second, -6 * hour}}, 0, 7 * hour, 0},
		{"ahead by 6 h for two minutes",
			[]step{{hour, 6 * hour}, {hour + 2*time.Minute, -6 * hour}},
			0, 8 * hour, 2 * time.Minute},
		{"ahead by a year for a minute, in a memory that this half fills",
			[]step{{100 * second, 8766 * hour}, {160 * second, -8766 * hour}},
			150, hour, 2 * time.Minute},
		{"behind by 6 h for a minute", []step{{100 * second, -6 * hour}, {160 * second, 6 * hour}},
			0, hour, 0},
		{"several", []step{{100 * second, 6 * hour}, {101 * second, -hour},
			{102 * second, -5 * hour}, {200 * second, hour}, {201 * second, -hour}},
			0, 7 * hour, 0},
		{"set back by 60 s after 63 s", []step{{63 * second, -60 * second}}, 0, hour, 0},
		{"set back by 70 s after 70 s", []step{{70 * second, -70 * second}}, 0, hour, 10 * second},
		{"set back by an hour after two", []step{{2 * hour, -hour}}, 0, 5 * hour, hour},
		{"set back by a day after an hour: nothing happened then", []step{{hour, -24 * hour}},
			0, 2 * hour, 0},
		{"set back by two seconds now and then", []step{{100 * second, -2 * second},
			{110 * second, -2 * second}, {200 * second, -2 * second}}, 0, hour, 0},
	} {
		m := &machine{wall: testTime}
		m.memory.Max = tt.max
		var sent []claimed
		outage := time.Duration(0)
		for at := time.Duration(0); at < tt.run; at += second {
			all := false // try all copies after a step, otherwise a sample
			for _, s := range tt.steps {
				if s.at == at {
					m.step(s.by)
				}
				all = all || s.at <= at && at < s.at+2*time.Minute
			}
			c := claimed{m.wall.Unix(), int(at / second)}
			switch fresh, err := m.claim(c); {
			case errors.Is(err, auth.ErrUnavailable):
				outage += second
			case !fresh || err != nil:
				t.Fatalf("%s, after %v: %t, %v", tt.reason, at, fresh, err)
			default:
				sent = append(sent, c)
			}
			for i := len(sent) - 1; i >= 0 && i > len(sent)-200; i-- {
				if (all || (i*i+int(at/second))%11 == 0) && m.timely(sent[i]) {
					if fresh, _ := m.claim(sent[i]); fresh {
						t.Fatalf("%s, after %v: a copy of %v is accepted", tt.reason, at, sent[i])
					}
				}
			}
			m.pass(second)
		}
		if outage > tt.most {
			t.Errorf("%s: %v of 503, want %v at most", tt.reason, outage, tt.most)
		}
	}
}

// TestCopyLaterInGlitch claims a request that was signed while the clock was ahead, and claims a
// copy when the clock reaches that time.
func TestCopyLaterInGlitch(t *testing.T) {
	for _, glitch := range []time.Duration{time.Second, time.Minute, time.Hour} {
		m := &machine{wall: testTime}
		m.step(6 * time.Hour)
		c := claimed{m.wall.Unix(), 1}
		if fresh, err := m.claim(c); !fresh || err != nil {
			t.Fatal(fresh, err)
		}
		m.pass(glitch)
		m.step(-6 * time.Hour)
		for i := range 6*3600 + 120 {
			if m.timely(c) {
				if fresh, _ := m.claim(c); fresh {
					t.Fatalf("glitch of %v: accepted again after %d s", glitch, i)
				}
			}
			if fresh, err := m.claim(claimed{m.wall.Unix(), i + 2}); glitch < time.Hour && !fresh {
				t.Fatalf("glitch of %v, after %d s: a new request gets %v", glitch, i, err)
			}
			m.pass(time.Second)
		}
	}
}

// TestNonceMemoryAgainstOracle compares a NonceMemory with one that never forgets, while the clocks
// are set, stop and run at random.
func TestNonceMemoryAgainstOracle(t *testing.T) {
	fresh, copies, outages := 0, 0, 0
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 11))
		m := &machine{wall: testTime}
		if seed%3 == 0 {
			m.memory.Max = 40
		}
		var all []claimed
		used := map[claimed]bool{}
		scales := []time.Duration{time.Second, time.Minute, time.Hour, 24 * time.Hour}
		some := func() time.Duration {
			return time.Duration(r.Int64N(int64(3 * scales[r.IntN(len(scales))])))
		}
		var steps []time.Duration // changes of the clock that can be undone
		for op := range 1500 {
			switch dice := r.IntN(100); {
			case dice < 30:
				m.pass(time.Duration(r.Int64N(int64(10 * time.Second))))
			case dice < 32:
				m.pass(some())
			case dice < 33:
				m.sleep(some())
			case dice < 35:
				by := some()
				if r.IntN(2) == 0 {
					by = -by
				}
				m.step(by)
				steps = append(steps, by)
			case dice < 37 && len(steps) > 0:
				m.step(-steps[len(steps)-1])
				steps = steps[:len(steps)-1]
			case dice < 70 && len(all) > 0:
				c := all[r.IntN(len(all))]
				if r.IntN(2) == 0 { // or one of the latest
					c = all[max(0, len(all)-1-r.IntN(20))]
				}
				if !m.timely(c) {
					continue
				}
				got, err := m.claim(c)
				if got && used[c] {
					t.Fatalf("seed %d, op %d: a copy is accepted", seed, op)
				}
				used[c] = used[c] || got
				if err == nil {
					copies++
				}
			default:
				c := claimed{m.wall.Unix() + r.Int64N(121) - 60, op}
				got, err := m.claim(c)
				switch {
				case got:
					fresh++
				case errors.Is(err, auth.ErrUnavailable):
					outages++
					checkRetryAfter(t, m, c, err)
				default:
					t.Fatalf("seed %d, op %d: a new request gets %v", seed, op, err)
				}
				all, used[c] = append(all, c), got
			}
		}
		if n := m.memory.Forgotten(); n > 32 {
			t.Errorf("seed %d: %d spans", seed, n)
		}
	}
	if fresh < 10000 || copies < 2000 || outages < 100 {
		t.Errorf("%d fresh, %d copies, %d outages: too few to mean anything",
			fresh, copies, outages)
	}
}

// checkRetryAfter makes the client sign again after the time in err. A memory that is too small may
// then be full, or have forgotten more.
func checkRetryAfter(t *testing.T, m *machine, c claimed, err error) {
	t.Helper()
	for range 50 {
		var why interface{ RetryAfter() time.Duration }
		if !errors.As(err, &why) || why.RetryAfter() <= 0 {
			t.Fatalf("%v has no time to wait for", err)
		}
		wait := why.RetryAfter() + time.Second - 1 // rounded up, as in Retry-After
		wait -= wait % time.Second
		m.pass(wait)
		c.ts += int64(wait / time.Second)
		var fresh bool
		if fresh, err = m.claim(c); fresh {
			return
		}
		if err == nil || m.memory.Max == 0 {
			t.Fatalf("after %v: %t, %v", wait, fresh, err)
		}
	}
	t.Fatalf("never: %v", err)
}
