package bearer_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"

	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/place"
	"github.com/countersign-go/countersign/transport"
)

// An endpoint returns a new token for each call, after latency.
type endpoint struct {
	latency  time.Duration
	lifetime time.Duration // if zero, tokens never expire
	fails    error
	calls    atomic.Int32
	olds     []string // the refresh tokens that it received
}

func (e *endpoint) fetch(ctx context.Context, old *oauth2.Token) (*oauth2.Token, error) {
	n := e.calls.Add(1)
	if old == nil {
		old = &oauth2.Token{RefreshToken: "none"}
	}
	e.olds = append(e.olds, old.RefreshToken)
	select {
	case <-time.After(e.latency):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if e.fails != nil {
		return nil, e.fails
	}
	t := &oauth2.Token{AccessToken: fmt.Sprint("token", n)}
	if e.lifetime > 0 {
		t.Expiry = time.Now().Add(e.lifetime)
	}
	return t, nil
}

func (e *endpoint) wantCalls(t *testing.T, want int32, when string) {
	t.Helper()
	if got := e.calls.Load(); got != want {
		t.Errorf("%d calls %s, want %d", got, when, want)
	}
}

func wantToken(t *testing.T, s creds.Source[*oauth2.Token], want string) *oauth2.Token {
	t.Helper()
	token, err := s.Credentials(t.Context())
	if err != nil {
		t.Fatalf("no token: %v; want %s", err, want)
	}
	if token.AccessToken != want {
		t.Fatalf("got %s, want %s", token.AccessToken, want)
	}
	return token
}

func is(text string) func(*oauth2.Token) bool {
	return func(t *oauth2.Token) bool { return t.AccessToken == text }
}

// crowd lets n callers ask at the same time.
func crowd(s creds.Source[*oauth2.Token], n int) []error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { _, errs[i] = s.Credentials(context.Background()) })
	}
	all.Wait()
	return errs
}

func TestTokensShared_F3(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{latency: time.Second, lifetime: time.Hour}
		tokens := &bearer.Tokens{Fetch: e.fetch}
		for round := range int32(3) {
			if err := errors.Join(crowd(tokens, 1000)...); err != nil {
				t.Fatal(err)
			}
			e.wantCalls(t, round+1, "for 1000 callers")
			time.Sleep(time.Hour)
		}
	})
}

// Fetch receives the latest refresh token, even if a response left it out.
func TestTokensRefreshTokenStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{lifetime: time.Hour}
		given := &oauth2.Token{RefreshToken: "refresh0"}
		tokens := &bearer.Tokens{Token: given, Fetch: e.fetch}
		for n := 1; n <= 3; n++ {
			got := wantToken(t, tokens, fmt.Sprint("token", n))
			if got.RefreshToken != "refresh0" {
				t.Errorf("the refresh token is %q", got.RefreshToken)
			}
			time.Sleep(time.Hour)
		}
		if fmt.Sprint(e.olds) != "[refresh0 refresh0 refresh0]" || given.AccessToken != "" {
			t.Errorf("it was given %q", e.olds)
		}
	})
}

// A rotated refresh token is not lost if the token that came with it is useless.
func TestTokensRotatedThoughUseless_F2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var olds []string
		tokens := &bearer.Tokens{
			Token: &oauth2.Token{RefreshToken: "refresh0"},
			Fetch: func(_ context.Context, old *oauth2.Token) (*oauth2.Token, error) {
				olds = append(olds, old.RefreshToken)
				end := time.Now().Add(-time.Second)
				if len(olds) > 1 {
					end = time.Time{}
				}
				return &oauth2.Token{AccessToken: "a", Expiry: end,
					RefreshToken: fmt.Sprint("refresh", len(olds))}, nil
			},
		}
		if _, err := tokens.Credentials(t.Context()); !errors.Is(err, creds.ErrExpired) {
			t.Fatalf("got %v", err)
		}
		time.Sleep(time.Minute)
		wantToken(t, tokens, "a")
		if fmt.Sprint(olds) != "[refresh0 refresh1]" {
			t.Errorf("it was given %q", olds)
		}
	})
}

