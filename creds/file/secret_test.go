package file_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/creds/file"
	"github.com/countersign-go/countersign/internal/logs"
)

// write overwrites a file in place.
func write(t *testing.T, path, contents string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(contents), 0o600); err != nil {
		t.Fatal(err)
	}
}

// secretIn returns a Secret whose file has the given contents.
func secretIn(t *testing.T, contents string) *file.Secret {
	t.Helper()
	s := &file.Secret{Path: filepath.Join(t.TempDir(), "secret")}
	write(t, s.Path, contents)
	return s
}

func wantSecret(t *testing.T, s *file.Secret, want string) {
	t.Helper()
	got, err := s.Credentials(t.Context())
	if err != nil || string(got) != want {
		t.Fatalf("got %d bytes, %v; want %d bytes", len(got), err, len(want))
	}
}

func wantNoSecret(t *testing.T, s *file.Secret, mentions ...string) error {
	t.Helper()
	got, err := s.Credentials(t.Context())
	if got != nil || err == nil {
		t.Fatalf("got %d bytes and no error", len(got))
	}
	for _, part := range append(mentions, "file: ") {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not mention %q", err, part)
		}
	}
	if strings.Contains(err.Error(), hidden) {
		t.Error("the error shows the secret")
	}
	return err
}

func TestSecretContents(t *testing.T) {
	long := strings.Repeat("x", 64<<10)
	for _, tt := range []struct{ why, contents, want string }{
		{"no line feed", "key", "key"},
		{"as an editor or echo writes it", "key\n", "key"},
		{"as an editor on Windows writes it", "key\r\n", "key"},
		{"one line feed, not two", "key\n\n", "key\n"},
		{"no other space", " key \t\n", " key \t"},
		{"a carriage return without a line feed", "key\r", "key\r"},
		{"several lines, as in a PEM file", "a\nb\n", "a\nb"},
		{"binary", "\x00\xff\x00", "\x00\xff\x00"},
		{"the largest", long, long},
	} {
		t.Run(tt.why, func(t *testing.T) { wantSecret(t, secretIn(t, tt.contents), tt.want) })
	}
}

func TestSecretRefused(t *testing.T) {
	for _, tt := range []struct{ why, contents, mention string }{
		{"empty", "", "is empty"},
		{"a line feed alone", "\n", "is empty"},
		{"a line end alone", "\r\n", "is empty"},
		{"too large", hidden + strings.Repeat("x", 64<<10), "more than 65536 bytes"},
	} {
		t.Run(tt.why, func(t *testing.T) {
			s := secretIn(t, tt.contents)
			err := wantNoSecret(t, s, tt.mention, s.Path)
			if s.Err() != err {
				t.Errorf("Err: %v, want %v", s.Err(), err)
			}
		})
	}
	wantNoSecret(t, new(file.Secret), "needs the Path")
	folder := &file.Secret{Path: t.TempDir()}
	if err := wantNoSecret(t, folder, "is a folder", folder.Path); !errors.Is(err, file.ErrType) {
		t.Errorf("a folder: %v", err)
	}
	none := &file.Secret{Path: filepath.Join(t.TempDir(), "none")}
	if none.Err() != nil {
		t.Errorf("before the first read: %v", none.Err())
	}
	if err := wantNoSecret(t, none, none.Path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

// A file that is overwritten with the same length and time is also read again.
func TestSecretWrittenInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := secretIn(t, "one")
		info, err := os.Stat(s.Path)
		if err != nil {
			t.Fatal(err)
		}
		wantSecret(t, s, "one")
		write(t, s.Path, "two")
		if err := os.Chtimes(s.Path, info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second - 1)
		wantSecret(t, s, "one")
		time.Sleep(time.Nanosecond)
		wantSecret(t, s, "two")
	})
}

// While a file is replaced by rename, each read returns the whole old secret or the whole new one.
func TestSecretReplacedByRename(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := secretIn(t, strings.Repeat("0", 10000))
		ctx, cancel := context.WithCancel(t.Context())
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				for ctx.Err() == nil {
					got, err := s.Credentials(t.Context())
					if err != nil || len(got) != 10000 || bytes.Count(got, got[:1]) != 10000 {
						t.Errorf("%d bytes, %v", len(got), err)
						return
					}
					time.Sleep(time.Second)
				}
			})
		}
		for i := range 200 {
			next, want := s.Path+".next", strings.Repeat(string(rune('a'+i%26)), 10000)
			write(t, next, want+"\n")
			if err := os.Rename(next, s.Path); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second) // the readers may have read it already, or do so now
			s.Reject(func(creds.Secret) bool { return true }, nil)
			wantSecret(t, s, want)
		}
		cancel()
		readers.Wait()
	})
}

