package bearer_test

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/creds"
)

// TestSessionAcceptsItsOwn has new tokens that the Verifier would not accept, if nobody took care.
func TestSessionAcceptsItsOwn(t *testing.T) {
	s := newSession()
	s.Verifier = &bearer.Verifier{Keys: hmacKeyOf(mintSecret), Issuer: "me",
		Audience: []string{"app", "other"}, Realm: "staff",
		Groups: func(context.Context, jwt.MapClaims) ([]string, error) {
			return []string{"g"}, nil
		}}
	b := newBrowser(t, s)
	b.visit("POST", "/login")
	b.visit("GET", "/")
	b.is("bob", 0)
	_, claims := opened(t, b.cookie.Value)
	if claims["iss"] != "me" || claims["aud"] != "app" {
		t.Errorf("claims %v", claims)
	}
	req := requestTo(t, siteURL)
	req.AddCookie(b.cookie)
	id, err := s.Authenticate(req)
	if err != nil || id.Scheme != "Cookie" || id.Groups[0] != "g" || id.Expires.IsZero() {
		t.Errorf("%+v, %v", id, err)
	}
	if got := challenge(s, nil); got != `Cookie realm="staff", cookie-name="__Host-session"` {
		t.Errorf("challenge %s", got)
	}
}

func TestSessionSetErrors(t *testing.T) {
	for name, claims := range map[string]jwt.MapClaims{
		"no JSON": {"f": func() {}}, "similar name": {"Sub": "x"}, "id": {"jti": 1},
		"too long":      {"a": strings.Repeat("a", 3000)},
		"much too long": {"a": strings.Repeat("a", 9000)},
		"for others":    {"aud": "x"},
		"not yet":       {"nbf": time.Now().Unix() + 60},
		"no time":       {"nbf": "now"},
	} {
		w := httptest.NewRecorder()
		if err := newSession().Set(w, "bob", claims); err == nil || len(w.Header()) > 0 {
			t.Errorf("%s: %v, and the answer has %v", name, err, w.Header())
		}
	}
	w := httptest.NewRecorder()
	if err := newSession().Set(w, "", nil); err == nil {
		t.Error("a session of nobody")
	}
	endless := newSession()
	endless.JWT = &bearer.JWT{Key: mintSecret, Method: "HS256", NoExpiry: true}
	for name, claims := range map[string]jwt.MapClaims{
		"ended": {"exp": 1}, "no number": {"exp": "x"},
		"login too long ago": {"exp": int64(1) << 40, "auth_time": 1},
		"and without end":    {"auth_time": 1},
	} {
		if err := endless.Set(w, "bob", claims); err == nil || len(w.Header()) > 0 {
			t.Errorf("%s: %v, and the answer has %v", name, err, w.Header())
		}
	}
}

// A session that begins can go on: Set refuses what the Session itself would not accept, and keeps
// to what its Verifier takes.
func TestSessionAcceptsWhatItSets(t *testing.T) {
	for name, tt := range map[string]struct {
		verifier bearer.Verifier
		claims   jwt.MapClaims
		fails    bool
	}{
		"its issuer":     {bearer.Verifier{Issuer: "me"}, jwt.MapClaims{"iss": "me"}, false},
		"another issuer": {bearer.Verifier{Issuer: "me"}, jwt.MapClaims{"iss": "you"}, true},
		"one of its names": {bearer.Verifier{Audience: []string{"a", "b"}},
			jwt.MapClaims{"aud": []string{"c", "b"}}, false},
		"another name": {bearer.Verifier{Audience: []string{"a"}},
			jwt.MapClaims{"aud": "b"}, true},
		"nbf within leeway": {bearer.Verifier{Leeway: time.Minute},
			jwt.MapClaims{"nbf": time.Now().Unix() + 30}, false},
		"a login of the past": {bearer.Verifier{},
			jwt.MapClaims{"auth_time": time.Now().Unix() - 3600}, false},
	} {
		s := newSession()
		s.JWT.KeyID = "a"
		s.Verifier = &tt.verifier
		s.Verifier.Keys = bearer.KeyMap{"a": hmacKeyOf(mintSecret)}
		w := httptest.NewRecorder()
		if err := s.Set(w, "bob", tt.claims); (err != nil) != tt.fails {
			t.Errorf("%s: %v", name, err)
		}
		if tt.fails {
			continue
		}
		req := requestTo(t, siteURL)
		req.Header.Set("Cookie", strings.Split(w.Header().Get("Set-Cookie"), ";")[0])
		if _, err := s.Authenticate(req); err != nil {
			t.Errorf("%s: set, and not accepted: %v", name, err)
		}
	}
}

