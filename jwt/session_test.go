package jwt_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/jwt"
)

const siteURL = "https://app.example.org/"

// newSession returns a Session with tokens of an hour, which are replaced after a quarter of it.
func newSession() *jwt.Session {
	return &jwt.Session{
		Signer:       &jwt.Signer{Key: mintSecret, Method: "HS256", Lifetime: time.Hour},
		ReissueAfter: 15 * time.Minute,
	}
}

// A browser keeps one cookie, sends it, and reports which user the site sees.
type browser struct {
	t       *testing.T
	handler http.Handler
	user    string
	cookie  *http.Cookie // nil without a session
	lines   []string     // the Set-Cookie fields of the last response
}

func newBrowser(t *testing.T, s *jwt.Session) *browser {
	t.Helper()
	b := &browser{t: t}
	mux := http.NewServeMux()
	mux.HandleFunc("/login", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.Set(w, "bob", map[string]any{"role": "admin"}); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("/logout", func(w http.ResponseWriter, req *http.Request) {
		if err := s.Clear(w, req); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	mux.Handle("/private", auth.Require(http.NotFoundHandler(), s))
	b.handler = s.Handler(auth.Optional(http.HandlerFunc(
		func(w http.ResponseWriter, req *http.Request) {
			b.user = "nobody"
			if id, ok := auth.FromContext(req.Context()); ok {
				b.user = id.Subject
			}
			mux.ServeHTTP(w, req)
		}), s))
	return b
}

// visit sends a request, with pairs of field names and values, and returns the status.
func (b *browser) visit(method, path string, fields ...string) int {
	b.t.Helper()
	req := httptest.NewRequestWithContext(b.t.Context(), method, siteURL+path[1:], nil)
	if b.cookie != nil {
		req.AddCookie(b.cookie)
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	b.user = ""
	b.handler.ServeHTTP(w, req)
	b.lines = w.Header()["Set-Cookie"]
	for _, line := range b.lines {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			b.t.Fatal(err)
		}
		if b.cookie = c; c.MaxAge < 0 {
			b.cookie = nil
		}
	}
	return w.Code
}

// is checks which user the site sees, and how many cookies it set.
func (b *browser) is(user string, cookies int) {
	b.t.Helper()
	if b.user != user || len(b.lines) != cookies {
		b.t.Errorf("user %q and %d cookies, want %q and %d", b.user, len(b.lines), user, cookies)
	}
}

func TestSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession()
		b := newBrowser(t, s)
		b.visit("GET", "/")
		b.is("nobody", 0)
		if b.visit("GET", "/private") != 401 {
			t.Error("nobody was let in")
		}
		b.visit("POST", "/login")
		b.is("nobody", 1)
		want := "__Host-session=" + b.cookie.Value +
			"; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax"
		if b.lines[0] != want {
			t.Errorf("S15: cookie %s, want %s", b.lines[0], want)
		}
		_, claims := opened(t, b.cookie.Value)
		now := time.Now().Unix()
		if got, want := asJSON(t, claims), fmt.Sprintf(
			`{"auth_time":%d,"exp":%d,"iat":%[1]d,"role":"admin","sub":"bob"}`, now,
			now+3600); got != want {
			t.Errorf("claims %s, want %s", got, want)
		}
		if b.visit("GET", "/private") != 404 {
			t.Error("bob was not let in")
		}
		b.is("bob", 0)
		b.visit("POST", "/logout")
		b.is("bob", 1)
		if b.cookie != nil ||
			!strings.HasPrefix(b.lines[0], "__Host-session=; Path=/; Max-Age=0; HttpOnly; Sec") {
			t.Errorf("after the logout: %s", b.lines)
		}
		b.visit("GET", "/")
		b.is("nobody", 0)
	})
}

