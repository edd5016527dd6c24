package file_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/creds/file"
)

func TestLockWaitObeysContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := newDir(t)
		held, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			err := dir.Update(t.Context(), "a", func([]byte) ([]byte, error) {
				close(held)
				time.Sleep(time.Minute)
				return []byte("slow"), nil
			})
			if err != nil {
				t.Error(err)
			}
		}()
		<-held

		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		wait := func(ctx context.Context) error {
			return dir.Update(ctx, "a", func([]byte) ([]byte, error) {
				t.Error("Update did not wait for the lock")
				return nil, nil
			})
		}
		wantDirErr(t, wait(ctx), context.DeadlineExceeded, "no longer waiting")
		if waited := time.Since(began); waited != 10*time.Second {
			t.Errorf("waited %v of 10 s", waited)
		}
		why := errors.New("told to stop")
		ctx2, cancel2 := context.WithCancelCause(t.Context())
		time.AfterFunc(10*time.Second, func() { cancel2(why) })
		err := wait(ctx2)
		wantDirErr(t, err, why)
		wantDirErr(t, err, context.Canceled)

		put(t, dir, "b", "another name does not wait")
		_, err = dir.Load(t.Context(), "a")
		wantDirErr(t, err, creds.ErrNotFound)
		if waited := time.Since(began); waited != 20*time.Second {
			t.Errorf("Load or another name waited: %v", waited)
		}
		put(t, dir, "a", "next")
		if waited := time.Since(began); waited < time.Minute || waited > time.Minute+time.Second {
			t.Errorf("waited %v for an Update of a minute", waited)
		}
		<-done
		wantRecord(t, dir, "next")
	})
}

// An Update that holds a record writes it, even if its caller's context has ended.
func TestUpdateOutlivesContext(t *testing.T) {
	dir := newDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := dir.Update(ctx, "a", func([]byte) ([]byte, error) {
		cancel()
		return []byte("fetched"), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantRecord(t, dir, "fetched")
}

// Without a record, each lock removes its file, while other goroutines are about to lock it. Still,
// there is one holder at a time.
func TestLockFileThatGoes_K13(t *testing.T) {
	dir := newDir(t)
	if err := os.MkdirAll(dir.Path, 0o700); err != nil {
		t.Fatal(err)
	}
	var inside, overlaps, locks atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				lock, err := dir.TryLock("a")
				if err != nil {
					t.Error(err)
				}
				if lock == nil {
					continue
				}
				locks.Add(1)
				if inside.Add(1) != 1 {
					overlaps.Add(1)
				}
				runtime.Gosched()
				inside.Add(-1)
				lock.Release()
			}
		})
	}
	all.Wait()
	if n := overlaps.Load(); n != 0 || locks.Load() == 0 {
		t.Errorf("%d of %d locks were held beside another", n, locks.Load())
	}
	if left := files(t, dir, "a"); len(left) != 0 {
		t.Errorf("files %q", left)
	}
}

// A lock does not count if its file lost its name, because the next holder locks another file.
func TestLockOfAFileWithoutName_K13(t *testing.T) {
	dir := newDir(t)
	put(t, dir, "a", "one")
	lock, err := dir.TryLock("a")
	if err != nil || lock == nil || !lock.Counts() {
		t.Fatalf("no lock: %v", err)
	}
	defer lock.Release()
	path := pathOf(t, dir, "a", ".lock")
	if err := os.Rename(path, path+"-moved"); err != nil {
		t.Fatal(err)
	}
	if lock.Counts() {
		t.Error("the lock counts without a file of its name")
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if lock.Counts() {
		t.Error("the lock counts beside a file of its name")
	}
}

// A sweep removes the files of killed writers of any record. It does not touch the files of a
// living writer.
func TestLeftovers_K14(t *testing.T) {
	dir := newDir(t)
	write := func(path string) string {
		if err := os.WriteFile(path, []byte(hidden), 0o600); err != nil {
			t.Fatal(err)
		}
		return filepath.Base(path)
	}
	if err := os.MkdirAll(dir.Path, 0o700); err != nil {
		t.Fatal(err)
	}
	write(pathOf(t, dir, "a", ".tmp-1"))
	write(pathOf(t, dir, "a", ".tmp-2"))
	write(pathOf(t, dir, "gone", ".tmp-1")) // of a record that may never be stored again
	write(pathOf(t, dir, "first", ".lock")) // of a writer killed before there was a record
	busy, err := dir.TryLock("b")
	if err != nil || busy == nil {
		t.Fatal(busy, err)
	}
	kept := []string{
		filepath.Base(pathOf(t, dir, "a", ".lock")), filepath.Base(pathOf(t, dir, "a", ".record")),
		write(filepath.Join(dir.Path, "notes.tmp-1")), // does not belong to the Dir
		write(filepath.Join(dir.Path, "a-ca978112.tmp-1")),
		write(filepath.Join(dir.Path, "notes.lock")),
	}
	inUse := []string{
		filepath.Base(pathOf(t, dir, "b", ".lock")), write(pathOf(t, dir, "b", ".tmp-1")),
	}
	put(t, dir, "a", "one")
	wantFiles(t, dir, slices.Concat(kept, inUse))
	if !busy.Counts() {
		t.Error("the lock of a living writer was removed")
	}
	busy.Release()
}

// A Dir sweeps its folder at its first Update and then once a minute. The time of a sweep grows
// with the number of records, and the time of most Updates must not.
func TestSweepsAreRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, other := newDir(t), newDir(t)
		put(t, dir, "a", "one")
		put(t, other, "a", "one")
		for _, tt := range []struct {
			wait time.Duration
			want bool
		}{
			{0, false}, {59 * time.Second, false}, {time.Second, true}, {30 * time.Second, false},
			{time.Hour, true},
		} {
			left := pathOf(t, dir, "gone", ".tmp-1")
			if err := os.WriteFile(left, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			time.Sleep(tt.wait)
			put(t, dir, "a", "two")
			if _, err := os.Stat(left); errors.Is(err, fs.ErrNotExist) != tt.want {
				t.Errorf("%v later: %v, want swept %v", tt.wait, err, tt.want)
			}
		}
	})
}

func wantFiles(t *testing.T, dir *file.Dir, want []string) {
	t.Helper()
	entries, err := os.ReadDir(dir.Path)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
}