// S17: claims that come from another session do not take its id along, and a login is not as old
// as they say unless they tell when it was.
func TestSessionFromAnother_S17(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().Unix()
		for _, s := range []*bearer.Session{
			{JWT: &bearer.JWT{Key: mintSecret, Method: "HS256", TokenID: true}},
			{JWT: &bearer.JWT{Key: mintSecret, Method: "HS256"}, DenyList: new(bearer.DenyList)},
		} {
			w := httptest.NewRecorder()
			err := s.Set(w, "bob",
				jwt.MapClaims{"jti": "x", "iat": 1, "exp": 2, "auth_time": now - 9})
			if err != nil {
				t.Fatal(err)
			}
			_, claims := opened(t, strings.TrimPrefix(
				strings.Split(w.Header().Get("Set-Cookie"), ";")[0], "__Host-session="))
			if claims["jti"] == "x" || fmt.Sprint(claims["iat"]) != fmt.Sprint(now) ||
				fmt.Sprint(claims["auth_time"]) != fmt.Sprint(now-9) {
				t.Errorf("claims %v", claims)
			}
		}
	})
}

// A Lifetime of over a day needs no MaxAge beside it; a Weak key needs no Verifier.
func TestSessionDefaults(t *testing.T) {
	s := &bearer.Session{JWT: &bearer.JWT{
		Key: mintSecret[:8], Method: "HS256", Weak: true, Lifetime: 48 * time.Hour,
	}}
	b := newBrowser(t, s)
	b.visit("POST", "/login")
	if b.cookie.MaxAge != 48*3600 {
		t.Errorf("the cookie lasts %d s", b.cookie.MaxAge)
	}
	b.visit("GET", "/")
	b.is("bob", 0)
}

