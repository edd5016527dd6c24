package raven_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/raven"
)

// TestSessionFixation_S17 has an attacker plant a session in a browser before its user logs in, and
// before the user logs in again.
func TestSessionFixation_S17(t *testing.T) {
	b := newBrowser(t, newLogin(t))
	b.store(&storedState{})
	planted := *b.cookie
	b.get(secret)
	asked := b.asked()
	b.get(answer{sso: "pwd"}.write(t, asked))
	b.is(303, secret)
	first := *b.cookie
	b.handler = newStrict(b)
	b.logIn(secret, answer{})

	attacker := newBrowser(t, newLoginLike(b))
	for _, cookie := range []*http.Cookie{&planted, &first} {
		attacker.cookie = cookie
		attacker.get(secret)
		attacker.is(303, serviceURL)
	}
	attacker.cookie = b.cookie
	attacker.get(secret)
	attacker.is(200, "") // the present cookie works, so an old one could have worked
	if planted.Value == first.Value || first.Value == b.cookie.Value {
		t.Error("the session was not renewed")
	}
}

// newLoginLike returns another browser with another Login on the sessions of b.
func newLoginLike(b *browser) *raven.Login {
	return &raven.Login{Service: b.login.Service, BaseURL: site, Sessions: b.sessions}
}

// newStrict adds a page to the site of b that requires the user to type the password.
func newStrict(b *browser) http.Handler {
	l := newLoginLike(b)
	l.IAct, l.Logger = raven.Must, b.login.Logger
	l.NewSession = b.login.NewSession
	l.MaxLife = 5 * time.Minute
	return l.Require(http.HandlerFunc(b.page))
}

// TestCookiesOff has a browser that keeps no cookies. There must be no redirect loop.
func TestCookiesOff(t *testing.T) {
	var reason error
	l := newLogin(t)
	l.Failed = func(w http.ResponseWriter, _ *http.Request, err error) { reason = err }
	b := newBrowser(t, l)
	b.get(secret)
	asked := b.asked()
	b.pending = nil
	b.get(answer{}.write(t, asked))
	b.is(403, "")
	if !errors.Is(reason, raven.ErrNoSession) || b.cookie != nil || b.pending != nil {
		t.Errorf("%v, cookies %v, %v", reason, b.cookie, b.pending)
	}
	b.cookie = &http.Cookie{Name: "__Host-session", Value: strings.Repeat("A", 43)}
	b.get(answer{}.write(t, asked))
	b.is(403, "")
}

// TestCookie_S15 checks the attributes of the cookie of a Login whose Sessions is nil.
func TestCookie_S15(t *testing.T) {
	for base, want := range map[string]string{
		site: "__Host-raven-login=", "http://localhost:8080": "raven-login=",
	} {
		l := newLogin(t)
		l.BaseURL = base
		w := httptest.NewRecorder()
		req := httptest.NewRequest("GET", "/", nil)
		req.Header.Set("Accept", "text/html")
		l.ServeHTTP(w, req)
		line := w.Header().Get("Set-Cookie")
		if !strings.HasPrefix(line, want) || !strings.Contains(line, "Path=/;") ||
			strings.Contains(line, "Secure") != strings.HasPrefix(base, "https") ||
			!strings.Contains(line, "HttpOnly") || !strings.Contains(line, "SameSite=Lax") ||
			strings.Contains(line, "Domain") || !strings.Contains(line, "Max-Age=3600") {
			t.Errorf("%s: %s", base, line)
		}
		if got := w.Header().Get("Cache-Control"); got != "no-store" {
			t.Errorf("Cache-Control: %s", got)
		}
	}
}

// TestLogout_S16 checks which requests log a user out, and that the session is deleted.
func TestLogout_S16(t *testing.T) {
	b := newBrowser(t, newLogin(t))
	b.logIn(secret, answer{})
	page, stolen := b.handler, *b.cookie
	b.handler = http.HandlerFunc(b.login.Logout)

	b.get(site + "/logout")
	if b.is(405, ""); b.header.Get("Allow") != "POST" {
		t.Errorf("Allow: %s", b.header.Get("Allow"))
	}
	for _, from := range []string{"cross-site", "same-site"} {
		b.fields["Sec-Fetch-Site"] = from
		b.send("POST", site+"/logout")
		b.is(403, "")
	}
	b.fields = map[string]string{"Origin": "https://evil.example"} // an older browser
	b.send("POST", site+"/logout")
	b.is(403, "")
	b.handler = page
	b.fields = map[string]string{}
	b.get(secret)
	b.is(200, "")

	b.handler = http.HandlerFunc(b.login.Logout)
	b.fields = map[string]string{"Origin": site}
	b.send("POST", "https://behind.proxy.example/logout")
	b.is(303, logoutURL)
	if b.cookie != nil || b.header.Get("Cache-Control") != "no-store" {
		t.Errorf("cookie %v, %v", b.cookie, b.header)
	}
	b.send("POST", site+"/logout") // without a session
	b.is(303, logoutURL)
	b.handler, b.cookie = page, &stolen
	b.get(secret)
	b.is(303, serviceURL)
}

