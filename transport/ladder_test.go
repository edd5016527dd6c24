package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/transport"
)

const day = 24 * time.Hour

const (
	budget   = transport.StopBudget
	noOthers = transport.StopNoCredential
)

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// A wrong clock costs one round trip and no credentials, however the server states its time.
func TestClockOff(t *testing.T) {
	hints := map[string]func(time.Time) []string{
		"Date only": nil,
		"ts only": func(now time.Time) []string {
			return []string{"WWW-Authenticate", "Token stale ts=" + unix(now)}
		},
		"X-Timestamp only": func(now time.Time) []string {
			return []string{"X-Timestamp", unix(now)}
		},
		"X-Timestamp with a fraction": func(now time.Time) []string {
			return []string{"X-Timestamp", unix(now) + ".25"}
		},
		"ts beats a wrong Date": func(now time.Time) []string {
			return []string{"WWW-Authenticate", "Token stale ts=" + unix(now),
				"Date", date(now.Add(-99 * day))}
		},
	}
	for name, hint := range hints {
		for _, off := range []time.Duration{day, -day, 365 * day, -365 * day, 2 * time.Minute} {
			t.Run(name+" "+off.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					signer, server := &token{}, &service{off: off, hint: hint}
					moved := 0
					clock := &transport.Clock{Moved: func(u *url.URL, got time.Duration) {
						moved++
						if u.String() != "https://api.example" || (got-off).Abs() > time.Second {
							t.Errorf("Moved(%v, %v), want https://api.example and %v", u, got, off)
						}
					}}
					rt := &transport.Transport{Signer: signer, Base: server, Clock: clock}
					for range 3 {
						resp, err := get(rt, "https://api.example/x?secret")
						if err != nil || resp.StatusCode != 200 {
							t.Fatalf("got %v, %v", resp, err)
						}
						time.Sleep(time.Hour)
					}
					if server.requests() != 4 || signer.refreshes != 0 || moved != 1 {
						t.Errorf("%d requests, %d refreshes, moved %d times; want 4, 0, 1",
							server.requests(), signer.refreshes, moved)
					}
				})
			})
		}
	}
}

// A time that may come from another server, or that may be old, does not move the clock.
func TestHostileHint_R11_R12_R19(t *testing.T) {
	hour := func(now time.Time) string { return date(now.Add(time.Hour)) }
	tests := []struct {
		name    string
		url     string
		origins []string
		delay   time.Duration
		header  func(now time.Time) []string
		status  int
	}{
		{"plain http, though listed", "http://api.example/", []string{"http://api.example"}, 0,
			func(now time.Time) []string {
				return []string{"WWW-Authenticate", "Token stale ts=" + unix(now.Add(time.Hour))}
			}, 401},
		{"plain http without a challenge", "http://api.example/", []string{"http://api.example"}, 0,
			func(now time.Time) []string { return []string{"Date", hour(now)} }, 401},
		{"from a cache", "https://api.example/", nil, 0,
			func(now time.Time) []string { return []string{"Age", "6", "Date", hour(now)} }, 401},
		{"stated, from a cache", "https://api.example/", nil, 0, func(now time.Time) []string {
			return []string{"Age", "6", "WWW-Authenticate",
				"Token stale ts=" + unix(now.Add(time.Hour))}
		}, 401},
		{"of unknown age", "https://api.example/", nil, 0,
			func(now time.Time) []string { return []string{"Age", "x", "Date", hour(now)} }, 401},
		{"within what its age explains", "https://api.example/", nil, 0,
			func(now time.Time) []string {
				return []string{"Age", "4", "Date", date(now.Add(4 * time.Second))}
			}, 401},
		{"slow", "https://api.example/", nil, 6 * time.Second,
			func(now time.Time) []string { return []string{"Date", hour(now)} }, 401},
		{"foreign challenge", "https://api.example/", nil, 0,
			func(now time.Time) []string {
				return []string{"WWW-Authenticate", "Negotiate", "Date", hour(now)}
			}, 401},
		{"400 days ahead", "https://api.example/", nil, 0,
			func(now time.Time) []string {
				return []string{"Date", date(now.Add(400 * day))}
			}, 401},
		{"400 days behind", "https://api.example/", nil, 0,
			func(now time.Time) []string {
				return []string{"Date", date(now.Add(-400 * day))}
			}, 401},
		{"a success", "https://api.example/", nil, 0,
			func(now time.Time) []string { return []string{"Date", hour(now)} }, 200},
		{"garbage", "https://api.example/", nil, 0, func(time.Time) []string {
			return []string{"X-Timestamp", "1e9", "X-Timestamp", "-5", "Date", "soon"}
		}, 401},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clock := &transport.Clock{Moved: func(*url.URL, time.Duration) { t.Error("moved") }}
				rt := &transport.Transport{Signer: &token{}, Origins: test.origins, Clock: clock,
					Base: base(func(req *http.Request) (*http.Response, error) {
						time.Sleep(test.delay)
						return answer(test.status, test.header(time.Now())...)
					})}
				resp, err := get(rt, test.url)
				if err != nil || resp.StatusCode != test.status {
					t.Fatalf("got %v, %v", resp, err)
				}
				if u, _ := url.Parse(test.url); !clock.Now(u).Equal(time.Now()) {
					t.Errorf("the clock is off by %v", time.Until(clock.Now(u)))
				}
			})
		})
	}
}

