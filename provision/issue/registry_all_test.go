package issue_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/creds/file"
	"github.com/countersign-go/countersign/provision/issue"
)

// everyone returns the entries that All yields, sorted.
func everyone(ctx context.Context, r *issue.Registry) (all []string, errs []error) {
	for e, err := range r.All(ctx) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, e.Subject+" "+e.ID)
	}
	slices.Sort(all)
	return all, errs
}

// An administrator sees the credentials of all users, and can revoke any.
func TestAll(t *testing.T) {
	for name, r := range registries(t) {
		if name == "store" {
			continue // see TestAllOfAStoreThatCannotList
		}
		synctest.Test(t, func(t *testing.T) {
			if all, errs := everyone(t.Context(), r); all != nil || errs != nil {
				t.Errorf("%s: before any: %q, %v", name, all, errs)
			}
			old := issued(t, r, "ann")
			time.Sleep(12 * time.Hour)
			var want []string
			for _, who := range []string{"ann", "bob", "bob"} {
				want = append(want, who+" "+issued(t, r, who).ID)
			}
			slices.Sort(want)
			all, errs := everyone(t.Context(), r)
			if errs != nil || len(all) != 4 || !slices.Contains(all, "ann "+old.ID) {
				t.Errorf("%s: %q, %v", name, all, errs)
			}
			time.Sleep(13 * time.Hour) // the first one has ended
			if all, errs := everyone(t.Context(), r); errs != nil || !slices.Equal(all, want) {
				t.Errorf("%s: %q, %v, want %q", name, all, errs, want)
			}
			n := 0
			for range r.All(t.Context()) {
				n++
				break
			}
			for e, err := range r.All(t.Context()) {
				if err == nil {
					err = r.Revoke(t.Context(), e.ID)
				}
				if n++; err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			all, errs = everyone(t.Context(), r)
			if n != 4 || all != nil || errs != nil {
				t.Errorf("%s: %d revoked, left %q, %v", name, n-1, all, errs)
			}
		})
	}
}

// All yields an error for a damaged record, and still lists the others.
func TestAllOfADamagedStore(t *testing.T) {
	dir := &file.Dir{Path: filepath.Join(t.TempDir(), "registry")}
	r := &issue.Registry{Store: dir}
	for range 3 {
		issued(t, r, "ann")
	}
	records, err := filepath.Glob(filepath.Join(dir.Path, "registry-id-*.record"))
	if err != nil || len(records) != 3 {
		t.Fatal(records, err)
	}
	if err := os.WriteFile(records[1], []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	err = dir.Update(t.Context(), "registry-id-of another program", // an error shows no record
		func([]byte) ([]byte, error) { return []byte("canary-an0ther"), nil })
	if err != nil {
		t.Fatal(err)
	}
	all, errs := everyone(t.Context(), r)
	if err := errors.Join(errs...); len(all) != 2 || len(errs) != 2 ||
		!errors.Is(err, creds.ErrCorrupt) || !errors.Is(err, auth.ErrUnavailable) ||
		!strings.Contains(text(err), "not JSON of a credential") ||
		strings.Contains(text(err), "canary") {
		t.Errorf("%d listed, %d errors", len(all), len(errs))
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if all, errs := everyone(ctx, r); all != nil || len(errs) != 1 ||
		!errors.Is(errs[0], context.Canceled) {
		t.Errorf("after the end of the context: %q, %v", all, errs)
	}
}

func TestAllOfAStoreThatCannotList(t *testing.T) {
	r := &issue.Registry{Store: new(mapStore)}
	issued(t, r, "ann")
	all, errs := everyone(t.Context(), r)
	if all != nil || len(errs) != 1 ||
		!strings.Contains(text(errs[0]), "*issue_test.mapStore, is not a creds.Lister") {
		t.Errorf("%q, %v", all, errs)
	}
}

// However many credentials there are, All holds one at a time.
func TestAllTakesLittleMemory(t *testing.T) {
	dir := &file.Dir{Path: filepath.Join(t.TempDir(), "registry")}
	claims := map[string]any{"note": strings.Repeat("x", 2000)}
	r := &issue.Registry{
		Store: dir,
		Terms: func(context.Context, *auth.Identity) (issue.Terms, error) {
			return issue.Terms{Claims: claims}, nil
		},
	}
	issued(t, r, "ann")
	one, err := filepath.Glob(filepath.Join(dir.Path, "registry-id-*.record"))
	if err != nil || len(one) != 1 {
		t.Fatal(one, err)
	}
	const copies = 2000
	for i := range copies {
		name := fmt.Sprintf("registry-id-%064x.record", i)
		if err := os.Link(one[0], filepath.Join(dir.Path, name)); err != nil {
			t.Fatal(err)
		}
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, n := heap(), 0
	var most uint64
	for _, err := range r.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n%500 == 0 {
			most = max(most, heap())
		}
	}
	if n != copies+1 || most > before+1<<20 {
		t.Errorf("%d credentials, %d KiB more", n, (int64(most)-int64(before))>>10)
	}
}
