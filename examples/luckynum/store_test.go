package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/creds/file"
)

// The second start finds the key, and the time at the service, where the first one has stored them.
// It sends one request, and nothing is refused, by the service's count and by the network's.
func TestSecondStartIsWarm(t *testing.T) {
	for _, skew := range []time.Duration{0, time.Hour, -time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			s := &service{skew: skew}
			m := serving(t, s)
			first := m.run(t, "get", at)
			if first.status != 0 || s.issued.Load() != 1 {
				t.Fatalf("skew %s: %d keys, status %d, %s",
					skew, s.issued.Load(), first.status, first.stderr)
			}
			stale := s.stale.Load()
			if (stale != 0) != (skew != 0) {
				t.Errorf("skew %s: the first start was refused %d times", skew, stale)
			}

			time.Sleep(time.Minute) // of the bubble's
			clear(m.network.sites[0].asked)
			second := m.run(t, "get", "--history", at)
			second.prints(t, "the second start", first.stdout)
			if strings.Count(second.stderr, "\n") != 1 {
				t.Errorf("skew %s: the second start needs steps\n%s", skew, second.stderr)
			}
			if got := s.issued.Load() - 1 + s.stale.Load() - stale + s.expired.Load() +
				s.invalid.Load(); got != 0 {
				t.Errorf("skew %s: %d keys and refusals too many: %s", skew, got, s)
			}
			if asked := m.network.sites[0].asked; len(asked) != 1 || asked["GET / 200"] != 1 {
				t.Errorf("skew %s: the second start has asked %v", skew, asked)
			}
		})
	}
}

// Each user has a separate key, in one folder.
func TestStoreOfTwoUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(service)
		m := serving(t, s)
		file := writeFile(t, t.TempDir(), annPassword)
		for range 2 {
			m.run(t, "get", at).prints(t, "demo", hello)
			m.run(t, "get", "--user", "ann", "--password-file", file, at).
				prints(t, "ann", helloAnn)
		}
		if n := s.issued.Load(); n != 2 {
			t.Errorf("%d keys were issued, not two", n)
		}
	})
}

func TestStoreFlag(t *testing.T) {
	for _, tt := range []struct {
		reason         string
		config, folder bool // a folder for settings exists; --store names another one
		args           []string
		issued         int64 // number for two starts
		warning        string
		kept           string // the folder
	}{
		{"the folder for settings", true, false, nil, 1, "", "config/luckynum"},
		{"another one", true, true, nil, 1, "", "other/folder"},
		{"another one, and none for settings", false, true, nil, 1, "", "other/folder"},
		{"none is wanted", true, false, []string{"--store", ""}, 2, "", ""},
		{"none is wanted, and there is none", false, false, []string{"--store="}, 2, "", ""},
		{"there is none", false, false, nil, 2, "luckynum: the key is kept in memory only: " +
			"$HOME is not defined: choose a folder with --store\n", ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := new(service)
			m := serving(t, s)
			dir := t.TempDir()
			m.config = ""
			if tt.config {
				m.config = filepath.Join(dir, "config")
			}
			args := append([]string{"get"}, tt.args...)
			if tt.folder {
				args = append(args, "--store", filepath.Join(dir, "other", "folder"))
			}
			for range 2 {
				r := m.run(t, append(args, at)...)
				r.prints(t, tt.reason, hello)
				if r.stderr != tt.warning {
					t.Errorf("%s: warns %q, want %q", tt.reason, r.stderr, tt.warning)
				}
			}
			if n := s.issued.Load(); n != tt.issued {
				t.Errorf("%s: %d keys were issued, want %d", tt.reason, n, tt.issued)
			}
			records, err := filepath.Glob(filepath.Join(dir, tt.kept, "*.record"))
			if err != nil || (len(records) == 1) != (tt.kept != "") {
				t.Errorf("%s: kept %q, %v", tt.reason, records, err)
			}
		})
	}
}

// If the folder cannot be used, get works from memory, and warns.
func TestStoreFails(t *testing.T) {
	loose := t.TempDir()
	if err := os.Chmod(loose, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ reason, folder, text string }{
		{"a file", writeFile(t, t.TempDir(), ""), file.ErrType.Error()},
		{"a folder for all to see", loose, file.ErrMode.Error()},
	} {
		if runtime.GOOS == "windows" && tt.folder == loose {
			continue // Windows does not use these permissions
		}
		synctest.Test(t, func(t *testing.T) {
			r := serving(t, new(service)).run(t, "get", "--store", tt.folder, at)
			r.prints(t, tt.reason, hello)
			if !strings.Contains(r.stderr, "level=WARN") || !strings.Contains(r.stderr, tt.text) {
				t.Errorf("%s: warns %q, want %q", tt.reason, r.stderr, tt.text)
			}
		})
	}
}

// A key that has ended is replaced in the store. The start that does so needs no other step.
func TestStoredKeyEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(service)
		m := serving(t, s)
		for i := range int64(3) {
			for range 2 {
				m.run(t, "get", at).prints(t, "a start", hello)
			}
			if got := s.issued.Load(); got != i+1 {
				t.Errorf("after %d lifetimes: %d keys", i, got)
			}
			time.Sleep(6 * time.Minute) // of the bubble's
		}
		if s.stale.Load()+s.expired.Load()+s.invalid.Load() != 0 {
			t.Errorf("some are refused: %s", s)
		}
	})
}

// With --credentials, only that file holds the key.
func TestCredentialsFileIsNotStored(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key.json")
	synctest.Test(t, func(t *testing.T) {
		m := serving(t, new(service))
		folder := m.config
		m.config = ""
		r := m.run(t, "get", "--credentials", file, at)
		r.prints(t, "no folder is needed", hello)
		if r.stderr != "" {
			t.Errorf("warns %q", r.stderr)
		}
		m.config = folder
		m.run(t, "get", "--credentials", file, at).prints(t, "a folder is not used", hello)
		if found, err := os.ReadDir(folder); err != nil || len(found) != 0 {
			t.Errorf("the folder has %v, %v", found, err)
		}
	})
}
