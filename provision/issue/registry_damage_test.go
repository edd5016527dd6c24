package issue_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/creds/file"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision/issue"
)

// A Dir sets a damaged list aside. Whichever call finds it first, the subject is never treated as
// one without credentials.
func TestDamagedList_S3(t *testing.T) {
	for name, meet := range map[string]func(context.Context, *issue.Registry, string) error{
		"RevokeAll": func(ctx context.Context, r *issue.Registry, _ string) error {
			return r.RevokeAll(ctx, "ann")
		},
		"List": func(ctx context.Context, r *issue.Registry, _ string) error {
			_, err := r.List(ctx, "ann")
			return err
		},
		"Issue": func(ctx context.Context, r *issue.Registry, _ string) error {
			_, err := r.Issue(ctx, subject("ann"))
			return err
		},
		"Revoke": func(ctx context.Context, r *issue.Registry, other string) error {
			return r.Revoke(ctx, other)
		},
	} {
		dir := &file.Dir{Path: filepath.Join(t.TempDir(), "registry")}
		r := &issue.Registry{Store: dir, Quota: 2}
		c, other := issued(t, r, "ann"), issued(t, r, "ann")
		damage(t, dir)
		if err := meet(t.Context(), r, other.ID); !errors.Is(err, creds.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		for range 2 {
			wantIncomplete(t, &issue.Registry{Store: dir, Quota: 2}, name)
		}
		if !known(t, r, c) {
			t.Errorf("%s: a list decides over a credential", name)
		}

		// The action that the error advises repairs the list.
		if err := r.Revoke(t.Context(), c.ID); err != nil || known(t, r, c) {
			t.Errorf("%s: cannot be revoked: %v", name, err)
		}
		_, record, _ := strings.Cut(text(r.RevokeAll(t.Context(), "ann")), `delete "`)
		record, _, _ = strings.Cut(record, `"`)
		err := dir.Update(t.Context(), record, func([]byte) ([]byte, error) { return nil, nil })
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		again := issued(t, r, "ann")
		if got := ids(t, r, "ann"); !slices.Equal(got, []string{again.ID}) {
			t.Errorf("%s: listed %v", name, got)
		}
	}
}

// A process is killed after the Dir set the list aside, and before the list was marked. The subject
// is still not treated as one without credentials.
func TestDamagedListOfAKilledProcess(t *testing.T) {
	dir := &file.Dir{Path: filepath.Join(t.TempDir(), "registry")}
	r := &issue.Registry{Store: dir}
	c, other := issued(t, r, "ann"), issued(t, r, "ann")
	damage(t, dir)
	for record, err := range dir.Records(t.Context(), "registry-subject-") { // sets it aside
		if record != nil || !errors.Is(err, creds.ErrCorrupt) {
			t.Fatal(err)
		}
	}
	if err := r.Revoke(t.Context(), other.ID); err != nil {
		t.Error(err)
	}
	if _, err := r.List(t.Context(), "ann"); !errors.Is(err, creds.ErrCorrupt) {
		t.Errorf("%v", err)
	}
	wantIncomplete(t, r, "after a kill")
	if !known(t, r, c) {
		t.Error("a list decides over a credential")
	}
}

// An Issue that had read the list before it was lost does not succeed either.
func TestDamagedListWhileIssuing(t *testing.T) {
	dir := &file.Dir{Path: filepath.Join(t.TempDir(), "registry")}
	r := &issue.Registry{Store: dir}
	issued(t, r, "ann")
	busy := &issue.Registry{Store: &followed{Store: dir, then: func() {
		damage(t, dir)
		if err := r.RevokeAll(t.Context(), "ann"); !errors.Is(err, creds.ErrCorrupt) {
			t.Errorf("%v", err)
		}
	}}}
	if c, err := busy.Issue(t.Context(), subject("ann")); !errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("%v, %v", c, err)
	}
	wantIncomplete(t, r, "while issuing")
	left, err := filepath.Glob(filepath.Join(dir.Path, "registry-id-*.record"))
	if err != nil || len(left) != 1 {
		t.Errorf("%d credentials, want the first one alone; %v", len(left), err)
	}
}

// The same holds if the Dir could not set the list aside, as another process had its lock.
func TestDamagedListInUse(t *testing.T) {
	dir := &file.Dir{Path: filepath.Join(t.TempDir(), "registry")}
	issued(t, &issue.Registry{Store: dir}, "ann")
	damage(t, dir)
	busy := &issue.Registry{Store: onlyTold{dir}}
	if _, err := busy.List(t.Context(), "ann"); !errors.Is(err, creds.ErrCorrupt) {
		t.Errorf("%v", err)
	}
	wantIncomplete(t, &issue.Registry{Store: dir}, "in use")
}

// onlyTold is a Store whose Load sets nothing aside.
type onlyTold struct{ creds.Store }

func (onlyTold) Load(context.Context, string) ([]byte, error) { return nil, creds.ErrCorrupt }