// A cache in front of the server, which adds the Age of the answer, does not matter as long as the
// Age is small: the server's present time is the time in the answer plus the Age.
func TestClockBehindCache(t *testing.T) {
	for _, age := range []time.Duration{0, time.Second, 5 * time.Second} {
		for name, hint := range map[string]func(made time.Time) []string{
			"Date": func(made time.Time) []string { return []string{"Date", date(made)} },
			"UTC Date": func(made time.Time) []string {
				return []string{"Date", date(made)[:26] + "utc"}
			},
			"stated": func(made time.Time) []string {
				return []string{"WWW-Authenticate", "Token stale ts=" + unix(made)}
			},
			"X-Timestamp": func(m time.Time) []string { return []string{"X-Timestamp", unix(m)} },
		} {
			t.Run(fmt.Sprint(name, " ", age), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					clock := new(transport.Clock)
					server := &service{off: time.Hour, hint: func(now time.Time) []string {
						return append(hint(now.Add(-age)), "Age", fmt.Sprint(age.Seconds()))
					}}
					rt := &transport.Transport{Signer: &token{}, Base: server, Clock: clock}
					resp, err := get(rt, "https://api.example/")
					if err != nil || resp.StatusCode != 200 || server.requests() != 2 {
						t.Fatalf("%v, %v", transport.History(resp), err)
					}
					u, _ := url.Parse("https://api.example/")
					if off := time.Until(clock.Now(u)); (off - time.Hour).Abs() > time.Second {
						t.Errorf("the clock is off by %v, want an hour", off)
					}
				})
			})
		}
	}
}

// The time of one origin does not change the time of another.
func TestClockPerOrigin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := new(transport.Clock)
		a, b := &service{off: time.Hour}, &service{}
		rt := &transport.Transport{Signer: &token{}, Clock: clock,
			Base: base(func(req *http.Request) (*http.Response, error) {
				if req.URL.Host == "a.example" {
					return a.RoundTrip(req)
				}
				return b.RoundTrip(req)
			})}
		for _, host := range []string{"a.example", "b.example", "a.example:8443"} {
			u := "https://" + host + "/"
			if resp, err := get(rt, u); err != nil || resp.StatusCode != 200 {
				t.Errorf("%s: %v, %v", u, resp, err)
			}
		}
		if a.requests() != 2 || b.requests() != 2 {
			t.Errorf("%d and %d requests, want 2 and 2", a.requests(), b.requests())
		}
	})
}

