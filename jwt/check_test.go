package bearer_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/oauth2"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/creds"
)

// TestCheck has each type tell at the start of a program what its first use would say.
func TestCheck(t *testing.T) {
	short, pem := creds.Secret("short"), creds.Secret("-----BEGIN PUBLIC KEY-----")
	good := &bearer.Key{Method: "HS256", Key: mintSecret}
	signed := func(j *bearer.JWT) error { return j.Sign(requestTo(t, apiOrigin), time.Now()) }
	judged := func(v *bearer.Verifier) error {
		_, err := v.Authenticate(withToken(tokenBy(t, mintSecret, "HS256", "k")))
		return err
	}
	begun := func(s *bearer.Session) error { return s.Set(httptest.NewRecorder(), "ann", nil) }
	sent := func(s *bearer.Signer) error { return s.Sign(requestTo(t, apiOrigin), time.Now()) }
	fetched := func(s *bearer.JWKS) error {
		_, err := s.VerificationKey(context.Background(), "k")
		return err
	}
	loggedIn := func(l *bearer.Login) error {
		_, err := l.Token(context.Background(), nil)
		return err
	}
	proxied := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(
		&url.URL{Scheme: "http", Host: "proxy.example:3128"})}}
	endless := &bearer.JWT{Key: mintSecret, Method: "HS256", Lifetime: 48 * time.Hour}
	for name, tt := range map[string]struct{ check, use func() error }{
		"JWT without Method": both(&bearer.JWT{Key: mintSecret}, signed),
		"JWT without Key":    both(&bearer.JWT{Method: "ES256"}, signed),
		"JWT with a secret that is too short": both(
			&bearer.JWT{Key: short, Method: "HS256"}, signed),
		"JWT with a public key": both(
			&bearer.JWT{Key: ecKey().Public(), Method: "ES256"}, signed),
		"JWT with a long KeyID": both(&bearer.JWT{Key: mintSecret, Method: "HS256",
			KeyID: strings.Repeat("k", 2000)}, signed),
		"JWT with two places": both(&bearer.JWT{Key: mintSecret, Method: "HS256", Cookie: "a",
			Header: "X-A"}, signed),
		"JWT with a short Lifetime": both(&bearer.JWT{Key: mintSecret, Method: "HS256",
			Lifetime: time.Second}, signed),
		"JWT with a long Lifetime": both(endless, signed),
		"Verifier without Keys":    both(&bearer.Verifier{}, judged),
		"Verifier with Leeway": both(&bearer.Verifier{Keys: good, Leeway: time.Hour},
			judged),
		"Verifier with an empty name": both(&bearer.Verifier{Keys: good, Audience: []string{""}},
			judged),
		"Verifier with a Header that is none": both(&bearer.Verifier{Keys: good, Header: "a b"},
			judged),
		"Verifier with PyramidCookie and no Cookie": both(
			&bearer.Verifier{Keys: good, PyramidCookie: true}, judged),
		"Verifier with a bad key": both(
			&bearer.Verifier{Keys: &bearer.Key{Method: "HS256", Key: short}}, judged),
		"Verifier with a bad key in a map": both(
			&bearer.Verifier{Keys: bearer.KeyMap{"k": {Method: "HS256", Key: short}}}, judged),
		"Verifier with a bad key set": both(
			&bearer.Verifier{Keys: &bearer.JWKS{URL: "http://issuer.example"}}, judged),
		"Session without JWT": both(&bearer.Session{}, begun),
		"Session with a bad key": both(
			&bearer.Session{JWT: &bearer.JWT{Method: "RS256", Key: pem}}, begun),
		"Session with a ReissueAfter": both(&bearer.Session{ReissueAfter: time.Hour,
			JWT: &bearer.JWT{Method: "HS256", Key: mintSecret}}, begun),
		"Session with a Path": both(&bearer.Session{Path: "a",
			JWT: &bearer.JWT{Method: "HS256", Key: mintSecret}}, begun),
		"Session with a Verifier": both(&bearer.Session{
			Verifier: &bearer.Verifier{Keys: good, Leeway: -1},
			JWT:      &bearer.JWT{Method: "HS256", Key: mintSecret}}, begun),
		"Signer without Source": both(&bearer.Signer{}, sent),
		"Signer with two places": both(&bearer.Signer{Source: bearer.StaticToken(mintSecret),
			Header: "X-A", Cookie: "a"}, sent),
		"Signer with an empty token": both(&bearer.Signer{Source: bearer.StaticToken(nil)}, sent),
		"Signer with a line feed": both(&bearer.Signer{
			Source: bearer.StaticToken(creds.Secret("token\n"))}, sent),
		"JWKS without URL":    both(&bearer.JWKS{}, fetched),
		"JWKS by plain http":  both(&bearer.JWKS{URL: "http://issuer.example/keys"}, fetched),
		"JWKS with a Method":  both(&bearer.JWKS{URL: keysURL, Method: "ES256"}, fetched),
		"Login without URL":   both(&bearer.Login{}, loggedIn),
		"Login by plain http": both(&bearer.Login{URL: "http://a.example/"}, loggedIn),
		"JWKS by a proxy elsewhere": both(
			&bearer.JWKS{URL: "http://localhost/", HTTP: proxied}, fetched),
		"Login by a proxy elsewhere": both(
			&bearer.Login{URL: "http://localhost/", HTTP: proxied}, loggedIn),
		"Login with a Cookie": both(&bearer.Login{URL: apiOrigin, Cookie: "a b"}, loggedIn),
		"Login with other text": both(
			&bearer.Login{URL: apiOrigin, JSON: true, User: "\xff"}, loggedIn),
	} {
		first := tt.check()
		used := tt.use()
		if first == nil || used == nil || first.Error() != used.Error() {
			t.Errorf("%s: Check says %v, the first use %v", name, first, used)
		}
		if used != nil && strings.Contains(used.Error(), auth.ErrUnavailable.Error()) {
			t.Errorf("%s reads like an outage: %v", name, used)
		}
		var later interface{ RetryAfter() time.Duration }
		if errors.As(used, &later) {
			t.Errorf("%s is worth another try after %v", name, later.RetryAfter())
		}
		if strings.HasPrefix(name, "Verifier") && !errors.Is(used, auth.ErrUnavailable) {
			t.Errorf("%s is not answered with 503: %v", name, used)
		}
	}
}

