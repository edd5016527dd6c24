package issue_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision"
	"github.com/countersign-go/countersign/provision/issue"
)

func TestIssueAndKey(t *testing.T) {
	subjects := []string{"u", "Zoë ☃", "a\"\\\n\x00", strings.Repeat("u", 2000)}
	for _, hash := range []string{"", "sha1", "sha256", "sha512"} {
		for _, algorithm := range []string{"", mac.SHA1, mac.SHA256} {
			for _, subject := range subjects {
				synctest.Test(t, func(t *testing.T) {
					i := testIssuer()
					i.Hash, i.Algorithm, i.Lifetime = hash, algorithm, 90*time.Second
					c, err := i.Issue(t.Context(), &auth.Identity{Subject: subject})
					if err != nil {
						t.Fatal(err)
					}
					want := time.Now().Add(90 * time.Second)
					if !c.Expires.Equal(want) {
						t.Errorf("Expires = %v, want %v", c.Expires, want)
					}
					key, err := i.Key(t.Context(), c.ID)
					if err != nil {
						t.Fatal(err)
					}
					if key.Identity.Subject != subject || !key.Identity.Expires.Equal(want) ||
						key.Identity.Claims != nil {
						t.Errorf("Identity = %+v", key.Identity)
					}
					if string(key.Secret) != string(c.Key) || key.Algorithm != c.Algorithm {
						t.Error("Issue and Key differ")
					}
					if algorithm == "" && c.Algorithm != mac.SHA256 {
						t.Errorf("Algorithm = %q", c.Algorithm)
					}
					checkFormat(t, hash, c.ID)
					if _, err := provision.Marshal(c); err != nil {
						t.Error(err)
					}
				})
			}
		}
	}
}

// checkFormat signs the payload of an id again, with the tests' own function.
func checkFormat(t *testing.T, hash, id string) {
	t.Helper()
	raw, err := base64.URLEncoding.DecodeString(id)
	if err != nil {
		t.Fatal(err)
	}
	payload := raw[:len(raw)-digest(hash)().Size()]
	if sign(t, master, hash, payload) != id {
		t.Error("the id is not in the format of tokenlib")
	}
}

func TestLifetimeDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := testIssuer().Issue(t.Context(), &auth.Identity{Subject: "u"})
		if err != nil || time.Until(c.Expires) != 5*time.Minute {
			t.Errorf("%v, %v", c, err)
		}
	})
}

func TestIssueTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // so that both are issued in one moment
		i := testIssuer()
		seen := make(map[string]bool)
		for range 100 {
			c, err := i.Issue(t.Context(), &auth.Identity{Subject: "u"})
			if err != nil || seen[c.ID] || seen[string(c.Key)] {
				t.Fatalf("issued twice, or %v", err)
			}
			seen[c.ID], seen[string(c.Key)] = true, true
		}
	})
}

func TestKeyOfExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := testIssuer()
		c, err := i.Issue(t.Context(), &auth.Identity{Subject: "u"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		key, err := i.Key(t.Context(), c.ID)
		if err != nil || time.Since(key.Identity.Expires) != 55*time.Minute {
			t.Errorf("%+v, %v", key, err)
		}
	})
}

