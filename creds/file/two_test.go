package file_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/creds/file"
)

// sameFolder returns Dirs of one folder, each with a different spelling of its Path.
func sameFolder(t *testing.T) []*file.Dir {
	t.Helper()
	t.Chdir(t.TempDir())
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return []*file.Dir{
		{Path: filepath.Join(folder, "store")}, {Path: filepath.Join(folder, "store")},
		{Path: "store"}, {Path: "other/../store/"},
	}
}

// TestTwoDirsOfOnePath_K13 checks that two Dirs of one folder exclude each other.
func TestTwoDirsOfOnePath_K13(t *testing.T) {
	dirs := sameFolder(t)
	var inside, overlaps atomic.Int32
	var all sync.WaitGroup
	for _, dir := range dirs {
		for range 2 {
			all.Go(func() {
				for range increments {
					err := dir.Update(t.Context(), "counter", func(old []byte) ([]byte, error) {
						if inside.Add(1) != 1 {
							overlaps.Add(1)
						}
						defer inside.Add(-1)
						return counted(count(old) + 1), nil
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	all.Wait()
	if n := overlaps.Load(); n != 0 {
		t.Errorf("%d Updates ran beside another", n)
	}
	want := 2 * len(dirs) * increments
	wantCount(t, dirs[0], want, want)
	wantClean(t, dirs[0])
}

// A Dir whose goroutines pass the lock on to each other leaves time for another Dir of its Path.
func TestTwoDirsShareTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dirs := sameFolder(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		updates := make([]atomic.Int32, len(dirs))
		var all sync.WaitGroup
		for i, dir := range dirs {
			for range 5 {
				all.Go(func() {
					for ctx.Err() == nil {
						_ = dir.Update(ctx, "a", func([]byte) ([]byte, error) {
							updates[i].Add(1)
							time.Sleep(7 * time.Millisecond)
							return []byte("x"), nil
						})
					}
				})
			}
		}
		all.Wait()
		for i := range updates {
			if n := updates[i].Load(); n < 3 {
				t.Errorf("Dir %d had the lock %d times in a second", i, n)
			}
		}
	})
}