// The token that Tokens begin with is used while it is valid.
func TestTokensBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		begin := &oauth2.Token{AccessToken: "begin", RefreshToken: "refresh0",
			Expiry: time.Now().Add(time.Hour)}
		tokens := &bearer.Tokens{Token: begin, Fetch: e.fetch}
		wantToken(t, tokens, "begin")
		e.wantCalls(t, 0, "for what was there")
		tokens.Reject(is("begin"), nil)
		wantToken(t, tokens, "token1")

		old := &bearer.Tokens{Fetch: e.fetch,
			Token: &oauth2.Token{AccessToken: "old", Expiry: time.Now().Add(-time.Second)}}
		wantToken(t, old, "token2")

		only := &bearer.Tokens{Token: begin}
		wantToken(t, only, "begin")
		time.Sleep(time.Hour)
		if _, err := only.Credentials(t.Context()); err == nil ||
			!strings.Contains(err.Error(), "set the Fetch field") {
			t.Errorf("got %v", err)
		}
	})
}

// However a response tells the end of a token, Fetch is not called in a tight loop, and no token is
// used after its end.
func TestTokensExpiry_F10(t *testing.T) {
	for _, test := range []struct {
		name      string
		expiry    time.Duration // from now on; if zero, none
		expiresIn int64
		want      time.Duration // how long it is used; if zero, always
		err       error
	}{
		{"an hour", time.Hour, 0, time.Hour, nil},
		{"the floor", time.Second, 0, 5 * time.Second, nil},
		{"never", 0, 0, 0, nil},
		{"past", -time.Second, 0, 0, creds.ErrExpired},
		{"seconds alone", 0, 3600, time.Hour, nil},
		{"few seconds", 0, 1, 5 * time.Second, nil},
		{"both", time.Hour, 60, time.Hour, nil},
		{"a month, not cut", 30 * 24 * time.Hour, 0, 30 * 24 * time.Hour, nil},
		{"seconds beyond any clock", 0, 1 << 62, 100 * 366 * 24 * time.Hour, nil},
		{"negative seconds", 0, -1, 0, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				tokens := &bearer.Tokens{
					Fetch: func(context.Context, *oauth2.Token) (*oauth2.Token, error) {
						if calls++; calls > 1 {
							return nil, errors.New("no more")
						}
						token := &oauth2.Token{AccessToken: "a", ExpiresIn: test.expiresIn}
						if test.expiry != 0 {
							token.Expiry = time.Now().Add(test.expiry)
						}
						return token, nil
					},
				}
				_, err := tokens.Credentials(t.Context())
				if !errors.Is(err, test.err) {
					t.Fatalf("got %v, want %v", err, test.err)
				}
				if test.err != nil {
					return
				}
				time.Sleep(test.want - time.Millisecond)
				wantToken(t, tokens, "a")
				time.Sleep(2 * time.Millisecond)
				if _, err = tokens.Credentials(t.Context()); (err != nil) != (test.want > 0) {
					t.Errorf("after %v: %v", test.want, err)
				}
			})
		})
	}
}

// The longest accepted token can be sent with a scheme of any usual length.
func TestLongestToken(t *testing.T) {
	longest := strings.Repeat("x", place.MaxTaken)
	for token, sent := range map[string]bool{longest: true, longest + "x": false} {
		fetch := func(context.Context, *oauth2.Token) (*oauth2.Token, error) {
			return &oauth2.Token{AccessToken: token}, nil
		}
		tokens := &bearer.Tokens{Fetch: fetch}
		s := &bearer.Signer{Source: tokens, Scheme: strings.Repeat("s", 63)}
		err := s.Sign(newRequest(t, "https://api.example.com/"), time.Now())
		if (err == nil) != sent {
			t.Errorf("%d bytes: %v", len(token), err)
		}
	}
}

