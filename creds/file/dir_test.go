package file_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/creds/file"
)

// hidden is in records whose errors are checked; an error must not show it.
const hidden = "canary-0d1r"

// newDir returns a Dir that does not exist yet, and neither does its parent.
func newDir(t *testing.T) *file.Dir {
	t.Helper()
	return &file.Dir{Path: filepath.Join(t.TempDir(), "parent", "store")}
}

// pathOf returns the path of a file of the record under name.
func pathOf(t *testing.T, dir *file.Dir, name, ext string) string {
	t.Helper()
	base, err := dir.Base(name)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir.Path, base+ext)
}

// put stores a record, and replaces an earlier one.
func put(t *testing.T, dir *file.Dir, name, record string) {
	t.Helper()
	err := dir.Update(t.Context(), name, func([]byte) ([]byte, error) {
		return []byte(record), nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// wantRecord checks the record under "a".
func wantRecord(t *testing.T, dir *file.Dir, want string) {
	t.Helper()
	got, err := dir.Load(t.Context(), "a")
	if err != nil || string(got) != want {
		t.Fatalf("Load: %d bytes, %v; want %d bytes", len(got), err, len(want))
	}
}

// wantDirErr checks the type and the text of an error, and that it does not show a record.
func wantDirErr(t *testing.T, err, want error, mentions ...string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
	prefixed := strings.HasPrefix(err.Error(), "file: ") ||
		strings.HasPrefix(err.Error(), "creds: ") // one of the errors of every Store
	if !prefixed || strings.Contains(err.Error(), hidden) {
		t.Errorf("the text has no prefix, or holds the record")
	}
	for _, part := range mentions {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not mention %q", err, part)
		}
	}
}

// wantRefused checks that neither Load nor Update serves the record under "a", and that Update does
// not call its function.
func wantRefused(t *testing.T, dir *file.Dir, want error, mentions ...string) {
	t.Helper()
	record, err := dir.Load(t.Context(), "a")
	if record != nil {
		t.Error("Load returned a record")
	}
	wantDirErr(t, err, want, mentions...)
	wantNoUpdate(t, dir, want, mentions...)
}

func wantNoUpdate(t *testing.T, dir *file.Dir, want error, mentions ...string) {
	t.Helper()
	err := dir.Update(t.Context(), "a", func([]byte) ([]byte, error) {
		t.Error("Update called its function")
		return []byte("new"), nil
	})
	wantDirErr(t, err, want, mentions...)
}

// files returns the names of all files in a folder. It cuts off the common name of one record.
func files(t *testing.T, dir *file.Dir, name string) []string {
	t.Helper()
	base, err := dir.Base(name)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir.Path)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, strings.TrimPrefix(entry.Name(), base))
	}
	return names
}

func TestDir(t *testing.T) {
	dir := newDir(t)
	_, err := dir.Load(t.Context(), "a")
	wantDirErr(t, err, creds.ErrNotFound, dir.Path)
	if _, err := os.Stat(dir.Path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load made the folder: %v", err)
	}

	for _, tt := range []struct {
		why string
		new []byte
		old []byte
	}{
		{"the first record", []byte("one"), nil},
		{"an empty record is one", []byte{}, []byte("one")},
		{"binary", []byte("\x00\xff\r\n\x1a"), []byte{}},
		{"the largest", bytes.Repeat([]byte("x"), 64<<10), []byte("\x00\xff\r\n\x1a")},
		{"nil deletes", nil, bytes.Repeat([]byte("x"), 64<<10)},
		{"nil deletes what is not there", nil, nil},
		{"an empty record as the first", []byte{}, nil},
		{"nil deletes an empty record", nil, []byte{}},
		{"afresh", []byte("again"), nil},
	} {
		err := dir.Update(t.Context(), "a", func(old []byte) ([]byte, error) {
			if !bytes.Equal(old, tt.old) || (old == nil) != (tt.old == nil) {
				t.Errorf("%s: old is %.20q, want %.20q", tt.why, old, tt.old)
			}
			return tt.new, nil
		})
		if err != nil {
			t.Fatalf("%s: %v", tt.why, err)
		}
		got, err := dir.Load(t.Context(), "a")
		if tt.new == nil {
			wantDirErr(t, err, creds.ErrNotFound)
			if left := files(t, dir, "a"); len(left) != 0 {
				t.Errorf("%s: these files are left: %q", tt.why, left)
			}
		} else if err != nil || got == nil || !bytes.Equal(got, tt.new) {
			t.Errorf("%s: Load: %.20q, %v", tt.why, got, err)
		}
	}
	if got := files(t, dir, "a"); !slices.Equal(got, []string{".lock", ".record"}) {
		t.Errorf("files %q", got)
	}
}

