package raven_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/raven"
)

func TestFailed(t *testing.T) {
	type reason struct{ error }
	own := reason{errors.New("not on Sundays")}
	const unusable = "the answer of the login service cannot be used"
	for name, tt := range map[string]struct {
		set    func(l *raven.Login)
		visit  func(b *browser)
		code   int
		reason error
		text   string // the body if Failed is nil
	}{
		"cancelled": {visit: func(b *browser) {
			b.logIn(secret, answer{status: 410})
			b.get(secret)
		}, code: 401, reason: &raven.StatusError{Status: 410}, text: "You cancelled the login."},
		"signed message": {visit: func(b *browser) {
			b.logIn(secret, answer{status: 570, msg: "Closed!"})
			b.get(secret)
		}, code: 401, reason: &raven.StatusError{Status: 570, Msg: "Closed!"},
			text: "The login service declined to log you in this time."},
		"anybody's message": {visit: func(b *browser) {
			b.logIn(secret, answer{status: 560, msg: "call 0900", unsigned: true})
			b.get(secret)
		}, code: 401, reason: &raven.StatusError{Status: 560},
			text: "This site may not use the login service."},
		"not this user": {set: func(l *raven.Login) { l.RequirePrincipal = []string{"other1"} },
			visit: func(b *browser) { b.logIn(secret, answer{}); b.get(secret) },
			code:  403, reason: raven.ErrForbidden, text: "you may not see this page"},
		"not these ptags": {visit: func(b *browser) {
			b.logIn(secret, answer{ptags: "alumni"})
			b.get(secret)
		}, code: 403, reason: raven.ErrForbidden, text: "you may not see this page"},
		"not now": {set: func(l *raven.Login) {
			l.Authorize = func(*http.Request, *raven.Session) error { return own }
		},
			visit: func(b *browser) { b.logIn(secret, answer{}); b.get(secret) },
			code:  403, reason: raven.ErrForbidden, text: "you may not see this page"},
		"another decision": {set: func(l *raven.Login) {
			l.Authorize = func(*http.Request, *raven.Session) error { return auth.ErrNone }
		},
			visit: func(b *browser) { b.logIn(secret, answer{}); b.get(secret) },
			code:  403, reason: raven.ErrForbidden, text: "you may not see this page"},
		"by POST": {visit: func(b *browser) {
			b.get(secret)
			b.send("POST", answer{}.write(b.t, b.asked()))
		}, code: 405, reason: raven.ErrAnswer, text: "an answer of the login service comes by GET"},
		"two": {visit: func(b *browser) {
			b.get(secret)
			b.get(answer{}.write(b.t, b.asked()) + "&WLS%2DResponse=x")
		}, code: 400, reason: raven.ErrAnswer, text: unusable},
		"not encoded": {visit: func(b *browser) {
			b.get(secret)
			b.get(secret + "?WLS-Response=%zz")
		}, code: 400, reason: raven.ErrAnswer, text: unusable},
		"no cookie": {visit: func(b *browser) {
			b.get(secret)
			asked := b.asked()
			b.pending = nil
			b.get(answer{}.write(b.t, asked))
		}, code: 403, reason: raven.ErrNoSession,
			text: "you cannot log in without cookies, or it took too long"},
	} {
		for _, hook := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " ", hook), func(t *testing.T) {
				l, got := newLogin(t), error(nil)
				if tt.set != nil {
					tt.set(l)
				}
				l.Failed = func(w http.ResponseWriter, _ *http.Request, err error) {
					got = err
					fmt.Fprint(w, "a page")
				}
				text := "a page"
				if !hook {
					l.Failed, text = nil, tt.text+"\n"
				}
				b := newBrowser(t, l)
				tt.visit(b)
				b.is(tt.code, "")
				if b.body != text || b.viewed > 0 || b.header.Get("Cache-Control") == "" {
					t.Errorf("%q, %v", b.body, b.header)
				}
				challenged := b.header.Get("WWW-Authenticate") != ""
				if challenged != (tt.code == 401) {
					t.Errorf("challenged %t", challenged)
				}
				if !hook {
					return
				}
				if want, ok := errors.AsType[*raven.StatusError](tt.reason); ok {
					have, _ := errors.AsType[*raven.StatusError](got)
					if have == nil || *have != *want || strings.Contains(got.Error(), "Closed") {
						t.Errorf("reason %v, want %v", got, want)
					}
				} else if !errors.Is(got, tt.reason) {
					t.Errorf("reason %v, want %v", got, tt.reason)
				}
				if _, ok := errors.AsType[reason](got); ok != (name == "not now") {
					t.Errorf("the error of Authorize is found: %t", ok)
				}
				if errors.Is(got, auth.ErrNone) {
					t.Error("it is another decision")
				}
			})
		}
	}
}

// TestFailedOnce has a user cancel. The user sees the failure once, and can try again. Requests by
// a script of the page in the meantime do not count as having shown the failure.
func TestFailedOnce(t *testing.T) {
	b := newBrowser(t, newLogin(t))
	b.logIn(secret, answer{})
	b.begin("t")
	b.get(answer{status: 410, unsigned: true, params: "t", url: secret}.write(t, nil))
	b.is(303, secret)
	b.fields["Sec-Fetch-Mode"] = "cors"
	b.get(secret)
	b.is(401, "")
	delete(b.fields, "Sec-Fetch-Mode")
	b.get(secret)
	if b.is(401, ""); !strings.Contains(b.body, "cancelled") {
		t.Error(b.body)
	}
	b.get(secret)
	b.is(303, serviceURL) // the failure has also ended the login
}

// TestFailedPage checks which requests get the page of Failed, and what status that page may have.
func TestFailedPage(t *testing.T) {
	l := newLogin(t)
	l.RequirePrincipal = []string{}
	called, status := 0, 200
	l.Failed = func(w http.ResponseWriter, _ *http.Request, err error) {
		called++
		w.WriteHeader(status)
	}
	b := newBrowser(t, l)
	b.logIn(secret, answer{})
	b.get(secret)
	b.is(403, "")
	status = 404
	b.get(secret)
	b.is(404, "")
	b.accept = "application/json"
	b.get(secret)
	if b.is(403, ""); called != 2 || b.body != "you may not see this page\n" {
		t.Errorf("a program gets a page: %q", b.body)
	}
	b.accept = "" // as an old browser might send it
	b.get(secret + "?WLS-Response=x")
	if b.is(404, ""); called != 3 {
		t.Error("who brings an answer gets no page")
	}
}

// TestFailedBefore lets a login fail in one tab before a login in another tab succeeds.
func TestFailedBefore(t *testing.T) {
	b := newBrowser(t, newLogin(t))
	b.get(secret)
	b.get(answer{status: 410}.write(t, b.asked()))
	b.is(303, secret)
	failed := b.waiting()
	if failed.Failed == nil {
		t.Fatal("not failed")
	}
	failed.Token = "t"
	b.pending = b.login.PendingCookie(failed)
	b.get(answer{url: secret, params: "t"}.write(t, nil))
	b.is(303, secret)
	b.get(secret)
	b.is(200, "")
}
