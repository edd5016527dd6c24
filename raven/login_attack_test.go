package raven_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign-go/countersign/raven"
)

func TestReplayedAnswer_L5(t *testing.T) {
	b := newBrowser(t, newLogin(t))
	b.get(secret)
	before := *b.pending
	back := answer{}.write(t, b.asked())
	b.get(back)
	b.is(303, secret)

	b.get(back)
	b.is(400, "")
	b.get(secret)
	b.is(200, "") // a replay does not log the user out

	b.cookie, b.pending = nil, &before // from before the login
	b.get(back)
	b.is(400, "")
	b.pending = nil
	b.get(back)
	b.is(403, "")

	b.logIn(secret, answer{}) // another session
	b.get(back)
	b.is(400, "")

	b.handler = http.HandlerFunc(b.login.Logout)
	b.send("POST", site+"/logout")
	b.is(303, logoutURL)
	b.handler = b.login.Require(http.HandlerFunc(b.page))
	b.get(back)
	b.is(403, "")
	b.pending = &before
	b.get(back)
	b.is(400, "")
	b.pending = nil
	b.get(secret) // begins another login, with another token
	b.get(back)
	b.is(400, "")
	if b.viewed != 1 {
		t.Errorf("seen %d times", b.viewed)
	}
}

// TestReplayAtOnce_L5 sends one answer in many requests at once, which all find the token in the
// session.
func TestReplayAtOnce_L5(t *testing.T) {
	b := newBrowser(t, newLogin(t))
	b.get(secret)
	back := answer{}.write(t, b.asked())
	var group sync.WaitGroup
	codes := make([]int, 32)
	for i := range codes {
		req := b.request("GET", back)
		group.Go(func() {
			w := httptest.NewRecorder()
			b.handler.ServeHTTP(w, req)
			codes[i] = w.Code
		})
	}
	group.Wait()
	taken := 0
	for _, code := range codes {
		if code == 303 {
			taken++
		} else if code != 400 && code != 403 { // 403: the session had been renewed
			t.Errorf("status %d", code)
		}
	}
	if taken != 1 {
		t.Errorf("taken %d times", taken)
	}
}

// TestStrangeAnswer_L4 sends a valid answer to another site, page or browser.
func TestStrangeAnswer_L4(t *testing.T) {
	for name, tt := range map[string]struct {
		answer answer
		code   int
		reason error
	}{
		"another token":     {answer{params: "of another browser"}, 400, raven.ErrAnswer},
		"no token":          {answer{params: " "}, 400, raven.ErrAnswer},
		"another site":      {answer{url: "https://other.example/secret"}, 400, raven.ErrAnswer},
		"another port":      {answer{url: site + ":8443/secret"}, 400, raven.ErrAnswer},
		"plain http":        {answer{url: "http://app.example.org/secret"}, 400, raven.ErrAnswer},
		"another page":      {answer{url: site + "/other"}, 400, raven.ErrAnswer},
		"a query more":      {answer{url: secret + "?a=1"}, 400, raven.ErrAnswer},
		"too old":           {answer{age: 17 * time.Second}, 400, raven.ErrAnswer},
		"too new":           {answer{age: -7 * time.Second}, 400, raven.ErrAnswer},
		"no signature":      {answer{unsigned: true}, 400, raven.ErrUnsigned},
		"unknown type":      {answer{auth: "x-card"}, 400, raven.ErrAuthType},
		"failure elsewhere": {answer{status: 410, params: "other"}, 400, raven.ErrAnswer},
		"v1, another site": {answer{version: 1, status: 410, unsigned: true,
			url: "https://app.example.org.evil.example/secret?a=1"}, 400, raven.ErrAnswer},
		"v1, user": {answer{version: 1, status: 410, unsigned: true,
			url: "https://app.example.org@evil.example/secret?a=1"}, 400, raven.ErrAnswer},
		"v1, another page": {answer{version: 1, status: 410, unsigned: true,
			url: site + "/other?a=1"}, 400, raven.ErrAnswer},
		"v1, fragment": {answer{version: 1, status: 410, unsigned: true,
			url: secret + "#?a=1"}, 400, raven.ErrAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			var reason error
			l := newLogin(t)
			l.Failed = func(_ http.ResponseWriter, _ *http.Request, err error) { reason = err }
			b := newBrowser(t, l)
			b.get(secret)
			back := tt.answer.write(t, b.asked())
			_, query, _ := strings.Cut(back, "WLS-Response=")
			before := *b.pending
			b.get(secret + "?WLS-Response=" + query)
			b.is(tt.code, "")
			if !errors.Is(reason, tt.reason) || !errors.Is(reason, raven.ErrAnswer) {
				t.Errorf("reason %v, want %v", reason, tt.reason)
			}
			if b.cookie != nil || b.pending.Value != before.Value {
				t.Errorf("the browser has the session %v, the login %v", b.cookie, b.pending)
			}
		})
	}
}