// Calls that are refused at the same moment share one correction.
func TestConcurrentJump(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &service{off: -time.Hour}
		moved := 0
		clock := &transport.Clock{Moved: func(*url.URL, time.Duration) { moved++ }}
		signer := &token{}
		rt := &transport.Transport{Signer: signer, Clock: clock,
			Base: base(func(req *http.Request) (*http.Response, error) {
				time.Sleep(100 * time.Millisecond)
				return server.RoundTrip(req)
			})}
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				resp, err := get(rt, "https://api.example/")
				if err != nil || resp.StatusCode != 200 || len(transport.History(resp)) != 2 {
					t.Errorf("%v, %v", transport.History(resp), err)
				}
			})
		}
		wg.Wait()
		if moved != 1 || server.requests() != 400 || signer.refreshes != 0 {
			t.Errorf("moved %d times, %d requests, %d refreshes; want 1, 400, 0",
				moved, server.requests(), signer.refreshes)
		}
	})
}

// A wrong clock and expired credentials at once, as on a laptop that was off for a week, are both
// corrected.
func TestClockAndCredential(t *testing.T) {
	for _, off := range []time.Duration{time.Hour, -365 * day} {
		synctest.Test(t, func(t *testing.T) {
			signer := &token{}
			server := &service{off: off, valid: func(id string) bool { return id == "id1" }}
			rt := &transport.Transport{Signer: signer, Base: server}
			resp, err := get(rt, "https://api.example/")
			if err != nil || resp.StatusCode != 200 {
				t.Fatalf("%v, %v", resp, err)
			}
			if server.requests() != 3 || signer.refreshes != 1 {
				t.Errorf("%d requests, %d refreshes; want 3 and 1",
					server.requests(), signer.refreshes)
			}
			if o := signer.outcome(); o != transport.OutcomeMended {
				t.Errorf("the outcome is %v, want OutcomeMended", o)
			}
		})
	}
}

// An old Date on the refusal of an expired credential moves the clock wrongly. When the server then
// calls the time stale, the clock is restored, and the credential is still replaced.
func TestMisleadingDate(t *testing.T) {
	old := func(now time.Time) string { return date(now.Add(-time.Hour)) }
	for _, test := range []struct {
		name     string
		keyFirst bool // the server checks the credential before the time
		stale    func(now time.Time) []string
		requests int
	}{
		{"the time is stated", false, func(now time.Time) []string {
			return []string{"WWW-Authenticate", "Token stale ts=" + unix(now), "Date", old(now)}
		}, 3},
		{"the time is not stated", false, func(now time.Time) []string {
			return []string{"WWW-Authenticate", "Token stale", "Date", old(now)}
		}, 3},
		{"no time at all", false, func(time.Time) []string {
			return []string{"WWW-Authenticate", "Token stale"}
		}, 3},
		{"the credential first", true, func(now time.Time) []string {
			return []string{"WWW-Authenticate", "Token stale ts=" + unix(now), "Date", old(now)}
		}, 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				signer, clock, requests := &token{}, new(transport.Clock), 0
				rt := &transport.Transport{Signer: signer, Clock: clock,
					Base: base(func(req *http.Request) (*http.Response, error) {
						requests++
						id, ts, _ := credentials(req)
						stale := time.Since(time.Unix(ts, 0)).Abs() > time.Minute
						ended := id == "id0"
						switch {
						case stale && !(ended && test.keyFirst):
							return answer(401, test.stale(time.Now())...)
						case ended:
							return answer(401, "WWW-Authenticate", "Token credential",
								"Date", old(time.Now()))
						}
						return answer(200)
					})}
				resp, err := get(rt, "https://a.example/")
				if err != nil || resp.StatusCode != 200 || signer.refreshes != 1 ||
					requests != test.requests {
					t.Fatalf("%v, %v, %d requests", transport.History(resp), err, requests)
				}
				u, _ := url.Parse("https://a.example/")
				if off := time.Until(clock.Now(u)); off != 0 {
					t.Errorf("the clock is off by %v", off)
				}
			})
		})
	}
}

