package raven_test

import (
	"context"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/raven"
)

// TestFuture stores times in a session that are in the future, as after a clock that went back.
func TestFuture(t *testing.T) {
	for seconds, code := range map[int64]int{0: 200, 4: 200, 10: 303} {
		for _, which := range []string{"issue", "last"} {
			b := newBrowser(t, newLogin(t))
			b.logIn(secret, answer{})
			state := b.stored()
			if which == "issue" {
				state.Login.Issue += seconds
			} else {
				state.Login.Last += seconds
			}
			b.store(state)
			if b.get(secret); b.code != code {
				t.Errorf("%s %d s ahead: %d, want %d", which, seconds, b.code, code)
			}
		}
	}
}

// TestLog checks that an ordinary login is logged without a warning, and a strange answer with one.
func TestLog(t *testing.T) {
	b := newBrowser(t, newLogin(t))
	b.logIn(secret+"?query=canary-5b1d07", answer{})
	logged := b.logged.String()
	if strings.Contains(logged, "level=WARN") || strings.Contains(logged, "level=ERROR") ||
		!strings.Contains(logged, "status=success principal=abc12") ||
		strings.Contains(logged, "5b1d07") {
		t.Error("logged something else, or too much")
	}
	b.get(secret + "?WLS-Response=x")
	if b.is(400, ""); !strings.Contains(b.logged.String(), "level=WARN") {
		t.Error("a strange answer is no warning")
	}
}

func TestBodyLost(t *testing.T) {
	b := newBrowser(t, newLogin(t))
	b.send("POST", secret+"?a=1")
	b.get(answer{}.write(t, b.asked()))
	b.is(303, secret+"?a=1")
	b.get(secret)
	if b.is(200, ""); b.session.BodyLost {
		t.Error("said at another URL")
	}
	b.get(secret + "?a=1")
	if b.is(200, ""); !b.session.BodyLost {
		t.Error("not said")
	}
	b.get(secret + "?a=1")
	if b.is(200, ""); b.session.BodyLost {
		t.Error("said twice")
	}
}

// TestNewSession checks which user's values a session holds.
func TestNewSession(t *testing.T) {
	l := newLogin(t)
	var seen []string
	b := newBrowser(t, l)
	l.NewSession = func(req *http.Request, s *raven.Session) {
		before := b.sessions.GetString(req.Context(), "of the application")
		seen = append(seen, s.Principal+" "+before)
		b.sessions.Put(req.Context(), "of the application", s.Principal)
	}
	inner := l.Require(http.HandlerFunc(b.page))
	b.handler = b.sessions.LoadAndSave(inner)
	for _, principal := range []string{"abc12", "abc12", "new1"} {
		b.logIn(secret, answer{principal: principal})
		b.get(secret)
		b.is(200, "")
		state := b.stored()
		state.Login.Issue -= 7201
		ctx, err := b.sessions.Load(context.Background(), b.cookie.Value)
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf(`{"login":{"principal":%q,"ptags":["current"],"issue":%d,"id":"x"}}`,
			principal, state.Login.Issue)
		b.sessions.Put(ctx, raven.StateKey, text)
		if _, _, err := b.sessions.Commit(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(seen, "; "); got != "abc12 ; new1 " {
		t.Errorf("told of %s", got)
	}
}

// TestNewSessionAfterFailure_S17 has a failed login between the logins of two users, or between two
// logins of one user.
func TestNewSessionAfterFailure_S17(t *testing.T) {
	for name, tt := range map[string]struct{ principal, want, kept string }{
		"another user":  {"new1", "abc12 new1 ", ""},
		"the same user": {"abc12", "abc12 ", "of abc12"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLogin(t)
			told := ""
			l.NewSession = func(_ *http.Request, s *raven.Session) { told += s.Principal + " " }
			b := newBrowser(t, l)
			value := func() (kept string) {
				inside := func(_ http.ResponseWriter, req *http.Request) {
					kept = b.sessions.GetString(req.Context(), "basket")
					b.sessions.Put(req.Context(), "basket", "of abc12")
				}
				before := b.handler
				b.handler = b.sessions.LoadAndSave(http.HandlerFunc(inside))
				b.get(site)
				b.handler = before
				return kept
			}
			lax := b.handler
			b.logIn(secret, answer{})
			value()
			b.change(func(s *storedState) { s.Login.Issue -= 301 })
			b.handler = newStrict(b)
			for range 2 {
				b.logIn(secret, answer{status: raven.StatusCancelled, unsigned: true})
				b.get(secret)
				b.is(401, "")
			}
			b.handler = lax
			b.logIn(secret, answer{principal: tt.principal})
			if got := value(); got != tt.kept || told != tt.want {
				t.Errorf("found the values %q, told of %q", got, told)
			}
		})
	}
}

func TestAuthorizeUnavailable(t *testing.T) {
	l := newLogin(t)
	l.Authorize = func(req *http.Request, s *raven.Session) error {
		if s.Principal != "abc12" || req.URL.Path != "/secret" {
			return nil
		}
		return context.DeadlineExceeded
	}
	b := newBrowser(t, l)
	b.logIn(secret, answer{})
	b.get(secret)
	b.is(503, "")
}

// TestAskedOnce refuses a user who has logged in, and counts the calls of Authorize.
func TestAskedOnce(t *testing.T) {
	asked := 0
	l := newLogin(t)
	var reason error
	l.Authorize = func(*http.Request, *raven.Session) error { asked++; return errStore }
	l.Failed = func(_ http.ResponseWriter, _ *http.Request, err error) { reason = err }
	b := newBrowser(t, l)
	b.logIn(secret, answer{})
	b.logged.Reset()
	b.get(secret)
	b.is(403, "")
	if lines := strings.Count(b.logged.String(), "store is down"); asked != 1 || lines != 1 ||
		!errors.Is(reason, raven.ErrForbidden) {
		t.Errorf("asked %d times, logged %d times, %v", asked, lines, reason)
	}
}

// TestMultipart has a page read a form with a file, which the server deletes after the request.
func TestMultipart(t *testing.T) {
	b := newBrowser(t, newLogin(t))
	b.logIn(secret, answer{})
	b.handler = b.login.Require(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		req.MultipartForm = new(multipart.Form)
	}))
	req := b.request("POST", secret)
	if b.serve(req); req.MultipartForm == nil {
		t.Error("the server does not see the form")
	}
}

// TestInactive has a user come back in time, and finally too late.
func TestInactive(t *testing.T) {
	l := newLogin(t)
	l.InactiveTimeout = time.Minute
	b := newBrowser(t, l)
	synctest.Test(t, func(t *testing.T) {
		b.t = t
		b.logIn(secret, answer{life: 10 * time.Hour})
		for range 5 {
			time.Sleep(50 * time.Second)
			b.get(secret)
			b.is(200, "")
			if b.session.Life != 10*time.Hour || b.session.Expires() != time.Unix(
				time.Now().Unix()+60, 0) || len(b.session.Limits) != 3 {
				t.Errorf("%+v", b.session)
			}
		}
		time.Sleep(time.Minute)
		b.get(secret)
		b.is(303, serviceURL)
	})
}
