package raven_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/raven"
)

// TestTwoTabs has a user without a session open two tabs, and log in with both.
func TestTwoTabs(t *testing.T) {
	b := newBrowser(t, newLogin(t))
	b.get(secret + "?tab=1")
	one := b.asked()
	b.get(secret + "?tab=2")
	two := b.asked()
	if one.Get("params") != two.Get("params") || one.Get("params") == "" {
		t.Fatalf("tokens %q and %q", one.Get("params"), two.Get("params"))
	}
	back := answer{}.write(t, one)
	b.get(back)
	b.is(303, secret+"?tab=1")
	cookie := b.cookie.Value
	b.get(answer{principal: "other1"}.write(t, two))
	b.is(303, secret+"?tab=2")
	if b.cookie.Value != cookie || b.stored().Login.Principal != "abc12" || b.opened != 1 {
		t.Error("the second answer with one token has changed something")
	}
	b.get(secret + "?tab=2")
	b.is(200, "")
	b.get(back)
	b.is(400, "")

	// The next login has another token.
	b.handler = newStrict(b)
	b.cookie = nil
	b.pending = b.login.PendingCookie(raven.Pending{Spent: one.Get("params")})
	b.get(secret)
	if got := b.asked().Get("params"); got == one.Get("params") || len(got) < 20 {
		t.Errorf("token %q", got)
	}
}

// TestFirstTabs has a browser without a cookie open two tabs at once, so each gets a token.
func TestFirstTabs(t *testing.T) {
	b := newBrowser(t, newLogin(t))
	b.get(secret + "?tab=1")
	one := b.asked()
	b.pending = nil
	b.get(secret + "?tab=2")
	two := b.asked()
	early := answer{principal: "other1"}.write(t, one)
	b.get(early)
	b.is(400, "") // the user has not logged in yet
	b.get(answer{}.write(t, two))
	b.is(303, secret+"?tab=2")
	before := *b.stored()
	for _, back := range []string{early, answer{status: 410}.write(t, one)} {
		b.get(back)
		b.is(303, secret+"?tab=1")
	}
	if after := *b.stored(); after.Login.ID != before.Login.ID || b.opened != 1 {
		t.Errorf("the session has changed: %+v", after)
	}
	b.get(secret + "?tab=1")
	b.is(200, "")

	b.handler = newStrict(b) // it does not accept this login
	b.change(func(s *storedState) { s.Login.Issue -= 301 })
	b.get(answer{}.write(t, one))
	b.is(400, "")
}

func TestPrograms(t *testing.T) {
	for name, tt := range map[string]struct {
		accept string
		fields map[string]string
		people bool
	}{
		"a browser": {"text/html,*/*;q=0.8", nil, true},
		"one that says more": {"TEXT/HTML ; q=1",
			map[string]string{"Sec-Fetch-Mode": "navigate"}, true},
		"XHTML":                 {"application/xhtml+xml", nil, true},
		"nothing":               {"", nil, false},
		"anything":              {"*/*", nil, false},
		"JSON":                  {"application/json", nil, false},
		"anything but HTML":     {"application/json, text/html;q=0", nil, false},
		"no kind of HTML":       {"text/html; level=1; Q=0.000, */*", nil, false},
		"HTML at last":          {"application/json, text/html;q=0.001", nil, true},
		"XHTML alone":           {"text/html;q=0, application/xhtml+xml", nil, true},
		"something like HTML":   {"text/htmlx, x/text/html", nil, false},
		"a script in a page":    {"text/html", map[string]string{"Sec-Fetch-Mode": "cors"}, false},
		"an image in a page":    {"image/*", map[string]string{"Sec-Fetch-Mode": "no-cors"}, false},
		"a signature for pages": {"text/html", map[string]string{"Authorization": "MAC x"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBrowser(t, newLogin(t))
			b.accept, b.fields = tt.accept, tt.fields
			b.get(secret)
			challenge := b.header.Get("WWW-Authenticate")
			if tt.people {
				if b.is(303, serviceURL); challenge != "" {
					t.Errorf("challenge %s", challenge)
				}
				return
			}
			b.is(401, "")
			if challenge != `Ucam-WebAuth realm="https://app.example.org"` || b.pending != nil ||
				b.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%v, cookie %v", b.header, b.pending)
			}
		})
	}
}

// signed accepts requests by a header field that stands for a signature.
type signed struct{}

