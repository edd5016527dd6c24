package issue_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision/issue"
)

// The secrets were computed with Python's hmac module, after RFC 5869. They must never change:
// credentials that are signed with them outlive a release.
func TestDerive(t *testing.T) {
	for _, tt := range []struct{ master, purpose, want string }{
		{master, "session cookies", "bhu4IYJpSJMoJkRIjmu2oUe0nSoy8Sze_M3XBXXMNEU"},
		{master, "mac ids of /archive", "xpJeAk7DmKVpqjnMZ23qw0pqWyBCP3qAbwIgvBdqogw"},
		{"sixteen bytes ok", "x", "J6xcr3gLbpbzxH2JtGEALt2_2jabdvv-zoersT4ws5E"},
	} {
		got, err := issue.Derive(creds.Secret(tt.master), tt.purpose)
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: %s, %v", tt.purpose, string(got), err)
		}
	}
}

func TestDeriveRefuses(t *testing.T) {
	short := "canary-15bytes."
	for _, tt := range []struct{ master, purpose, want string }{
		{"", "x", "a master secret of 0 bytes"},
		{short, "x", "a master secret of 15 bytes"},
		{master, "", "say what purpose"},
	} {
		got, err := issue.Derive(creds.Secret(tt.master), tt.purpose)
		if got != nil || !strings.HasPrefix(text(err), "issue: "+tt.want) ||
			strings.Contains(text(err), short) {
			t.Errorf("%q: %v, %v", tt.purpose, got, err)
		}
	}
}

// An id issued with the secret for one purpose is unknown with the secret for another, and with the
// master itself.
func TestDerive_C24(t *testing.T) {
	site, archive := derived(t, "mac ids"), derived(t, "mac ids of /archive")
	issuers := map[string]*issue.Issuer{
		"site":    {Secrets: []creds.Secret{site}},
		"archive": {Secrets: []creds.Secret{archive}},
		"master":  testIssuer(),
	}
	for from, issuer := range issuers {
		c, err := issuer.Issue(t.Context(), &auth.Identity{Subject: "u"})
		if err != nil {
			t.Fatal(err)
		}
		for to, other := range issuers {
			_, err := other.Key(t.Context(), c.ID)
			if from == to && err != nil || from != to && !errors.Is(err, mac.ErrUnknownID) {
				t.Errorf("of %s at %s: %v", from, to, err)
			}
		}
	}
}

func derived(t *testing.T, purpose string) creds.Secret {
	t.Helper()
	secret, err := issue.Derive(creds.Secret(master), purpose)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// One master secret serves all purposes. Each purpose gives another secret.
func ExampleDerive() {
	masterSecret := creds.Secret("at least 16 random bytes")

	ids, err := issue.Derive(masterSecret, "mac ids")
	if err != nil {
		fmt.Println(err)
		return
	}
	cookies, err := issue.Derive(masterSecret, "session cookies")
	if err != nil {
		fmt.Println(err)
		return
	}
	issuer := &issue.Issuer{Secrets: []creds.Secret{ids}}
	fmt.Println(issuer != nil, len(cookies), string(ids) == string(cookies))
	// Output: true 43 false
}
