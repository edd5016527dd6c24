package bearer_test

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

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
	} {
		s, err := bearer.FromPyramid(map[string]string{tt.name: tt.value})
		if s != nil || err == nil || err.Error() != tt.want {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
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