// A Session that is set up wrongly says so at the first use, and lets nobody in.
func TestSessionSetup(t *testing.T) {
	for name, change := range map[string]func(*bearer.Session){
		"no JWT": func(s *bearer.Session) { s.JWT = nil },
		"no key": func(s *bearer.Session) { s.JWT.Key = nil },
		"a public key": func(s *bearer.Session) {
			s.JWT = &bearer.JWT{Key: mintKeys.ed.Public(), Method: "EdDSA",
				Lifetime: time.Hour}
		},
		"no Keys":    func(s *bearer.Session) { s.Verifier = &bearer.Verifier{} },
		"other type": func(s *bearer.Session) { s.Verifier = verifierOfType("at+jwt") },
		"other key": func(s *bearer.Session) {
			s.Verifier = verifierOf(hmacKey)
		},
		"other method": func(s *bearer.Session) {
			long := creds.Secret(strings.Repeat("k", 64))
			s.JWT = &bearer.JWT{Method: "HS512", Key: long, Lifetime: time.Hour}
			s.Verifier = verifierOf(hmacKeyOf(long))
		},
		"other public key": func(s *bearer.Session) {
			s.JWT = &bearer.JWT{Method: "EdDSA", Key: mintKeys.ed, Lifetime: time.Hour}
			s.Verifier = verifierOf(&bearer.Key{Method: "EdDSA", Key: edKey().Public()})
		},
		"no key of that id": func(s *bearer.Session) {
			s.JWT.KeyID = "b"
			s.Verifier = verifierOf(bearer.KeyMap{"a": hmacKeyOf(mintSecret)})
		},
		"nil key": func(s *bearer.Session) {
			s.Verifier = verifierOf((*bearer.Key)(nil))
		},
		"useless key":      func(s *bearer.Session) { s.Verifier = verifierOf(&bearer.Key{}) },
		"key id too long":  func(s *bearer.Session) { s.JWT.KeyID = strings.Repeat("k", 1025) },
		"key id not UTF-8": func(s *bearer.Session) { s.JWT.KeyID = "a\xff" },
		"host and domain": func(s *bearer.Session) {
			s.Name, s.Domains = "__Host-a", []string{"a.example"}
		},
		"host and path":  func(s *bearer.Session) { s.Name, s.Path = "__host-a", "/a" },
		"host, insecure": func(s *bearer.Session) { s.Name, s.Insecure = "__Host-a", true },
		"secure, not so": func(s *bearer.Session) { s.Name, s.Insecure = "__Secure-a", true },
		"none, insecure": func(s *bearer.Session) {
			s.SameSite, s.Insecure = http.SameSiteNoneMode, true
		},
		"name":        func(s *bearer.Session) { s.Name = "a b" },
		"path":        func(s *bearer.Session) { s.Path = "a" },
		"path in two": func(s *bearer.Session) { s.Path = "/a;b" },
		"domain":      func(s *bearer.Session) { s.Domains = []string{"a_b!"} },
		"a domain below": func(s *bearer.Session) {
			s.Domains = []string{"example.com", "app.example.com"}
		},
		"a domain above": func(s *bearer.Session) {
			s.Domains = []string{"app.example.com", "example.org", ".Example.com"}
		},
		"a domain twice": func(s *bearer.Session) {
			s.Domains = []string{"example.com", "EXAMPLE.COM"}
		},
		"empty domain":  func(s *bearer.Session) { s.Domains = []string{""} },
		"never in time": func(s *bearer.Session) { s.ReissueAfter = time.Hour },
		"negative":      func(s *bearer.Session) { s.ReissueAfter = -1 },
		"negative age":  func(s *bearer.Session) { s.MaxAge = -1 },
		"negative life": func(s *bearer.Session) { s.JWT.Lifetime = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSession()
			change(s)
			var log bytes.Buffer
			s.Logger = slog.New(slog.NewTextHandler(&log, nil))
			b := newBrowser(t, s)
			status := b.visit("GET", "/")
			if status != 500 || !strings.Contains(log.String(), "bearer:") {
				t.Errorf("status %d, log %s", status, &log)
			}
			w := httptest.NewRecorder()
			if err := s.Set(w, "bob", nil); err == nil || len(w.Header()) > 0 {
				t.Errorf("Set: %v, %v", err, w.Header())
			}
			req := requestTo(t, siteURL)
			if err := s.Clear(w, req); err == nil {
				t.Error("Clear does not say so")
			}
			if _, err := s.Authenticate(req); !errors.Is(err, auth.ErrUnavailable) {
				t.Errorf("Authenticate: %v", err)
			}
			if challenge(s, nil) != "Cookie" {
				t.Error("no challenge")
			}
		})
	}
}

func verifierOf(keys bearer.KeySet) *bearer.Verifier { return &bearer.Verifier{Keys: keys} }

func verifierOfType(typ string) *bearer.Verifier {
	return &bearer.Verifier{Keys: hmacKeyOf(mintSecret), Type: typ}
}

func TestSessionNames(t *testing.T) {
	for want, s := range map[string]*bearer.Session{
		"__Host-session=": {},
		"session=":        {Insecure: true},
		"session=a":       {Path: "/app"},
		"session=b":       {Domains: []string{"example.org"}},
		"session=c":       {Domains: []string{"example.org", "ample.org", "an.ample.org.uk"}},
		"own=":            {Name: "own"},
		"__Secure-own=":   {Name: "__Secure-own", Path: "/a", SameSite: http.SameSiteNoneMode},
	} {
		s.JWT = newSession().JWT
		w := httptest.NewRecorder()
		if err := s.Set(w, "bob", nil); err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(want, "=")
		if got := w.Header().Get("Set-Cookie"); !strings.HasPrefix(got, name+"=") {
			t.Errorf("cookie %s, want the name %s", got, name)
		}
	}
}

