package wls_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/portal"
	"github.com/countersign-go/countersign/raven"
	"github.com/countersign-go/countersign/raven/wls"
)

func TestLogIn(t *testing.T) {
	b := newBrowser(t, newServer())
	at := loginURL + query(t, raven.Request{Params: "p!%"})
	resp := b.get(at)
	if text := body(t, resp); resp.StatusCode != 200 || !strings.Contains(text, `name="password"`) {
		t.Fatalf("%s: %s", resp.Status, text)
	}
	first := b.answered(b.logIn(at))
	if first.Status != raven.StatusSuccess || first.Principal != "abc12" || first.Params != "p!%" ||
		first.URL != agentURL || first.Auth != "pwd" || first.SSO != nil || first.Version != 3 ||
		!slices.Equal(first.PTags, []string{"current"}) || first.Life != 10*time.Hour {
		t.Errorf("by password: %+v", first)
	}
	again := b.answered(b.get(at))
	if again.Principal != "abc12" || again.Auth != "" || !slices.Equal(again.SSO, []string{"pwd"}) {
		t.Errorf("by single sign-on: %+v", again)
	}
	if again.ID == first.ID {
		t.Error("two answers with one id")
	}
}

func TestStatuses(t *testing.T) {
	for _, tt := range []struct {
		reason string
		asked  raven.Request
		fields []string // of the form; if nil, the page is only fetched
		want   raven.Status
	}{
		{"the user presses cancel", raven.Request{}, []string{"action", "cancel"}, 410},
		{"a type that there is not", raven.Request{AAuth: []string{"x-card"}}, nil, 510},
		{"the same, when a form comes", raven.Request{AAuth: []string{"x-card"}},
			[]string{"action", "login", "user", "abc12", "password", "right"}, 510},
		{"nobody may be asked", raven.Request{IAct: raven.MustNot}, nil, 540},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			b := newBrowser(t, newServer())
			at := loginURL + query(t, tt.asked)
			get := func() *http.Response {
				if tt.fields != nil {
					return b.press(at, tt.fields...)
				}
				return b.get(at)
			}
			if got := b.answered(get()); got.Status != tt.want || got.KeyID == "" {
				t.Errorf("%v, want %v, signed", got, tt.want)
			}
			tt.asked.Fail = true
			at = loginURL + query(t, tt.asked)
			resp := get()
			if resp.StatusCode != http.StatusForbidden || resp.Header.Get("Location") != "" {
				t.Errorf("fail=yes: %s, Location %q", resp.Status, resp.Header.Get("Location"))
			}
		})
	}
}

// TestDecide sends every status, and answers that an agent never asked for.
func TestDecide(t *testing.T) {
	for _, status := range []raven.Status{410, 510, 520, 530, 540, 560, 570} {
		server := newServer()
		server.Decide = func(*http.Request, *wls.Request) *raven.Response {
			return &raven.Response{Status: status, Version: 2, Msg: "50% off!"}
		}
		b := newBrowser(t, server)
		got := b.answered(b.get(loginURL + query(t, raven.Request{})))
		if got.Status != status || got.Version != 2 || got.Msg != "50% off!" {
			t.Errorf("%+v, want status %v", got, status)
		}
	}
}

func TestInteraction(t *testing.T) {
	b := newBrowser(t, newServer())
	b.answered(b.logIn(loginURL + query(t, raven.Request{})))

	no := b.answered(b.get(loginURL + query(t, raven.Request{IAct: raven.MustNot})))
	if !no.Satisfies(raven.MustNot, []string{"pwd"}) {
		t.Errorf("MustNot: %+v", no)
	}
	at := loginURL + query(t, raven.Request{IAct: raven.Must})
	if resp := b.get(at); !strings.Contains(body(t, resp), `name="password"`) {
		t.Errorf("Must: %s without a form", resp.Status)
	}
	// The button of another page does not replace the password.
	if resp := b.press(at, "action", "continue"); resp.StatusCode != http.StatusOK {
		t.Errorf("Must: %s after continue", resp.Status)
	}
	if yes := b.answered(b.logIn(at)); !yes.Satisfies(raven.Must, nil) {
		t.Errorf("Must: %+v", yes)
	}
}

