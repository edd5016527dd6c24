package file_test

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/creds/file"
)

// sample is a file of format 1. The program sha256sum gave the sum of its record.
const sample = "countersign record, format 1: secret, do not edit\n" +
	"sha256 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\n" +
	"hello"

// place writes contents to the file of the record under "a", without a Dir.
func place(t *testing.T, dir *file.Dir, contents string) {
	t.Helper()
	if err := os.WriteFile(pathOf(t, dir, "a", ".record"), []byte(contents), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFileFormat(t *testing.T) {
	dir := newDir(t)
	put(t, dir, "a", "hello")
	got, err := os.ReadFile(pathOf(t, dir, "a", ".record"))
	if err != nil || string(got) != sample {
		t.Errorf("the file is %q, %v", got, err)
	}
	place(t, dir, sample)
	wantRecord(t, dir, "hello")
}

// TestCorruptRecord_K12 damages a file at every position and cuts it at every length.
func TestCorruptRecord_K12(t *testing.T) {
	for n := range len(sample) {
		if _, err := file.ParseRecord([]byte(sample[:n])); err != creds.ErrCorrupt {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	version := strings.IndexByte(sample, '1')
	for i := range 8 * len(sample) {
		damaged := []byte(sample)
		damaged[i/8] ^= 1 << (i % 8)
		want := creds.ErrCorrupt
		if i/8 == version && damaged[version] > '1' && damaged[version] <= '9' {
			want = file.ErrNewer
		}
		if _, err := file.ParseRecord(damaged); err != want {
			t.Errorf("bit %d of byte %d: %v, want %v", i%8, i/8, err, want)
		}
	}
	if _, err := file.ParseRecord([]byte(sample)); err != nil {
		t.Errorf("undamaged: %v", err)
	}
}

func TestCorruptFile_K12(t *testing.T) {
	large := string(file.EncodeRecord(bytes.Repeat([]byte("x"), 64<<10+1)))
	for _, tt := range []struct{ name, contents string }{
		{"empty, as after a power failure", ""},
		{"zeroes, as after a power failure", strings.Repeat("\x00", 4096)},
		{"truncated", string(file.EncodeRecord([]byte(hidden + " and more")))[:140]},
		{"longer", string(file.EncodeRecord([]byte(hidden))) + "\n"},
		{"line ends changed", strings.ReplaceAll(sample, "\n", "\r\n")},
		{"upper-case sum", strings.Replace(sample, "2cf24dba", "2CF24DBA", 1)},
		{"a record without a header", `{"id":"x","key":"` + hidden + `"}`},
		{"too large", large},
		{"far too large", strings.Repeat(large, 100)},
		{"format 0", strings.Replace(sample, "format 1", "format 0", 1)},
		{"format 01", strings.Replace(sample, "format 1", "format 01", 1)},
		{"format 02", strings.Replace(sample, "format 1", "format 02", 1)},
		{"format too long", strings.Replace(sample, "format 1", "format 1000000000", 1)},
		{"format +2", strings.Replace(sample, "format 1", "format +2", 1)},
		{"no format", strings.Replace(sample, "format 1", "format ", 1)},
		{"format cut off", sample[:strings.IndexByte(sample, '1')]},
	} {
		for verb, attempt := range map[string]func(*file.Dir) error{
			"Load": func(dir *file.Dir) error {
				_, err := dir.Load(t.Context(), "a")
				return err
			},
			"Update": func(dir *file.Dir) error {
				return dir.Update(t.Context(), "a", func([]byte) ([]byte, error) {
					t.Error("Update called its function")
					return nil, nil
				})
			},
		} {
			t.Run(tt.name+"/"+verb, func(t *testing.T) {
				dir := newDir(t)
				put(t, dir, "a", "one")
				place(t, dir, tt.contents)
				aside := pathOf(t, dir, "a", ".corrupt-1")
				wantDirErr(t, attempt(dir), creds.ErrCorrupt, pathOf(t, dir, "a", ".record"), aside)
				if kept, err := os.ReadFile(aside); err != nil || string(kept) != tt.contents {
					t.Errorf("set aside: %d bytes, %v", len(kept), err)
				}
				_, err := dir.Load(t.Context(), "a")
				wantDirErr(t, err, creds.ErrNotFound, aside)
				wantDirErr(t, err, creds.ErrCorrupt) // the record existed before
				err = dir.Update(t.Context(), "a", func(old []byte) ([]byte, error) {
					if old != nil {
						t.Error("the next Update does not start afresh")
					}
					return []byte("two"), nil
				})
				if err != nil {
					t.Fatal(err)
				}
				wantRecord(t, dir, "two")
			})
		}
	}
}

func TestCorruptFilesAreBounded_K12(t *testing.T) {
	dir := newDir(t)
	for _, contents := range []string{"1", "2", "3", "4", "5"} {
		put(t, dir, "a", "good")
		place(t, dir, contents)
		_, err := dir.Load(t.Context(), "a")
		wantDirErr(t, err, creds.ErrCorrupt)
	}
	want := []string{".corrupt-1", ".corrupt-2", ".corrupt-3"}
	if got := files(t, dir, "a"); !slices.Equal(got, want) {
		t.Fatalf("files %q, want %q", got, want)
	}
	for i, ext := range want {
		kept, err := os.ReadFile(pathOf(t, dir, "a", ext))
		if want := []string{"5", "4", "3"}[i]; err != nil || string(kept) != want {
			t.Errorf("%s holds %q, %v; want %q", ext, kept, err, want)
		}
	}
}

// Deleting a record also deletes the damaged ones, which may hold keys.
func TestDeletedWithCorruptFiles_K12(t *testing.T) {
	dir := newDir(t)
	for _, contents := range []string{"1", "2", "3", "4"} {
		put(t, dir, "a", "good")
		place(t, dir, contents)
		_, err := dir.Load(t.Context(), "a")
		wantDirErr(t, err, creds.ErrCorrupt)
	}
	remove := func() {
		err := dir.Update(t.Context(), "a", func([]byte) ([]byte, error) { return nil, nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	remove() // deletes nothing, and does not hide that a record was lost
	_, err := dir.Load(t.Context(), "a")
	wantDirErr(t, err, creds.ErrCorrupt)
	put(t, dir, "a", "good")
	remove()
	if got := files(t, dir, "a"); len(got) != 0 {
		t.Errorf("files %q", got)
	}
	_, err = dir.Load(t.Context(), "a")
	if wantDirErr(t, err, creds.ErrNotFound); errors.Is(err, creds.ErrCorrupt) {
		t.Errorf("%v", err)
	}
}

// While an Update holds the lock, no other operation may move files. Load does not wait for it.
func TestCorruptFileUnderUpdate_K12(t *testing.T) {
	dir := newDir(t)
	err := dir.Update(t.Context(), "a", func([]byte) ([]byte, error) {
		place(t, dir, "damaged")
		_, err := dir.Load(t.Context(), "a")
		wantDirErr(t, err, creds.ErrCorrupt)
		if got := files(t, dir, "a"); !slices.Equal(got, []string{".lock", ".record"}) {
			t.Errorf("files %q", got)
		}
		return []byte("new"), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantRecord(t, dir, "new")
}

func TestCorruptFileThatCannotBeSetAside_K12(t *testing.T) {
	dir := newDir(t)
	put(t, dir, "a", "one")
	place(t, dir, "damaged")
	for _, ext := range []string{".corrupt-1", ".corrupt-2", ".corrupt-3"} {
		if err := os.MkdirAll(pathOf(t, dir, "a", ext+"/full"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	wantRefused(t, dir, creds.ErrCorrupt, "cannot be set aside")
	got, err := os.ReadFile(pathOf(t, dir, "a", ".record"))
	if err != nil || string(got) != "damaged" {
		t.Errorf("the file is %q, %v", got, err)
	}
}

func TestNewerFormat_K12(t *testing.T) {
	for _, first := range []string{"2", "10", "999999999"} {
		dir := newDir(t)
		put(t, dir, "a", "one")
		newer := "countersign record, format " + first + ": new and " + hidden + "\nand so on"
		place(t, dir, newer)
		wantRefused(t, dir, file.ErrNewer, "upgrade", pathOf(t, dir, "a", ".record"))
		got, err := os.ReadFile(pathOf(t, dir, "a", ".record"))
		if err != nil || string(got) != newer {
			t.Errorf("format %s: the file was touched: %q, %v", first, got, err)
		}
		if got := files(t, dir, "a"); !slices.Equal(got, []string{".lock", ".record"}) {
			t.Errorf("files %q", got)
		}
	}
}

func FuzzDirFile(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte(sample))
	f.Add([]byte(sample[:60]))
	f.Add(file.EncodeRecord(nil))
	f.Add(file.EncodeRecord([]byte("\x00\xff")))
	f.Add([]byte("countersign record, format 2\n"))
	f.Add([]byte("countersign record, format 4294967297\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		record, err := file.ParseRecord(data)
		if err != nil {
			if !errors.Is(err, creds.ErrCorrupt) && !errors.Is(err, file.ErrNewer) {
				t.Errorf("untyped error: %v", err)
			}
			if record != nil {
				t.Error("a record with an error")
			}
		} else if !bytes.Equal(file.EncodeRecord(record), data) {
			t.Error("what was read is not what would be written")
		}

		// The bytes are stored as a record: they are read unchanged, and damage at their end is
		// found.
		if len(data) > 64<<10 {
			return
		}
		written := file.EncodeRecord(data)
		if got, err := file.ParseRecord(written); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes came back as %d, %v", len(data), len(got), err)
		}
		if _, err := file.ParseRecord(written[:len(written)-1]); err == nil {
			t.Error("a truncated file was read")
		}
	})
}
