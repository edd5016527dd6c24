package jwt_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/jwt"
)

// After a logout, no copy of a cookie is accepted, neither an earlier nor a later one.
func TestSessionLogoutRevokes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession()
		s.DenyList = new(jwt.DenyList)
		b, thief := newBrowser(t, s), newBrowser(t, s)
		b.visit("POST", "/login")
		first := b.cookie
		time.Sleep(20 * time.Minute)
		b.visit("GET", "/")
		second := b.cookie
		if first.Value == second.Value {
			t.Fatal("not replaced")
		}
		thief.cookie = second
		time.Sleep(20 * time.Minute)
		thief.visit("GET", "/") // and has a newer cookie now
		thief.is("bob", 1)
		third := thief.cookie
		if b.visit("POST", "/logout") != 200 {
			t.Error("no logout")
		}
		for range 300 { // until the session would have ended
			s.DenyList.Sweep()
			for _, c := range []*http.Cookie{first, second, third} {
				thief.cookie = c
				thief.visit("GET", "/")
				thief.is("nobody", 0)
			}
			time.Sleep(6 * time.Minute)
		}
		b.visit("POST", "/login")
		b.visit("GET", "/")
		b.is("bob", 0)
	})
}

func TestSessionClearErrors(t *testing.T) {
	s := newSession()
	s.DenyList = new(jwt.DenyList)
	token := mint(t, hmacKeyOf(mintSecret), nil,
		map[string]any{"sub": "bob", "exp": int64(1) << 40})
	never := func(claims map[string]any) string {
		return mint(t, hmacKeyOf(mintSecret), nil, claims)
	}
	for name, tt := range map[string]struct {
		cookie string
		fails  bool
	}{
		"no cookie":          {"", false},
		"garbage":            {"__Host-session=abc", false},
		"two":                {"__Host-session=abc; __Host-session=def", false},
		"a token without id": {"__Host-session=" + token, true},
		"and one more":       {"__Host-session=" + token + "; __Host-session=abc", true},
		"too many":           {strings.Repeat("__Host-session=abc; ", 11), true},
		"just not too many":  {strings.Repeat("__Host-session=abc; ", 10), false},
		"without id, ended":  {"__Host-session=" + never(map[string]any{"exp": 1}), false},
		"without end":        {"__Host-session=" + never(map[string]any{"sub": "bob"}), false},
		"end is no number":   {"__Host-session=" + never(map[string]any{"exp": "x"}), false},
		"of another key": {"__Host-session=" + mint(t, hmacKey, nil,
			map[string]any{"sub": "bob", "exp": int64(1) << 40}), false},
	} {
		req := requestTo(t, siteURL)
		req.Header.Set("Cookie", tt.cookie)
		w := httptest.NewRecorder()
		if err := s.Clear(w, req); (err != nil) != tt.fails {
			t.Errorf("%s: %v", name, err)
		}
		if !strings.Contains(w.Header().Get("Set-Cookie"), "Max-Age=0") {
			t.Errorf("%s: the cookie is not cleared", name)
		}
	}
	down := errors.New("down")
	s = newSession()
	s.DenyList = new(jwt.DenyList)
	s.Verifier = &jwt.Verifier{Keys: keysDown{down}}
	req := requestTo(t, siteURL)
	req.Header.Set("Cookie", "__Host-session="+token)
	if err := s.Clear(httptest.NewRecorder(), req); !errors.Is(err, down) {
		t.Errorf("the keys are down: %v", err)
	}
	if _, err := s.Authenticate(req); !errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("the keys are down: %v", err)
	}
}

// A logout ends the session of each cookie in the request. A neighbor in the domain may have set a
// second cookie, or a server whose clock is ahead may have made the token.
func TestSessionClearsAll_J12(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().Unix()
		token := func(jti string, change map[string]any) string {
			claims := map[string]any{"sub": "bob", "jti": jti, "iat": now, "exp": now + 3600}
			maps.Copy(claims, change)
			return mint(t, hmacKeyOf(mintSecret), nil, claims)
		}
		for name, values := range map[string][]string{
			"one":            {token("1", nil)},
			"a planted one":  {token("1", nil), "abc"},
			"planted before": {"", "a.b.c", token("1", nil)},
			"of two users":   {token("1", nil), token("2", nil)},
			"made ahead":     {token("1", map[string]any{"iat": now + 1})},
			"good only then": {token("1", map[string]any{"nbf": now + 1})},
			"of the past, of which there are copies": {token("1",
				map[string]any{"iat": now - 3600, "exp": now})},
		} {
			s := newSession()
			s.DenyList = new(jwt.DenyList)
			req := requestTo(t, siteURL)
			req.Header.Set("Cookie", "__Host-session="+strings.Join(values, "; __Host-session="))
			if err := s.Clear(httptest.NewRecorder(), req); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			for _, id := range []string{"1", "2"} {
				copied := requestTo(t, siteURL)
				copied.Header.Set("Cookie", "__Host-session="+token(id, nil))
				_, err := s.Authenticate(copied)
				if ended := id == "1" || len(values) == 2 && values[1] != "abc"; ended !=
					errors.Is(err, jwt.ErrRefused) {
					t.Errorf("%s, session %s: %v", name, id, err)
				}
			}
		}
	})
}

func hmacKeyOf(secret creds.Secret) *jwt.Key {
	return &jwt.Key{Method: "HS256", Key: secret}
}

type keysDown struct{ err error }

func (k keysDown) VerificationKey(context.Context, string) (*jwt.Key, error) {
	return nil, k.err
}
