package raven

import (
	"encoding/binary"
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/alexedwards/scs/v2"
)

func numbered(i int) (id answerID) {
	binary.BigEndian.PutUint64(id[:], uint64(i))
	return id
}

func TestMemory(t *testing.T) {
	var m memory
	now := time.Unix(1e9, 0)
	later := now.Add(time.Minute)
	for i := range maxRemembered {
		if fresh, full := m.add(numbered(i), now, later); !fresh || full {
			t.Fatalf("%d: fresh %t, full %t", i, fresh, full)
		}
	}
	if _, full := m.add(numbered(-1), now, later); !full {
		t.Error("it is not bounded")
	}
	if fresh, _ := m.add(numbered(0), now, later); fresh || !m.has(numbered(0), now) {
		t.Error("the first is forgotten")
	}
	if m.has(numbered(-1), now) {
		t.Error("it remembers what it could not add")
	}
	fresh, full := m.add(numbered(-1), later, later.Add(1))
	if !fresh || full || len(m.until) != 1 {
		t.Errorf("fresh %t, full %t, %d left", fresh, full, len(m.until))
	}
	if m.has(numbered(0), later) || !m.has(numbered(-1), later) {
		t.Error("it is wrong about who is left")
	}
	if fresh, full := m.add(numbered(-1), later.Add(1), later.Add(2)); !fresh || full {
		t.Error("what has ended is not forgotten")
	}
}

// TestEnded checks that Logins with the same sessions share the memory of ended logins, and that
// the memory is freed with the sessions.
func TestEnded(t *testing.T) {
	sessions, others := new(scs.SessionManager), new(scs.SessionManager)
	first, again := endedOf(sessions), endedOf(sessions)
	if first != again || first == endedOf(others) {
		t.Error("it is not one memory for each")
	}
	key := weak.Make(sessions)
	runtime.KeepAlive(sessions)
	for range 100 {
		runtime.GC()
		runtime.Gosched()
		if _, ok := ended.Load(key); !ok {
			return
		}
	}
	t.Error("it is kept when its sessions have gone")
}

func TestAnswerNames(t *testing.T) {
	seen := map[answerID]bool{}
	for _, of := range []struct {
		issue int64
		id    string
	}{{1, "1"}, {11, ""}, {1, "1!"}, {1, ""}, {-1, "1"}, {1, "!1"}} {
		if id := nameAnswer(of.issue, of.id); seen[id] {
			t.Errorf("%v has the name of another", of)
		} else {
			seen[id] = true
		}
	}
}