// A session in use lasts until MaxAge after the login, and no longer.
func TestSessionSlides_J16(t *testing.T) {
	for _, tt := range []struct {
		maxAge, ends time.Duration
	}{
		{0, 24 * time.Hour}, {5 * time.Hour, 5 * time.Hour}, {30 * time.Minute, 30 * time.Minute},
		{48*time.Hour + 30*time.Minute, 48*time.Hour + 30*time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newSession()
			s.MaxAge = tt.maxAge
			b := newBrowser(t, s)
			var last int64 // the end of a token
			b.visit("POST", "/login")
			login := time.Now()
			for b.user != "nobody" || time.Since(login) == 0 {
				time.Sleep(time.Minute)
				b.visit("GET", "/")
				if len(b.lines) > 1 {
					t.Fatalf("%d cookies in one answer", len(b.lines))
				}
				if b.cookie != nil && b.cookie.Value != "" {
					_, claims := opened(t, b.cookie.Value)
					exp, _ := claims["exp"].(json.Number).Int64()
					if exp > login.Add(tt.ends).Unix() || claims["role"] != "admin" {
						t.Fatalf("claims %v", claims)
					}
					if len(b.lines) > 0 && exp <= last {
						t.Fatal("a new cookie that lasts no longer than the old")
					}
					last = exp
				}
				if time.Since(login) > 100*time.Hour {
					t.Fatal("it never ends")
				}
			}
			if got := time.Since(login); got != tt.ends {
				t.Errorf("MaxAge %v: the session lasted %v, want %v", tt.maxAge, got, tt.ends)
			}
		})
	}
}

// A session without exp ends too, and the browser drops its cookie when it is closed.
func TestSessionWithoutExpiry_J16(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession()
		s.Signer = &jwt.Signer{Key: mintSecret, Method: "HS256", NoExpiry: true}
		b := newBrowser(t, s)
		b.visit("POST", "/login")
		if strings.Contains(b.lines[0], "Max-Age") || strings.Contains(b.lines[0], "Expires") {
			t.Errorf("cookie %s", b.lines[0])
		}
		for range 23 {
			time.Sleep(time.Hour)
			b.visit("GET", "/")
			b.is("bob", 1)
		}
		time.Sleep(time.Hour)
		b.visit("GET", "/")
		b.is("nobody", 0)
	})
}

func TestSessionReissue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession()
		s.Signer.TokenID = true
		b := newBrowser(t, s)
		b.visit("POST", "/login")
		_, first := opened(t, b.cookie.Value)
		time.Sleep(15*time.Minute - time.Second)
		b.visit("GET", "/")
		b.is("bob", 0)
		time.Sleep(time.Second)
		if status := b.visit("GET", "/nowhere/private"); status != 200 {
			t.Errorf("status %d", status)
		}
		b.is("bob", 1)
		if !strings.Contains(b.lines[0], "; Max-Age=3600;") {
			t.Errorf("a cookie that is given out anew: %s", b.lines[0])
		}
		_, second := opened(t, b.cookie.Value)
		if second["jti"] != first["jti"] || second["auth_time"] != first["iat"] {
			t.Errorf("S17: a token of the same session: %v after %v", second, first)
		}
		time.Sleep(20 * time.Minute)
		b.visit("POST", "/login") // once more
		b.is("bob", 1)
		_, third := opened(t, b.cookie.Value)
		if third["jti"] == first["jti"] || third["auth_time"] != third["iat"] {
			t.Errorf("S17: a new session: %v after %v", third, first)
		}
		time.Sleep(20 * time.Minute)
		b.visit("POST", "/logout")
		b.is("bob", 1)
		if b.cookie != nil {
			t.Error("a logout, and a cookie")
		}
	})
}

