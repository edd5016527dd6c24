package transport_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/transport"
)

// silent holds refusals that do not state the time.
var silent = map[string]func(cause string) []string{
	"no Date": func(cause string) []string { return []string{"WWW-Authenticate", cause} },
	"from a cache": func(cause string) []string {
		return []string{"WWW-Authenticate", cause, "Date", date(time.Now()), "Age", "3600"}
	},
	"a Date that cannot be read": func(cause string) []string {
		return []string{"WWW-Authenticate", cause, "Date", "now"}
	},
}

// An offset from an earlier process may be wrong by now. If it is refused and the answer does not
// state the time, the time of this machine is tried instead, once in a process. An offset that is
// still right is kept, also while credentials have to be replaced.
func TestStoredOffset(t *testing.T) {
	tests := []struct {
		name      string
		off       time.Duration // of the server; the stored offset is an hour
		first     string        // the id that the server accepts
		time, key string        // challenges for a wrong time and for other credentials
		requests  int
		refreshes int
	}{
		{"wrong, stale", 0, "id0", "Token stale", "Token credential", 2, 0},
		{"wrong, no reason", 0, "id0", "Token", "Token", 2, 0},
		{"wrong, as for credentials", 0, "id0", "Token credential", "Token credential", 2, 0},
		{"wrong, and ended", 0, "id1", "Token stale", "Token credential", 3, 1},
		{"right", time.Hour, "id0", "Token stale", "Token credential", 1, 0},
		{"right, but ended", time.Hour, "id1", "Token stale", "Token credential", 3, 1},
		{"right, but ended, no reason", time.Hour, "id1", "Token", "Token", 3, 1},
	}
	for _, test := range tests {
		for how, refusal := range silent {
			t.Run(test.name+", "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var moved []time.Duration
					clock := &transport.Clock{Moved: func(_ *url.URL, offset time.Duration) {
						moved = append(moved, offset)
					}}
					u, _ := url.Parse("https://a.example/")
					clock.Set(u, time.Hour)
					signer, requests := &token{}, 0
					rt := &transport.Transport{Signer: signer, Clock: clock,
						Base: base(func(req *http.Request) (*http.Response, error) {
							requests++
							id, ts, _ := credentials(req)
							now := time.Now().Add(test.off)
							switch {
							case now.Sub(time.Unix(ts, 0)).Abs() > time.Minute:
								return answer(401, refusal(test.time)...)
							case id != test.first:
								return answer(401, refusal(test.key)...)
							}
							return answer(200)
						})}
					resp, err := get(rt, u.String())
					if err != nil || resp.StatusCode != 200 || requests != test.requests ||
						signer.refreshes != test.refreshes {
						t.Fatalf("%v, %v, %d requests, %d refreshes", transport.History(resp), err,
							requests, signer.refreshes)
					}
					if off := time.Until(clock.Now(u)); off != test.off {
						t.Errorf("the clock is off by %v, want %v", off, test.off)
					}
					want := "[]"
					if test.off == 0 {
						want = "[0s]" // for the next process
					}
					if fmt.Sprint(moved) != want {
						t.Errorf("moved %v, want %v", moved, want)
					}
					if resp, err := get(rt, u.String()); err != nil ||
						transport.History(resp) != nil {
						t.Errorf("the next call: %v, %v", transport.History(resp), err)
					}
				})
			})
		}
	}
}

// If the server accepts neither time, the stored offset is kept, and this machine's time is not
// tried again.
func TestStoredOffsetRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock, requests := new(transport.Clock), 0
		u, _ := url.Parse("https://a.example/")
		clock.Set(u, time.Hour)
		rt := &transport.Transport{Signer: &token{}, Clock: clock,
			Base: base(func(*http.Request) (*http.Response, error) {
				requests++
				return answer(401, "WWW-Authenticate", "Token credential")
			})}
		for _, want := range []int{3, 5, 7} {
			resp, err := get(rt, u.String())
			if err != nil || resp.StatusCode != 401 || requests != want {
				t.Errorf("%v, %v after %d requests, want %d",
					transport.History(resp), err, requests, want)
			}
			if off := time.Until(clock.Now(u)); off != time.Hour {
				t.Errorf("the clock is off by %v", off)
			}
		}
	})
}

// Of many calls that start at once with a wrong offset, each is refused once and then signed by
// this machine's time.
func TestStoredOffsetConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		moved := 0
		clock := &transport.Clock{Moved: func(*url.URL, time.Duration) { moved++ }}
		u, _ := url.Parse("https://a.example/")
		clock.Set(u, time.Hour)
		server := &service{hint: func(time.Time) []string {
			return []string{"WWW-Authenticate", "Token stale"}
		}}
		rt := &transport.Transport{Signer: &token{}, Clock: clock,
			Base: base(func(req *http.Request) (*http.Response, error) {
				time.Sleep(time.Millisecond)
				return server.RoundTrip(req)
			})}
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if resp, err := get(rt, u.String()); err != nil || resp.StatusCode != 200 {
					t.Errorf("%v, %v", transport.History(resp), err)
				}
			})
		}
		wg.Wait()
		if off := time.Until(clock.Now(u)); off != 0 || moved != 1 || server.requests() != 100 {
			t.Errorf("off by %v, moved %d times, %d requests", off, moved, server.requests())
		}
	})
}

// Over plain http, no time in an answer is believed. A wrong offset is still replaced by this
// machine's time.
func TestStoredOffsetPlainHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := new(transport.Clock)
		u, _ := url.Parse("http://a.example/")
		clock.Set(u, time.Hour)
		server := &service{hint: func(now time.Time) []string {
			return []string{"WWW-Authenticate", "Token stale ts=" + unix(now), "Date", date(now)}
		}}
		rt := &transport.Transport{Signer: &token{}, Clock: clock, Base: server,
			Origins: []string{strings.TrimSuffix(u.String(), "/")}}
		resp, err := get(rt, u.String())
		if err != nil || resp.StatusCode != 200 || time.Until(clock.Now(u)) != 0 {
			t.Errorf("%v, %v, off by %v", transport.History(resp), err, time.Until(clock.Now(u)))
		}
	})
}
