package raven_test

import (
	"context"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/countersign-go/countersign/raven"
)

// TestFuture has times in a session that our clock can have written only if it has gone back since.
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

// countingStore counts what is written.
type countingStore struct {
	scs.Store

	commits int
}

func (s *countingStore) Commit(token string, b []byte, expiry time.Time) error {
	s.commits++
	return s.Store.Commit(token, b, expiry)
}

// TestTouch has a page ask for many things at once: the session is written once a second.
func TestTouch(t *testing.T) {
	l := newLogin(t)
	l.Sessions = newSessions()
	store := &countingStore{Store: l.Sessions.Store}
	l.Sessions.Store = store
	b := newBrowser(t, l)
	synctest.Test(t, func(t *testing.T) {
		b.t = t
		b.logIn(secret, answer{})
		store.commits = 0
		for range 10 {
			b.get(secret)
			b.is(200, "")
		}
		time.Sleep(time.Second)
		b.get(secret)
		b.is(200, "")
		if store.commits != 1 || b.stored().Login.Last != time.Now().Unix() {
			t.Errorf("%d times", store.commits)
		}
	})
}

// TestTouchMeanwhile has a page find out who may see it, while its user goes to log in for another
// one, or logs out elsewhere.
func TestTouchMeanwhile(t *testing.T) {
	lax := newLogin(t)
	b := newBrowser(t, lax)
	b.logIn(secret, answer{sso: "pwd"})
	page, meanwhile := b.handler, func() {}
	lax.Authorize = func(*http.Request, *raven.Session) error {
		b.change(func(s *storedState) { s.Login.Last-- })
		meanwhile()
		return nil
	}
	look := func() {
		b.change(func(s *storedState) { s.Login.Last -= 2 })
		b.handler = page
		b.get(secret)
	}
	var asked url.Values
	meanwhile = func() {
		meanwhile = func() {}
		b.handler = newStrict(b)
		b.get(secret)
		asked = b.asked()
	}
	look()
	b.is(200, "")
	b.handler = newStrict(b)
	b.get(answer{}.write(t, asked))
	b.is(303, secret)

	meanwhile = func() {
		meanwhile = func() {}
		if err := b.sessions.Store.Delete(b.cookie.Value); err != nil {
			t.Error(err)
		}
	}
	stolen := b.cookie
	look()
	b.is(303, serviceURL)
	if b.cookie = stolen; b.stored().Login != nil {
		t.Error("the session is back")
	}
}

// TestLog has a login look like one, and not like an attack.
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

// TestNewSession is about whose values are found in a session.
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

// TestNewSessionAfterFailure_S17 has a failed login stand between two users, or between two logins
// of one.
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

// TestLoadAndSave has the sessions belong to the whole site.
func TestLoadAndSave(t *testing.T) {
	l := newLogin(t)
	l.Sessions = newSessions()
	l.Sessions.IdleTimeout = time.Hour
	b := newBrowser(t, l)
	b.get(secret)
	if b.is(503, ""); !strings.Contains(b.logged.String(), "LoadAndSave") {
		t.Errorf("logged %s", b.logged)
	}
	b.handler = b.sessions.LoadAndSave(b.handler)
	b.logIn(secret, answer{})
	if n := len(b.header.Values("Set-Cookie")); n != 1 {
		t.Errorf("%d cookies are set", n)
	}
	b.get(secret)
	b.is(200, "")
	b.handler = b.sessions.LoadAndSave(http.HandlerFunc(l.Logout))
	b.send("POST", site+"/logout")
	if b.is(303, logoutURL); b.cookie != nil || len(b.header.Values("Set-Cookie")) != 1 {
		t.Errorf("cookie %v, %v", b.cookie, b.header)
	}
}

// brokenStore fails when it is told to.
type brokenStore struct {
	scs.Store

	find, commit, remove bool
}

var errStore = errors.New("store is down")

func (s *brokenStore) Find(token string) ([]byte, bool, error) {
	if s.find {
		return nil, false, errStore
	}
	return s.Store.Find(token)
}

func (s *brokenStore) Commit(token string, b []byte, expiry time.Time) error {
	if s.commit {
		return errStore
	}
	return s.Store.Commit(token, b, expiry)
}

func (s *brokenStore) Delete(token string) error {
	if s.remove {
		return errStore
	}
	return s.Store.Delete(token)
}

