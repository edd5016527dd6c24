package issue_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/creds/file"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision"
	"github.com/countersign-go/countersign/provision/issue"
)

func subject(name string) *auth.Identity { return &auth.Identity{Subject: name} }

// registries returns a Registry of each kind. All must behave alike.
func registries(t testing.TB) map[string]*issue.Registry {
	return map[string]*issue.Registry{
		"memory": {},
		"store":  {Store: new(mapStore)},
		"files":  {Store: &file.Dir{Path: filepath.Join(t.TempDir(), "registry")}},
	}
}

func issued(t *testing.T, r *issue.Registry, name string) *mac.Credentials {
	t.Helper()
	c, err := r.Issue(t.Context(), subject(name))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func ids(t *testing.T, r *issue.Registry, name string) []string {
	t.Helper()
	entries, err := r.List(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.ID)
	}
	return all
}

func known(t *testing.T, r *issue.Registry, c *mac.Credentials) bool {
	t.Helper()
	key, err := r.Key(t.Context(), c.ID)
	if errors.Is(err, mac.ErrUnknownID) {
		return false
	}
	if err != nil || string(key.Secret) != string(c.Key) {
		t.Fatalf("%v, %v", key, err)
	}
	return true
}

func TestRegistry(t *testing.T) {
	for name, r := range registries(t) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			first := issued(t, r, "ann")
			time.Sleep(time.Second)
			second, other := issued(t, r, "ann"), issued(t, r, "bob")

			if !regexp.MustCompile(`^[A-Za-z0-9_-]{16}$`).MatchString(first.ID) ||
				!regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`).Match(first.Key) ||
				first.Algorithm != mac.SHA256 || !first.Expires.Equal(start.Add(24*time.Hour)) {
				t.Errorf("%s: %v", name, first)
			}
			if _, err := provision.Marshal(first); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			key, err := r.Key(t.Context(), first.ID)
			if err != nil || string(key.Secret) != string(first.Key) ||
				key.Algorithm != mac.SHA256 || key.Identity.Subject != "ann" ||
				!key.Identity.Expires.Equal(first.Expires) || key.Identity.Claims != nil {
				t.Errorf("%s: %v, %v", name, key, err)
			}
			entries, err := r.List(t.Context(), "ann")
			want := []issue.Entry{
				{first.ID, "ann", mac.SHA256, start.UTC(), first.Expires},
				{second.ID, "ann", mac.SHA256, start.Add(time.Second).UTC(), second.Expires},
			}
			if err != nil || !slices.Equal(entries, want) {
				t.Errorf("%s: %v, %v; want %v", name, entries, err, want)
			}
			if got := ids(t, r, "bob"); !slices.Equal(got, []string{other.ID}) {
				t.Errorf("%s: bob has %v", name, got)
			}
			if got := ids(t, r, "eve"); got != nil {
				t.Errorf("%s: eve has %v", name, got)
			}
		})
	}
}

func TestRevoke(t *testing.T) {
	for name, r := range registries(t) {
		first, second, other := issued(t, r, "ann"), issued(t, r, "ann"), issued(t, r, "bob")
		if err := r.Revoke(t.Context(), first.ID); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if known(t, r, first) || !known(t, r, second) || !known(t, r, other) {
			t.Errorf("%s: not the one that was to be revoked", name)
		}
		if got := ids(t, r, "ann"); !slices.Equal(got, []string{second.ID}) {
			t.Errorf("%s: ann has %v", name, got)
		}
		for _, id := range []string{first.ID, "made-up", "", strings.Repeat("x", 5000), "\x00/.."} {
			if err := r.Revoke(t.Context(), id); !errors.Is(err, mac.ErrUnknownID) {
				t.Errorf("%s: revoked %.20q: %v", name, id, err)
			}
			if _, err := r.Key(t.Context(), id); !errors.Is(err, mac.ErrUnknownID) {
				t.Errorf("%s: key of %.20q: %v", name, id, err)
			}
		}
		for range 2 { // a subject without credentials is not an error
			if err := r.RevokeAll(t.Context(), "ann"); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if known(t, r, second) || !known(t, r, other) || ids(t, r, "ann") != nil {
			t.Errorf("%s: not all of ann, or more", name)
		}
	}
}

// Deleted credentials leave no records.
func TestRegistryLeavesNothing(t *testing.T) {
	store := new(mapStore)
	r := &issue.Registry{Store: store}
	one := issued(t, r, "ann")
	issued(t, r, "ann")
	issued(t, r, "bob")
	if store.len() != 5 { // three credentials, two lists
		t.Errorf("%d records", store.len())
	}
	_ = r.Revoke(t.Context(), one.ID)
	_ = r.RevokeAll(t.Context(), "ann")
	_ = r.RevokeAll(t.Context(), "bob")
	if store.len() != 0 {
		t.Errorf("%d records left", store.len())
	}
}

// Add keeps all fields that are set.
func TestAdd(t *testing.T) {
	for name, r := range registries(t) {
		end := time.Now().Add(30 * 24 * time.Hour)
		given := mac.Credentials{
			ID: "from elsewhere", Key: creds.Secret("canary-e15ewhere"), Algorithm: mac.SHA1,
			Expires: end,
		}
		c, err := r.Add(t.Context(), subject("ann"), given)
		if err != nil || c.ID != given.ID || string(c.Key) != string(given.Key) ||
			c.Algorithm != mac.SHA1 || !c.Expires.Equal(end) {
			t.Errorf("%s: %v, %v", name, c, err)
		}
		key, err := r.Key(t.Context(), given.ID)
		if err != nil || string(key.Secret) != string(given.Key) || key.Algorithm != mac.SHA1 ||
			!key.Identity.Expires.Equal(end) {
			t.Errorf("%s: %v, %v", name, key, err)
		}
		_, err = r.Add(t.Context(), subject("eve"), mac.Credentials{ID: given.ID})
		if !strings.Contains(text(err), "with this id already") {
			t.Errorf("%s: added twice: %v", name, err)
		}
		if ids(t, r, "eve") != nil || !known(t, r, c) {
			t.Errorf("%s: the second one left a trace", name)
		}
		if err := r.Revoke(t.Context(), given.ID); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := r.Add(t.Context(), subject("bob"), given); err != nil {
			t.Errorf("%s: after it was revoked: %v", name, err)
		}
		if got := ids(t, r, "bob"); !slices.Equal(got, []string{given.ID}) {
			t.Errorf("%s: bob has %v", name, got)
		}
	}
}

func TestAddRefuses(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for _, tt := range []struct {
		reason string
		id     *auth.Identity
		c      mac.Credentials
		want   string
	}{
		{"nobody", nil, mac.Credentials{}, "the subject is empty"},
		{"no subject", subject(""), mac.Credentials{}, "the subject is empty"},
		{"no text", subject("\xff"), mac.Credentials{}, "not UTF-8"},
		{"a long subject", subject(long), mac.Credentials{}, "too long"},
		{"an id outside the grammar", subject("u"), mac.Credentials{ID: `a"b`}, "printable ASCII"},
		{"a long id", subject("u"), mac.Credentials{ID: long}, "longer than 4096 bytes"},
		{"a short key", subject("u"), mac.Credentials{Key: creds.Secret("canary-15bytes.")},
			"a key of 15 bytes"},
		{"a key outside the grammar", subject("u"),
			mac.Credentials{Key: creds.Secret("canary-with\nline-end")}, "printable ASCII"},
		{"an algorithm", subject("u"), mac.Credentials{Algorithm: "md5"}, "algorithm is neither"},
		{"an end in the past", subject("u"), mac.Credentials{Expires: time.Unix(1, 0)},
			"ended already"},
		{"an end that cannot be written", subject("u"),
			mac.Credentials{Expires: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}, "9999"},
	} {
		store := new(mapStore)
		r := &issue.Registry{Store: store}
		c, err := r.Add(t.Context(), tt.id, tt.c)
		if c != nil || !strings.HasPrefix(text(err), "issue: ") ||
			!strings.Contains(text(err), tt.want) || strings.Contains(text(err), "canary") ||
			store.len() != 0 {
			t.Errorf("%s: %v, %v; want %q", tt.reason, c, err, tt.want)
		}
	}
	r := &issue.Registry{Lifetime: -time.Second}
	if c, err := r.Issue(t.Context(), subject("u")); c != nil || err == nil {
		t.Errorf("a negative Lifetime: %v, %v", c, err)
	}
}