// TestMeanwhile_S17 has a request that began before a logout, or before another login, save the
// session afterwards.
func TestMeanwhile_S17(t *testing.T) {
	for name, during := range map[string]func(b *browser){
		"logout": func(b *browser) {
			b.handler = http.HandlerFunc(b.login.Logout)
			b.send("POST", site+"/logout")
			b.is(303, logoutURL)
		},
		"another login": func(b *browser) {
			b.begin("t")
			b.get(answer{url: secret, params: "t"}.write(b.t, nil))
			b.is(303, secret)
		},
		"a failed login": func(b *browser) {
			b.begin("t")
			b.get(answer{url: secret, params: "t", status: 410}.write(b.t, nil))
			b.is(303, secret)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBrowser(t, newLogin(t))
			page := b.handler
			b.logIn(secret, answer{sso: "pwd"})
			stolen := *b.cookie
			meanwhile := false
			b.handler = b.sessions.LoadAndSave(b.login.Require(http.HandlerFunc(
				func(_ http.ResponseWriter, req *http.Request) {
					b.sessions.Put(req.Context(), "of the application", true)
					if b.handler = page; !meanwhile {
						meanwhile = true
						during(b)
					}
				})))
			b.get(secret)
			b.cookie, b.pending, b.handler = &stolen, nil, page
			if b.stored().Login == nil {
				t.Fatal("the session did not come back, so there is nothing to test")
			}
			b.get(secret)
			if b.is(303, serviceURL); b.viewed != 0 {
				t.Error("a login that has ended is back")
			}
		})
	}
}

// TestCrossOriginPost_S16 has another site make the browser send a form to a page of this site.
func TestCrossOriginPost_S16(t *testing.T) {
	b := newBrowser(t, newLogin(t))
	b.logIn(secret, answer{})
	b.fields["Sec-Fetch-Site"] = "cross-site"
	b.send("POST", secret)
	b.is(403, "")
	b.get(secret) // a link
	b.is(200, "")
	b.fields["Sec-Fetch-Site"] = "same-origin"
	b.send("POST", secret)
	b.is(200, "")
	if b.viewed != 2 {
		t.Errorf("seen %d times", b.viewed)
	}
}

// TestLogoutByForm_S16 has another site make the browser send a form to a page of this site. The
// browser sends it without its cookie, so a cookie in the response would replace that cookie.
func TestLogoutByForm_S16(t *testing.T) {
	b := newBrowser(t, newLogin(t))
	b.logIn(secret, answer{})
	kept := b.cookie
	for _, fields := range []map[string]string{
		{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"},
	} {
		b.cookie, b.fields = nil, fields
		b.send("POST", secret)
		if b.is(403, ""); b.header.Get("Set-Cookie") != "" {
			t.Errorf("%v: a cookie is set", fields)
		}
	}
	b.cookie, b.fields = kept, map[string]string{}
	b.get(secret)
	b.is(200, "")
}

// TestLogoutElsewhere_S17 holds a request in a page of another Login while its user logs out.
func TestLogoutElsewhere_S17(t *testing.T) {
	b := newBrowser(t, newLogin(t))
	b.logIn(secret, answer{})
	page, stolen := b.handler, *b.cookie
	b.change(func(s *storedState) { s.Login.Last-- })
	strict := newLoginLike(b)
	strict.Authorize = func(req *http.Request, _ *raven.Session) error {
		ctx, err := b.sessions.Load(req.Context(), stolen.Value)
		if err != nil {
			return err
		}
		b.handler = http.HandlerFunc(b.login.Logout)
		b.send("POST", site+"/logout")
		b.is(303, logoutURL)
		_, _, err = b.sessions.Commit(ctx) // as a page does that saves the session it read
		return err
	}
	b.handler = strict.Require(http.HandlerFunc(b.page))
	b.get(secret)
	b.cookie = &stolen
	if b.stored().Login == nil {
		t.Fatal("the session did not come back, so there is nothing to test")
	}
	for _, handler := range []http.Handler{page, newStrict(b)} {
		b.handler = handler
		b.get(secret)
		b.is(303, serviceURL)
	}
}

// TestFailedElsewhere_S16 follows a link on another site to a page with a demand that the service
// cannot meet. The service answers without asking the user.
func TestFailedElsewhere_S16(t *testing.T) {
	for status, ends := range map[raven.Status]bool{
		raven.StatusCancelled: true, raven.StatusNoAuthTypes: false,
		raven.StatusUnsupportedVersion: false, raven.StatusBadRequest: false,
		raven.StatusInteractionRequired: false, raven.StatusNotAuthorised: false,
		raven.StatusDeclined: true,
	} {
		for _, unsigned := range []bool{false, true} {
			b := newBrowser(t, newLogin(t))
			b.login.MaxLife = 72 * time.Hour // longer than the Lifetime of the sessions
			lax := b.handler
			b.logIn(secret, answer{})
			cookie := b.cookie.Expires
			strict := newLoginLike(b)
			strict.Service.AuthTypes, strict.AAuth = []string{"pwd", "x"}, []string{"x"}
			b.handler = strict.Require(http.HandlerFunc(b.page))
			b.logIn(secret, answer{status: status, unsigned: unsigned})
			if !ends && !b.cookie.Expires.Equal(cookie) {
				t.Errorf("%v: the session lasts until %v", status, b.cookie.Expires)
			}
			b.get(secret)
			b.is(401, "") // once
			b.get(secret)
			b.is(303, serviceURL)
			b.handler = lax
			if b.get(secret); (b.code == 303) != ends {
				t.Errorf("%v, not signed %t: %d", status, unsigned, b.code)
			}
		}
	}
}