func TestUpdateThatKeepsTheRecord(t *testing.T) {
	dir, broken := newDir(t), errors.New("broken")
	put(t, dir, "a", hidden)
	before, err := os.Stat(pathOf(t, dir, "a", ".record"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		why  string
		f    func([]byte) ([]byte, error)
		want func(error) bool
	}{
		{"f fails", func([]byte) ([]byte, error) { return []byte("new"), broken },
			func(err error) bool { return err == broken }},
		{"too large", func([]byte) ([]byte, error) { return make([]byte, 64<<10+1), nil },
			func(err error) bool { return err != nil && strings.Contains(err.Error(), "65537") }},
		{"the same", func(old []byte) ([]byte, error) { return old, nil },
			func(err error) bool { return err == nil }},
	} {
		if err := dir.Update(t.Context(), "a", tt.f); !tt.want(err) {
			t.Errorf("%s: %v", tt.why, err)
		}
		wantRecord(t, dir, hidden)
		after, err := os.Stat(pathOf(t, dir, "a", ".record"))
		if err != nil || !os.SameFile(before, after) {
			t.Errorf("%s: the file was written again: %v", tt.why, err)
		}
	}
	if got := files(t, dir, "a"); !slices.Equal(got, []string{".lock", ".record"}) {
		t.Errorf("files %q", got)
	}
}

func TestUpdateMayChangeWhatItIsGiven(t *testing.T) {
	dir := newDir(t)
	put(t, dir, "a", "one")
	err := dir.Update(t.Context(), "a", func(old []byte) ([]byte, error) {
		copy(old, "two")
		return old, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantRecord(t, dir, "two")
}

func TestPanicInUpdate(t *testing.T) {
	dir := newDir(t)
	put(t, dir, "a", "one")
	func() {
		defer func() {
			if recover() != "oops" {
				t.Error("the panic did not reach the caller")
			}
		}()
		_ = dir.Update(t.Context(), "a", func([]byte) ([]byte, error) { panic("oops") })
	}()
	wantRecord(t, dir, "one")
	put(t, dir, "a", "two") // the lock is free
}

func TestDirRelative(t *testing.T) {
	t.Chdir(t.TempDir())
	put(t, &file.Dir{Path: "a/../b/"}, "a", "one")
	wantRecord(t, &file.Dir{Path: "b"}, "one")
}

func TestDirMisuse(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("shut down"))
	for _, tt := range []struct {
		why   string
		ctx   context.Context
		dir   *file.Dir
		name  string
		wants string
	}{
		{"no folder", t.Context(), new(file.Dir), "a", "needs the Path of a folder"},
		{"no name", t.Context(), newDir(t), "", "needs a name"},
		{"ended context", ctx, newDir(t), "a", "shut down"},
	} {
		_, err := tt.dir.Load(tt.ctx, tt.name)
		if err == nil || !strings.Contains(err.Error(), tt.wants) {
			t.Errorf("%s: Load: %v", tt.why, err)
		}
		err = tt.dir.Update(tt.ctx, tt.name, func([]byte) ([]byte, error) { return nil, nil })
		if err == nil || !strings.Contains(err.Error(), tt.wants) {
			t.Errorf("%s: Update: %v", tt.why, err)
		}
		if tt.dir.Path != "" {
			if _, err := os.Stat(tt.dir.Path); err == nil {
				t.Errorf("%s: the folder was made", tt.why)
			}
		}
	}
}

func TestFileNames(t *testing.T) {
	long := strings.Repeat("long", 1000)
	names := []string{
		"a", "A", "a ", " a", "a-", "-a", "a/", "/a", "a\x00", "ä", "a\u0308", "\u65e5\u672c",
		"-", ".", "..", "../../etc/passwd", "con", "nul.record", "https://api.example.com/new",
		long, long + "x", "https://api.example.com/new/", "https://api.example.com:443/new",
		"a\nb", "a\xff", "a\xfe", strings.Repeat("f", 64), "https://API.example.com/new",
		"a.tmp-b", "a.lock", "K", "\u212a",
	}
	safe := regexp.MustCompile(`^([a-z0-9]+-)*[0-9a-f]{64}$`)
	seen := make(map[string]string)
	dir := &file.Dir{Path: "d"}
	for _, name := range names {
		base, err := dir.Base(name)
		if err != nil || !safe.MatchString(base) || len(base) > 105 {
			t.Errorf("%.20q is in file %q: %v", name, base, err)
		}
		if other, found := seen[base]; found {
			t.Errorf("%.20q and %.20q share the file %q", name, other, base)
		}
		seen[base] = name
	}

	const want = "https-api-example-com-new-ada-mac-" +
		"c9d39508eac38742f601fd9df78933c5a2819071886df61c2a6b94088c5285aa"
	if got, _ := dir.Base("https://api.example.com/new ada mac"); got != want {
		t.Errorf("the name of a file has changed, so records would be lost: %q, want %q", got, want)
	}
}
