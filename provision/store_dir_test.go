//go:build unix

package provision_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/creds"
)

// Whatever has become of the file, the client works from memory and the log says what to do, by the
// error that creds.Dir has for it.
func TestFaultsOfDir_K9_K10_K12(t *testing.T) {
	write := func(text string) func(string, string) error {
		return func(_, record string) error { return os.WriteFile(record, []byte(text), 0o600) }
	}
	for name, fault := range map[string]struct {
		spoil func(folder, record string) error
		want  error
		keeps bool // what is there stays there, so that each start says it again
	}{
		"symbolic link": {func(_, record string) error {
			return errors.Join(os.Rename(record, record+"x"), os.Symlink(record+"x", record))
		}, creds.ErrFileType, true},
		"no folder": {func(folder, _ string) error {
			return errors.Join(os.RemoveAll(folder), os.WriteFile(folder, nil, 0o600))
		}, creds.ErrFileType, true},
		"file for all to read": {func(_, record string) error {
			return os.Chmod(record, 0o644)
		}, creds.ErrFileMode, true},
		"folder for all to enter": {func(folder, _ string) error {
			return os.Chmod(folder, 0o755)
		}, creds.ErrFileMode, true},
		"truncated": {func(_, record string) error { return os.Truncate(record, 60) },
			creds.ErrCorrupt, false},
		"garbage":      {write("garbage"), creds.ErrCorrupt, false},
		"newer format": {write("countersign record, format 2: x"), creds.ErrNewer, true},
	} {
		t.Run(name, func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "credentials")
			m := &mint{lifetime: time.Hour}
			wantID(t, m.client(creds.Dir(folder)), "id1")
			records, err := filepath.Glob(folder + "/*.record")
			if err != nil || len(records) != 1 {
				t.Fatal(records, err)
			}
			if err := fault.spoil(folder, records[0]); err != nil {
				t.Fatal(err)
			}
			log := new(journal)
			c := m.client(creds.Dir(folder))
			c.Logger = log.logger()
			wantID(t, c, "id2")
			wantID(t, c, "id2") // from memory
			if text := fmt.Sprint(fault.want); !strings.Contains(log.String(), "WARN") ||
				!strings.Contains(log.String(), strings.TrimPrefix(text, "creds: ")) {
				t.Errorf("want a warning that says %q, logged:\n%s", text, log)
			}
			want := "id2"
			if fault.keeps {
				want = "id3"
			}
			wantID(t, m.client(creds.Dir(folder)), want)
		})
	}
}
