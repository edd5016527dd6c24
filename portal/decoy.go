package portal

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// Decoys are stored passwords that are compared with in place of a missing one. Each name must
// always get the same decoy. Otherwise the time for an unknown name would change when other users
// come and go, while the time for a real user would not. Users must not be able to choose the decoy
// of an unknown name, so each cell is filled once, and a secret key decides which cell a name has.
type decoys struct {
	cells [64]atomic.Pointer[stored]
}

// add stores s, which must be valid, in the cell of key if that cell is empty.
func (d *decoys) add(key uint64, s *stored) {
	d.cells[key%uint64(len(d.cells))].CompareAndSwap(nil, s)
}

// of returns the decoy in the cell of key, or in the next cell that is not empty. It returns nil if
// all cells are empty.
func (d *decoys) of(key uint64) *stored {
	for i := range uint64(len(d.cells)) {
		if s := d.cells[(key+i)%uint64(len(d.cells))].Load(); s != nil {
			return s
		}
	}
	return nil
}

// Keys maps names to numbers that an attacker cannot predict. The mapping stays the same until the
// program ends.
type keys struct {
	once sync.Once
	seed maphash.Seed // set by once
}

func (k *keys) of(name string) uint64 {
	k.once.Do(func() { k.seed = maphash.MakeSeed() })
	return maphash.String(k.seed, name)
}
