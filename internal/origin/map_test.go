package origin_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/countersign-go/countersign/internal/origin"
)

func numbered(i int) origin.Origin {
	return origin.Origin{Scheme: "https", Host: fmt.Sprintf("%d.example", i), Port: "443"}
}

// A Map is bounded for any keys. Origins in use are not dropped, and kept origins are dropped last.
func TestMapIsBounded_M2(t *testing.T) {
	var m origin.Map[int]
	m.Put(numbered(-1), 1, true)
	m.Put(numbered(-2), 2, false)
	const many = 10 * origin.MapSize
	for i := range many {
		m.Put(numbered(i), i+10, false)
		if m.Get(numbered(-2)) != 2 {
			t.Fatalf("an origin in use was dropped after %d others", i)
		}
	}
	held := 0
	for i := range many {
		if v := m.Get(numbered(i)); v != 0 {
			held++
			if v != i+10 {
				t.Fatalf("%d has %d", i, v)
			}
		}
	}
	if held != origin.MapSize-2 || m.Get(numbered(-1)) != 1 || m.Get(numbered(many-1)) == 0 {
		t.Errorf("%d others are held, the kept one has %d", held, m.Get(numbered(-1)))
	}

	// The number of kept origins is bounded too, and the last of them is in the Map.
	for i := range many {
		m.Put(numbered(many+i), 1, true)
	}
	held = 0
	for i := range 2 * many {
		held += min(1, m.Get(numbered(i)))
	}
	if held != origin.MapSize || m.Get(numbered(2*many-1)) != 1 {
		t.Errorf("%d are held", held)
	}
}

func TestMap(t *testing.T) {
	var m origin.Map[int]
	a := numbered(1)
	m.Delete(a)
	if v := m.Get(a); v != 0 {
		t.Error(v)
	}
	for i, keep := range []bool{false, true, true, false} {
		m.Put(a, i+1, keep)
		if v := m.Get(a); v != i+1 {
			t.Error(i, v)
		}
	}
	m.Delete(a)
	if v := m.Get(a); v != 0 {
		t.Error(v)
	}
	for range 2 * origin.MapSize { // deleted places do not count
		m.Put(a, 1, false)
		m.Delete(a)
	}
	m.Put(numbered(2), 2, false)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 2 * origin.MapSize {
				m.Put(numbered(10+i+j), 1, j%3 == 0)
				m.Get(numbered(10 + j))
				m.Delete(numbered(11 + j))
			}
		})
	}
	wg.Wait()
}