// A token that no request could carry is refused before any caller gets it.
func TestTokensUnsendable(t *testing.T) {
	for name, token := range map[string]*oauth2.Token{
		"nil":     nil,
		"empty":   {RefreshToken: "a"},
		"a blank": {AccessToken: "canary-a b"},
		"long":    {AccessToken: strings.Repeat("canary-0", 1025)},
	} {
		tokens := &bearer.Tokens{
			Fetch: func(context.Context, *oauth2.Token) (*oauth2.Token, error) {
				return token, nil
			},
		}
		got, err := tokens.Credentials(t.Context())
		if got != nil || err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got a token or an error that shows it", name)
		}
	}
}

// Code outside the package cannot change a token that is in use.
func TestTokensOwnCopies(t *testing.T) {
	shared := &oauth2.Token{AccessToken: "a", RefreshToken: "refresh"}
	tokens := &bearer.Tokens{
		Token: shared,
		Fetch: func(_ context.Context, old *oauth2.Token) (*oauth2.Token, error) {
			old.AccessToken, old.RefreshToken = "changed", "changed"
			if shared.AccessToken == "none" {
				return nil, errors.New("no more")
			}
			return shared, nil
		},
	}
	wantToken(t, tokens, "a")
	shared.AccessToken = "b"
	wantToken(t, tokens, "a")
	tokens.Reject(is("a"), nil)
	if got := wantToken(t, tokens, "b"); got.RefreshToken != "refresh" {
		t.Errorf("the refresh token is %q", got.RefreshToken)
	}
	shared.AccessToken = "none"
	wantToken(t, tokens, "b")
	tokens.Confirm(is("b"))
	tokens.Reject(is("b"), nil)
	wantToken(t, tokens, "b")
}

// A refusal costs one fetch for all callers, and a late refusal costs none.
func TestRefresh_F12(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{latency: time.Second}
		s := &bearer.Signer{Source: &bearer.Tokens{Fetch: e.fetch}}
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() {
				req := newRequest(t, "https://a.example/")
				if err := s.Sign(req, time.Now()); err != nil {
					t.Error(err)
					return
				}
				time.Sleep(10 * time.Second) // the token is no longer new
				again, err := s.Refresh(answer(req, 401))
				if !again || err != transport.ErrYoung {
					t.Errorf("got %v, %v; want a new token", again, err)
				}
			})
		}
		all.Wait()
		e.wantCalls(t, 2, "for 1000 refusals of one token")

		late := newRequest(t, "https://a.example/")
		late.Header.Set("Authorization", "Bearer token1")
		if again, err := s.Refresh(answer(late, 401)); !again || err != transport.ErrYoung {
			t.Errorf("got %v, %v; want the new token", again, err)
		}
		e.wantCalls(t, 2, "for a late refusal")
	})
}

// Refresh returns why it cannot get another token.
func TestRefreshFails(t *testing.T) {
	cause := errors.New("the disk is full")
	e := &endpoint{}
	fetched := &bearer.Signer{Source: &bearer.Tokens{
		Token: &oauth2.Token{AccessToken: "first"}, Fetch: e.fetch,
	}}
	req := newRequest(t, "https://a.example/")
	if err := fetched.Sign(req, time.Now()); err != nil {
		t.Fatal(err)
	}
	e.fails = cause
	if again, err := fetched.Refresh(answer(req, 401)); again || !errors.Is(err, cause) {
		t.Errorf("got %v, %v", again, err)
	}

	fixed := &bearer.Signer{Source: static("abc")}
	req.Header.Set("Authorization", "Bearer abc")
	if again, err := fixed.Refresh(answer(req, 401)); again || err != nil {
		t.Errorf("a static token: got %v, %v", again, err)
	}
	broken := &bearer.Signer{Source: failing{cause}}
	if again, err := broken.Refresh(answer(req, 401)); again || !errors.Is(err, cause) {
		t.Errorf("a source that fails: got %v, %v", again, err)
	}
	for name, resp := range map[string]*http.Response{
		"no answer": nil, "no request": answer(nil, 401),
		"no token": answer(newRequest(t, "https://a.example/"), 401),
	} {
		if again, err := fixed.Refresh(resp); again || err == nil {
			t.Errorf("%s: got %v, %v", name, again, err)
		}
		if resp != nil {
			observe(t, fixed, resp, transport.OutcomeMended)
		}
	}
}