// TestNoToken_L4 sends an answer that this browser did not ask for to a session without a token.
func TestNoToken_L4(t *testing.T) {
	b := newBrowser(t, newLogin(t))
	b.store(&storedState{})
	b.get(answer{url: secret}.write(t, nil))
	b.is(400, "")
	b.get(answer{url: secret, status: 410, unsigned: true}.write(t, nil))
	b.is(400, "")
}

// TestTooManyAnswers_L5 sends an answer that cannot be remembered, so that it could be accepted
// twice.
func TestTooManyAnswers_L5(t *testing.T) {
	b := newBrowser(t, newLogin(t))
	b.get(secret)
	asked := b.asked()
	b.login.FillMemory()
	b.get(answer{}.write(t, asked))
	b.is(503, "")
	if b.stored().Login != nil {
		t.Error("it was taken")
	}
}

// TestWeakerLogin_L6 opens a page that asks for more than the page for which its user logged in.
func TestWeakerLogin_L6(t *testing.T) {
	for name, tt := range map[string]struct {
		strict *raven.Login // the demands of the page
		made   answer
		enough bool
	}{
		"seen by the service before": {&raven.Login{IAct: raven.Must}, answer{sso: "pwd"}, false},
		"seen for the other page":    {&raven.Login{IAct: raven.Must}, answer{auth: "pwd"}, true},
		"seen by another method": {&raven.Login{IAct: raven.Must, AAuth: []string{"x-card"}},
			answer{auth: "pwd", sso: "x-card"}, false},
		"another method": {&raven.Login{AAuth: []string{"x-card"}}, answer{auth: "pwd"}, false},
		"that method before": {&raven.Login{AAuth: []string{"x-card"}},
			answer{auth: "pwd", sso: "x-card"}, true},
		"must not, though seen": {&raven.Login{IAct: raven.MustNot}, answer{auth: "pwd"}, true},
		"too long ago": {&raven.Login{MaxLife: 10 * time.Second},
			answer{age: 12 * time.Second}, false},
	} {
		t.Run(name, func(t *testing.T) {
			lax := newLogin(t)
			lax.Service.AuthTypes = []string{"pwd", "x-card"}
			b := newBrowser(t, lax)
			b.logIn(secret, tt.made)
			strict := &raven.Login{Service: lax.Service, BaseURL: site, Sessions: b.sessions,
				IAct: tt.strict.IAct, AAuth: tt.strict.AAuth, MaxLife: tt.strict.MaxLife}
			b.handler = strict.Require(http.HandlerFunc(b.page))
			b.get(secret)
			if tt.enough {
				b.is(200, "")
				return
			}
			asked := b.asked()
			if b.viewed > 0 {
				t.Error("the strict page was seen")
			}
			// The answer must not be weaker either: the user can change the request on its way.
			if tt.strict.MaxLife == 0 {
				b.get(tt.made.write(t, asked))
				b.is(400, "")
			}
			better := answer{auth: "pwd"}
			if tt.strict.AAuth != nil {
				better.auth = "x-card"
			}
			b.logIn(secret, better)
			b.get(secret)
			b.is(200, "")
			b.handler = lax.Require(http.HandlerFunc(b.page))
			b.get(secret)
			b.is(200, "") // a user who did more need not do less
		})
	}
}

// TestForgedHost_S14 sends requests whose Host names another site.
func TestForgedHost_S14(t *testing.T) {
	b := newBrowser(t, newLogin(t))
	for _, name := range []string{"X-Forwarded-Host", "Forwarded", "X-Forwarded-Proto",
		"X-Original-URL", "X-Rewrite-URL"} {
		b.fields[name] = "host=evil.example"
	}
	b.get("https://evil.example/secret")
	asked := b.asked()
	if asked.Get("url") != secret {
		t.Fatalf("the service is given %s", asked.Get("url"))
	}
	b.get(strings.Replace(answer{}.write(t, asked), "app.example.org", "evil.example", 1))
	b.is(303, secret)

	b = newBrowser(t, newLogin(t))
	b.get(secret)
	asked = b.asked()
	evil := answer{url: "https://evil.example/secret"}.write(t, asked)
	b.get(evil) // an answer that an attacker's site got for itself, and passes on
	b.is(400, "")
}