// A server that has learned the offset of the client's clock refuses the corrected time, and
// accepts a new id.
func TestServerThatLearnsSkew_R14(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		skew := map[string]time.Duration{"id0": time.Hour} // the client was an hour slow at first
		server := base(func(req *http.Request) (*http.Response, error) {
			id, ts, _ := credentials(req)
			off := time.Since(time.Unix(ts, 0))
			if _, ok := skew[id]; !ok {
				skew[id] = off
			}
			if (off - skew[id]).Abs() > 30*time.Second {
				return answer(401, "Date", date(time.Now()),
					"WWW-Authenticate", "Token")
			}
			return answer(200)
		})
		signer := &token{}
		rt := &transport.Transport{Signer: signer, Base: server}
		resp, err := get(rt, "https://api.example/")
		if err != nil || resp.StatusCode != 200 || signer.refreshes != 1 {
			t.Errorf("%v, %v, %d refreshes", transport.History(resp), err, signer.refreshes)
		}
	})
}

// Each rung is taken once. Then the caller gets the refusal, and the history has the reason why no
// attempt followed.
func TestStop_F1(t *testing.T) {
	always := func(header ...string) base {
		return func(*http.Request) (*http.Response, error) { return answer(401, header...) }
	}
	tests := []struct {
		name   string
		base   http.RoundTripper
		signer transport.Signer
		sends  int
		stop   transport.Stop
		err    error
	}{
		{"unknown, forever", always(), &token{}, 2, budget, nil},
		{"stale, forever, without a time", always("WWW-Authenticate", "Token stale"), &token{}, 2,
			budget, nil},
		{"nonce, forever", always("WWW-Authenticate", "Token nonce"), &token{}, 2, budget, nil},
		{"credential, forever", always("WWW-Authenticate", "Token credential"), &token{}, 2,
			budget, nil},
		{"nothing to fetch with", always(), transport.SignerFunc((&token{}).Sign), 1,
			noOthers, nil},
		{"a fetch that fails", always(), &token{failing: errBroken}, 1, noOthers, errBroken},
		{"not ours", always("WWW-Authenticate", "Negotiate"), &token{}, 1, "", nil},
		{"every cause in turn",
			inTurn("Token stale", "Token nonce", "Token credential", "Token stale"),
			&token{}, 4, budget, nil},
		{"every cause, the worst first",
			inTurn("Token credential", "Token nonce", "Token stale", "Token"),
			&token{}, 4, budget, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			rt := &transport.Transport{Signer: test.signer, Base: test.base}
			resp, err := get(rt, "https://api.example/")
			if err != nil || resp.StatusCode != 401 {
				t.Fatalf("got %v, %v; want the 401", resp, err)
			}
			history := transport.History(resp)
			last := history[len(history)-1]
			if len(history) != test.sends || last.Stop != test.stop || last.Err != test.err {
				t.Errorf("history %v, want %d sends, stop %q", history, test.sends, test.stop)
			}
			body, err := io.ReadAll(resp.Body)
			if string(body) != "body of the answer" || err != nil {
				t.Errorf("the body of the refusal is %q, %v", body, err)
			}
			if o, ok := test.signer.(*token); ok && o.outcome() != transport.OutcomeRefused {
				t.Errorf("the outcome is %v, want OutcomeRefused", o.outcome())
			}
		})
	}
}

// inTurn refuses with one challenge after another, and then always with the last one.
func inTurn(challenges ...string) base {
	n := -1
	return func(*http.Request) (*http.Response, error) {
		n = min(n+1, len(challenges)-1)
		return answer(401, "WWW-Authenticate", challenges[n])
	}
}