func TestConfirm(t *testing.T) {
	server := newServer()
	server.Confirm = true
	b := newBrowser(t, server)
	at := loginURL + query(t, raven.Request{})
	if resp := b.press(at, "action", "continue"); resp.StatusCode != http.StatusOK {
		t.Errorf("a stranger goes on: %s", resp.Status)
	}
	b.answered(b.logIn(at))
	if text := body(t, b.get(at)); !strings.Contains(text, "abc12") ||
		!strings.Contains(text, `value="continue"`) || strings.Contains(text, `name="password"`) {
		t.Errorf("page: %s", text)
	}
	got := b.answered(b.press(at, "action", "continue"))
	if got.Principal != "abc12" || got.Auth != "" {
		t.Errorf("%+v", got)
	}
	if got := b.answered(b.press(at, "action", "cancel")); got.Status != raven.StatusCancelled {
		t.Errorf("%+v", got)
	}
}

func TestPasswordRefused(t *testing.T) {
	for _, tt := range []struct {
		reason  string
		checker portal.Checker
		status  int
	}{
		{"wrong password", portal.Memory{"abc12": []byte("other")}, http.StatusForbidden},
		{"nobody can", nil, http.StatusForbidden},
		{"an outage", checker{"", errors.New("down")}, http.StatusServiceUnavailable},
		{"no name", checker{"", nil}, http.StatusServiceUnavailable},
	} {
		server := newServer()
		server.Checker = tt.checker
		b := newBrowser(t, server)
		at := loginURL + query(t, raven.Request{})
		resp := b.logIn(at)
		text := body(t, resp)
		if resp.StatusCode != tt.status || !strings.Contains(text, `role="alert"`) ||
			!strings.Contains(text, `value="abc12"`) || len(resp.Cookies()) != 0 {
			t.Errorf("%s: %s, cookies %q:\n%s", tt.reason, resp.Status, resp.Cookies(), text)
		}
		if resp := b.get(at); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: logged in", tt.reason)
		}
	}
}

type checker struct {
	subject string
	err     error
}

func (c checker) Check(context.Context, portal.Credentials) (string, error) {
	return c.subject, c.err
}

func TestSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newServer()
		server.Life = time.Hour
		b := newBrowser(t, server)
		at := loginURL + query(t, raven.Request{})
		b.answered(b.logIn(at))
		time.Sleep(20 * time.Minute)
		if got := b.answered(b.get(at)); got.Life != 40*time.Minute || !got.HasLife {
			t.Errorf("life %v, want 40 min", got.Life)
		}
		time.Sleep(40 * time.Minute)
		if resp := b.get(at); resp.StatusCode != http.StatusOK {
			t.Errorf("%s after the end", resp.Status)
		}
	})
}

// TestLogOut has a user log out by the button, and other sites try to have the browser do it.
func TestLogOut(t *testing.T) {
	const logout = "http://login.example.test/auth/logout.html"
	b := newBrowser(t, newServer())
	at := loginURL + query(t, raven.Request{})
	cookie := b.logIn(at).Cookies()[0]
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		resp := b.send(httptest.NewRequest(method, logout, nil))
		text := body(t, resp)
		if resp.StatusCode != http.StatusOK || !strings.Contains(text, ">Log out here</button>") ||
			!strings.Contains(text, "abc12") ||
			!strings.Contains(resp.Header.Get("Content-Security-Policy"), "form-action 'self';") {
			t.Errorf("%s: %s\n%s", method, resp.Status, text)
		}
	}
	for field, value := range map[string]string{
		"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example",
	} {
		req := httptest.NewRequest(http.MethodPost, logout, nil)
		req.Header.Set(field, value)
		if resp := b.send(req); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", field, resp.Status)
		}
	}
	if resp := b.send(httptest.NewRequest(http.MethodDelete, logout, nil)); resp.StatusCode != 405 {
		t.Errorf("DELETE: %s", resp.Status)
	}
	b.answered(b.get(at)) // still logged in

	resp := b.press(logout, "action", "logout")
	if text := body(t, resp); resp.StatusCode != http.StatusOK || strings.Contains(text, "<form") {
		t.Errorf("logging out: %s\n%s", resp.Status, text)
	}
	req := httptest.NewRequest(http.MethodGet, at, nil)
	req.AddCookie(cookie) // as a thief who copied it
	if resp := b.send(req); resp.StatusCode != http.StatusOK {
		t.Errorf("%s after logging out", resp.Status)
	}
	if text := body(t, b.get(logout)); strings.Contains(text, "<form") {
		t.Errorf("a user who is not logged in is asked to log out:\n%s", text)
	}
}