// TestOpenRedirect_S13 tries request targets that a browser, or a careless server, could mistake
// for another site.
func TestOpenRedirect_S13(t *testing.T) {
	for _, target := range []string{
		"//evil.example/x", "///evil.example", `/\evil.example`, `/\/evil.example`,
		"/%09/evil.example", "/%0d%0aLocation:%20https://evil.example", "/@evil.example",
		"/.evil.example", "/?next=https://evil.example", "http://evil.example/x",
		"https://evil.example/?a=1", "http://evil.example", "http://evil.example?.x", "*",
		"/x\xff\xfe", "/%2f%2fevil.example", "//",
	} {
		b := newBrowser(t, newLogin(t))
		req := b.request("GET", site+"/")
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Fatal(err)
		}
		req.URL, req.RequestURI = u, target
		b.serve(req)
		if b.code == 400 {
			continue
		}
		asked := b.asked()
		here := asked.Get("url")
		if !strings.HasPrefix(here, site+"/") {
			t.Errorf("%s: the service is given %s", target, here)
		}
		if strings.HasPrefix(target, "http") && strings.Contains(here, "evil") {
			t.Errorf("%s: the service is given %s", target, here)
		}
		if parsed, err := url.Parse(here); err != nil || parsed.Host != "app.example.org" {
			t.Errorf("%s: the service is given %s: %v", target, here, err)
		}
		back := answer{}.write(t, asked)
		req = b.request("GET", site+"/")
		req.RequestURI = strings.TrimPrefix(back, site)
		if req.URL, err = url.ParseRequestURI(req.RequestURI); err != nil {
			t.Fatal(err)
		}
		b.serve(req)
		b.is(303, site+"/")
		if got := b.header.Get("Location"); got != here {
			t.Errorf("%s: back to %s, not %s", target, got, here)
		}
	}
}

// TestOpenRedirectByAnswer_S13 sends an answer of version 1, the only one that may lead to a URL
// other than the one that received it. The user can choose its query.
func TestOpenRedirectByAnswer_S13(t *testing.T) {
	for given, want := range map[string]string{
		secret + "?a=1":                 secret + "?a=1",
		secret + "?//evil.example":      secret + "?//evil.example",
		secret + "?\u00e9":              secret + "?%C3%A9",
		secret:                          secret,
		secret + "?":                    secret,
		"//evil.example/secret?a":       "",
		"/secret?a":                     "",
		"https://evil.example/secret?a": "",
		site + ".evil.example/secret?a": "",
		site + `\secret?a`:              "",
		site + "?/secret":               "",
	} {
		b := newBrowser(t, newLogin(t))
		b.get(secret)
		back := answer{version: 1, status: 410, unsigned: true, url: given}.write(t, b.asked())
		_, text, _ := strings.Cut(back, "WLS-Response=")
		b.get(secret + "?WLS-Response=" + text)
		if want == "" {
			b.is(400, "")
		} else if b.is(303, site+"/"); b.header.Get("Location") != want {
			t.Errorf("%s: to %s", given, b.header.Get("Location"))
		}
	}
}

// TestEndedOnArrival sends answers whose logins have already ended. There must be no redirect loop.
func TestEndedOnArrival(t *testing.T) {
	for name, tt := range map[string]struct {
		maxLife, inactive time.Duration
		answer            answer
		code              int
	}{
		"no life at the service": {0, 0, answer{life: time.Nanosecond}, 400},
		"older than MaxLife":     {5 * time.Second, 0, answer{age: 6 * time.Second}, 400},
		"still alive":            {9 * time.Second, time.Minute, answer{age: 6 * time.Second}, 303},
		"without limits":         {-1, 0, answer{}, 303},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLogin(t)
			l.MaxLife, l.InactiveTimeout = tt.maxLife, tt.inactive
			b := newBrowser(t, l)
			b.get(secret)
			b.get(tt.answer.write(t, b.asked()))
			if b.code != tt.code || (b.stored().Login != nil) != (tt.code == 303) {
				t.Errorf("%d to %s", b.code, b.header.Get("Location"))
			}
		})
	}
}
