package raven

import (
	"crypto/sha256"
	"runtime"
	"strconv"
	"sync"
	"time"
	"weak"

	"github.com/alexedwards/scs/v2"
)

// maxRemembered bounds a memory to about 10 MB.
const maxRemembered = 1 << 17

// An answerID is a hash of the time and the id of an answer. No two answers have the same time and
// id (section 3 of the protocol).
type answerID [sha256.Size]byte

func nameAnswer(issue int64, id string) answerID {
	return sha256.Sum256([]byte(strconv.FormatInt(issue, 10) + "!" + id))
}

// ended holds, for each session manager, the memory of its ended logins, which all Logins with that
// manager share. The keys are weak pointers, so that the map does not keep a manager alive.
var ended sync.Map // of *memory by weak.Pointer[scs.SessionManager]

// endedOf returns the memory of ended logins of a session manager.
func endedOf(sessions *scs.SessionManager) *memory {
	key := weak.Make(sessions)
	kept, found := ended.LoadOrStore(key, new(memory))
	if !found {
		runtime.AddCleanup(sessions, func(key weak.Pointer[scs.SessionManager]) {
			ended.Delete(key)
		}, key)
	}
	return kept.(*memory) //nolint:forcetypeassert // nothing else is put there
}

// A memory holds answers, each until a given time. The zero value is empty. It is safe for
// concurrent use.
type memory struct {
	mu    sync.Mutex // guards the fields below
	until map[answerID]time.Time
	sweep int // the size at which add next deletes expired entries
}

// add remembers an answer until a time. fresh is false if the answer is remembered already. full is
// true if there is no room; the answer is then not remembered.
func (m *memory) add(id answerID, now, until time.Time) (fresh, full bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if end, ok := m.until[id]; ok && now.Before(end) {
		return false, false
	}
	if len(m.until) >= max(m.sweep, 1024) {
		for id, end := range m.until {
			if !now.Before(end) {
				delete(m.until, id)
			}
		}
		m.sweep = min(2*len(m.until), maxRemembered)
	}
	if len(m.until) >= maxRemembered {
		return true, true
	}
	if m.until == nil {
		m.until = make(map[answerID]time.Time)
	}
	m.until[id] = until
	return true, false
}

// has reports whether an answer is remembered.
func (m *memory) has(id answerID, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	end, ok := m.until[id]
	return ok && now.Before(end)
}
