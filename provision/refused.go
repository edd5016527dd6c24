package provision

import (
	"crypto/sha256"
	"net/http"
	"slices"
)

// maxRefused is how many refused credentials a Client remembers.
const maxRefused = 16

// reject reports to the Cache that g was refused, and remembers g if the Cache gives it up for
// that. The Cache does not always do so, as some pages are refused with any credentials.
func (f *fetcher) reject(g *grant, refusal http.Header) {
	f.judging.Lock()
	defer f.judging.Unlock()
	// Remember it first: a fetch may start as soon as the Cache is told.
	fresh := f.refuse(g)
	f.cache.Reject(func(current *grant) bool { return current == g }, refusal)
	stays := false
	f.cache.Reject(func(current *grant) bool { // called only if g was not rejected
		stays = current == g
		return false
	}, nil)
	if stays && fresh {
		f.pardon(g)
	}
}

// accept notes that the Cache has taken g. If g was refused before, it now counts as new.
func (f *fetcher) accept(g *grant) {
	f.pardon(g)
	f.last.Store(g)
}

// refuse remembers g as refused, and reports whether it was not among the refused before.
func (f *fetcher) refuse(g *grant) bool {
	p := g.print()
	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.Contains(f.refused, p) {
		return false
	}
	if len(f.refused) == maxRefused {
		f.refused = slices.Delete(f.refused, 0, 1)
	}
	f.refused = append(f.refused, p)
	return true
}

func (f *fetcher) pardon(g *grant) {
	p := g.print()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refused = slices.DeleteFunc(f.refused, func(r [sha256.Size]byte) bool { return r == p })
}

func (f *fetcher) wasRefused(g *grant) bool {
	p := g.print()
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.refused, p)
}