// A nonce refusal is answered with another nonce, never with other credentials.
func TestNonceRefusal_R17(t *testing.T) {
	n := 0
	signer := &token{}
	rt := &transport.Transport{Signer: signer,
		Base: base(func(*http.Request) (*http.Response, error) {
			if n++; n == 1 {
				return answer(401, "WWW-Authenticate", "Token nonce")
			}
			return answer(200)
		})}
	resp, err := get(rt, "https://api.example/")
	if err != nil || resp.StatusCode != 200 || n != 2 || signer.refreshes != 0 {
		t.Errorf("%v, %v, %d requests, %d refreshes", resp, err, n, signer.refreshes)
	}
}

// A timeless is a scheme whose credentials do not depend on the time.
type timeless struct {
	token
	static bool // the credentials cannot be replaced
}

func (s *timeless) Sign(req *http.Request, _ time.Time) error {
	req.Header.Set("Authorization", "Token id"+strconv.Itoa(s.issued)+" 0")
	return nil
}

func (s *timeless) Refresh(resp *http.Response) (bool, error) {
	if s.static {
		return false, nil
	}
	return s.token.Refresh(resp)
}

// If the server's clock differs, and the time does not change the request, the same request is not
// sent again, and no offset is learned.
func TestSameRequest_F1(t *testing.T) {
	for _, test := range []struct {
		name      string
		challenge string
		signer    *timeless
		body      io.Reader
		accepted  string // the id that the server accepts
		status    int
		sends     int
		refreshes int
		stop      transport.Stop
	}{
		{"no others", "Token", &timeless{static: true}, nil, "", 401, 1, 0, noOthers},
		{"others, of no use", "Token credential", &timeless{}, nil, "", 401, 2, 1, budget},
		{"others", "Token", &timeless{}, nil, "id1", 200, 2, 1, ""},
		{"others, with a body", "Token", &timeless{}, strings.NewReader("b"), "id1", 200, 2, 1, ""},
		{"others, with a body that is asked for", "Token", &timeless{},
			io.MultiReader(strings.NewReader("b")), "id1", 200, 2, 1, ""},
		{"stale, it is said", "Token stale", &timeless{}, nil, "id1", 401, 1, 0, budget},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clock := &transport.Clock{Moved: func(*url.URL, time.Duration) { t.Error("moved") }}
				sends := 0
				rt := &transport.Transport{Signer: test.signer, Clock: clock,
					Base: base(func(req *http.Request) (*http.Response, error) {
						sends++
						if id, _, _ := credentials(req); id == test.accepted {
							return answer(200)
						}
						return answer(401, "WWW-Authenticate", test.challenge,
							"Date", date(time.Now().Add(time.Hour)))
					})}
				req, _ := http.NewRequest("POST", "https://api.example/", test.body)
				resp, err := rt.RoundTrip(req)
				if err != nil || resp.StatusCode != test.status || sends != test.sends ||
					test.signer.refreshes != test.refreshes {
					t.Fatalf("%v, %v after %d sends, %d refreshes",
						resp, err, sends, test.signer.refreshes)
				}
				if body, err := io.ReadAll(resp.Body); string(body) != "body of the answer" {
					t.Errorf("the body is %q, %v", body, err)
				}
				history := transport.History(resp)
				if len(history) != sends || history[len(history)-1].Stop != test.stop {
					t.Errorf("history %v, want stop %q", history, test.stop)
				}
				if off := time.Until(clock.Now(req.URL)); off != 0 {
					t.Errorf("the clock is off by %v", off)
				}
			})
		})
	}
}