func TestStoreDown(t *testing.T) {
	l := newLogin(t)
	l.Sessions = newSessions()
	store := &brokenStore{Store: l.Sessions.Store}
	l.Sessions.Store = store
	b := newBrowser(t, l)
	is503 := func(what string) {
		t.Helper()
		if b.code != 503 || b.header.Get("Retry-After") != "1" || b.viewed > 0 {
			t.Errorf("%s: %d, %v", what, b.code, b.header)
		}
		*store = brokenStore{Store: store.Store}
	}
	store.commit = true
	b.get(secret)
	is503("the first request")
	b.get(secret)
	asked := b.asked()
	store.remove = true
	b.get(answer{}.write(t, asked))
	is503("an answer, renewed")
	store.commit = true
	b.get(answer{}.write(t, asked))
	is503("an answer, saved")
	b.logIn(secret, answer{})
	before := b.stored()
	before.Login.Last--
	b.store(before)
	store.find = true
	b.get(secret)
	is503("a session, read")
	store.commit = true
	b.get(secret)
	is503("a session, saved")
	if b.get(secret); b.code != 200 {
		t.Errorf("afterwards %d", b.code)
	}
	b.viewed = 0
	b.handler = http.HandlerFunc(l.Logout)
	store.remove = true
	b.send("POST", site+"/logout")
	is503("logout")
	const reason = "store is down"
	if strings.Contains(b.body, reason) || !strings.Contains(b.logged.String(), reason) {
		t.Errorf("said %s", b.body)
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

// TestAskedOnce has a user refused who has logged in.
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

// TestInactive has a user come back in time, and at last too late.
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

// TestPendingEnds has a browser that goes to log in and does not come back.
func TestPendingEnds(t *testing.T) {
	b := newBrowser(t, newLogin(t))
	synctest.Test(t, func(t *testing.T) {
		b.t = t
		b.get(secret)
		time.Sleep(59 * time.Minute)
		b.get(secret)
		asked := b.asked()
		time.Sleep(59 * time.Minute) // from the second request on
		b.get(answer{}.write(t, asked))
		b.is(303, secret)
		b.cookie = nil
		b.get(secret)
		asked = b.asked()
		time.Sleep(61 * time.Minute)
		b.get(answer{}.write(t, asked))
		b.is(403, "")
	})
}

// TestStrangerInStore has somebody leave as much in the store, and for as long, as a stranger can.
func TestStrangerInStore(t *testing.T) {
	b := newBrowser(t, newLogin(t))
	b.send("POST", secret+"?a="+strings.Repeat("a", 1000))
	back := answer{status: raven.StatusCancelled, unsigned: true}.write(t, b.asked())
	b.get(back)
	b.is(303, secret)
	text, _, err := b.sessions.Store.Find(b.cookie.Value)
	if err != nil || len(text) > 400 {
		t.Errorf("%d bytes are stored, %v", len(text), err)
	}
	if life := b.cookie.Expires.Sub(time.Now()); life > time.Hour+time.Second {
		t.Errorf("they are stored for %v", life)
	}
	b.get(secret + "?a=" + strings.Repeat("a", 1000))
	b.is(401, "")

	// A session that a login has made longer ends no later than one of a stranger, with the login.
	b.logIn(secret, answer{})
	b.change(func(s *storedState) { s.Login.Issue -= 7201 })
	b.logIn(secret, answer{status: raven.StatusCancelled})
	if life := b.cookie.Expires.Sub(time.Now()); life > time.Hour+time.Second {
		t.Errorf("after a login that failed they are stored for %v", life)
	}
}

// TestLongLife has a login last longer than the sessions do by themselves.
func TestLongLife(t *testing.T) {
	l := newLogin(t)
	l.MaxLife = 72 * time.Hour
	b := newBrowser(t, l)
	synctest.Test(t, func(t *testing.T) {
		b.t = t
		b.logIn(secret, answer{})
		time.Sleep(71 * time.Hour)
		b.get(secret)
		b.is(200, "")
		time.Sleep(time.Hour)
		b.get(secret)
		b.is(303, serviceURL)
	})
}

// TestManyAtOnce has one session used by many requests, some of which log in.
func TestManyAtOnce(t *testing.T) {
	b := newBrowser(t, newLogin(t))
	b.logIn(secret, answer{})
	page := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	other := newLoginLike(b)
	other.AAuth = []string{"x-card"}
	other.Service.AuthTypes = []string{"pwd", "x-card"}
	strict := other.Require(page)
	b.handler = b.login.Require(page)
	var group sync.WaitGroup
	for i := range 64 {
		req := b.request("GET", secret)
		handler := b.handler
		if i%8 == 0 {
			handler = strict
		}
		group.Go(func() {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, req)
			if w.Code != 200 && w.Code != 303 {
				t.Errorf("status %d", w.Code)
			}
		})
	}
	group.Wait()
}
