package file_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Goroutines of one process that wait for a record do not poll: each gets it once the record is
// free.
func TestQueueDoesNotPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := newDir(t)
		var all sync.WaitGroup
		update := func(hold time.Duration) {
			err := dir.Update(t.Context(), "a", func([]byte) ([]byte, error) {
				time.Sleep(hold)
				return []byte("x"), nil
			})
			if err != nil {
				t.Error(err)
			}
		}
		start := time.Now()
		all.Go(func() { update(time.Second) })
		synctest.Wait()
		for range 100 {
			all.Go(func() { update(0) })
		}
		all.Wait()
		if waited := time.Since(start); waited > time.Second+20*time.Millisecond {
			t.Errorf("the last one was done after %v of the first one's 1 s", waited)
		}
		if n := dir.Queues(); n != 0 {
			t.Errorf("%d queues are left", n)
		}
	})
}

// If one process writes all the time, other processes find the lock free from time to time.
func TestQueueLeavesRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := newDir(t)
		put(t, dir, "a", "x")
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				for ctx.Err() == nil {
					_ = dir.Update(ctx, "a", func([]byte) ([]byte, error) {
						time.Sleep(7 * time.Millisecond)
						return []byte("x"), nil
					})
				}
			})
		}
		time.Sleep(time.Millisecond)
		got := 0
		for range 200 { // polls for a second, as another process does
			lock, err := dir.TryLock("a")
			if err != nil {
				t.Error(err)
			}
			if lock != nil {
				got++
				lock.Release()
			}
			time.Sleep(5 * time.Millisecond)
		}
		cancel()
		all.Wait()
		if got < 10 {
			t.Errorf("the lock was free %d times in a second", got)
		}
	})
}

// A goroutine that stops waiting leaves no queue behind.
func TestQueueLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := newDir(t)
		err := dir.Update(t.Context(), "a", func([]byte) ([]byte, error) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			err := dir.Update(ctx, "a", func([]byte) ([]byte, error) { return nil, nil })
			wantDirErr(t, err, context.DeadlineExceeded, "no longer waiting")
			if n := dir.Queues(); n != 1 {
				t.Errorf("%d queues", n)
			}
			return nil, nil
		})
		if n := dir.Queues(); err != nil || n != 0 {
			t.Errorf("%d queues, %v", n, err)
		}
	})
}
