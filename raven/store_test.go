package raven_test

import (
	"errors"
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

// countingStore counts writes and deletions.
type countingStore struct {
	scs.Store

	commits, deletes int
}

func (s *countingStore) Commit(token string, b []byte, expiry time.Time) error {
	s.commits++
	return s.Store.Commit(token, b, expiry)
}

func (s *countingStore) Delete(token string) error {
	s.deletes++
	return s.Store.Delete(token)
}

// TestTouch has a page load many things at once. The session is written once a second.
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

// TestTouchMeanwhile has Authorize run for one page while its user goes to log in for another page,
// or logs out elsewhere.
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

// TestLoadAndSave puts LoadAndSave in front of the whole site.
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
	if n := len(b.header.Values("Set-Cookie")); n != 2 || b.cookie == nil || b.pending != nil {
		t.Errorf("%d cookies are set: %v, %v", n, b.cookie, b.pending)
	}
	b.get(secret)
	b.is(200, "")
	b.handler = b.sessions.LoadAndSave(http.HandlerFunc(l.Logout))
	b.send("POST", site+"/logout")
	if b.is(303, logoutURL); b.cookie != nil || len(b.header.Values("Set-Cookie")) != 1 {
		t.Errorf("cookie %v, %v", b.cookie, b.header)
	}
}

// brokenStore fails on demand.
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
	b.store(&storedState{}) // the application's session
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

// TestPendingEnds sends a browser to log in that does not come back.
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
		b.cookie, b.pending = nil, nil
		b.get(secret)
		asked = b.asked()
		time.Sleep(61 * time.Minute)
		b.get(answer{}.write(t, asked))
		b.is(403, "")
	})
}

// TestFailureShortensSession ends a login by a failed one. The session is kept for as long as a
// browser may take to try again.
func TestFailureShortensSession(t *testing.T) {
	b := newBrowser(t, newLogin(t))
	b.logIn(secret, answer{})
	b.change(func(s *storedState) { s.Login.Issue -= 7201 })
	b.logIn(secret, answer{status: raven.StatusCancelled})
	if life := time.Until(b.cookie.Expires); life > time.Hour+time.Second {
		t.Errorf("after a login that failed it is stored for %v", life)
	}
}

// TestLongLife has a login last longer than the Lifetime of the sessions.
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

// TestManyAtOnce uses one session in many concurrent requests, some of which log in.
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
