package jwt_test

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

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/jwt"
)

// TestSessionAcceptsItsOwn has settings with which the Verifier would refuse new tokens, unless the
// Session prevents it.
func TestSessionAcceptsItsOwn(t *testing.T) {
	s := newSession()
	s.Verifier = &jwt.Verifier{Keys: hmacKeyOf(mintSecret), Issuer: "me",
		Audience: []string{"app", "other"}, Realm: "staff",
		Groups: func(context.Context, map[string]any) ([]string, error) {
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
	for name, claims := range map[string]map[string]any{
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
	endless.Signer = &jwt.Signer{Key: mintSecret, Method: "HS256", NoExpiry: true}
	for name, claims := range map[string]map[string]any{
		"ended": {"exp": 1}, "no number": {"exp": "x"},
		"login too long ago": {"exp": int64(1) << 40, "auth_time": 1},
		"and without end":    {"auth_time": 1},
	} {
		if err := endless.Set(w, "bob", claims); err == nil || len(w.Header()) > 0 {
			t.Errorf("%s: %v, and the answer has %v", name, err, w.Header())
		}
	}
}

// A session that begins can go on: Set refuses claims that the Session itself would not accept, and
// makes only tokens that its Verifier accepts.
func TestSessionAcceptsWhatItSets(t *testing.T) {
	for name, tt := range map[string]struct {
		verifier jwt.Verifier
		claims   map[string]any
		fails    bool
	}{
		"its issuer":     {jwt.Verifier{Issuer: "me"}, map[string]any{"iss": "me"}, false},
		"another issuer": {jwt.Verifier{Issuer: "me"}, map[string]any{"iss": "you"}, true},
		"one of its names": {jwt.Verifier{Audience: []string{"a", "b"}},
			map[string]any{"aud": []string{"c", "b"}}, false},
		"another name": {jwt.Verifier{Audience: []string{"a"}},
			map[string]any{"aud": "b"}, true},
		"nbf within leeway": {jwt.Verifier{Leeway: time.Minute},
			map[string]any{"nbf": time.Now().Unix() + 30}, false},
		"a login of the past": {jwt.Verifier{},
			map[string]any{"auth_time": time.Now().Unix() - 3600}, false},
	} {
		s := newSession()
		s.Signer.KeyID = "a"
		s.Verifier = &tt.verifier
		s.Verifier.Keys = jwt.KeyMap{"a": hmacKeyOf(mintSecret)}
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

// S17: claims that come from another session do not bring its jti. Their iat does not make the
// login old, only their auth_time does.
func TestSessionFromAnother_S17(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().Unix()
		for _, s := range []*jwt.Session{
			{Signer: &jwt.Signer{Key: mintSecret, Method: "HS256", TokenID: true}},
			{Signer: &jwt.Signer{Key: mintSecret, Method: "HS256"}, DenyList: new(jwt.DenyList)},
		} {
			w := httptest.NewRecorder()
			err := s.Set(w, "bob",
				map[string]any{"jti": "x", "iat": 1, "exp": 2, "auth_time": now - 9})
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

// A Lifetime of over a day needs no MaxAge, and a Weak key needs no Verifier.
func TestSessionDefaults(t *testing.T) {
	s := &jwt.Session{Signer: &jwt.Signer{
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

// A Session that is set up wrongly returns an error at the first use, and accepts no user.
func TestSessionSetup(t *testing.T) {
	for name, change := range map[string]func(*jwt.Session){
		"no JWT": func(s *jwt.Session) { s.Signer = nil },
		"no key": func(s *jwt.Session) { s.Signer.Key = nil },
		"a public key": func(s *jwt.Session) {
			s.Signer = &jwt.Signer{Key: mintKeys.ed.Public(), Method: "EdDSA",
				Lifetime: time.Hour}
		},
		"no Keys":    func(s *jwt.Session) { s.Verifier = &jwt.Verifier{} },
		"other type": func(s *jwt.Session) { s.Verifier = verifierOfType("at+jwt") },
		"other key": func(s *jwt.Session) {
			s.Verifier = verifierOf(hmacKey)
		},
		"other method": func(s *jwt.Session) {
			long := creds.Secret(strings.Repeat("k", 64))
			s.Signer = &jwt.Signer{Method: "HS512", Key: long, Lifetime: time.Hour}
			s.Verifier = verifierOf(hmacKeyOf(long))
		},
		"other public key": func(s *jwt.Session) {
			s.Signer = &jwt.Signer{Method: "EdDSA", Key: mintKeys.ed, Lifetime: time.Hour}
			s.Verifier = verifierOf(&jwt.Key{Method: "EdDSA", Key: edKey().Public()})
		},
		"no key of that id": func(s *jwt.Session) {
			s.Signer.KeyID = "b"
			s.Verifier = verifierOf(jwt.KeyMap{"a": hmacKeyOf(mintSecret)})
		},
		"nil key": func(s *jwt.Session) {
			s.Verifier = verifierOf((*jwt.Key)(nil))
		},
		"useless key":      func(s *jwt.Session) { s.Verifier = verifierOf(&jwt.Key{}) },
		"key id too long":  func(s *jwt.Session) { s.Signer.KeyID = strings.Repeat("k", 1025) },
		"key id not UTF-8": func(s *jwt.Session) { s.Signer.KeyID = "a\xff" },
		"host and domain": func(s *jwt.Session) {
			s.Name, s.Domains = "__Host-a", []string{"a.example"}
		},
		"host and path":  func(s *jwt.Session) { s.Name, s.Path = "__host-a", "/a" },
		"host, insecure": func(s *jwt.Session) { s.Name, s.Insecure = "__Host-a", true },
		"secure, not so": func(s *jwt.Session) { s.Name, s.Insecure = "__Secure-a", true },
		"none, insecure": func(s *jwt.Session) {
			s.SameSite, s.Insecure = http.SameSiteNoneMode, true
		},
		"name":        func(s *jwt.Session) { s.Name = "a b" },
		"path":        func(s *jwt.Session) { s.Path = "a" },
		"path in two": func(s *jwt.Session) { s.Path = "/a;b" },
		"domain":      func(s *jwt.Session) { s.Domains = []string{"a_b!"} },
		"a domain below": func(s *jwt.Session) {
			s.Domains = []string{"example.com", "app.example.com"}
		},
		"a domain above": func(s *jwt.Session) {
			s.Domains = []string{"app.example.com", "example.org", ".Example.com"}
		},
		"a domain twice": func(s *jwt.Session) {
			s.Domains = []string{"example.com", "EXAMPLE.COM"}
		},
		"empty domain":  func(s *jwt.Session) { s.Domains = []string{""} },
		"never in time": func(s *jwt.Session) { s.ReissueAfter = time.Hour },
		"negative":      func(s *jwt.Session) { s.ReissueAfter = -1 },
		"negative age":  func(s *jwt.Session) { s.MaxAge = -1 },
		"negative life": func(s *jwt.Session) { s.Signer.Lifetime = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSession()
			change(s)
			var log bytes.Buffer
			s.Logger = slog.New(slog.NewTextHandler(&log, nil))
			b := newBrowser(t, s)
			status := b.visit("GET", "/")
			if status != 500 || !strings.Contains(log.String(), "jwt:") {
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

func verifierOf(keys jwt.KeySet) *jwt.Verifier { return &jwt.Verifier{Keys: keys} }

func verifierOfType(typ string) *jwt.Verifier {
	return &jwt.Verifier{Keys: hmacKeyOf(mintSecret), Type: typ}
}

func TestSessionNames(t *testing.T) {
	for want, s := range map[string]*jwt.Session{
		"__Host-session=": {},
		"session=":        {Insecure: true},
		"session=a":       {Path: "/app"},
		"session=b":       {Domains: []string{"example.org"}},
		"session=c":       {Domains: []string{"example.org", "ample.org", "an.ample.org.uk"}},
		"own=":            {Name: "own"},
		"__Secure-own=":   {Name: "__Secure-own", Path: "/a", SameSite: http.SameSiteNoneMode},
	} {
		s.Signer = newSession().Signer
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

// The Handler's result counts for the request that it checked, and for no other.
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
	is := func(s *jwt.Session, req *http.Request, want string) {
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

// Through a Handler too, net/http removes the files of a form that a handler has read.
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

// The log says why a cookie was not accepted, and holds no part of it.
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
	s.Signer = &jwt.Signer{Key: key, Method: "EdDSA", Lifetime: time.Hour}
	s.Logger = slog.New(slog.NewTextHandler(&log, nil))
	b = newBrowser(t, s)
	now := time.Now().Unix()
	token, err := s.Signer.Token("bob", map[string]any{"auth_time": now - 1}, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, claims := opened(t, token)
	claims["iat"] = now - 1000
	b.cookie = &http.Cookie{Name: "__Host-session", Value: mint(t,
		&jwt.Key{Method: "EdDSA", Key: mintKeys.ed}, nil, claims)}
	key.broken = true
	b.visit("GET", "/")
	b.is("bob", 0)
	if !strings.Contains(log.String(), "not prolonged") {
		t.Errorf("log %s", &log)
	}
}

// A failingKey is a hardware key that breaks.
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