// The same secret is returned as the same slice, so a Signer may keep the state that it derives
// from it.
func TestSecretKeepsItsBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := secretIn(t, "one")
		first, err := s.Credentials(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		second, err := s.Credentials(t.Context())
		if err != nil || &first[0] != &second[0] {
			t.Errorf("other bytes, %v", err)
		}
	})
}

// While a program replaces the file by deleting it first, the last good secret is used. After a
// minute it is not used any more, since the file may have been deleted on purpose.
func TestSecretMissingForAWhile(t *testing.T) {
	for _, tt := range []struct {
		why   string
		spoil func(path string) error
	}{
		{"deleted", os.Remove},
		{"truncated, to be written in place", func(path string) error {
			return os.Truncate(path, 0)
		}},
		{"a folder for a file", func(path string) error {
			return errors.Join(os.Remove(path), os.Mkdir(path, 0o700))
		}},
	} {
		t.Run(tt.why, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := secretIn(t, "one")
				wantSecret(t, s, "one")
				for _, next := range []string{"two", "three"} {
					if err := tt.spoil(s.Path); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Second)
					before, err := s.Credentials(t.Context())
					if err != nil || s.Err() == nil {
						t.Fatalf("error %v, Err %v", err, s.Err())
					}
					time.Sleep(time.Minute - 1)
					wantSecret(t, s, string(before))
					time.Sleep(time.Nanosecond)
					if err := wantNoSecret(t, s, s.Path); s.Err() != err {
						t.Errorf("Err: %v", s.Err())
					}
					if err := os.RemoveAll(s.Path); err != nil {
						t.Fatal(err)
					}
					write(t, s.Path, next)
					if wantSecret(t, s, next); s.Err() != nil {
						t.Errorf("Err: %v", s.Err())
					}
				}
			})
		})
	}
}

// The client's Logger gets one record when a file cannot be read, and one when it can be read
// again.
func TestSecretTroubleIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		ctx := logs.With(t.Context(), slog.New(slog.NewTextHandler(&log, nil)))
		s := secretIn(t, hidden)
		for range 2 {
			if _, err := s.Credentials(ctx); err != nil || log.Len() != 0 {
				t.Fatalf("%v, %s", err, &log)
			}
			if err := os.Remove(s.Path); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			for range 10 {
				_, _ = s.Credentials(ctx)
				time.Sleep(10 * time.Second)
			}
			write(t, s.Path, hidden)
			_, _ = s.Credentials(ctx)
			text := log.String()
			if strings.Count(text, "\n") != 2 || strings.Count(text, "level=WARN") != 1 ||
				strings.Count(text, "level=INFO") != 1 || !strings.Contains(text, s.Path) ||
				strings.Contains(text, hidden) {
				t.Errorf("records %q", text)
			}
			log.Reset()
		}
	})
}

func TestSecretPrintsNoSecret(t *testing.T) {
	s := secretIn(t, hidden)
	wantSecret(t, s, hidden)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		text := fmt.Sprintf(verb, s) + fmt.Sprintf(verb, []any{s})
		if strings.Contains(text, hidden) || strings.Contains(text, fmt.Sprintf("%x", hidden)) ||
			strings.Contains(text, strings.Trim(fmt.Sprint([]byte(hidden)), "[]")) {
			t.Errorf("%s shows the secret", verb)
		}
	}
}

// After a refusal the file is read again. If it still holds the refused secret, the error explains
// why another one is missing.
func TestSecretAfterARefusal(t *testing.T) {
	s := secretIn(t, "one")
	refresh := func(sent string) (bool, error) {
		again, _, err := creds.Refresh(t.Context(), s,
			func(c creds.Secret) bool { return string(c) == sent }, nil)
		return again, err
	}
	s.Reject(func(creds.Secret) bool { return true }, nil) // nothing has been read yet
	wantSecret(t, s, "one")
	if again, err := refresh("one"); again || err != nil {
		t.Errorf("the same secret: %v, %v", again, err)
	}
	write(t, s.Path, "two")
	if again, err := refresh("zero"); !again || err != nil {
		t.Errorf("a late refusal of another secret: %v, %v", again, err)
	}
	wantSecret(t, s, "one") // the server did not refuse this secret
	if again, err := refresh("one"); !again || err != nil {
		t.Errorf("another secret: %v, %v", again, err)
	}
	wantSecret(t, s, "two")
	if err := os.Remove(s.Path); err != nil {
		t.Fatal(err)
	}
	if again, err := refresh("two"); again || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v, %v", again, err)
	}
}

func BenchmarkSecret(b *testing.B) {
	s := &file.Secret{Path: filepath.Join(b.TempDir(), "secret")}
	if err := os.WriteFile(s.Path, bytes.Repeat([]byte("x"), 1000), 0o600); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Credentials(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