// A handler that calls Set again sends one cookie for each domain, and other cookies are unchanged.
func TestSessionOneCookie(t *testing.T) {
	s := newSession()
	s.Domains = []string{"example.org", "example.com"}
	w := httptest.NewRecorder()
	http.SetCookie(w, &http.Cookie{Name: "session2", Value: "1"})
	for _, user := range []string{"ann", "bob"} {
		if err := s.Set(w, user, nil); err != nil {
			t.Fatal(err)
		}
	}
	http.SetCookie(w, &http.Cookie{Name: "other", Value: "1"})
	if err := s.Set(w, "cyd", nil); err != nil {
		t.Fatal(err)
	}
	lines := w.Header()["Set-Cookie"]
	if len(lines) != 4 || lines[0] != "session2=1" || lines[1] != "other=1" ||
		!strings.Contains(lines[2], "; Domain=example.org;") ||
		!strings.Contains(lines[3], "; Domain=example.com;") {
		t.Errorf("cookies %q", lines)
	}
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}
	_, claims := opened(t, strings.TrimPrefix(strings.Split(lines[3], ";")[0], "session="))
	if claims["sub"] != "cyd" {
		t.Errorf("claims %v", claims)
	}
}

// A request that another site made the browser send is refused, if it may change state.
func TestSessionCrossOrigin_S16(t *testing.T) {
	trusting := new(http.CrossOriginProtection)
	if err := trusting.AddTrustedOrigin("https://partner.example"); err != nil {
		t.Fatal(err)
	}
	trusting.SetDenyHandler(http.RedirectHandler("/sorry", http.StatusSeeOther))
	for _, tt := range []struct {
		name, method, site, origin string
		protection                 *http.CrossOriginProtection
		status                     int
		user                       string // "" if the handler was not reached
	}{
		{"another site", "POST", "cross-site", "https://evil.example", nil, 403, ""},
		{"a neighbour", "POST", "same-site", "https://blog.example.org", nil, 403, ""},
		{"an old browser", "POST", "", "https://evil.example", nil, 403, ""},
		{"of no origin", "DELETE", "", "null", nil, 403, ""},
		{"to look only", "GET", "cross-site", "", nil, 200, "bob"},
		{"same origin", "POST", "same-origin", "https://app.example.org", nil, 200, "bob"},
		{"typed by the user", "POST", "none", "", nil, 200, "bob"},
		{"no browser", "POST", "", "", nil, 200, "bob"},
		{"a trusted one", "POST", "cross-site", "https://partner.example", trusting, 200, "bob"},
		{"its own answer", "POST", "cross-site", "https://evil.example", trusting, 303, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSession()
			s.CrossOrigin = tt.protection
			b := newBrowser(t, s)
			b.visit("POST", "/login")
			status := b.visit(tt.method, "/", "Sec-Fetch-Site", tt.site, "Origin", tt.origin)
			if status != tt.status || b.user != tt.user {
				t.Errorf("status %d and user %q, want %d and %q",
					status, b.user, tt.status, tt.user)
			}
			b.cookie = nil
			if b.visit(tt.method, "/", "Sec-Fetch-Site", tt.site); b.user != "nobody" {
				t.Errorf("without our cookie: user %q", b.user)
			}
		})
	}
}

// A service without the Handler is not open to other sites.
func TestSessionWithoutHandler(t *testing.T) {
	s := newSession()
	b := newBrowser(t, s)
	b.visit("POST", "/login")
	b.handler = auth.Require(http.NotFoundHandler(), s)
	if got := b.visit("POST", "/"); got != 404 {
		t.Errorf("status %d, want 404", got)
	}
	if got := b.visit("POST", "/", "Sec-Fetch-Site", "cross-site"); got != 401 {
		t.Errorf("another site: status %d, want 401", got)
	}
}

