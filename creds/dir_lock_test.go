package creds_test

import (
	"context"
	"errors"
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

// An Update that has its record writes it, although nobody may be waiting any more.
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

// Without a record, the file of the lock goes with each lock, while others are about to take it.
// Still there is one holder at a time.
func TestLockFileThatGoes_K13(t *testing.T) {
	dir := newDir(t)
	if err := os.MkdirAll(string(dir), 0o700); err != nil {
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

// The lock of a file that lost its name is worth nothing: the next one locks another file.
func TestLockOfAFileWithoutName_K13(t *testing.T) {
	dir := newDir(t)
	put(t, dir, "a", "one")
	lock, err := dir.TryLock("a")
	if err != nil || lock == nil || !lock.Counts() {
		t.Fatalf("no lock: %v", err)
	}
	defer lock.Release()
	path := file(t, dir, "a", ".lock")
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

func TestLeftovers_K14(t *testing.T) {
	dir := newDir(t)
	put(t, dir, "a", "one")
	put(t, dir, "b", "busy")
	write := func(path string) string {
		if err := os.WriteFile(path, []byte(hidden), 0o600); err != nil {
			t.Fatal(err)
		}
		return filepath.Base(path)
	}
	write(file(t, dir, "a", ".tmp-1"))
	write(file(t, dir, "a", ".tmp-2"))
	write(file(t, dir, "gone", ".tmp-1")) // nobody may ever store this again
	write(file(t, dir, "first", ".lock")) // of somebody killed before there was a record
	kept := []string{
		filepath.Base(file(t, dir, "a", ".lock")), filepath.Base(file(t, dir, "a", ".record")),
		filepath.Base(file(t, dir, "b", ".lock")), filepath.Base(file(t, dir, "b", ".record")),
		write(filepath.Join(string(dir), "notes.tmp-1")), // not ours
		write(filepath.Join(string(dir), "a-ca978112.tmp-1")),
		write(filepath.Join(string(dir), "notes.lock")),
	}
	err := dir.Update(t.Context(), "b", func([]byte) ([]byte, error) {
		inUse := write(file(t, dir, "b", ".tmp-1")) // as of a living writer
		lock, err := dir.TryLock("c")               // as of one who makes the first record
		if err != nil || lock == nil {
			t.Fatal(lock, err)
		}
		put(t, dir, "a", "two")
		wantFiles(t, dir, append(kept, inUse, filepath.Base(file(t, dir, "c", ".lock"))))
		if !lock.Counts() {
			t.Error("the lock of a living writer was removed")
		}
		lock.Release()
		return nil, errors.New("killed")
	})
	if err == nil {
		t.Fatal("no error")
	}
	put(t, dir, "a", "three")
	wantFiles(t, dir, kept)
}

func wantFiles(t *testing.T, dir creds.Dir, want []string) {
	t.Helper()
	entries, err := os.ReadDir(string(dir))
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
