package file

import (
	"context"
	"maps"
	"sync"
	"time"
)

// The goroutines of one process queue up for a record, so that only the first of them polls for the
// lock of its file, and the next one has it without delay. That lock alone protects the record, so
// nothing goes wrong where one folder has two names, and each of them its own queue.
var queues = queueMap{
	all: make(map[queueKey]*queue), swept: make(map[string]time.Time),
}

type queueMap struct {
	mu     sync.Mutex // guards the rest, and users of each queue
	all    map[queueKey]*queue
	swept  map[string]time.Time // when this process swept a folder, if in the last minutes
	purged time.Time            // when old elements of swept were removed
}

// sweepEvery is the least time between two sweeps of a folder by this process. A sweep lists the
// folder, so its cost grows with the number of records.
const sweepEvery = time.Minute

// sweepDue reports whether the caller is to sweep the folder now.
func (m *queueMap) sweepDue(folder string, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	recent := func(t time.Time) bool { return now.Sub(t).Abs() < sweepEvery }
	if recent(m.swept[folder]) {
		return false
	}
	if !recent(m.purged) {
		m.purged = now
		maps.DeleteFunc(m.swept, func(_ string, t time.Time) bool { return !recent(t) })
	}
	m.swept[folder] = now
	return true
}

type queueKey struct{ folder, base string }

type queue struct {
	users int           // whoever waits or has the turn; without any, there is no queue
	turn  chan struct{} // holds one element while somebody has the turn

	since time.Time // when other processes last had a chance; for who has the turn
}

// maxHold is for how long the goroutines of one process may hand a lock on to each other. Other
// processes poll, and would never find it free.
const maxHold = 10 * poll

// enter waits for its turn. Then leave is to be called, and pause says for how long to wait first.
func (d Dir) enter(ctx context.Context, base string) (
	leave func(), pause time.Duration, err error) {
	key := queueKey{d.folder(), base}
	q := queues.join(key)
	select {
	case q.turn <- struct{}{}:
	case <-ctx.Done():
		queues.quit(key, q)
		return nil, 0, ended(ctx)
	}
	if time.Since(q.since) > maxHold {
		q.since, pause = time.Now(), 2*poll
	}
	return func() {
		<-q.turn
		queues.quit(key, q)
	}, pause, nil
}

func (m *queueMap) join(key queueKey) *queue {
	m.mu.Lock()
	defer m.mu.Unlock()
	q := m.all[key]
	if q == nil {
		q = &queue{turn: make(chan struct{}, 1), since: time.Now()}
		m.all[key] = q
	}
	q.users++
	return q
}

func (m *queueMap) quit(key queueKey, q *queue) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if q.users--; q.users == 0 {
		delete(m.all, key)
	}
}