// A page that is always refused costs one more send for each call after the first, and few fetches
// in all.
func TestAlways401_F1(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		sends := 0
		rt := &transport.Transport{
			Signer: &bearer.Signer{Source: &bearer.Tokens{Fetch: e.fetch}},
			Base: network(func(req *http.Request) (*http.Response, error) {
				sends++
				return answer(req, 401, "WWW-Authenticate", `Bearer error="invalid_token"`), nil
			}),
		}
		for n := 1; n <= 1000; n++ {
			before, most := sends, 2
			if n == 1 {
				most = 4
			}
			resp, err := rt.RoundTrip(newRequest(t, "https://a.example/"))
			if err != nil || resp.StatusCode != 401 || sends-before > most {
				t.Fatalf("call %d: %v, %v after %d sends", n, resp, err, sends-before)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if calls := e.calls.Load(); calls > 10 {
			t.Errorf("%d fetches for 1000 calls", calls)
		}
	})
}

// After a token has repaired a call, the next refusal causes a fetch at once.
func TestConfirm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		good := "Bearer token1"
		rt := &transport.Transport{
			Signer: &bearer.Signer{Source: &bearer.Tokens{Fetch: e.fetch}},
			Base: network(func(req *http.Request) (*http.Response, error) {
				if req.Header.Get("Authorization") == good {
					return answer(req, 200), nil
				}
				return answer(req, 401, "WWW-Authenticate", "Bearer"), nil
			}),
		}
		for n := 1; n <= 5; n++ {
			good = fmt.Sprint("Bearer token", n)
			resp, err := rt.RoundTrip(newRequest(t, "https://a.example/"))
			if err != nil || resp.StatusCode != 200 {
				t.Fatalf("token %d: %v, %v", n, resp, err)
			}
		}
		e.wantCalls(t, 5, "for 5 tokens that were revoked at once")
	})
}

// Refused can cover a service that answers 403 for an expired token.
func TestRefused403(t *testing.T) {
	e := &endpoint{}
	challenge := ""
	rt := &transport.Transport{
		Signer: &bearer.Signer{Source: &bearer.Tokens{
			Token: &oauth2.Token{AccessToken: "token0"}, Fetch: e.fetch,
		}},
		Refused: func(resp *http.Response) bool { return resp.StatusCode == 403 },
		Base: network(func(req *http.Request) (*http.Response, error) {
			if req.Header.Get("Authorization") == "Bearer token1" {
				return answer(req, 200), nil
			}
			if challenge != "" {
				return answer(req, 403, "WWW-Authenticate", challenge), nil
			}
			return answer(req, 403), nil
		}),
	}
	challenge = `Bearer error="insufficient_scope"`
	resp, err := rt.RoundTrip(newRequest(t, "https://a.example/"))
	if err != nil || resp.StatusCode != 403 {
		t.Fatalf("%v, %v", resp, err)
	}
	e.wantCalls(t, 0, "for a token of too little scope")
	challenge = ""
	resp, err = rt.RoundTrip(newRequest(t, "https://a.example/"))
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v, %v", resp, err)
	}
}

// A Fetch that calls its own Tokens gets an error at once.
func TestTokensRecursive_F17(t *testing.T) {
	var tokens *bearer.Tokens
	tokens = &bearer.Tokens{
		Fetch: func(ctx context.Context, _ *oauth2.Token) (*oauth2.Token, error) {
			return tokens.Credentials(ctx)
		},
	}
	if _, err := tokens.Credentials(t.Context()); !errors.Is(err, creds.ErrRecursive) {
		t.Errorf("got %v", err)
	}
}

// Fetched receives each token before it is used.
func TestTokensFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		e := &endpoint{}
		tokens := &bearer.Tokens{Fetch: e.fetch,
			Fetched: func(t *oauth2.Token) { told = append(told, t.AccessToken) }}
		wantToken(t, tokens, "token1")
		tokens.Replace(is("token1"), &oauth2.Token{AccessToken: "sent"})
		synctest.Wait()
		wantToken(t, tokens, "sent")
		if strings.Join(told, " ") != "token1 sent" {
			t.Errorf("told of %q", told)
		}
	})
}
