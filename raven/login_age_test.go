package raven_test

import (
	"crypto/rand"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/provision/issue"
	"github.com/countersign-go/countersign/raven"
)

// TestMaxLoginAge checks that a site issues credentials only to users who logged in recently, and
// who authenticated to the service for that login.
func TestMaxLoginAge(t *testing.T) {
	for name, tt := range map[string]struct {
		answer answer
		wait   time.Duration
		code   int
	}{
		"a password just now":        {answer{}, 0, 200},
		"a password, and one before": {answer{auth: "pwd", sso: "pwd"}, 0, 200},
		"as long ago as may be":      {answer{}, time.Hour, 200},
		"a second longer":            {answer{}, time.Hour + time.Second, 401},
		"written a moment before":    {answer{age: 10 * time.Second}, time.Hour, 401},
		"single sign-on":             {answer{sso: "pwd"}, 0, 401},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBrowser(t, newLogin(t))
			synctest.Test(t, func(t *testing.T) {
				b.t = t
				b.logIn(secret, tt.answer)
				issuer := &issue.Issuer{Secrets: []creds.Secret{creds.Secret(rand.Text())}}
				b.handler = &issue.Handler{
					Auth: b.login, Issue: issuer.Issue, MaxLoginAge: time.Hour,
				}
				time.Sleep(tt.wait)
				if b.send("POST", site+"/provision"); b.code != tt.code {
					t.Errorf("%d (%s), want %d", b.code, b.body, tt.code)
				}
			})
		})
	}
}

// TestLoginTime checks that JSON keeps the claim unchanged, because other tokens may copy it.
func TestLoginTime(t *testing.T) {
	b := newBrowser(t, newLogin(t))
	b.logIn(secret, answer{age: 3 * time.Second})
	b.get(secret)
	if b.is(200, ""); b.id.Claims["auth_time"] != b.session.Issue.Unix() {
		t.Errorf("%v, want %v", b.id.Claims, b.session.Issue.Unix())
	}
	b = newBrowser(t, newLogin(t))
	b.logIn(secret, answer{sso: "pwd"})
	b.get(secret)
	b.is(200, "")
	if at, ok := b.id.Claims["auth_time"]; ok {
		t.Errorf("%v after single sign-on", at)
	}
	if s, ok := b.id.Claims["raven"].(*raven.Session); !ok || s != b.session {
		t.Errorf("%v", b.id.Claims)
	}
}