// An offset that did not help is undone, unless another call that was signed with it was accepted.
func TestOffsetPutBack_R13(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, _ := url.Parse("https://api.example/")
		server := &service{off: time.Hour}
		clock := new(transport.Clock)
		rt := &transport.Transport{Signer: &token{}, Clock: clock,
			Base: base(func(req *http.Request) (*http.Response, error) {
				if req.URL.Path == "/forbidden" {
					return answer(401, "Date", date(time.Now().Add(time.Hour)))
				}
				return server.RoundTrip(req)
			})}
		if _, err := get(rt, "https://api.example/forbidden"); err != nil {
			t.Fatal(err)
		}
		if off := time.Until(clock.Now(u)); off != 0 {
			t.Fatalf("after a failed call the clock is off by %v", off)
		}
		if _, err := get(rt, "https://api.example/"); err != nil {
			t.Fatal(err)
		}
		if _, err := get(rt, "https://api.example/forbidden"); err != nil {
			t.Fatal(err)
		}
		if off := time.Until(clock.Now(u)); off < 59*time.Minute {
			t.Errorf("an accepted offset was given up: now %v", off)
		}
		server.off = 0 // the server corrects its clock
		resp, err := get(rt, "https://api.example/")
		if err != nil || resp.StatusCode != 200 || len(transport.History(resp)) != 2 {
			t.Errorf("%v, %v", transport.History(resp), err)
		}
	})
}

// A lost answer says nothing about the clock: the learned offset is kept.
func TestOffsetSurvivesLostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &service{off: time.Hour}
		lose := false
		rt := &transport.Transport{Signer: &token{},
			Base: base(func(req *http.Request) (*http.Response, error) {
				if lose {
					lose = false
					return nil, errBroken
				}
				resp, err := server.RoundTrip(req)
				lose = resp.StatusCode == 401
				return resp, err
			})}
		if _, err := get(rt, "https://api.example/"); err != errBroken {
			t.Fatal(err)
		}
		resp, err := get(rt, "https://api.example/")
		if err != nil || resp.StatusCode != 200 || transport.History(resp) != nil {
			t.Errorf("%v, %v, want no recovery", transport.History(resp), err)
		}
	})
}

// The body of a refusal is read and closed before a fetch that may need its connection, within
// limits.
func TestDiscardedRefusal_B6_B7(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		drip := &dripping{closed: make(chan struct{})}
		signer := &token{failing: errBroken}
		rt := &transport.Transport{Signer: signer,
			Base: base(func(*http.Request) (*http.Response, error) {
				resp, _ := answer(401)
				resp.Body = drip
				return resp, nil
			})}
		begin := time.Now()
		resp, err := get(rt, "https://api.example/")
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("took %v", took)
		}
		if body, err := io.ReadAll(resp.Body); err == nil || len(body) == 0 {
			t.Errorf("a body that was cut off reads as %q, %v", body, err)
		}
	})
	rt := &transport.Transport{Signer: &token{failing: errBroken},
		Base: base(func(*http.Request) (*http.Response, error) {
			resp, _ := answer(401)
			resp.Body = io.NopCloser(strings.NewReader(strings.Repeat("x", 1<<20)))
			return resp, nil
		})}
	resp, err := get(rt, "https://api.example/")
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); err != io.ErrUnexpectedEOF || len(body) != 64<<10 {
		t.Errorf("%d bytes, %v", len(body), err)
	}
}

// dripping returns a byte every 100 ms until it is closed.
type dripping struct {
	once   sync.Once
	closed chan struct{}
}

func (d *dripping) Read(p []byte) (int, error) {
	select {
	case <-d.closed:
		return 0, errBroken
	case <-time.After(100 * time.Millisecond):
		p[0] = 'x'
		return 1, nil
	}
}

func (d *dripping) Close() error {
	d.once.Do(func() { close(d.closed) })
	return nil
}

// A Transport whose Base is a Transport with another scheme still sends at most four requests.
func TestNestedBudget(t *testing.T) {
	sends := 0
	inner := &transport.Transport{
		Signer: &cookie{}, Base: base(func(req *http.Request) (*http.Response, error) {
			sends++
			return answer(401)
		})}
	outer := &transport.Transport{Signer: &token{}, Base: inner}
	resp, err := get(outer, "https://api.example/")
	if err != nil || sends > 4 || sends < 3 {
		t.Fatalf("%d requests, %v", sends, err)
	}
	if history := transport.History(resp); len(history) != sends {
		t.Errorf("history tells of %d attempts, sent were %d: %v", len(history), sends, history)
	}
}