// Removing an ended credential never affects a later one with the same id.
func TestSameIDAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &issue.Registry{Lifetime: time.Minute}
		_, err := r.Add(t.Context(), subject("ann"), mac.Credentials{ID: "x"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Hour)
		if _, err := r.Add(t.Context(), subject("bob"), mac.Credentials{ID: "x"}); err == nil {
			t.Fatal("taken from its owner without being revoked")
		}
		if err := r.Revoke(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		c, err := r.Add(t.Context(), subject("bob"), mac.Credentials{ID: "x"})
		if err != nil {
			t.Fatal(err)
		}
		issued(t, r, "ann")
		if err := r.RevokeAll(t.Context(), "ann"); err != nil || !known(t, r, c) {
			t.Errorf("bob's is gone with those of ann: %v", err)
		}
	})
}

// The same holds if the former owner's list still has the id, as a process was killed.
func TestStaleList(t *testing.T) {
	store := new(mapStore)
	r := &issue.Registry{Store: store}
	if _, err := r.Add(t.Context(), subject("ann"), mac.Credentials{ID: "x"}); err != nil {
		t.Fatal(err)
	}
	store.calls, store.fails = 0, failingAt(3, false, true)
	if err := r.Revoke(t.Context(), "x"); err == nil {
		t.Fatal("revoked and unlisted")
	}
	store.fails = nil
	c, err := r.Add(t.Context(), subject("bob"), mac.Credentials{ID: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if got := ids(t, r, "ann"); got != nil {
		t.Errorf("ann has %v", got)
	}
	if err := r.RevokeAll(t.Context(), "ann"); err != nil || !known(t, r, c) {
		t.Errorf("bob's is gone with those of ann: %v", err)
	}
	if store.len() != 2 {
		t.Errorf("%d records", store.len())
	}
}

// Adding the same credentials twice in one moment is refused, and harms nothing.
func TestAddTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := new(issue.Registry)
		given := mac.Credentials{ID: "x", Key: creds.Secret("canary-the5ame-twice")}
		c, err := r.Add(t.Context(), subject("ann"), given)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Add(t.Context(), subject("ann"), given); err == nil || !known(t, r, c) {
			t.Errorf("%v", err)
		}
	})
}

