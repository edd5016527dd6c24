package pyramid_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/jwt"
	"github.com/countersign-go/countersign/jwt/pyramid"
)

func TestFromSettings(t *testing.T) {
	for name, tt := range map[string]struct {
		settings map[string]string
		want     func(s *jwt.Session) bool
	}{
		"other settings are left alone": {
			map[string]string{"sqlalchemy.url": "x", "jwtx": "y"},
			func(s *jwt.Session) bool {
				return s.Name == "Authorization" && s.Encoding == pyramid.Cookie{}
			},
		},
		"blanks around": {
			map[string]string{"jwt.expiration": " 60 ", "jwt.algorithm": "HS256\n"},
			func(s *jwt.Session) bool {
				return s.Signer.Lifetime == time.Minute && s.Signer.Method == "HS256" &&
					!s.Signer.NoExpiry
			},
		},
		"empty is missing": {
			map[string]string{"jwt.expiration": "", "jwt.auth_type": "", "jwt.private_key": ""},
			func(s *jwt.Session) bool {
				return s.Signer.NoExpiry && s.Signer.Scheme == "JWT" && s.Signer.Key == nil
			},
		},
		"a header in another spelling": {
			map[string]string{"jwt.http_header": "authorization", "jwt.auth_type": "Bearer"},
			func(s *jwt.Session) bool { return s.Verifier.Scheme == "Bearer" },
		},
		"tokens without exp": {
			map[string]string{"jwt.expiration": "60"},
			func(s *jwt.Session) bool { return s.Verifier.NoExpiry },
		},
		"the cookie": {
			map[string]string{"jwt.cookie_reissue_time": "7200", "jwt.cookie_path": "/p",
				"jwt.https_only_cookie": "off"},
			func(s *jwt.Session) bool {
				return s.ReissueAfter == 2*time.Hour && s.Path == "/p" && s.Insecure
			},
		},
	} {
		s, err := pyramid.FromSettings(tt.settings)
		if err != nil || !tt.want(s) {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	for _, word := range []string{"true", "True", "t", "yes", "y", "on", "1"} {
		s, err := pyramid.FromSettings(map[string]string{"jwt.https_only_cookie": word})
		if err != nil || s.Insecure {
			t.Errorf("%s: %v", word, err)
		}
	}
	for _, word := range []string{"false", "FALSE", "f", "no", "n", "off", "0"} {
		s, err := pyramid.FromSettings(map[string]string{"jwt.https_only_cookie": word})
		if err != nil || !s.Insecure {
			t.Errorf("%s: %v", word, err)
		}
	}
}

func TestFromSettingsErrors(t *testing.T) {
	for _, tt := range []struct{ name, value, want string }{
		{"jwt.expiration", "1h", "pyramid: jwt.expiration is not a number of seconds"},
		{"jwt.expiration", "-1", "pyramid: jwt.expiration is not a number of seconds"},
		{"jwt.leeway", "1.5", "pyramid: jwt.leeway is not a number of seconds"},
		{"jwt.cookie_reissue_time", "99999999999",
			"pyramid: jwt.cookie_reissue_time is not a number of seconds"},
		{"jwt.https_only_cookie", "maybe",
			"pyramid: jwt.https_only_cookie is neither true nor false"},
		{"jwt.expirations", "60", "pyramid: jwt.expirations is not a setting of pyramid_jwt"},
		{"jwt.private-key", "canary-5e771d",
			"pyramid: jwt.private-key is not a setting of pyramid_jwt"},
		{"jwt.leeway", "301", "pyramid: jwt.leeway is over 300 seconds"},
		{"jwt.algorithm", "none", "pyramid: jwt.algorithm: jwt: unusable key: its Method is"},
		{"jwt.algorithm", "HS1", "pyramid: jwt.algorithm: jwt: unusable key: its Method is"},
		{"jwt.private_key", "-----BEGIN PUBLIC KEY-----", "pyramid: jwt.private_key: "},
		{"jwt.http_header", "X Token", "pyramid: jwt.http_header or jwt.auth_type: "},
		{"jwt.http_header", "Host", "pyramid: jwt.http_header or jwt.auth_type: "},
		{"jwt.auth_type", "J W T", "pyramid: jwt.http_header or jwt.auth_type: "},
		{"jwt.cookie_name", "a b", "jwt: the cookie of the Session: "},
		{"jwt.cookie_name", "__Host-a b", "jwt: the cookie of the Session: "},
		{"jwt.cookie_path", "app", "jwt: the Path of a cookie begins with a slash"},
		{"jwt.cookie_path", "/;x", "jwt: the cookie of the Session: "},
	} {
		s, err := pyramid.FromSettings(map[string]string{tt.name: tt.value})
		if s != nil || err == nil || !strings.HasPrefix(err.Error(), tt.want) ||
			errors.Is(err, auth.ErrUnavailable) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
	own := newKey(t)
	public := publicPEM(t, own)
	private := privatePEM(t, own)
	other := privatePEM(t, newKey(t))
	for name, tt := range map[string]struct {
		settings map[string]string
		want     string // "" if it succeeds
	}{
		"no new cookie in time": {map[string]string{"jwt.expiration": "60",
			"jwt.cookie_reissue_time": "60"}, "ReissueAfter is not below the Lifetime"},
		"another public key": {map[string]string{"jwt.algorithm": "ES256",
			"jwt.private_key": other, "jwt.public_key": public}, "another key"},
		"a broken public key": {map[string]string{"jwt.algorithm": "ES256",
			"jwt.private_key": private, "jwt.public_key": "x"}, "pyramid: jwt.public_key: "},
		"a public key alone, of another kind": {map[string]string{"jwt.algorithm": "RS256",
			"jwt.public_key": public}, "pyramid: jwt.public_key: "},
		"a public key to sign with": {map[string]string{"jwt.algorithm": "ES256",
			"jwt.private_key": public}, "pyramid: jwt.private_key: "},
		"a public key of HS512, which is not read": {map[string]string{
			"jwt.private_key": strings.Repeat("k", 64), "jwt.public_key": "x"}, ""},
		"a service that only verifies": {map[string]string{"jwt.algorithm": "ES256",
			"jwt.public_key": public}, ""},
		"all of it": {map[string]string{"jwt.algorithm": "ES256", "jwt.private_key": private,
			"jwt.public_key": public, "jwt.leeway": "300", "jwt.cookie_name": "a",
			"jwt.expiration": "60", "jwt.cookie_reissue_time": "59"}, ""},
	} {
		s, err := pyramid.FromSettings(tt.settings)
		if (err == nil) != (tt.want == "") || !strings.Contains(fmt.Sprint(err), tt.want) ||
			(s == nil) != (err != nil) {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
	_, err := pyramid.FromSettings(map[string]string{"jwt.b": "", "jwt.a": "", "jwt.leeway": "x"})
	if got := fmt.Sprint(err); strings.Count(got, "\n") != 2 ||
		!strings.HasPrefix(got, "pyramid: jwt.a is") {
		t.Errorf("of three errors: %s", got)
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func publicPEM(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func privatePEM(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// A secret that is too short is used only if Weak allows it.
func TestFromSettingsWeak_J13(t *testing.T) {
	read := func() *jwt.Session {
		s, err := pyramid.FromSettings(map[string]string{"jwt.private_key": "secret"})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if _, err := read().Signer.Token("bob", nil, 0); !errors.Is(err, jwt.ErrKey) ||
		!strings.Contains(err.Error(), "Weak") {
		t.Errorf("got %v", err)
	}
	s := read()
	s.Signer.Weak = true
	s.Verifier.Keys.(*jwt.Key).Weak = true
	if err := s.Set(httptest.NewRecorder(), "bob", nil); err != nil {
		t.Error(err)
	}
}
