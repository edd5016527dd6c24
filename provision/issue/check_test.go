package issue_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision/issue"
)

// checked is an Authenticator with its own Check.
type checked struct {
	auth.Authenticator

	err error
}

func (c checked) Check() error { return c.err }

// Check returns an error for a Handler that could give no credentials.
func TestCheck(t *testing.T) {
	secret := creds.Secret(master)
	short := creds.Secret("canary-15bytes.")
	wrong := errors.New("no users")
	made := testIssuer().Issue
	for _, tt := range []struct {
		reason string
		c      interface{ Check() error }
		want   string // part of the error; if empty, no error
	}{
		{"an Issuer", &issue.Issuer{Secrets: []creds.Secret{secret}}, ""},
		{"no secret", &issue.Issuer{}, "Issuer.Secrets is empty"},
		{"a variable that is not set", &issue.Issuer{Secrets: []creds.Secret{{}}},
			"Issuer.Secrets[0] is empty"},
		{"a short secret", &issue.Issuer{Secrets: []creds.Secret{short}},
			"Issuer.Secrets[0] has 15 bytes"},
		{"an old short secret", &issue.Issuer{Secrets: []creds.Secret{secret, short}}, ""},
		{"an empty old secret", &issue.Issuer{Secrets: []creds.Secret{secret, nil}},
			"Issuer.Secrets[1] is empty"},
		{"a hash", &issue.Issuer{Secrets: []creds.Secret{secret}, Hash: "md5"}, "Issuer.Hash"},
		{"an algorithm", &issue.Issuer{Secrets: []creds.Secret{secret}, Algorithm: "md5"},
			"Issuer.Algorithm"},
		{"a Registry", &issue.Registry{Algorithm: mac.SHA1, Quota: -1}, ""},
		{"a negative time", &issue.Registry{Lifetime: -1}, "Registry.Lifetime is negative"},
		{"an algorithm of a Registry", &issue.Registry{Algorithm: "md5"}, "Registry.Algorithm"},
		{"a Handler", &issue.Handler{Auth: users(), Issue: made}, ""},
		{"no Auth", &issue.Handler{Issue: made}, "Handler.Auth is nil"},
		{"no Issue", &issue.Handler{Auth: users()}, "Handler.Issue is nil"},
		{"a negative age",
			&issue.Handler{Auth: users(), Issue: made, MaxLoginAge: -time.Second},
			"Handler.MaxLoginAge is negative"},
		{"an Auth that is ready",
			&issue.Handler{Auth: checked{basic.Verifier{}, nil}, Issue: made}, ""},
		{"an Auth that is not",
			&issue.Handler{Auth: checked{basic.Verifier{}, wrong}, Issue: made}, "no users"},
	} {
		err := tt.c.Check()
		if tt.want == "" && err != nil || !strings.Contains(text(err), tt.want) ||
			err != nil && !strings.HasPrefix(text(err), "issue: ") ||
			strings.Contains(text(err), "canary") {
			t.Errorf("%s: %v, want %q", tt.reason, err, tt.want)
		}
	}
}

// Issue and Check agree: if Check returns nil, Issue works.
func TestCheckIsThatOfIssue(t *testing.T) {
	for _, secrets := range [][]creds.Secret{
		nil, {nil}, {creds.Secret("canary-15bytes.")}, {creds.Secret(master)},
	} {
		i := &issue.Issuer{Secrets: secrets}
		_, err := i.Issue(t.Context(), subject("ann"))
		if text(err) != text(i.Check()) {
			t.Errorf("%d secrets: Issue %v, Check %v", len(secrets), err, i.Check())
		}
	}
}
