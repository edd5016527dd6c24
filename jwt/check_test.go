package jwt_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/jwt"
	"github.com/countersign-go/countersign/jwt/pyramid"
)

// TestCheck checks that Check returns the error that the first use of each type would return.
func TestCheck(t *testing.T) {
	short, pem := creds.Secret("short"), creds.Secret("-----BEGIN PUBLIC KEY-----")
	good := &jwt.Key{Method: "HS256", Key: mintSecret}
	signed := func(j *jwt.Signer) error { return j.Sign(requestTo(t, apiOrigin), time.Now()) }
	judged := func(v *jwt.Verifier) error {
		_, err := v.Authenticate(withToken(tokenBy(t, mintSecret, "HS256", "k")))
		return err
	}
	begun := func(s *jwt.Session) error { return s.Set(httptest.NewRecorder(), "ann", nil) }
	fetched := func(s *jwt.JWKS) error {
		_, err := s.VerificationKey(context.Background(), "k")
		return err
	}
	proxied := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(
		&url.URL{Scheme: "http", Host: "proxy.example:3128"})}}
	endless := &jwt.Signer{Key: mintSecret, Method: "HS256", Lifetime: 48 * time.Hour}
	for name, tt := range map[string]struct{ check, use func() error }{
		"Signer without Method": both(&jwt.Signer{Key: mintSecret}, signed),
		"Signer without Key":    both(&jwt.Signer{Method: "ES256"}, signed),
		"Signer with a secret that is too short": both(
			&jwt.Signer{Key: short, Method: "HS256"}, signed),
		"Signer with a public key": both(
			&jwt.Signer{Key: ecKey().Public(), Method: "ES256"}, signed),
		"Signer with a long KeyID": both(&jwt.Signer{Key: mintSecret, Method: "HS256",
			KeyID: strings.Repeat("k", 2000)}, signed),
		"Signer with two places": both(&jwt.Signer{Key: mintSecret, Method: "HS256", Cookie: "a",
			Header: "X-A"}, signed),
		"Signer with a short Lifetime": both(&jwt.Signer{Key: mintSecret, Method: "HS256",
			Lifetime: time.Second}, signed),
		"Signer with a long Lifetime": both(endless, signed),
		"Verifier without Keys":       both(&jwt.Verifier{}, judged),
		"Verifier with Leeway": both(&jwt.Verifier{Keys: good, Leeway: time.Hour},
			judged),
		"Verifier with an empty name": both(&jwt.Verifier{Keys: good, Audience: []string{""}},
			judged),
		"Verifier with a Header that is none": both(&jwt.Verifier{Keys: good, Header: "a b"},
			judged),
		"Verifier with Encoding and no Cookie": both(
			&jwt.Verifier{Keys: good, Encoding: pyramid.Cookie{}}, judged),
		"Verifier with a bad key": both(
			&jwt.Verifier{Keys: &jwt.Key{Method: "HS256", Key: short}}, judged),
		"Verifier with a bad key in a map": both(
			&jwt.Verifier{Keys: jwt.KeyMap{"k": {Method: "HS256", Key: short}}}, judged),
		"Verifier with a bad key set": both(
			&jwt.Verifier{Keys: &jwt.JWKS{URL: "http://issuer.example"}}, judged),
		"Session without Signer": both(&jwt.Session{}, begun),
		"Session with a bad key": both(
			&jwt.Session{Signer: &jwt.Signer{Method: "RS256", Key: pem}}, begun),
		"Session with a ReissueAfter": both(&jwt.Session{ReissueAfter: time.Hour,
			Signer: &jwt.Signer{Method: "HS256", Key: mintSecret}}, begun),
		"Session with a Path": both(&jwt.Session{Path: "a",
			Signer: &jwt.Signer{Method: "HS256", Key: mintSecret}}, begun),
		"Session with a Verifier": both(&jwt.Session{
			Verifier: &jwt.Verifier{Keys: good, Leeway: -1},
			Signer:   &jwt.Signer{Method: "HS256", Key: mintSecret}}, begun),
		"JWKS without URL":   both(&jwt.JWKS{}, fetched),
		"JWKS by plain http": both(&jwt.JWKS{URL: "http://issuer.example/keys"}, fetched),
		"JWKS with a Method": both(&jwt.JWKS{URL: keysURL, Method: "ES256"}, fetched),
		"JWKS by a proxy elsewhere": both(
			&jwt.JWKS{URL: "http://localhost/", HTTP: proxied}, fetched),
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

// TestCheckGood checks that Check accepts types that are set up well, and calls nothing else.
func TestCheckGood(t *testing.T) {
	never := func() { t.Error("Check has called something") }
	good := &jwt.Key{Method: "HS256", Key: mintSecret}
	i := newIssuer("")
	for name, c := range map[string]interface{ Check() error }{
		"Signer": &jwt.Signer{Key: mintSecret, Method: "HS256"},
		"Signer for an audience": &jwt.Signer{Key: mintSecret, Method: "HS256",
			Lifetime: 48 * time.Hour, Claims: func(*http.Request) (map[string]any, error) {
				never()
				return nil, nil
			}},
		"Key":                good,
		"Verifier":           &jwt.Verifier{Keys: good},
		"Verifier of a map":  &jwt.Verifier{Keys: jwt.KeyMap{"a": good, "b": nil}},
		"Verifier of a set":  &jwt.Verifier{Keys: i.keys()},
		"Verifier of others": &jwt.Verifier{Keys: wrapped{i.keys()}},
		"Session":            &jwt.Session{Signer: &jwt.Signer{Key: mintSecret, Method: "HS256"}},
		"JWKS":               i.keys(),
	} {
		if err := c.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	i.expect(t, "calls of the issuer", nil, nil, 0)
}