func TestRotation(t *testing.T) {
	older, newer := creds.Secret(master), creds.Secret("the master secret of next month")
	before := &issue.Issuer{Secrets: []creds.Secret{older}}
	during := &issue.Issuer{Secrets: []creds.Secret{newer, older}}
	after := &issue.Issuer{Secrets: []creds.Secret{newer}}
	u := &auth.Identity{Subject: "u"}
	first, err1 := before.Issue(t.Context(), u)
	second, err2 := during.Issue(t.Context(), u)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	tests := []struct {
		name string
		i    *issue.Issuer
		c    *mac.Credentials
		ok   bool
	}{
		{"old id, old secret", before, first, true},
		{"old id, both", during, first, true},
		{"old id, new secret", after, first, false},
		{"new id, old secret", before, second, false},
		{"new id, both", during, second, true},
		{"new id, new secret", after, second, true},
	}
	for _, tt := range tests {
		key, err := tt.i.Key(t.Context(), tt.c.ID)
		switch {
		case tt.ok && (err != nil || string(key.Secret) != string(tt.c.Key)):
			t.Errorf("%s: %v", tt.name, err)
		case !tt.ok && !errors.Is(err, mac.ErrUnknownID):
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestIssueRefuses(t *testing.T) {
	short := creds.Secret("fifteen bytes..")
	good := creds.Secret(master)
	u := &auth.Identity{Subject: "u"}
	tests := []struct {
		i    *issue.Issuer
		id   *auth.Identity
		want string
		key  bool // Key still works
	}{
		{&issue.Issuer{}, u, "Issuer.Secrets is empty", false},
		{&issue.Issuer{Secrets: []creds.Secret{good, nil}}, u, "Issuer.Secrets[1] is empty",
			false},
		{&issue.Issuer{Secrets: []creds.Secret{short}}, u, "Issuer.Secrets[0] has 15 bytes",
			true},
		{&issue.Issuer{Secrets: []creds.Secret{good}, Hash: "md5"}, u, "Issuer.Hash", false},
		{&issue.Issuer{Secrets: []creds.Secret{good}, Algorithm: "none"}, u, "Issuer.Algorithm",
			false},
		{&issue.Issuer{Secrets: []creds.Secret{good}, Lifetime: -1}, u, "is negative", false},
		{testIssuer(), nil, "the subject is empty", true},
		{testIssuer(), &auth.Identity{}, "the subject is empty", true},
		{testIssuer(), &auth.Identity{Subject: "\xff"}, "the subject is not UTF-8", true},
		{testIssuer(), &auth.Identity{Subject: strings.Repeat("u", 4000)}, "too long for an id",
			true},
	}
	for _, tt := range tests {
		c, err := tt.i.Issue(t.Context(), tt.id)
		if c != nil || !strings.Contains(text(err), tt.want) ||
			!strings.HasPrefix(text(err), "issue: ") ||
			strings.Contains(text(err), string(short)) {
			t.Errorf("%v, %v, want %q", c, err, tt.want)
		}
		// An Issuer with unusable fields is an outage, not an unknown id.
		if _, err := tt.i.Key(t.Context(), "x"); errors.Is(err, mac.ErrUnknownID) != tt.key {
			t.Errorf("%s: Key: %v", tt.want, err)
		}
	}
}

func TestIssuerConcurrently(t *testing.T) {
	i := testIssuer()
	var wg sync.WaitGroup
	for n := range 16 {
		wg.Go(func() {
			subject := fmt.Sprint("u", n)
			c, err := i.Issue(t.Context(), &auth.Identity{Subject: subject})
			if err != nil {
				t.Error(err)
				return
			}
			if key, err := i.Key(t.Context(), c.ID); err != nil || key.Identity.Subject != subject {
				t.Errorf("%v, %v", key, err)
			}
		})
	}
	wg.Wait()
}

func TestPrintsNoSecret_K6(t *testing.T) {
	i := testIssuer()
	c, err := i.Issue(t.Context(), &auth.Identity{Subject: "u"})
	if err != nil {
		t.Fatal(err)
	}
	key := string(signingKey(t, master, ""))
	for _, v := range []any{i, c, *c} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			out := fmt.Sprintf(verb, v)
			for _, secret := range []string{master, key, string(c.Key)} {
				if shows(out, secret) {
					t.Errorf("%T printed with %s shows a secret: %s", v, verb, out)
				}
			}
		}
	}
}

// shows reports whether text contains a secret in any of the forms that package fmt has for it.
func shows(out, secret string) bool {
	return strings.Contains(out, secret) || strings.Contains(out, fmt.Sprintf("%x", secret)) ||
		strings.Contains(out, strings.Trim(fmt.Sprint([]byte(secret)), "[]"))
}
