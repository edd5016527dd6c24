package transport_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/transport"
)

// An offset of Set applies to one origin, in any spelling of the URL. The time continues from it,
// and an offset of zero removes it.
func TestClockSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := &transport.Clock{Moved: func(*url.URL, time.Duration) {
			t.Error("Set counts as moved")
		}}
		parse := func(s string) *url.URL {
			u, err := url.Parse(s)
			if err != nil {
				t.Fatal(err)
			}
			return u
		}
		off := func(s string) time.Duration { return time.Until(clock.Now(parse(s))) }
		clock.Set(parse("https://A.example:443/path?query"), -time.Hour)
		clock.Set(parse("https://[::1]:8443"), time.Minute)
		time.Sleep(72 * time.Hour)
		for s, want := range map[string]time.Duration{
			"https://a.example": -time.Hour, "https://a.example:8443": 0, "http://a.example": 0,
			"https://[::1]:8443/x": time.Minute, "https://b.example": 0,
		} {
			if got := off(s); got != want {
				t.Errorf("%s is off by %v, want %v", s, got, want)
			}
		}
		clock.Set(parse("https://a.example"), 0)
		if got := off("https://a.example"); got != 0 {
			t.Errorf("after Set to zero: %v", got)
		}
		// Requests are signed by the offset of Set at once, and Moved does not report it.
		server := &service{off: 2 * time.Hour}
		clock.Set(parse("https://a.example"), 2*time.Hour)
		rt := &transport.Transport{Signer: &token{}, Base: server, Clock: clock}
		if resp, err := get(rt, "https://a.example/"); err != nil ||
			transport.History(resp) != nil {
			t.Errorf("%v, %v", transport.History(resp), err)
		}
	})
}

// A call that failed for another reason undoes its offset. If a server then accepts another call
// that was signed with it, the offset is restored.
func TestClockAcceptedAfterUndo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &service{off: time.Hour}
		clock := new(transport.Clock)
		forbidden := 0
		rt := &transport.Transport{Signer: &token{}, Clock: clock,
			Base: base(func(req *http.Request) (*http.Response, error) {
				if req.URL.Path == "/forbidden" {
					if forbidden++; forbidden > 1 {
						time.Sleep(10 * time.Second)
					}
					return answer(401, "Date", date(time.Now().Add(server.off)))
				}
				resp, err := server.RoundTrip(req)
				time.Sleep(time.Minute)
				return resp, err
			})}
		u, _ := url.Parse("https://a.example/")
		var wg sync.WaitGroup
		wg.Go(func() {
			if resp, err := get(rt, "https://a.example/forbidden"); err != nil ||
				resp.StatusCode != 401 {
				t.Errorf("%v, %v", resp, err)
			}
			if off := time.Until(clock.Now(u)); off != 0 {
				t.Errorf("after the failed call the clock is off by %v", off)
			}
		})
		synctest.Wait() // its second attempt is being sent, signed with the offset of an hour
		if resp, err := get(rt, "https://a.example/"); err != nil ||
			transport.History(resp) != nil {
			t.Errorf("%v, %v: want the offset of the other call", transport.History(resp), err)
		}
		if off := time.Until(clock.Now(u)); (off - time.Hour).Abs() > time.Second {
			t.Errorf("the clock is off by %v, want an hour", off)
		}
		wg.Wait()
	})
}

// A server error behind a proxy does not prove that the time was right.
func TestClockNotAcceptedByServerError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := &transport.Clock{Moved: func(*url.URL, time.Duration) { t.Error("moved") }}
		n := 0
		rt := &transport.Transport{Signer: &token{}, Clock: clock,
			Base: base(func(*http.Request) (*http.Response, error) {
				if n++; n == 1 {
					return answer(401, "Date", date(time.Now().Add(time.Hour)))
				}
				return answer(502)
			})}
		if resp, err := get(rt, "https://a.example/"); err != nil || resp.StatusCode != 502 {
			t.Errorf("%v, %v", resp, err)
		}
	})
}

