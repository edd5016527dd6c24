package file_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/creds/file"
)

// listed collects the records that Records yields, sorted.
func listed(ctx context.Context, dir *file.Dir, prefix string) (all []string, err error) {
	for record, failed := range dir.Records(ctx, prefix) {
		if err = errors.Join(err, failed); failed == nil {
			all = append(all, string(record))
		}
	}
	slices.Sort(all)
	return all, err
}

func TestRecords(t *testing.T) {
	dir := newDir(t)
	if all, err := listed(t.Context(), dir, ""); all != nil || err != nil {
		t.Errorf("without a folder: %q, %v", all, err)
	}
	for _, name := range []string{"key of ann", "key of bob", "token of ann", "!"} {
		put(t, dir, name, name)
	}
	for _, tt := range []struct {
		prefix string
		want   []string
	}{
		{"key of ", []string{"key of ann", "key of bob"}},
		{"key of a", []string{"key of ann"}},
		{"KEY, of ANN", []string{"key of ann"}}, // the same letters
		{"token", []string{"token of ann"}},
		{"", []string{"!", "key of ann", "key of bob", "token of ann"}},
		{"x", nil},
	} {
		all, err := listed(t.Context(), dir, tt.prefix)
		if err != nil || !slices.Equal(all, tt.want) {
			t.Errorf("%q: %q, %v", tt.prefix, all, err)
		}
	}

	// The caller may stop, and may change the record that it is given.
	for record := range dir.Records(t.Context(), "key of ann") {
		put(t, dir, string(record), "changed")
		break
	}
	if all, err := listed(t.Context(), dir, "key"); err != nil ||
		!slices.Equal(all, []string{"changed", "key of bob"}) {
		t.Errorf("changed meanwhile: %q, %v", all, err)
	}
}

// If there are more records than are read at a time, each is yielded once.
func TestRecordsOfALargeFolder(t *testing.T) {
	dir := newDir(t)
	put(t, dir, "0", "0")
	want := []string{"0"}
	for i := range 1000 {
		text := strconv.Itoa(i + 1)
		path := pathOf(t, dir, text, ".record")
		if err := os.WriteFile(path, file.EncodeRecord([]byte(text)), 0o600); err != nil {
			t.Fatal(err)
		}
		want = append(want, text)
	}
	slices.Sort(want)
	all, err := listed(t.Context(), dir, "")
	if err != nil || !slices.Equal(all, want) {
		t.Errorf("%d of %d, %v", len(all), len(want), err)
	}
}

// A record that cannot be served is an error, and the other records are yielded.
func TestRecordsRefused(t *testing.T) {
	dir := newDir(t)
	put(t, dir, "a", "one")
	put(t, dir, "b", "two")
	if err := os.WriteFile(pathOf(t, dir, "a", ".record"), []byte(hidden), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := listed(t.Context(), dir, "")
	wantDirErr(t, err, creds.ErrCorrupt, "set aside")
	if !slices.Equal(all, []string{"two"}) {
		t.Errorf("%q", all)
	}
	all, err = listed(t.Context(), new(file.Dir), "")
	if all != nil || err == nil {
		t.Errorf("a Dir without a Path: %q, %v", all, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = listed(ctx, dir, "")
	wantDirErr(t, err, context.Canceled)
}