// What the Handler found out is for the request it was asked about, and for no other.
func TestSessionVisitIsOfItsRequest(t *testing.T) {
	s, other := newSession(), newSession()
	other.Name = "other"
	w := httptest.NewRecorder()
	if err := s.Set(w, "bob", nil); err != nil {
		t.Fatal(err)
	}
	if err := other.Set(w, "ann", nil); err != nil {
		t.Fatal(err)
	}
	req := requestTo(t, siteURL)
	for _, line := range w.Header()["Set-Cookie"] {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			t.Fatal(err)
		}
		req.AddCookie(c)
	}
	is := func(s *bearer.Session, req *http.Request, want string) {
		t.Helper()
		id, err := s.Authenticate(req)
		if want == "" && !errors.Is(err, auth.ErrNone) ||
			want != "" && (err != nil || id.Subject != want) {
			t.Errorf("%+v, %v, want %q", id, err, want)
		}
	}
	s.Handler(other.Handler(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		is(s, req, "bob")
		is(other, req, "ann")
		inner := requestTo(t, siteURL).WithContext(req.Context())
		is(s, inner, "")
		inner.Header.Set("Cookie", "__Host-session=x")
		is(s, inner, "")
	}))).ServeHTTP(httptest.NewRecorder(), req)
}

// A form that a handler reads is cleaned up by net/http all the same.
func TestSessionMultipartForm(t *testing.T) {
	body := "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\nx\r\n" +
		"--b--\r\n"
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, siteURL,
		strings.NewReader(body))
	req.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	newSession().Handler(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		if err := req.ParseMultipartForm(1 << 20); err != nil {
			t.Error(err)
		}
	})).ServeHTTP(httptest.NewRecorder(), req)
	if req.MultipartForm == nil {
		t.Error("the form is nowhere to be found")
	}
}

// The log tells why a cookie was not accepted, and has nothing of it.
func TestSessionLog(t *testing.T) {
	var log bytes.Buffer
	s := newSession()
	s.Logger = slog.New(slog.NewTextHandler(&log, nil))
	b := newBrowser(t, s)
	b.cookie = &http.Cookie{Name: "__Host-session", Value: "canary-0c00b1"}
	b.visit("GET", "/?q=canary-0c00b1")
	text := log.String()
	if !strings.Contains(text, "session not accepted") || !strings.Contains(text, "path=/ ") ||
		strings.Contains(text, "canary") || strings.Count(text, "\n") != 1 {
		t.Error("the log is not one line with the reason alone")
	}
	key := new(failingKey)
	log.Reset()
	s = newSession()
	s.JWT = &bearer.JWT{Key: key, Method: "EdDSA", Lifetime: time.Hour}
	s.Logger = slog.New(slog.NewTextHandler(&log, nil))
	b = newBrowser(t, s)
	now := time.Now().Unix()
	token, err := s.JWT.Token("bob", jwt.MapClaims{"auth_time": now - 1}, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, claims := opened(t, token)
	claims["iat"] = now - 1000
	b.cookie = &http.Cookie{Name: "__Host-session", Value: mint(t,
		&bearer.Key{Method: "EdDSA", Key: mintKeys.ed}, nil, claims)}
	key.broken = true
	b.visit("GET", "/")
	b.is("bob", 0)
	if !strings.Contains(log.String(), "not prolonged") {
		t.Errorf("log %s", &log)
	}
}

// A failingKey is one in hardware that breaks.
type failingKey struct{ broken bool }

func (k *failingKey) Public() crypto.PublicKey { return mintKeys.ed.Public() }

func (k *failingKey) Sign(
	random io.Reader, message []byte, o crypto.SignerOpts,
) ([]byte, error) {
	if k.broken {
		return nil, errors.New("broken")
	}
	return mintKeys.ed.Sign(random, message, o)
}
