package issue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision/issue"
)

// signed is a request with a MAC.
func signed(t *testing.T, c *mac.Credentials) *http.Request {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	if err := (&mac.Signer{Source: c}).Sign(req, time.Now()); err != nil {
		t.Fatal(err)
	}
	return req
}

// A mapStore is a creds.Store whose calls can be made to fail.
type mapStore struct {
	mu      sync.Mutex // guards all below
	records map[string][]byte
	calls   int
	fails   func(call int) (before, after error) // if nil, never
}

func (m *mapStore) len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.records)
}

func (m *mapStore) size() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, data := range m.records {
		n += len(data)
	}
	return n
}

func (m *mapStore) call() (before, after error) {
	m.calls++
	if m.fails == nil {
		return nil, nil
	}
	return m.fails(m.calls)
}

func (m *mapStore) Load(ctx context.Context, name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before, after := m.call()
	if err := errors.Join(ctx.Err(), before, after); err != nil {
		return nil, err
	}
	data, ok := m.records[name]
	if !ok {
		return nil, creds.ErrNotFound
	}
	return slices.Clone(data), nil
}

func (m *mapStore) Update(ctx context.Context, name string,
	f func([]byte) ([]byte, error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	before, after := m.call()
	if err := errors.Join(ctx.Err(), before); err != nil {
		return err
	}
	data, err := f(slices.Clone(m.records[name]))
	if err != nil {
		return err
	}
	if m.records == nil {
		m.records = map[string][]byte{}
	}
	m.records[name] = data
	if data == nil {
		delete(m.records, name)
	}
	return after
}

var errStore = errors.New("some detail of the store")

// failingAt makes one call fail, before or after it has had its effect. If dead, it makes all later
// calls fail too, as if the process had been killed.
func failingAt(at int, late, dead bool) func(int) (error, error) {
	return func(call int) (before, after error) {
		switch {
		case call == at && late:
			return nil, errStore
		case call == at, call > at && dead:
			return errStore, nil
		}
		return nil, nil
	}
}

// faults runs a test for each way in which the store may fail during an operation. It stops when
// the operation makes no further call that could fail.
func faults(t *testing.T, prepare func(*issue.Registry),
	operation func(*issue.Registry) error,
	check func(t *testing.T, r *issue.Registry, name string, err error)) {
	t.Helper()
	for _, late := range []bool{false, true} {
		for _, dead := range []bool{false, true} {
			how := map[bool]string{true: " late"}[late] + map[bool]string{true: " dead"}[dead]
			for at := 1; ; at++ {
				store := new(mapStore)
				r := &issue.Registry{Store: store, Quota: 5}
				prepare(r)
				store.calls, store.fails = 0, failingAt(at, late, dead)
				err := operation(r)
				done := store.calls < at
				store.fails = nil
				if err != nil && (!errors.Is(err, auth.ErrUnavailable) ||
					!errors.Is(err, errStore)) {
					t.Errorf("call %d: %v", at, err)
				}
				check(t, r, fmt.Sprint("call ", at, how), err)
				if done {
					break
				}
			}
		}
	}
}

// Whatever fails while credentials are issued: the credentials that a client got are listed, and
// work.
func TestIssueFaults(t *testing.T) {
	var c *mac.Credentials
	faults(t, func(r *issue.Registry) { issued(t, r, "ann") },
		func(r *issue.Registry) (err error) {
			c, err = r.Issue(t.Context(), subject("ann"))
			return err
		},
		func(t *testing.T, r *issue.Registry, name string, err error) {
			listed := ids(t, r, "ann")
			if err != nil {
				// A process that is killed after the last step leaves credentials that no client
				// got: they are listed, so that they can be revoked.
				if c != nil || len(listed) > 1 && !strings.HasSuffix(name, "late dead") {
					t.Errorf("%s: %v, listed %d", name, c, len(listed))
				}
				return
			}
			if !known(t, r, c) || len(listed) != 2 || !slices.Contains(listed, c.ID) {
				t.Errorf("%s: issued and not listed", name)
			}
		})
}

// Unless the process was killed, no record is left of credentials that no client got.
func TestIssueCleansUp(t *testing.T) {
	for _, late := range []bool{false, true} {
		for at := 1; at <= 3; at++ {
			store := &mapStore{fails: failingAt(at, late, false)}
			r := &issue.Registry{Store: store}
			if _, err := r.Issue(t.Context(), subject("ann")); !errors.Is(err, errStore) {
				t.Fatalf("call %d: %v", at, err)
			}
			for name := range maps.Keys(store.records) {
				if strings.HasPrefix(name, "registry-id-") {
					t.Errorf("call %d, late %t: a credential is left", at, late)
				}
			}
		}
	}
}

// Whatever fails while all credentials are revoked: those that still work are still listed, so a
// second RevokeAll ends them.
func TestRevokeAllFaults(t *testing.T) {
	var all []*mac.Credentials
	faults(t, func(r *issue.Registry) {
		all = []*mac.Credentials{issued(t, r, "ann"), issued(t, r, "ann"), issued(t, r, "ann")}
	}, func(r *issue.Registry) error {
		return r.RevokeAll(t.Context(), "ann")
	}, func(t *testing.T, r *issue.Registry, name string, err error) {
		listed := ids(t, r, "ann")
		for _, c := range all {
			if works := known(t, r, c); works != slices.Contains(listed, c.ID) ||
				works && err == nil {
				t.Errorf("%s: works: %t, listed: %v, %v", name, works, listed, err)
			}
		}
		if err := r.RevokeAll(t.Context(), "ann"); err != nil {
			t.Errorf("%s: again: %v", name, err)
		}
		for _, c := range all {
			if known(t, r, c) {
				t.Errorf("%s: still works", name)
			}
		}
	})
}

func TestRevokeFaults(t *testing.T) {
	var c, other *mac.Credentials
	faults(t, func(r *issue.Registry) {
		c, other = issued(t, r, "ann"), issued(t, r, "ann")
	}, func(r *issue.Registry) error {
		return r.Revoke(t.Context(), c.ID)
	}, func(t *testing.T, r *issue.Registry, name string, err error) {
		works := known(t, r, c)
		if works && err == nil || works != slices.Contains(ids(t, r, "ann"), c.ID) {
			t.Errorf("%s: works: %t, %v", name, works, err)
		}
		if err := r.Revoke(t.Context(), c.ID); works != (err == nil) {
			t.Errorf("%s: again: %v", name, err)
		}
		if known(t, r, c) || !known(t, r, other) {
			t.Errorf("%s: not the one that was to be revoked", name)
		}
	})
}

// While credentials are issued, others are revoked: in the end, the credentials that work are
// listed.
func TestRevokeWhileIssuing(t *testing.T) {
	store := new(mapStore)
	r := &issue.Registry{Store: store, Quota: -1}
	var mu sync.Mutex // guards got
	var got []*mac.Credentials
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 25 {
				c := issued(t, r, "ann")
				mu.Lock()
				got = append(got, c)
				mu.Unlock()
			}
		})
	}
	wg.Go(func() {
		for range 25 {
			if err := r.RevokeAll(t.Context(), "ann"); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	listed := ids(t, r, "ann")
	for _, c := range got {
		if known(t, r, c) != slices.Contains(listed, c.ID) {
			t.Errorf("works: %t, listed: %t", known(t, r, c), slices.Contains(listed, c.ID))
		}
	}
	if err := r.RevokeAll(t.Context(), "ann"); err != nil || store.len() != 0 {
		t.Errorf("%v, %d records left", err, store.len())
	}
}

// A record that cannot be read is an outage: whether the credential is good is not known.
func TestBrokenRecords(t *testing.T) {
	replace := func(old, replacement string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, replacement, 1) }
	}
	for _, tt := range []struct {
		reason string
		change func(string) string
	}{
		{"empty", func(string) string { return "" }},
		{"cut off", func(s string) string { return s[:len(s)/2] }},
		{"not JSON", func(string) string { return "canary-n0t-json" }},
		{"null", func(string) string { return "null" }},
		{"another type", replace(`"key":"`, `"key":1,"k":"`)},
		{"no key", replace(`"key"`, `"other"`)},
		{"no end", replace(`"expires"`, `"other"`)},
		{"no subject", replace(`"subject"`, `"other"`)},
		{"of another id", replace(`"id":"`, `"id":"x`)},
		{"newer", replace(`"version":1`, `"version":2`)},
		{"claims", replace(`"created"`, `"claims":{"a":1,"a":2},"created"`)},
	} {
		store := new(mapStore)
		r := &issue.Registry{Store: store}
		c, err := r.Add(t.Context(), subject("ann"),
			mac.Credentials{Key: creds.Secret("canary-br0ken-record")})
		if err != nil {
			t.Fatal(err)
		}
		for name, data := range store.records {
			changed := tt.change(string(data))
			if strings.HasPrefix(name, "registry-id-") {
				if changed == string(data) {
					t.Errorf("%s: nothing was changed", tt.reason)
				}
				store.records[name] = []byte(changed)
			}
		}
		key, err := r.Key(t.Context(), c.ID)
		if key != nil || !errors.Is(err, auth.ErrUnavailable) || errors.Is(err, mac.ErrUnknownID) ||
			strings.Contains(text(err), "canary") ||
			strings.Contains(text(err), "newer than this program") != (tt.reason == "newer") {
			t.Errorf("%s: %v, %v", tt.reason, key, err)
		}
	}
}