// TestWayBack checks that the page after a logout has a link to the site that the address names.
func TestWayBack(t *testing.T) {
	b := newBrowser(t, newServer())
	for given, want := range map[string]string{
		"https://app.example.org/a?b=c&d": `href="https://app.example.org/a?b=c&amp;d">Back to ` +
			"app.example.org<",
		"":                         "",
		"javascript:alert(1)":      "",
		"/elsewhere":               "",
		"https://u:p@evil.example": "",
		"https://a.example/\x00":   "",
	} {
		at := "http://login.example.test/auth/logout.html?url=" + url.QueryEscape(given)
		for _, resp := range []*http.Response{b.get(at), b.press(at, "action", "logout")} {
			text := body(t, resp)
			if resp.StatusCode != http.StatusOK || resp.Header.Get("Location") != "" ||
				!strings.Contains(text, want) || strings.Contains(text, "Back to") != (want != "") {
				t.Errorf("%q: %s\n%s", given, resp.Status, text)
			}
		}
	}
}

// TestCheck checks that Check finds each mistake before the first request.
func TestCheck(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(s *wls.Server)
		want   string // part of the error; if "", there is no error
	}{
		"nothing":         {func(*wls.Server) {}, ""},
		"its own key":     {func(s *wls.Server) { s.Key = nil }, ""},
		"a Decide":        {func(s *wls.Server) { s.Checker, s.Decide = nil, decideNothing }, ""},
		"no users":        {func(s *wls.Server) { s.Checker = nil }, "no Checker"},
		"negative Life":   {func(s *wls.Server) { s.Life = -time.Hour }, "Life"},
		"half a second":   {func(s *wls.Server) { s.Life = time.Second / 2 }, "Life"},
		"a very long one": {func(s *wls.Server) { s.Life = 5e9 * time.Second }, "Life"},
		"a name as KeyID": {func(s *wls.Server) { s.KeyID = "main" }, "KeyID"},
		"a wrong ptag":    {func(s *wls.Server) { s.PTags = []string{"current,"} }, "PTags"},
	} {
		s := newServer()
		tt.change(s)
		err := s.Check()
		if tt.want == "" && err != nil || tt.want != "" &&
			(err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func decideNothing(*http.Request, *wls.Request) *raven.Response { return nil }

// TestServerNotPrinted prints a Server, alone and within other values.
func TestServerNotPrinted(t *testing.T) {
	s := newServer()
	s.Checker = portal.Memory{"abc12": []byte("canary-5d20ba")}
	for _, value := range []any{s, []any{s}, map[string]any{"s": s}, &struct{ S *wls.Server }{s}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			text := fmt.Sprintf(verb, value)
			for _, secret := range []string{"canary", "63616e617279", "99 97 110 97 114 121",
				s.Key.D.String(), s.Key.D.Text(16)} {
				if strings.Contains(text, secret) {
					t.Errorf("%s of %T shows a secret", verb, value)
				}
			}
		}
	}
}

// A session id planted in the browser before does not become logged in.
func TestSessionFixation(t *testing.T) {
	server := newServer()
	victim := newBrowser(t, server)
	at := loginURL + query(t, raven.Request{})
	planted := &http.Cookie{Name: "wls-session", Value: "known", Path: "/auth/"}
	req := httptest.NewRequest(http.MethodGet, at, nil)
	victim.jar.SetCookies(req.URL, []*http.Cookie{planted})
	if got := victim.logIn(at).Cookies(); len(got) != 1 || got[0].Value == planted.Value ||
		!got[0].HttpOnly || got[0].SameSite != http.SameSiteLaxMode {
		t.Errorf("cookies %q", got)
	}
	req.AddCookie(planted)
	if resp := newBrowser(t, server).send(req); resp.StatusCode != http.StatusOK {
		t.Errorf("the planted name is logged in: %s", resp.Status)
	}
}

// A user who logs in again leaves no usable old session behind.
func TestSessionReplaced(t *testing.T) {
	b := newBrowser(t, newServer())
	at := loginURL + query(t, raven.Request{IAct: raven.Must})
	old := b.logIn(at).Cookies()[0]
	b.answered(b.logIn(at))
	req := httptest.NewRequest(http.MethodGet, loginURL+query(t, raven.Request{}), nil)
	req.AddCookie(old)
	if resp := newBrowser(t, b.server).send(req); resp.StatusCode != http.StatusOK {
		t.Errorf("the old session: %s", resp.Status)
	}
}

func TestForgedForm(t *testing.T) {
	b := newBrowser(t, newServer())
	at := loginURL + query(t, raven.Request{})
	for field, value := range map[string]string{
		"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example",
	} {
		req := httptest.NewRequest(http.MethodPost, at,
			strings.NewReader("action=login&user=abc12&password=right"))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set(field, value)
		if resp := b.send(req); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", field, resp.Status)
		}
	}
	if resp := b.press(at, "action", "dance"); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("unknown button: %s", resp.Status)
	}
	if resp := b.press(at, "action", strings.Repeat("x", 10000)); resp.StatusCode != 400 {
		t.Errorf("long form: %s", resp.Status)
	}
}

