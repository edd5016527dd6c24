package file

import (
	"context"
	"sync"
	"time"
)

// queues has the goroutines that use one Dir take turns, with one queue for each record. Only the
// first goroutine in a queue polls for the lock of the file, and the next one gets it without
// delay. The lock alone protects the record: two Dirs of one Path have separate queues, and wait
// for each other as two processes do.
type queues struct {
	mu    sync.Mutex // guards the rest, and users of each queue
	all   map[string]*queue
	swept time.Time // when this Dir last swept its folder
}

// sweepEvery is the least time between two sweeps of a folder by one Dir. A sweep lists the folder,
// so its cost grows with the number of records.
const sweepEvery = time.Minute

// sweepDue reports whether the caller must sweep the folder now.
func (s *queues) sweepDue(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.swept).Abs() < sweepEvery {
		return false
	}
	s.swept = now
	return true
}

type queue struct {
	users int           // goroutines that wait or have the turn; at zero, the queue is deleted
	turn  chan struct{} // holds one element while a goroutine has the turn

	since time.Time // when other processes last had a chance; only the turn's holder uses it
}

// maxHold is how long the goroutines of one Dir may pass a lock on to each other. Other processes
// poll, and would never find it free.
const maxHold = 10 * poll

// enter waits for a turn. The caller must then pause, lock the record, and finally call leave.
func (s *queues) enter(ctx context.Context, base string) (
	leave func(), pause time.Duration, err error) {
	q := s.join(base)
	select {
	case q.turn <- struct{}{}:
	case <-ctx.Done():
		s.quit(base, q)
		return nil, 0, ended(ctx)
	}
	if time.Since(q.since) > maxHold {
		q.since, pause = time.Now(), 2*poll
	}
	return func() {
		<-q.turn
		s.quit(base, q)
	}, pause, nil
}

func (s *queues) join(base string) *queue {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.all[base]
	if q == nil {
		if s.all == nil {
			s.all = make(map[string]*queue)
		}
		q = &queue{turn: make(chan struct{}, 1), since: time.Now()}
		s.all[base] = q
	}
	q.users++
	return q
}

func (s *queues) quit(base string, q *queue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.users--; q.users == 0 {
		delete(s.all, base)
	}
}