func (signed) Authenticate(req *http.Request) (*auth.Identity, error) {
	switch name, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Signed "); {
	case !ok:
		return nil, auth.ErrNone
	case name == "wrong":
		return nil, errors.New("wrong signature")
	default:
		return &auth.Identity{Subject: name, Scheme: "Signed"}, nil
	}
}

func (signed) Challenge(h http.Header, _ *http.Request, _ error) {
	h.Add("WWW-Authenticate", "Signed")
}

// TestStack tests a service for people and programs.
func TestStack(t *testing.T) {
	b := newBrowser(t, newLogin(t))
	b.handler = b.login.Require(http.HandlerFunc(b.page), signed{})
	b.get(secret)
	b.is(303, serviceURL)

	b.fields["Authorization"] = "Signed bob"
	b.accept = ""
	b.get(secret)
	b.is(200, "")
	if b.id.Subject != "bob" || b.session != nil {
		t.Errorf("%+v, %+v", b.id, b.session)
	}
	b.fields["Authorization"] = "Signed wrong"
	b.get(secret)
	b.is(401, "")
	if got := b.header.Values("WWW-Authenticate"); len(got) != 2 || got[0] != "Signed" {
		t.Errorf("challenges %q", got)
	}

	delete(b.fields, "Authorization")
	b.accept = "text/html"
	b.logIn(secret, answer{ptags: "current,staff", sso: "pwd"})
	b.get(secret)
	b.is(200, "")
	id := b.id
	if id.Subject != "abc12" || id.Scheme != "Ucam-WebAuth" || len(id.Groups) != 2 ||
		!id.Expires.Equal(b.session.Issue.Add(2*time.Hour)) {
		t.Errorf("%+v", id)
	}
	if s := b.session; s.Principal != "abc12" || s.Auth != "" || s.SSO[0] != "pwd" || s.HasLife ||
		time.Since(s.Last) > 2*time.Second || s.BodyLost {
		t.Errorf("%+v", s)
	}
	if got := b.header.Get("Cache-Control") + b.header.Get("Vary"); got != "privateCookie" {
		t.Errorf("caches are told %q", got)
	}
	b.fields["Authorization"] = "Signed bob"
	b.get(secret)
	b.is(400, "") // two users
	b.fields["Authorization"] = "Signed wrong"
	b.get(secret)
	b.is(401, "")
	b.fields["Authorization"] = "Signed abc12"
	b.get(secret)
	b.is(200, "")
}

// TestGuard puts the Login into a Guard that also accepts users without a login.
func TestGuard(t *testing.T) {
	b := newBrowser(t, newLogin(t))
	guard := &auth.Guard{Stack: auth.Stack{b.login}, Denied: b.login, Optional: true}
	page := http.HandlerFunc(b.page)
	b.handler = guard.Handler(page)
	b.get(secret)
	b.is(200, "")
	if b.session != nil || b.cookie != nil {
		t.Errorf("%+v, cookie %v", b.session, b.cookie)
	}
	b.handler = b.login.Require(page)
	b.get(secret)
	back := answer{}.write(t, b.asked())
	b.handler = guard.Handler(page)
	b.get(back)
	b.is(303, secret)
	b.get(secret)
	if b.is(200, ""); b.session == nil {
		t.Error("no session")
	}

	guard.Admit = func(*http.Request, *auth.Identity) (*auth.Identity, error) {
		return nil, errors.New("not this one")
	}
	var reason error
	b.login.Failed = func(_ http.ResponseWriter, _ *http.Request, err error) { reason = err }
	b.handler = guard.Handler(page)
	b.get(secret)
	if !errors.Is(reason, raven.ErrForbidden) {
		t.Errorf("reason %v", reason)
	}
	b.is(403, "") // not another redirect to log in
	b.accept = "*/*"
	b.get(secret)
	b.is(401, "")
}

// TestGuardAnswersOutages has a Login as the Denied of a Guard that cannot decide. The Login must
// not redirect the browser.
func TestGuardAnswersOutages(t *testing.T) {
	for err, want := range map[error]int{
		auth.ErrUnavailable: 503, auth.ErrLimited: 429, &auth.ScopeError{Scope: "staff"}: 403,
	} {
		b := newBrowser(t, newLogin(t))
		guard := &auth.Guard{Stack: auth.Stack{failing{err}, b.login}, Denied: b.login}
		b.handler = guard.Handler(http.HandlerFunc(b.page))
		b.get(secret)
		b.is(want, "")
	}
}

// failing is an Authenticator that always returns an error.
type failing struct{ err error }

func (f failing) Authenticate(*http.Request) (*auth.Identity, error) { return nil, f.err }