// cookie is a Signer that does not set Authorization and has new credentials for each refresh.
type cookie struct{}

func (*cookie) Sign(req *http.Request, _ time.Time) error {
	req.Header.Set("Cookie", "session=1")
	return nil
}
func (*cookie) Refresh(*http.Response) (bool, error) { return true, nil }

// A later call that gets the context of an earlier call does not have the attempts of that call in
// its history.
func TestHistoryOfOneCall(t *testing.T) {
	signer := &token{}
	server := &service{valid: func(id string) bool { return id != "id0" }}
	rt := &transport.Transport{Signer: signer, Base: server}
	first, err := get(rt, "https://api.example/")
	if err != nil || len(transport.History(first)) != 2 {
		t.Fatal(first, err)
	}
	ctx := first.Request.Context()
	req, _ := http.NewRequestWithContext(ctx, "GET", "https://api.example/", nil)
	second, err := rt.RoundTrip(req)
	if err != nil || transport.History(second) != nil {
		t.Errorf("%v, %v: want no history", transport.History(second), err)
	}
	if transport.History(nil) != nil || transport.History(&http.Response{}) != nil {
		t.Error("history out of nothing")
	}
}

// An Observer is called once for each answer, refusals included, and not for the answer to an
// unsigned request.
func TestObserver(t *testing.T) {
	signer := &token{}
	server := &service{valid: func(id string) bool { return id != "id0" }}
	rt := &transport.Transport{Signer: signer, Base: server,
		Origins: []string{"https://api.example"}}
	for _, u := range []string{"https://api.example/", "https://elsewhere.example/"} {
		if _, err := get(rt, u); err != nil {
			t.Fatal(err)
		}
	}
	if len(signer.observed) != 2 || signer.observed[0] != 401 || signer.observed[1] != 200 {
		t.Errorf("observed %v, want 401 and 200", signer.observed)
	}
}

// A service may refuse with another status.
func TestRefused(t *testing.T) {
	signer := &token{}
	rt := &transport.Transport{
		Signer:  signer,
		Refused: func(resp *http.Response) bool { return resp.StatusCode == 403 },
		Base: base(func(req *http.Request) (*http.Response, error) {
			if id, _, _ := credentials(req); id == "id0" {
				return answer(403)
			}
			return answer(200)
		}),
	}
	resp, err := get(rt, "https://api.example/")
	if err != nil || resp.StatusCode != 200 || signer.refreshes != 1 {
		t.Errorf("%v, %v, %d refreshes", resp, err, signer.refreshes)
	}
}

// If a Signer fails after a refusal, the caller gets the refusal. If it fails before the first
// attempt, the caller gets the error.
func TestSignerFails(t *testing.T) {
	n := 0
	rt := &transport.Transport{
		Base: base(func(*http.Request) (*http.Response, error) { return answer(401) }),
		Signer: refreshing(func(*http.Request, time.Time) error {
			if n++; n > 1 {
				return errBroken
			}
			return nil
		})}
	resp, err := get(rt, "https://api.example/")
	if err != nil || resp.StatusCode != 401 {
		t.Fatal(resp, err)
	}
	if h := transport.History(resp); h[0].Stop != noOthers || !isSignError(h[0].Err) {
		t.Errorf("history %v", h)
	}
	if _, err := get(rt, "https://api.example/"); !isSignError(err) {
		t.Errorf("got %v, want the Signer's error", err)
	}
	broken := base(func(*http.Request) (*http.Response, error) { return nil, errBroken })
	_, err = get(&transport.Transport{Signer: &token{}, Base: broken}, "https://api.example/")
	if err == nil || isSignError(err) {
		t.Errorf("got %v, want the Base's error", err)
	}
}

