package bearer_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/bearer"
)

func TestFromPyramid(t *testing.T) {
	for name, tt := range map[string]struct {
		settings map[string]string
		want     func(s *bearer.Session) bool
	}{
		"other settings are left alone": {
			map[string]string{"sqlalchemy.url": "x", "jwtx": "y"},
			func(s *bearer.Session) bool { return s.Name == "Authorization" && s.PyramidCookie },
		},
		"blanks around": {
			map[string]string{"jwt.expiration": " 60 ", "jwt.algorithm": "HS256\n"},
			func(s *bearer.Session) bool {
				return s.JWT.Lifetime == time.Minute && s.JWT.Method == "HS256" && !s.JWT.NoExpiry
			},
		},
		"empty is missing": {
			map[string]string{"jwt.expiration": "", "jwt.auth_type": "", "jwt.private_key": ""},
			func(s *bearer.Session) bool {
				return s.JWT.NoExpiry && s.JWT.Scheme == "JWT" && s.JWT.Key == nil
			},
		},
		"a header in another spelling": {
			map[string]string{"jwt.http_header": "authorization", "jwt.auth_type": "Bearer"},
			func(s *bearer.Session) bool { return s.Verifier.Scheme == "Bearer" },
		},
		"tokens without exp": {
			map[string]string{"jwt.expiration": "60"},
			func(s *bearer.Session) bool { return s.Verifier.NoExpiry },
		},
		"the cookie": {
			map[string]string{"jwt.cookie_reissue_time": "7200", "jwt.cookie_path": "/p",
				"jwt.https_only_cookie": "off"},
			func(s *bearer.Session) bool {
				return s.ReissueAfter == 2*time.Hour && s.Path == "/p" && s.Insecure
			},
		},
	} {
		s, err := bearer.FromPyramid(tt.settings)
		if err != nil || !tt.want(s) {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	for _, word := range []string{"true", "True", "t", "yes", "y", "on", "1"} {
		s, err := bearer.FromPyramid(map[string]string{"jwt.https_only_cookie": word})
		if err != nil || s.Insecure {
			t.Errorf("%s: %v", word, err)
		}
	}
	for _, word := range []string{"false", "FALSE", "f", "no", "n", "off", "0"} {
		s, err := bearer.FromPyramid(map[string]string{"jwt.https_only_cookie": word})
		if err != nil || !s.Insecure {
			t.Errorf("%s: %v", word, err)
		}
	}
}

func TestFromPyramidErrors(t *testing.T) {
	for _, tt := range []struct{ name, value, want string }{
		{"jwt.expiration", "1h", "bearer: jwt.expiration is no number of seconds"},
		{"jwt.expiration", "-1", "bearer: jwt.expiration is no number of seconds"},
		{"jwt.leeway", "1.5", "bearer: jwt.leeway is no number of seconds"},
		{"jwt.cookie_reissue_time", "99999999999",
			"bearer: jwt.cookie_reissue_time is no number of seconds"},
		{"jwt.https_only_cookie", "maybe",
			"bearer: jwt.https_only_cookie is neither true nor false"},
		{"jwt.expirations", "60", "bearer: jwt.expirations is no setting of pyramid_jwt"},
		{"jwt.private-key", "canary-5e771d",
			"bearer: jwt.private-key is no setting of pyramid_jwt"},
		{"jwt.leeway", "301", "bearer: jwt.leeway is over 300 seconds"},
		{"jwt.algorithm", "none", "bearer: jwt.algorithm: bearer: unusable key: its Method is"},
		{"jwt.algorithm", "HS1", "bearer: jwt.algorithm: bearer: unusable key: its Method is"},
		{"jwt.private_key", "-----BEGIN PUBLIC KEY-----", "bearer: jwt.private_key: "},
		{"jwt.http_header", "X Token", "bearer: jwt.http_header or jwt.auth_type: "},
		{"jwt.http_header", "Host", "bearer: jwt.http_header or jwt.auth_type: "},
		{"jwt.auth_type", "J W T", "bearer: jwt.http_header or jwt.auth_type: "},
		{"jwt.cookie_name", "a b", "bearer: the cookie of the Session: "},
		{"jwt.cookie_name", "__Host-a b", "bearer: the cookie of the Session: "},
		{"jwt.cookie_path", "app", "bearer: the Path of a cookie begins with a slash"},
		{"jwt.cookie_path", "/;x", "bearer: the cookie of the Session: "},
	} {
		s, err := bearer.FromPyramid(map[string]string{tt.name: tt.value})
		if s != nil || err == nil || !strings.HasPrefix(err.Error(), tt.want) ||
			errors.Is(err, auth.ErrUnavailable) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
	public := string(inPEM("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(ecKey().Public()))))
	private := string(inPEM("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(ecKey()))))
	other := string(inPEM("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(newEC()))))
	for name, tt := range map[string]struct {
		settings map[string]string
		want     string // "": none
	}{
		"no new cookie in time": {map[string]string{"jwt.expiration": "60",
			"jwt.cookie_reissue_time": "60"}, "ReissueAfter is not below the Lifetime"},
		"another public key": {map[string]string{"jwt.algorithm": "ES256",
			"jwt.private_key": other, "jwt.public_key": public}, "another key"},
		"a broken public key": {map[string]string{"jwt.algorithm": "ES256",
			"jwt.private_key": private, "jwt.public_key": "x"}, "bearer: jwt.public_key: "},
		"a public key alone, of another kind": {map[string]string{"jwt.algorithm": "RS256",
			"jwt.public_key": public}, "bearer: jwt.public_key: "},
		"a public key to sign with": {map[string]string{"jwt.algorithm": "ES256",
			"jwt.private_key": public}, "bearer: jwt.private_key: "},
		"a public key of HS512, which is not read": {map[string]string{
			"jwt.private_key": string(mintSecret), "jwt.public_key": "x"}, ""},
		"a service that only verifies": {map[string]string{"jwt.algorithm": "ES256",
			"jwt.public_key": public}, ""},
		"all of it": {map[string]string{"jwt.algorithm": "ES256", "jwt.private_key": private,
			"jwt.public_key": public, "jwt.leeway": "300", "jwt.cookie_name": "a",
			"jwt.expiration": "60", "jwt.cookie_reissue_time": "59"}, ""},
	} {
		s, err := bearer.FromPyramid(tt.settings)
		if (err == nil) != (tt.want == "") || !strings.Contains(fmt.Sprint(err), tt.want) ||
			(s == nil) != (err != nil) {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
	_, err := bearer.FromPyramid(map[string]string{"jwt.b": "", "jwt.a": "", "jwt.leeway": "x"})
	if got := fmt.Sprint(err); strings.Count(got, "\n") != 2 ||
		!strings.HasPrefix(got, "bearer: jwt.a is") {
		t.Errorf("of three errors: %s", got)
	}
}

// A secret that is too short is used only by whoever says so.
func TestFromPyramidWeak_J13(t *testing.T) {
	read := func() *bearer.Session {
		s, err := bearer.FromPyramid(map[string]string{"jwt.private_key": "secret"})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if _, err := read().JWT.Token("bob", nil, 0); !errors.Is(err, bearer.ErrKey) ||
		!strings.Contains(err.Error(), "Weak") {
		t.Errorf("got %v", err)
	}
	s := read()
	s.JWT.Weak = true
	s.Verifier.Keys.(*bearer.Key).Weak = true
	if err := s.Set(httptest.NewRecorder(), "bob", nil); err != nil {
		t.Error(err)
	}
}