// A cookie that the Session did not make counts as none: with Optional the request is anonymous,
// with Require it gets 401, and no cookie is set or cleared.
func TestSessionGarbage_J16(t *testing.T) {
	s := newSession()
	b := newBrowser(t, s)
	good := func(claims map[string]any) string {
		return mint(t, hmacKeyOf(mintSecret), nil, claims)
	}
	now := time.Now().Unix()
	for name, value := range map[string]string{
		"nothing": "", "text": "abc", "dots": "..", "percent": "%%%",
		"long": strings.Repeat("a", 9000),
		"none": part(t, `{"alg":"none"}`) + "." + part(t, `{"sub":"bob"}`) + ".",
		"other key": mint(t, hmacKeyOf(mintSecret[1:]), nil,
			map[string]any{"sub": "bob", "iat": now, "exp": now + 60}),
		"expired":    good(map[string]any{"sub": "bob", "iat": now - 60, "exp": now - 1}),
		"no exp":     good(map[string]any{"sub": "bob", "iat": now}),
		"nobody":     good(map[string]any{"iat": now, "exp": now + 60}),
		"for others": good(map[string]any{"sub": "bob", "exp": now + 60, "aud": "x"}),
		"old login":  good(map[string]any{"sub": "bob", "iat": now - 90000, "exp": now + 60}),
		"no login":   good(map[string]any{"sub": "bob", "exp": now + 60}),
		"a login, but no iat": good(
			map[string]any{"sub": "bob", "auth_time": now, "exp": now + 60}),
		"older login": good(
			map[string]any{"sub": "bob", "iat": now, "auth_time": 1, "exp": now + 60}),
		"of the peer": "ImV5SmhiR2NpT2lKSVV6STFOaUlzSW5SNWNDSTZJa3BYVkNKOS5leUp6",
	} {
		b.cookie = &http.Cookie{Name: "__Host-session", Value: value}
		if status := b.visit("GET", "/"); status != 200 {
			t.Errorf("%s: status %d", name, status)
		}
		b.is("nobody", 0)
		if status := b.visit("GET", "/private"); status != 401 {
			t.Errorf("%s: status %d with Require", name, status)
		}
	}
	b.cookie = &http.Cookie{Name: "__Host-session", Value: good(map[string]any{
		"sub": "bob", "iat": now, "exp": now + 60})}
	b.visit("GET", "/")
	b.is("bob", 0)
	b.visit("GET", "/", "Cookie", `__Host-session="`+b.cookie.Value+`"`)
	b.is("bob", 0)
	b.visit("GET", "/", "Cookie", "__Host-session="+b.cookie.Value+"; __Host-session=x")
	b.is("nobody", 0)
}

// A login time that a token claims is ignored if it is impossible.
func TestSessionLoginTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().Unix()
		s := newSession()
		b := newBrowser(t, s)
		for name, login := range map[string]any{
			"ahead": now + 1e6, "text": "x", "negative": -1, "null": nil, "list": []int{1},
		} {
			token := mint(t, hmacKeyOf(mintSecret), nil, map[string]any{
				"sub": "bob", "iat": now - 1800, "exp": now + 60, "auth_time": login,
			})
			b.cookie = &http.Cookie{Name: "__Host-session", Value: token}
			b.visit("GET", "/")
			b.is("bob", 1)
			_, claims := opened(t, b.cookie.Value)
			if got := fmt.Sprint(claims["auth_time"]); got != fmt.Sprint(now-1800) {
				t.Errorf("%s: auth_time %s", name, got)
			}
		}
	})
}

// A new token keeps the digits of numbers, and all other claims.
func TestSessionKeepsClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBrowser(t, newSession())
		now := time.Now().Unix()
		claims := fmt.Sprintf(`{"a":12345678901234567890,"b":1.50,"c":[{"d":null}],"exp":%d,`+
			`"iat":%d,"jti":"x","nbf":%d,"sub":15}`, now+600, now-1200, now-1200)
		b.cookie = &http.Cookie{Name: "__Host-session",
			Value: mint(t, hmacKeyOf(mintSecret), nil, claims)}
		b.visit("GET", "/")
		b.is("15", 1)
		_, got := opened(t, b.cookie.Value)
		want := fmt.Sprintf(`{"a":12345678901234567890,"auth_time":%d,"b":1.50,"c":[{"d":null}],`+
			`"exp":%d,"iat":%d,"jti":"x","nbf":%d,"sub":15}`, now-1200, now+1800, now, now-1200)
		if asJSON(t, got) != want {
			t.Errorf("claims %s, want %s", asJSON(t, got), want)
		}
	})
}