// An offset that was learned from a wrong Date, and that no server has accepted, costs one more
// refusal and is then removed.
func TestUntriedOffset_R14(t *testing.T) {
	hour := func() string { return date(time.Now().Add(time.Hour)) }
	for name, second := range map[string]func() (*http.Response, error){
		"reset":       func() (*http.Response, error) { return nil, errBroken },
		"unavailable": func() (*http.Response, error) { return answer(503) },
		"rate limit":  func() (*http.Response, error) { return answer(429) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clock := &transport.Clock{Moved: func(*url.URL, time.Duration) { t.Error("moved") }}
				n := 0
				rt := &transport.Transport{Signer: &token{}, Clock: clock,
					Base: base(func(req *http.Request) (*http.Response, error) {
						_, ts, _ := credentials(req)
						switch n++; {
						case n == 1:
							return answer(401, "Date", hour())
						case n == 2:
							return second()
						case time.Since(time.Unix(ts, 0)).Abs() > time.Minute:
							return answer(401, "Date", hour())
						}
						return answer(200)
					})}
				refused := 0
				for range 5 {
					resp, err := get(rt, "https://a.example/")
					if err == nil && resp.StatusCode == 401 {
						refused++
					}
				}
				if refused > 1 {
					t.Errorf("%d of 4 later calls were refused", refused)
				}
			})
		})
	}
}

// A nearby signs only by a time that is at most a day ahead, like a *jwt.Signer.
type nearby struct{ token }

func (s *nearby) Sign(req *http.Request, now time.Time) error {
	if time.Until(now) > 24*time.Hour {
		return errors.New("too far ahead")
	}
	return s.token.Sign(req, now)
}

// If the Signer refuses to sign by a time, that time is forgotten. The next call is signed by the
// previous time.
func TestUnsignableOffset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		off := 48 * time.Hour
		clock := &transport.Clock{Moved: func(*url.URL, time.Duration) { t.Error("moved") }}
		rt := &transport.Transport{Signer: new(nearby), Clock: clock,
			Base: base(func(req *http.Request) (*http.Response, error) {
				now := time.Now().Add(off)
				_, ts, _ := credentials(req)
				if now.Sub(time.Unix(ts, 0)).Abs() > time.Minute {
					return answer(401, "WWW-Authenticate", "Token stale ts="+unix(now))
				}
				return answer(200)
			})}
		for i, want := range []int{401, 401, 200} {
			if i == 2 {
				off = 0
			}
			resp, err := get(rt, "https://a.example/")
			if err != nil || resp.StatusCode != want {
				t.Fatalf("call %d: %v, %v", i+1, transport.History(resp), err)
			}
		}
	})
}

// If two machines behind one name have different clocks, each call follows the time in its own
// refusal.
func TestTwoClocksBehindOneName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		rt := &transport.Transport{Signer: &token{},
			Base: base(func(req *http.Request) (*http.Response, error) {
				now := time.Now()
				if req.URL.Path == "/late" {
					now = now.Add(-time.Hour)
				}
				time.Sleep(time.Duration(n.Add(1)%7) * time.Millisecond)
				_, ts, _ := credentials(req)
				if now.Sub(time.Unix(ts, 0)).Abs() > time.Minute {
					return answer(401, "WWW-Authenticate", "Token stale ts="+unix(now))
				}
				return answer(200)
			})}
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				for j := range 50 {
					path := []string{"", "late"}[(i+j)%2]
					resp, err := get(rt, "https://a.example/"+path)
					if err != nil || resp.StatusCode != 200 {
						t.Errorf("%v, %v", transport.History(resp), err)
					}
				}
			})
		}
		wg.Wait()
	})
}

