package transport_test

import (
	"net/http"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/transport"
)

// Set is per origin, whatever the spelling of the URL, runs on with time, and zero takes it back.
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
		// What was set is good enough to sign by at once, and is not reported back.
		server := &service{off: 2 * time.Hour}
		clock.Set(parse("https://a.example"), 2*time.Hour)
		rt := &transport.Transport{Signer: &token{}, Base: server, Clock: clock}
		if resp, err := get(rt, "https://a.example/"); err != nil ||
			transport.History(resp) != nil {
			t.Errorf("%v, %v", transport.History(resp), err)
		}
	})
}

// A call that failed for another reason takes its offset back; a call still under way that is then
// accepted with it brings it back again.
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
		synctest.Wait() // its second attempt is under way, with the hour
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

// A server error behind a proxy is no proof that the time was right.
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
