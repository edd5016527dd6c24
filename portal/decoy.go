package portal

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// Decoys are stored passwords that stand for those who have none. A name has always the same one,
// else its time would change when others come and go, and that of a user would not. And who can
// log in must not choose what strangers are compared with, so a cell is filled once, and a key that
// nobody knows says which cell is whose.
type decoys struct {
	cells [64]atomic.Pointer[stored]
}

// add keeps s, which is good, for its cell, if that is empty.
func (d *decoys) add(key uint64, s *stored) {
	d.cells[key%uint64(len(d.cells))].CompareAndSwap(nil, s)
}

// of returns what is in the cell of a name or, where that is empty, in the next; nil: nothing is
// in any.
func (d *decoys) of(key uint64) *stored {
	for i := range uint64(len(d.cells)) {
		if s := d.cells[(key+i)%uint64(len(d.cells))].Load(); s != nil {
			return s
		}
	}
	return nil
}

// Keys are numbers of names that nobody can foretell. They stay until the program ends.
type keys struct {
	once sync.Once
	seed maphash.Seed // made by once
}

func (k *keys) of(name string) uint64 {
	k.once.Do(func() { k.seed = maphash.MakeSeed() })
	return maphash.String(k.seed, name)
}
