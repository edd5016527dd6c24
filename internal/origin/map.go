package origin

import (
	"container/list"
	"sync"
	"sync/atomic"
)

// MapSize is how many origins a [Map] holds.
const MapSize = 1024

// A Map holds a value for each of at most MapSize origins. Its size is bounded since others may
// choose the origins that a program sends to. When it is full, it drops an origin that was not used
// recently. It drops origins whose values are kept after all others. The zero value is empty. A Map
// is safe for concurrent use.
type Map[V any] struct {
	mu     sync.RWMutex // guards the fields below
	places map[Origin]*place[V]
	queues [2]list.List // of *place[V], the next to drop in front; the second has the kept places
}

type place[V any] struct {
	origin  Origin
	value   V
	kept    bool
	element *list.Element
	used    atomic.Bool // since the place was last at the front of its queue
}

// Get returns the value of o, or the zero value if o is not in the Map.
func (m *Map[V]) Get(o Origin) V {
	m.mu.RLock()
	defer m.mu.RUnlock()
	p := m.places[o]
	if p == nil {
		var none V
		return none
	}
	if !p.used.Load() {
		p.used.Store(true)
	}
	return p.value
}

// Put sets the value of o. If keep is set, the value is dropped only after all values that are not
// kept.
func (m *Map[V]) Put(o Origin, value V, keep bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.places[o]
	switch {
	case p == nil:
		m.makeRoom()
		p = &place[V]{origin: o}
		m.places[o] = p
	case p.kept == keep:
		p.value = value
		return
	default:
		m.queue(p.kept).Remove(p.element)
	}
	p.value, p.kept = value, keep
	p.element = m.queue(keep).PushBack(p)
}

// Delete drops the value of o.
func (m *Map[V]) Delete(o Origin) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.places[o]; p != nil {
		m.queue(p.kept).Remove(p.element)
		delete(m.places, o)
	}
}

func (m *Map[V]) queue(kept bool) *list.List {
	if kept {
		return &m.queues[1]
	}
	return &m.queues[0]
}

// makeRoom drops an origin if the Map is full. It is called with m.mu held.
func (m *Map[V]) makeRoom() {
	if m.places == nil {
		m.places = make(map[Origin]*place[V])
	}
	if len(m.places) < MapSize {
		return
	}
	queue := &m.queues[0]
	if queue.Len() == 0 {
		queue = &m.queues[1]
	}
	for {
		p := queue.Front().Value.(*place[V]) //nolint:forcetypeassert // a queue holds nothing else
		if !p.used.Swap(false) {
			queue.Remove(p.element)
			delete(m.places, p.origin)
			return
		}
		queue.MoveToBack(p.element)
	}
}
