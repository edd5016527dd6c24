package mac

import (
	"net/http"
	"slices"
)

// A trial is one way to read a request, together with a key to try.
type trial struct {
	reading
	dialect Dialect
	ext     string
	key     []byte
}

// append appends the base string. It returns nil if the trial has none.
func (t *trial) append(dst []byte, h *header) []byte {
	if t.Path == "" {
		return nil
	}
	for _, part := range []string{t.Path, t.Query, t.Prefix} {
		for i := range len(part) {
			if part[i] < ' ' || part[i] == 0x7f {
				return nil // decoded bytes must not shift the lines
			}
		}
	}
	dst, err := t.assemble(appendLines(dst, h.ts, h.nonce), t.dialect, t.ext)
	if err != nil {
		return nil
	}
	return dst
}

// A change turns one trial into another.
type change struct {
	finding
	make func(*trial)
}

// An axis holds changes that exclude each other.
type axis []change

// A search looks for a trial that gives the MAC of h.
type search struct {
	h        *header
	req      *http.Request
	verifier *Verifier
	start    trial

	tries, hashed int
	text          []byte
	found         trial
	changes       []change // that lead from start to found
}

// run tries the unchanged request, then each change alone, then pairs of changes from different
// axes.
func (s *search) run() bool {
	if s.try() {
		return true
	}
	axes := s.axes()
	for _, a := range axes {
		for _, c := range a {
			if s.try(c) {
				return true
			}
		}
	}
	for i, a := range axes {
		for _, b := range axes[i+1:] {
			for _, first := range a {
				for _, second := range b {
					if s.try(first, second) {
						return true
					}
				}
			}
		}
	}
	return false
}

func (s *search) try(changes ...change) bool {
	if s.tries >= maxTries || s.hashed >= maxHashed {
		return false
	}
	t := s.start
	for _, c := range changes {
		c.make(&t)
	}
	if s.text == nil {
		s.text = make([]byte, blockSize, 1024)
	}
	s.tries++
	// Count the parts that an attacker can make long. They cost time even if the trial gives no
	// text.
	s.hashed += len(t.Prefix) + len(t.Path) + len(t.Query) + len(t.Host) + len(t.ext)
	text := t.append(s.text[:blockSize], s.h)
	if text == nil {
		return false
	}
	s.text = text
	got := s.h.algorithm().mac(t.key, text)
	if !got.equal(&s.h.mac) {
		return false
	}
	s.found, s.changes = t, slices.Clone(changes)
	return true
}
