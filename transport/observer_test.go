package transport_test

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/transport"
)

// An error of Observe replaces only the answer that the caller would get.
func TestForgedAnswer(t *testing.T) {
	const forged = "X-Forged"
	distrusts := func(resp *http.Response) error {
		if resp.Header.Get(forged) != "" {
			return errBroken
		}
		return nil
	}
	for _, test := range []struct {
		name    string
		answers []string // "401", "200"; with an x if it is forged
		err     error
	}{
		{"accepted", []string{"200x"}, errBroken},
		{"a refusal that is the answer", []string{"401", "401x"}, errBroken},
		{"a refusal that is mended", []string{"401x", "200"}, nil},
		{"accepted after a refusal", []string{"401", "200x"}, errBroken},
	} {
		n := 0
		closed := make(chan bool, len(test.answers))
		rt := &transport.Transport{Signer: &token{distrusts: distrusts},
			Base: base(func(*http.Request) (*http.Response, error) {
				text, isForged := strings.CutSuffix(test.answers[n], "x")
				n++
				status, err := strconv.Atoi(text)
				if err != nil {
					return nil, err
				}
				resp, err := answer(status)
				if isForged {
					resp.Header.Set(forged, "1")
				}
				resp.Body = closing{resp.Body, closed}
				return resp, err
			})}
		resp, err := get(rt, "https://a.example/")
		if !errors.Is(err, test.err) || (resp == nil) == (test.err == nil) {
			t.Errorf("%s: %v, %v; want %v", test.name, resp, err, test.err)
		}
		if n != len(test.answers) {
			t.Errorf("%s: %d requests, want %d", test.name, n, len(test.answers))
		}
		if want := len(test.answers); test.err != nil && len(closed) != want {
			t.Errorf("%s: %d bodies were closed, want %d", test.name, len(closed), want)
		}
	}
}

type closing struct {
	io.Reader
	closed chan<- bool
}

func (c closing) Close() error { c.closed <- true; return nil }

// Young credentials may be sent again twice, in addition to the other attempts of a call. Other
// credentials may not.
func TestYoungCredentials(t *testing.T) {
	for _, test := range []struct {
		name      string
		young     []bool // for each call of Refresh; false after the last
		cause     []string
		sends     int
		refreshes int
	}{
		{"never", nil, []string{"Token"}, 2, 1},
		{"always", []bool{true, true, true, true}, []string{"Token"}, 4, 3},
		{"once", []bool{true}, []string{"Token"}, 3, 2},
		{"beside the other rungs", []bool{true, true, true},
			[]string{"Token stale", "Token nonce", "Token"}, 6, 3},
		{"the others come later", []bool{true, true, true},
			[]string{"Token", "Token", "Token nonce", "Token stale", "Token"}, 6, 3},
	} {
		signer := &youngToken{young: test.young}
		rt := &transport.Transport{Signer: signer, Base: inTurn(test.cause...)}
		resp, err := get(rt, "https://a.example/")
		if err != nil || resp.StatusCode != 401 {
			t.Fatalf("%s: %v, %v", test.name, resp, err)
		}
		h := transport.History(resp)
		if len(h) != test.sends || signer.calls != test.refreshes {
			t.Errorf("%s: %v, %d refreshes; want %d and %d", test.name, h, signer.calls,
				test.sends, test.refreshes)
		}
		if stop := h[len(h)-1].Stop; stop != transport.StopBudget {
			t.Errorf("%s: stopped: %q, want budget", test.name, stop)
		}
	}
}

// A youngToken reports whether its credentials are young.
type youngToken struct {
	token
	young []bool
	calls int
}

func (y *youngToken) Refresh(resp *http.Response) (bool, error) {
	y.calls++
	if y.calls <= len(y.young) && y.young[y.calls-1] {
		return true, transport.ErrYoung
	}
	return y.token.Refresh(resp)
}