func both[T interface{ Check() error }](v T, use func(T) error) struct{ check, use func() error } {
	return struct{ check, use func() error }{v.Check, func() error { return use(v) }}
}

// TestCheckGood says nothing about types that are set up well, and asks nothing of others.
func TestCheckGood(t *testing.T) {
	never := func() { t.Error("Check has called something") }
	good := &bearer.Key{Method: "HS256", Key: mintSecret}
	i := newIssuer("")
	for name, c := range map[string]interface{ Check() error }{
		"JWT": &bearer.JWT{Key: mintSecret, Method: "HS256"},
		"JWT for an audience": &bearer.JWT{Key: mintSecret, Method: "HS256",
			Lifetime: 48 * time.Hour, Claims: func(*http.Request) (jwt.MapClaims, error) {
				never()
				return nil, nil
			}},
		"Key":                good,
		"Verifier":           &bearer.Verifier{Keys: good},
		"Verifier of a map":  &bearer.Verifier{Keys: bearer.KeyMap{"a": good, "b": nil}},
		"Verifier of a set":  &bearer.Verifier{Keys: i.keys()},
		"Verifier of others": &bearer.Verifier{Keys: wrapped{i.keys()}},
		"Session":            &bearer.Session{JWT: &bearer.JWT{Key: mintSecret, Method: "HS256"}},
		"Signer":             &bearer.Signer{Source: bearer.StaticToken(creds.Secret("token"))},
		"Signer of Tokens": &bearer.Signer{Source: &bearer.Tokens{Fetch: func(context.Context,
			*oauth2.Token) (*oauth2.Token, error) {
			never()
			return nil, nil
		}}},
		"JWKS":  i.keys(),
		"Login": &bearer.Login{URL: apiOrigin},
	} {
		if err := c.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	i.expect(t, "calls of the issuer", nil, nil, 0)
}
