package mac

import (
	"net/http"
	"slices"
)

// A trial is one way to read a request and its key.
type trial struct {
	reading
	dialect Dialect
	ext     string
	key     []byte
}

// append writes the base string. It is nil if there is none.
func (t *trial) append(dst []byte, h *header) []byte {
	if t.Path == "" {
		return nil
	}
	for _, part := range []string{t.Path, t.Query, t.Prefix} {
		for i := range len(part) {
			if part[i] < ' ' || part[i] == 0x7f {
				return nil // what is decoded must not shift the lines
			}
		}
	}
	dst, err := t.assemble(appendLines(dst, h.ts, h.nonce), t.dialect, t.ext)
	if err != nil {
		return nil
	}
	return dst
}

// A change makes another trial of one.
type change struct {
	finding
	make func(*trial)
}

// An axis has changes of which at most one can be the case.
type axis []change

// A search looks for the trial that makes the MAC of h.
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

// run tries the request as it is, then each change alone, then two of different axes.
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
	// What strangers can make long, which is read also where it gives no text.
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
