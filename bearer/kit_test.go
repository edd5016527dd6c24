package bearer_test

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/authtest/schemetest"
	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/transport"
)

// A guard accepts one token. It does not read the token with the code of package bearer.
type guard struct {
	scheme, header, cookie string
	is                     func(token string) bool // a function, so that it is not printed
}

func (g guard) Authenticate(req *http.Request) (*auth.Identity, error) {
	text := req.Header.Get(g.header)
	if g.cookie != "" {
		c, err := req.Cookie(g.cookie)
		if err != nil {
			return nil, auth.ErrNone
		}
		text = c.Value
	}
	text, ours := strings.CutPrefix(text, g.scheme)
	switch {
	case !ours || text == "":
		return nil, auth.ErrNone
	case !g.is(text):
		return nil, errors.New("a wrong token")
	}
	return &auth.Identity{Subject: "ann", Scheme: "bearer"}, nil
}

func TestKit(t *testing.T) {
	const secret = "canary-k1tt0k3n"
	for name, g := range map[string]guard{
		"Authorization": {scheme: "Bearer ", header: "Authorization"},
		"scheme":        {scheme: "JWT ", header: "Authorization"},
		"header":        {header: "X-Token"},
		"cookie":        {cookie: "session"},
	} {
		g.is = func(token string) bool {
			return subtle.ConstantTimeCompare([]byte(token), []byte(secret)) == 1
		}
		t.Run(name, func(t *testing.T) {
			schemetest.Run(t, schemetest.Pair{
				New: func(*testing.T) (transport.Signer, auth.Authenticator) {
					s := &bearer.Signer{Source: static(secret), Cookie: g.cookie}
					if name == "scheme" {
						s.Scheme = "JWT"
					}
					if name == "header" {
						s.Header = g.header
					}
					return s, g
				},
				Fixed:   true,
				Secrets: []string{secret},
			})
		})
	}
}

// One client has a token for one service and a cookie for another. Neither service receives the
// other's token.
func TestByOrigin_K16(t *testing.T) {
	e := &endpoint{}
	m := transport.ByOrigin{
		"https://a.example": &bearer.Signer{Source: static("for-a")},
		"https://b.example": &bearer.Signer{Source: &bearer.Tokens{
			Token: &oauth2.Token{AccessToken: "token0"}, Fetch: e.fetch,
		}, Cookie: "s"},
	}
	var got []string
	rt := &transport.Transport{Signer: m, Base: network(
		func(req *http.Request) (*http.Response, error) {
			text := req.Header.Get("Authorization") + req.Header.Get("Cookie")
			got = append(got, req.URL.Host+" "+text)
			if text == "s=token0" {
				return answer(req, 401, "WWW-Authenticate", `Cookie error="invalid_token"`), nil
			}
			return answer(req, 200), nil
		})}
	for _, url := range []string{"https://a.example/", "https://b.example/", "https://c.example/"} {
		if _, err := rt.RoundTrip(newRequest(t, url)); err != nil {
			t.Fatal(err)
		}
	}
	want := "a.example Bearer for-a,b.example s=token0,b.example s=token1,c.example "
	if strings.Join(got, ",") != want {
		t.Errorf("sent %q, want %q", got, want)
	}
}

// named is a Source that knows the account of its tokens.
type named struct{ failing }

func (named) Account() string { return "ann" }

func TestAccount(t *testing.T) {
	for want, s := range map[string]*bearer.Signer{
		"":      {Source: static("a")},
		"ann":   {Source: named{}},
		"ann-2": {Source: &bearer.Tokens{Name: "ann-2"}},
	} {
		if got := s.Account(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := new(bearer.Signer).Account(); got != "" {
		t.Errorf("without a source: %q", got)
	}
}

// Sign allocates only the field and a map entry for a request.
func TestSignAllocations(t *testing.T) {
	tokens := &bearer.Tokens{Token: &oauth2.Token{
		AccessToken: "abc", Expiry: time.Now().Add(time.Hour)}}
	s := &bearer.Signer{Source: tokens}
	req, _ := http.NewRequestWithContext(context.Background(), "GET", "https://a.example/", nil)
	now := time.Now()
	got := testing.AllocsPerRun(100, func() {
		delete(req.Header, "Authorization")
		if err := s.Sign(req, now); err != nil {
			t.Error(err)
		}
	})
	if got > 2 {
		t.Errorf("%v allocations, want 2", got)
	}
}

func BenchmarkSign(b *testing.B) {
	s := &bearer.Signer{Source: static(strings.Repeat("x", 500))}
	req, _ := http.NewRequestWithContext(b.Context(), "GET", "https://a.example/", nil)
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Sign(req, now); err != nil {
			b.Fatal(err)
		}
	}
}