// isSignError reports whether err says that a Signer returned errBroken.
func isSignError(err error) bool {
	var s *transport.SignError
	return errors.As(err, &s) && s.Err == errBroken && errors.Is(err, errBroken) &&
		s.Error() == errBroken.Error()
}

type refreshing func(*http.Request, time.Time) error

func (f refreshing) Sign(req *http.Request, now time.Time) error { return f(req, now) }
func (refreshing) Refresh(*http.Response) (bool, error)          { return true, nil }

// Everything that is done for a call gets the call's context.
func TestContextReachesRefresh(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	rt := &transport.Transport{Signer: cancelled{},
		Base: base(func(*http.Request) (*http.Response, error) {
			cancel(errBroken)
			return answer(401)
		})}
	req, _ := http.NewRequestWithContext(ctx, "GET", "https://api.example/", nil)
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if h := transport.History(resp); h[0].Err != errBroken {
		t.Errorf("Refresh saw the error %v", h[0].Err)
	}
}

type cancelled struct{}

func (cancelled) Sign(*http.Request, time.Time) error { return nil }
func (cancelled) Refresh(resp *http.Response) (bool, error) {
	return false, context.Cause(resp.Request.Context())
}

// A server error after a fetch does not prove that the fetch has helped. The outcome of a later
// call with the same context does not depend on the fetch either.
func TestOutcome_F14(t *testing.T) {
	for status, want := range map[int]transport.Outcome{
		200: transport.OutcomeMended, 304: transport.OutcomeMended,
		404: transport.OutcomeNone, 503: transport.OutcomeNone,
	} {
		signer := &token{}
		rt := &transport.Transport{Signer: signer,
			Base: base(func(req *http.Request) (*http.Response, error) {
				if id, _, _ := credentials(req); id == "id0" {
					return answer(401)
				}
				return answer(status)
			})}
		resp, err := get(rt, "https://a.example/")
		if err != nil || signer.outcome() != want {
			t.Errorf("%d: %v, outcome %v, want %v", status, err, signer.outcome(), want)
		}
		ctx := resp.Request.Context()
		again, _ := http.NewRequestWithContext(ctx, "GET", "https://a.example/", nil)
		if want == transport.OutcomeMended {
			want = transport.OutcomeAccepted
		}
		if _, err := rt.RoundTrip(again); err != nil || signer.outcome() != want {
			t.Errorf("%d: %v, then outcome %v, want %v", status, err, signer.outcome(), want)
		}
	}
}

// A Refresher may read the body of the refusal, and the caller can still read it.
func TestRefresherReadsBody(t *testing.T) {
	rt := &transport.Transport{Signer: &readingRefresher{}, Base: inTurn("Token")}
	resp, err := get(rt, "https://a.example/")
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); string(body) != "body of the answer" || err != nil {
		t.Errorf("the caller reads %q, %v", body, err)
	}
}

type readingRefresher struct{ token }

func (*readingRefresher) Refresh(resp *http.Response) (bool, error) {
	_, err := io.Copy(io.Discard, resp.Body)
	return false, err
}

// If a base returns an answer twice, the second response does not have the history of the first.
func TestKeptAnswer(t *testing.T) {
	inner := &transport.Transport{Signer: &token{},
		Base: &service{valid: func(id string) bool { return id != "id0" }}}
	kept, err := get(inner, "https://a.example/")
	if err != nil || len(transport.History(kept)) != 2 {
		t.Fatal(transport.History(kept), err)
	}
	request := kept.Request
	rt := &transport.Transport{Signer: &token{},
		Base: base(func(*http.Request) (*http.Response, error) {
			again := *kept
			again.Request = request
			return &again, nil
		})}
	resp, err := get(rt, "https://a.example/")
	if err != nil || transport.History(resp) != nil {
		t.Errorf("%v, %v", transport.History(resp), err)
	}
}
