package auth

import "slices"

// spans is a set of numbers, as ranges in increasing order that neither overlap nor touch.
type spans []span

// A span is the range of numbers from first to last, both included.
type span struct{ first, last int64 }

// find reports whether n is in the set, and returns the last number of its range.
func (s spans) find(n int64) (last int64, found bool) {
	i := s.search(n)
	if i == len(s) || s[i].first > n {
		return 0, false
	}
	return s[i].last, true
}

// search returns the index of the first range that does not end before n.
func (s spans) search(n int64) int {
	i, _ := slices.BinarySearchFunc(s, n, func(r span, n int64) int {
		if r.last < n {
			return -1
		}
		return 1
	})
	return i
}

// add adds n to the set.
func (s *spans) add(n int64) {
	i := s.search(n - 1)
	switch r := *s; {
	case i == len(r) || r[i].first > n+1:
		*s = slices.Insert(r, i, span{n, n})
		return
	default:
		r[i].first = min(r[i].first, n)
		r[i].last = max(r[i].last, n)
	}
	if r := *s; i+1 < len(r) && r[i+1].first == r[i].last+1 {
		r[i].last = r[i+1].last
		*s = slices.Delete(r, i+1, i+2)
	}
}

// limit joins ranges until there are at most maxSpans, which adds numbers to the set. It joins the
// ranges that are nearest to each other, and first those that begin at or before past.
func (s *spans) limit(past int64) {
	for len(*s) > maxSpans {
		r, best := *s, 1
		for i := 2; i < len(r) && (r[i].first <= past || r[1].first > past); i++ {
			if r[i].first-r[i-1].last < r[best].first-r[best-1].last {
				best = i
			}
		}
		r[best-1].last = r[best].last
		*s = slices.Delete(r, best, best+1)
	}
}