func TestBrokenLists(t *testing.T) {
	for _, tt := range []struct{ reason, old, new string }{
		{"not JSON", `{`, `[`},
		{"another type", `"entries":[`, `"entries":7,"e":[`},
		{"of another subject", `"ann"`, `"bob"`},
		{"newer", `"version":1`, `"version":2`},
		{"no version", `"version":1`, `"version":0`},
		{"null", "", "null"},
		{"nothing in it", "", "{}"},
	} {
		store := new(mapStore)
		r := &issue.Registry{Store: store}
		c := issued(t, r, "ann")
		for name, data := range store.records {
			if strings.HasPrefix(name, "registry-subject-") {
				if store.records[name] = []byte(tt.new); tt.old != "" {
					store.records[name] = bytes.Replace(data, []byte(tt.old), []byte(tt.new), 1)
				}
			}
		}
		_, listErr := r.List(t.Context(), "ann")
		_, issueErr := r.Issue(t.Context(), subject("ann"))
		for _, err := range []error{listErr, issueErr, r.RevokeAll(t.Context(), "ann")} {
			if !errors.Is(err, auth.ErrUnavailable) {
				t.Errorf("%s: %v", tt.reason, err)
			}
		}
		if !known(t, r, c) {
			t.Errorf("%s: a list decides over a credential", tt.reason)
		}
		_ = r.Revoke(t.Context(), c.ID)
		if known(t, r, c) {
			t.Errorf("%s: cannot be revoked", tt.reason)
		}
	}
}

// Key leaves a store that hangs when the request ends, and that is not a refusal.
func TestSlowStore_S9(t *testing.T) {
	r := &issue.Registry{Store: hangs{}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Key(ctx, "x"); !errors.Is(err, context.Canceled) ||
		!errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("Key: %v", err)
	}
	if _, err := r.Issue(ctx, subject("ann")); !errors.Is(err, context.Canceled) {
		t.Errorf("Issue: %v", err)
	}
	page := auth.Require(http.NotFoundHandler(), &mac.Verifier{
		Keys: (&issue.Registry{Store: &mapStore{fails: failingAt(1, false, true)}}).Key,
	})
	w := httptest.NewRecorder()
	page.ServeHTTP(w, signed(t, &mac.Credentials{ID: "x", Key: creds.Secret("k")}))
	if w.Code != 503 || strings.Contains(w.Body.String(), "detail") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

type hangs struct{}

func (hangs) Load(ctx context.Context, _ string) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (hangs) Update(ctx context.Context, _ string, _ func([]byte) ([]byte, error)) error {
	<-ctx.Done()
	return ctx.Err()
}