// TestPage checks that an agent's description of itself cannot become markup or a script.
func TestPage(t *testing.T) {
	b := newBrowser(t, newServer())
	resp := b.get(loginURL + "ver=3;url=http%3A%2F%2Fapp.example.org%3A8080%2F;" +
		"desc=%26lt%3Bscript%3E%20caf%26%23233%3B;msg=%3Cb%3E")
	text := body(t, resp)
	for _, want := range []string{
		"&lt;script&gt; café", "&lt;b&gt;", "app.example.org:8080", `<label for="user">`,
		`<label for="password">`, `<html lang="en">`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page has no %s:\n%s", want, text)
		}
	}
	if strings.Contains(text, "<b>") || strings.Contains(text, "<script") {
		t.Errorf("markup of the agent:\n%s", text)
	}
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; style-src 'self'; " +
			"form-action 'self' http://app.example.org:8080; " +
			"frame-ancestors 'none'; base-uri 'none'",
		"Cache-Control":          "no-store",
		"Content-Type":           "text/html; charset=utf-8",
		"Referrer-Policy":        "same-origin",
		"X-Content-Type-Options": "nosniff",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %s\nwant %s", name, got, want)
		}
	}
	if resp := b.get(loginURL + "ver=3&url=http%3A%2F%2Fa%3B%20x"); resp.StatusCode != 400 {
		t.Errorf("a host with a blank: %s", resp.Status)
	}
	odd := b.get(loginURL + "ver=3&url=http%3A%2F%2Fa%3Bscript-src")
	policy := odd.Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "form-action 'none'") {
		t.Errorf("an odd host is in the policy: %s", policy)
	}
}

func TestOtherPages(t *testing.T) {
	b := newBrowser(t, newServer())
	for url, want := range map[string]int{
		"http://login.example.test/auth/style.css":   http.StatusOK,
		"http://login.example.test/":                 http.StatusNotFound,
		"http://login.example.test/auth/private.pem": http.StatusNotFound,
		loginURL:                   http.StatusBadRequest,
		loginURL + "ver=3&url=%zz": http.StatusBadRequest,
		loginURL + "ver=3&url=http://a/&iact=maybe":              http.StatusBadRequest,
		loginURL + "ver=3&url=http://a/&fail=no":                 http.StatusBadRequest,
		loginURL + "ver=3&url=http://a/&date=today":              http.StatusBadRequest,
		loginURL + "ver=3&url=http://a/&date=20240115T093000.5Z": http.StatusBadRequest,
		loginURL + "ver=03&url=http://a/":                        http.StatusBadRequest,
		loginURL + "ver=3&url=http://a/&aauth=pwd,,x":            http.StatusBadRequest,
		loginURL + "ver=99999999999&url=http://a/":               http.StatusBadRequest,
	} {
		if resp := b.get(url); resp.StatusCode != want {
			t.Errorf("%s: %s, want %d", url, resp.Status, want)
		}
	}
	at := loginURL + query(t, raven.Request{})
	if resp := b.send(httptest.NewRequest(http.MethodPut, at, nil)); resp.StatusCode != 405 {
		t.Errorf("PUT: %s", resp.Status)
	}
}

// TestOwnKey checks that a service without a key makes exactly one.
func TestOwnKey(t *testing.T) {
	server := &wls.Server{KeyID: "7"}
	var group sync.WaitGroup
	var found [4]*raven.Service
	for i := range found {
		group.Go(func() { found[i], _ = server.Service("https://login.example.org") })
	}
	group.Wait()
	for _, s := range found {
		if s == nil || !s.Keys["7"].Equal(found[0].Keys["7"]) ||
			s.LoginURL != "https://login.example.org/auth/authenticate.html" ||
			s.LogoutURL != "https://login.example.org/auth/logout.html" {
			t.Errorf("%+v", s)
		}
	}
}

// TestSignWithoutKey signs an answer with a KeyID without a key.
func TestSignWithoutKey(t *testing.T) {
	r := &raven.Response{Version: 3, Status: raven.StatusCancelled, KeyID: "1"}
	if text, err := wls.Sign(r, nil); err == nil || text != "" {
		t.Errorf("%q, %v", text, err)
	}
	r.KeyID = ""
	if _, err := wls.Sign(r, nil); err != nil {
		t.Error(err)
	}
}