// Undo does not restore an offset that no server has accepted.
func TestUndoGoesBackToWhatHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := new(transport.Clock)
		n := 0
		rt := &transport.Transport{Signer: transport.SignerFunc((&token{}).Sign), Clock: clock,
			Base: base(func(req *http.Request) (*http.Response, error) {
				n++
				if n%2 == 0 && n < 10 {
					return nil, errBroken // the learned offset is never tried
				}
				return answer(401, "Date", date(time.Now().Add(time.Duration(n)*time.Hour)))
			})}
		u, _ := url.Parse("https://a.example/")
		for range 5 {
			_, _ = get(rt, u.String())
		}
		if off := time.Until(clock.Now(u)); off != 0 {
			t.Errorf("no call has succeeded, and the clock is off by %v", off)
		}
	})
}

// A server cannot move the clock further than a year from this machine's clock, even in several
// steps.
func TestClockDoesNotWalk_R11(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := new(transport.Clock)
		u, _ := url.Parse("https://a.example/")
		rt := &transport.Transport{Signer: &token{}, Clock: clock,
			Base: base(func(req *http.Request) (*http.Response, error) {
				_, ts, _ := credentials(req)
				if time.Unix(ts, 0).Sub(clock.Now(u)).Abs() > time.Minute {
					return answer(200)
				}
				return answer(401, "Date", date(clock.Now(u).Add(300*day)))
			})}
		for range 5 {
			_, _ = get(rt, u.String())
		}
		if off := time.Until(clock.Now(u)); off > 367*day {
			t.Errorf("the clock is off by %v", off)
		}
	})
}

// Functions passed to Watch get the same offsets as Moved, also if they are added later, and Moved
// is still called.
func TestClockWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // guards heard
		var heard []string
		hears := func(name string) func(*url.URL, time.Duration) {
			return func(u *url.URL, offset time.Duration) {
				mu.Lock()
				defer mu.Unlock()
				heard = append(heard, fmt.Sprint(name, " ", u, " ", offset.Truncate(time.Minute)))
			}
		}
		server, clock := &service{off: time.Hour}, &transport.Clock{Moved: hears("Moved")}
		rt := &transport.Transport{Signer: &token{}, Base: server, Clock: clock}
		clock.Watch(hears("first"))
		for range 2 {
			if _, err := get(rt, "https://a.example/"); err != nil {
				t.Fatal(err)
			}
			clock.Watch(hears("second"))
			server.off = 2 * time.Hour
		}
		want := []string{
			"Moved https://a.example 1h0m0s", "first https://a.example 1h0m0s",
			"Moved https://a.example 2h0m0s", "first https://a.example 2h0m0s",
			"second https://a.example 2h0m0s",
		}
		slices.Sort(heard[min(3, len(heard)):]) // the two watchers are called at the same time
		if !slices.Equal(heard, want) {
			t.Errorf("heard %q, want %q", heard, want)
		}
	})
}

// The functions passed to Watch do not wait for each other.
func TestClockWatchAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := new(transport.Clock)
		for range 20 {
			clock.Watch(func(*url.URL, time.Duration) { time.Sleep(time.Second) })
		}
		server := &service{off: time.Hour}
		rt := &transport.Transport{Signer: &token{}, Base: server, Clock: clock}
		start := time.Now()
		if _, err := get(rt, "https://a.example/"); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// A Signer whose credentials come with a clock offset signs by it at once.
func TestClockSetWhileSigning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, clock, signed := &service{off: time.Hour}, new(transport.Clock), 0
		inner := &token{}
		rt := &transport.Transport{Base: server, Clock: clock,
			Signer: transport.SignerFunc(func(req *http.Request, now time.Time) error {
				if signed++; signed == 1 {
					clock.Set(req.URL, time.Hour)
				}
				return inner.Sign(req, now)
			})}
		resp, err := get(rt, "https://a.example/")
		if err != nil || resp.StatusCode != 200 || transport.History(resp) != nil || signed != 2 {
			t.Errorf("%v, %v, signed %d times", resp, err, signed)
		}
	})
}