// A revoked credential is refused at the next request, and the answer does not reveal that it ever
// existed.
func TestRevokedAtNextRequest_S2(t *testing.T) {
	for name, r := range registries(t) {
		c := issued(t, r, "ann")
		page := auth.Require(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			id, _ := auth.FromContext(req.Context())
			fmt.Fprint(w, id.Subject, " by ", id.Scheme)
		}), &mac.Verifier{Keys: r.Key})
		ask := func(c *mac.Credentials) string {
			w := httptest.NewRecorder()
			page.ServeHTTP(w, signed(t, c))
			return fmt.Sprint(w.Code, w.Header(), w.Body)
		}
		if got := ask(c); !strings.Contains(got, "ann by MAC") {
			t.Errorf("%s: %s", name, got)
		}
		if err := r.Revoke(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		}
		revoked, unknown := ask(c), ask(&mac.Credentials{ID: "made-up", Key: c.Key})
		if !strings.HasPrefix(revoked, "401") || revoked != unknown {
			t.Errorf("%s: revoked: %s; unknown: %s", name, revoked, unknown)
		}
	}
}

func TestExpiredIsTold(t *testing.T) {
	for name, r := range registries(t) {
		synctest.Test(t, func(t *testing.T) {
			c := issued(t, r, "ann")
			time.Sleep(24 * time.Hour)
			v := &mac.Verifier{Keys: r.Key}
			if _, err := v.Authenticate(signed(t, c)); !errors.Is(err, mac.ErrExpired) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

func TestRegistryPrintsNoSecret_K6(t *testing.T) {
	for name, r := range registries(t) {
		key := creds.Secret("canary-r3g15try-key")
		c, err := r.Add(t.Context(), subject("ann"), mac.Credentials{Key: key})
		if err != nil {
			t.Fatal(err)
		}
		entries, _ := r.List(t.Context(), "ann")
		got, _ := r.Key(t.Context(), c.ID)
		for _, v := range []any{r, c, entries, got} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
				if out := fmt.Sprintf(verb, v); shows(out, string(key)) {
					t.Errorf("%s: %T printed with %s shows a key", name, v, verb)
				}
			}
		}
	}
}

func BenchmarkRegistryKey(b *testing.B) {
	for name, r := range registries(b) {
		b.Run(name, func(b *testing.B) {
			c, err := r.Issue(context.Background(), subject("ann"))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				_, _ = r.Key(context.Background(), c.ID)
			}
		})
	}
}
