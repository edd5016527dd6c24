package provision_test

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/creds/file"
	"github.com/countersign-go/countersign/provision"
)

// A damaged record causes one warning, and the next process finds a new record.
func TestDamagedRecordIsToldOnce(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "store")
	m := &mint{lifetime: time.Hour}
	wantID(t, m.client(&file.Dir{Path: folder}), "id1")
	files, err := filepath.Glob(filepath.Join(folder, "*.record"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if err := os.WriteFile(files[0], []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	for process, warnings := range []int{1, 0} {
		log := new(journal)
		c := m.client(&file.Dir{Path: folder})
		c.Logger = log.logger()
		wantID(t, c, "id2")
		if got := strings.Count(log.String(), "\n"); got != warnings {
			t.Errorf("process %d: %d records, want %d: %s", process, got, warnings, log)
		}
		if strings.Contains(log.String(), "memory") {
			t.Errorf("process %d: the log says what is not so: %s", process, log)
		}
	}
}

// A folder that cannot be used causes one warning.
func TestUselessFolderIsToldOnce(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	log := new(journal)
	c := (&mint{lifetime: time.Hour}).client(&file.Dir{Path: folder})
	c.Logger = log.logger()
	wantID(t, c, "id1")
	if got := strings.Count(log.String(), "\n"); got != 1 {
		t.Errorf("%d records, want 1: %s", got, log)
	}
}

// The log also has a record when a store works again.
func TestStoreWorksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, log := newMemory(), new(journal)
		c := (&mint{lifetime: time.Hour}).client(store)
		c.Logger = log.logger()
		store.noUpdate = errDisk
		wantID(t, c, "id1")
		time.Sleep(time.Hour)
		store.noUpdate = nil
		wantID(t, c, "id2")
		time.Sleep(time.Hour)
		wantID(t, c, "id3")
		warned := strings.Count(log.String(), "level=WARN msg=\"provision: the store failed\"")
		told := strings.Count(log.String(), "level=INFO msg=\"provision: the store works again\"")
		if warned != 1 || told != 1 {
			t.Errorf("%d and %d records, want 1 and 1: %s", warned, told, log)
		}
	})
}

// The error for credentials that have already ended speaks of clocks, and not of the address.
func TestEndedAlready(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for answer, want := range map[string]string{
			`{"id":"a","key":"k","expires":946681200}`: "provision: no credentials from " +
				"https://user.example/provision: status 200 with credentials that have already " +
				"expired: at 1999-12-31T23:00:00Z, when it was 1999-12-31T23:30:00Z there and " +
				"2000-01-01T00:00:00Z here: compare the clock of the service with that of this " +
				"machine",
			`{"id":"a","key":"k","expires_in":0}`: "already expired: the moment they were made: " +
				"ask for a longer life",
		} {
			c := &provision.Client{URL: "https://user.example/provision", HTTP: handlerFunc(
				func(w http.ResponseWriter, _ *http.Request) {
					behind := time.Now().Add(-30 * time.Minute).UTC()
					w.Header().Set("Date", behind.Format(http.TimeFormat))
					_, _ = io.WriteString(w, answer)
				})}
			_, err := c.Credentials(t.Context())
			if !errors.Is(err, creds.ErrExpired) || !strings.Contains(text(err), want) {
				t.Errorf("%v, want %s", err, want)
			}
		}
	})
}
