package transport_test

import (
	"net/http"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/transport"
)

// A reader is a token with its own Read method.
type reader struct {
	token
	read func(*http.Response) transport.Refusal
}

func (r *reader) Read(resp *http.Response) transport.Refusal { return r.read(resp) }

// An asked is a scheme whose server issues the nonces.
type asked struct {
	token
	nonce  string
	always bool // it returns CauseAsked even if the request carried the nonce
}

func (s *asked) Sign(req *http.Request, now time.Time) error {
	err := s.token.Sign(req, now)
	req.Header.Set("X-Nonce", s.nonce)
	return err
}

func (s *asked) Read(resp *http.Response) transport.Refusal {
	if !s.always && resp.Header.Get("X-Use") == resp.Request.Header.Get("X-Nonce") {
		return transport.Refusal{Cause: transport.CauseUnknown}
	}
	return transport.Refusal{Cause: transport.CauseAsked}
}

func (s *asked) Observe(resp *http.Response, _ transport.Outcome) error {
	if nonce := resp.Header.Get("X-Use"); nonce != "" {
		s.nonce = nonce
	}
	return nil
}

// If an answer asks for something, one more request with the same credentials has it. A server that
// asks again does not get another request.
func TestAsked(t *testing.T) {
	for _, test := range []struct {
		name   string
		nonces []string // the nonces that the server wants, in order
		always bool
		want   []transport.Cause
	}{
		{"once", []string{"a"}, false, []transport.Cause{"asked", ""}},
		{"another each time", []string{"a", "b", "c"}, false, []transport.Cause{"asked", "asked"}},
		{"a Reader that does not look", []string{"a", "b", "c"}, true,
			[]transport.Cause{"asked", "asked"}},
	} {
		signer := &asked{always: test.always}
		n := 0
		rt := &transport.Transport{Signer: signer, Base: base(
			func(req *http.Request) (*http.Response, error) {
				wants := test.nonces[min(n, len(test.nonces)-1)]
				n++
				if len(test.nonces) == 1 && req.Header.Get("X-Nonce") == wants {
					return answer(200)
				}
				return answer(401, "X-Use", wants)
			})}
		resp, err := get(rt, "https://api.example/")
		if err != nil {
			t.Fatal(err)
		}
		var got []transport.Cause
		for _, a := range transport.History(resp) {
			got = append(got, a.Cause)
		}
		if !slices.Equal(got, test.want) || signer.refreshes != 0 {
			t.Errorf("%s: %v, %d refreshes", test.name, transport.History(resp), signer.refreshes)
		}
	}
}

// A refused nonce and an answer that asks for something share one rung.
func TestAskedAfterNonce(t *testing.T) {
	rt := &transport.Transport{Signer: &token{}, Base: inTurn("Token nonce", "Token asked")}
	resp, err := get(rt, "https://api.example/")
	if h := transport.History(resp); err != nil || len(h) != 2 || h[1].Stop != budget {
		t.Errorf("%v, %v", h, err)
	}
}

// Over plain http, a time is believed only if it is proven. The fields that an attacker on the path
// can set do not change it.
func TestProvenTime(t *testing.T) {
	for _, test := range []struct {
		name   string
		proven bool
		stated bool
		header []string
		want   int // requests
	}{
		{"proven", true, true, nil, 2},
		{"stated", false, true, nil, 1},
		{"proven, and no time is stated", true, false, nil, 1},
		{"proven, and made old on the way", true, true, []string{"Age", "4000"}, 2},
		{"proven, and with a Date", true, false, []string{"Date", "from the server"}, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			server := &service{off: time.Hour, hint: func(now time.Time) []string {
				if len(test.header) == 2 && test.header[0] == "Date" {
					return []string{"Date", date(now)}
				}
				return append([]string{"X-Time", unix(now)}, test.header...)
			}}
			signer := &reader{read: func(resp *http.Response) transport.Refusal {
				r := transport.Refusal{Cause: transport.CauseStale, Proven: test.proven}
				if test.stated {
					seconds, _ := strconv.ParseInt(resp.Header.Get("X-Time"), 10, 64)
					r.ServerTime = time.Unix(seconds, 0)
				}
				return r
			}}
			rt := &transport.Transport{
				Signer: signer, Base: server, Origins: []string{"http://api.example"},
			}
			resp, err := get(rt, "http://api.example/")
			if err != nil || (resp.StatusCode == 200) != (test.want == 2) {
				t.Errorf("%s: %v, %v", test.name, transport.History(resp), err)
			}
		})
	}
}

// Over plain http, a refusal without a reason is acted on only if it is proven.
func TestProvenUnknown(t *testing.T) {
	for _, proven := range []bool{true, false} {
		signer := &reader{read: func(*http.Response) transport.Refusal {
			return transport.Refusal{Cause: transport.CauseUnknown, Proven: proven}
		}}
		rt := &transport.Transport{Signer: signer, Origins: []string{"http://api.example"},
			Base: base(func(*http.Request) (*http.Response, error) { return answer(401) })}
		if _, err := get(rt, "http://api.example/"); err != nil || signer.refreshes > 0 != proven {
			t.Errorf("proven %t: %d refreshes, %v", proven, signer.refreshes, err)
		}
	}
}

// A scheme can set how far clocks may differ before the difference is taken for the reason of a
// refusal.
func TestTolerance(t *testing.T) {
	for _, test := range []struct {
		tolerance, off time.Duration
		moves          bool
	}{
		{0, 4 * time.Second, false},
		{0, 7 * time.Second, true},
		{time.Second, 4 * time.Second, true},
		{5 * time.Minute, 4 * time.Minute, false},
		{5 * time.Minute, 6 * time.Minute, true},
		{-1, 4 * time.Second, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			signer := &reader{read: func(*http.Response) transport.Refusal {
				return transport.Refusal{
					Cause: transport.CauseCredential, Tolerance: test.tolerance,
				}
			}}
			rt := &transport.Transport{Signer: signer, Base: base(
				func(*http.Request) (*http.Response, error) {
					return answer(401, "Date", date(time.Now().Add(test.off)))
				})}
			resp, err := get(rt, "https://api.example/")
			moved := false
			for _, a := range transport.History(resp) {
				moved = moved || a.Offset != 0
			}
			if err != nil || moved != test.moves {
				t.Errorf("%v: %v, %v", test, transport.History(resp), err)
			}
		})
	}
}