// damage damages the one list in a folder.
func damage(t *testing.T, dir *file.Dir) {
	t.Helper()
	lists, err := filepath.Glob(filepath.Join(dir.Path, "registry-subject-*.record"))
	if err != nil || len(lists) != 1 {
		t.Fatal(lists, err)
	}
	if err := os.WriteFile(lists[0], []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func wantIncomplete(t *testing.T, r *issue.Registry, name string) {
	t.Helper()
	entries, listErr := r.List(t.Context(), "ann")
	c, issueErr := r.Issue(t.Context(), subject("ann"))
	for _, err := range []error{listErr, issueErr, r.RevokeAll(t.Context(), "ann")} {
		if !errors.Is(err, auth.ErrUnavailable) || !strings.Contains(text(err), "was damaged") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if entries != nil || c != nil {
		t.Errorf("%s: listed %v, issued %v", name, entries, c)
	}
}

// The credentials that an incomplete list names are still revoked.
func TestIncompleteListRevokes(t *testing.T) {
	store := new(mapStore)
	r := &issue.Registry{Store: store}
	c := issued(t, r, "ann")
	for name, data := range store.records {
		if strings.HasPrefix(name, "registry-subject-") {
			store.records[name] = []byte(strings.Replace(string(data),
				`"entries"`, `"incomplete":true,"entries"`, 1))
		}
	}
	for range 2 {
		if err := r.RevokeAll(t.Context(), "ann"); !errors.Is(err, auth.ErrUnavailable) {
			t.Errorf("%v", err)
		}
		if known(t, r, c) {
			t.Error("listed and not revoked")
		}
	}
}

// An id is added again while its ended entry, or its entry that is being revoked, is removed. The
// new entry stays in the list.
func TestAddedAgainMeanwhile(t *testing.T) {
	for _, tt := range []struct {
		what string
		do   func(*testing.T, *issue.Registry) error
	}{
		{"Issue", func(t *testing.T, r *issue.Registry) error {
			time.Sleep(3 * time.Hour)
			_, err := r.Issue(t.Context(), subject("ann"))
			return err
		}},
		{"Revoke", func(t *testing.T, r *issue.Registry) error {
			return r.Revoke(t.Context(), "x")
		}},
		{"RevokeAll", func(t *testing.T, r *issue.Registry) error {
			return r.RevokeAll(t.Context(), "ann")
		}},
	} {
		synctest.Test(t, func(t *testing.T) {
			store := new(mapStore)
			end := time.Now().Add(24 * time.Hour)
			given := mac.Credentials{ID: "x", Key: creds.Secret("canary-same-key-again")}
			first := given
			if tt.what != "Issue" {
				first.Expires = end // so that only the serials differ
			}
			seed := &issue.Registry{Store: store, Lifetime: time.Minute}
			if _, err := seed.Add(t.Context(), subject("ann"), first); err != nil {
				t.Fatal(err)
			}
			var again *mac.Credentials
			r := &issue.Registry{Store: &followed{Store: store, then: func() {
				var err error
				given.Expires = end
				again, err = seed.Add(t.Context(), subject("ann"), given)
				if err != nil {
					t.Fatalf("%s: %v", tt.what, err)
				}
			}}}
			if err := tt.do(t, r); err != nil {
				t.Fatalf("%s: %v", tt.what, err)
			}
			if !slices.Contains(ids(t, seed, "ann"), "x") || !known(t, seed, again) {
				t.Errorf("%s: good, and not listed any more", tt.what)
			}
			if err := seed.RevokeAll(t.Context(), "ann"); err != nil || known(t, seed, again) {
				t.Errorf("%s: still good: %v", tt.what, err)
			}
		})
	}
}

// An entry that a killed process left in the list is not listed as the credential that later got
// its id.
func TestAddedAgainIsListedOnce(t *testing.T) {
	store := new(mapStore)
	r := &issue.Registry{Store: store}
	for again := range 2 {
		if _, err := r.Add(t.Context(), subject("ann"), mac.Credentials{ID: "x"}); err != nil {
			t.Fatal(err)
		}
		if got := ids(t, r, "ann"); !slices.Equal(got, []string{"x"}) {
			t.Errorf("added again: %d: listed %v", again, got)
		}
		store.calls, store.fails = 0, failingAt(3, false, true)
		if err := r.Revoke(t.Context(), "x"); err == nil {
			t.Fatal("revoked and unlisted")
		}
		store.fails = nil
	}
}

// followed is a Store that calls then after the first Update.
type followed struct {
	creds.Store

	then func()
}

func (f *followed) Update(ctx context.Context, name string,
	change func([]byte) ([]byte, error)) error {
	err := f.Store.Update(ctx, name, change)
	if then := f.then; then != nil {
		f.then = nil
		then()
	}
	return err
}

// A Store that hangs does not delay a caller whose time is over, except for the seconds of cleaning
// up.
func TestAddLeavesHangingStore_S9(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		r := &issue.Registry{Store: &hangsLater{Store: new(mapStore)}}
		_, err := r.Issue(ctx, subject("ann"))
		if waited := time.Since(start); !errors.Is(err, context.DeadlineExceeded) ||
			waited > 10*time.Second {
			t.Errorf("after %v: %v", waited, err)
		}
	})
}

// hangsLater is a Store whose first Update alone succeeds.
type hangsLater struct {
	creds.Store

	updated bool
}

func (h *hangsLater) Update(ctx context.Context, name string,
	f func([]byte) ([]byte, error)) error {
	if h.updated {
		<-ctx.Done()
		return ctx.Err()
	}
	h.updated = true
	return h.Store.Update(ctx, name, f)
}

// The key is not printed even in a struct field, for which package fmt does not call Format.
func TestRegistryFieldPrintsNoSecret_K6(t *testing.T) {
	var app struct{ Registry issue.Registry }
	key := creds.Secret("canary-f1e1d-of-an-app")
	if _, err := app.Registry.Add(t.Context(), subject("ann"),
		mac.Credentials{Key: key}); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if out := fmt.Sprintf(verb, &app); shows(out, string(key)) {
			t.Errorf("%s shows a key", verb)
		}
	}
}
