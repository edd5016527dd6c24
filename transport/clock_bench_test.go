package transport_test

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/countersign-go/countersign/transport"
)

// BenchmarkClock sets and gets the time of 10,000 origins in turn. The cost of an operation must
// not depend on how many origins there have been.
func BenchmarkClock(b *testing.B) {
	for _, origins := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint(origins), func(b *testing.B) {
			clock := new(transport.Clock)
			urls := make([]*url.URL, origins)
			for i := range urls {
				urls[i] = &url.URL{Scheme: "https", Host: fmt.Sprintf("%d.example", i)}
			}
			for i := 0; b.Loop(); i++ {
				clock.Set(urls[i%origins], time.Hour)
				clock.Now(urls[(i+origins/2)%origins])
			}
		})
	}
}

// A Clock is bounded, so the cost of an operation does not grow with the number of origins. It was
// over a millisecond with 10,000 of them.
func TestClockIsFlat_M2(t *testing.T) {
	clock := new(transport.Clock)
	cost := func(origins int) time.Duration {
		best := time.Hour
		for range 5 {
			start := time.Now()
			for i := range 10_000 {
				u := &url.URL{Scheme: "https", Host: fmt.Sprintf("%d.example", i%origins)}
				clock.Set(u, time.Hour)
			}
			best = min(best, time.Since(start))
		}
		return best / 10_000
	}
	few, many := cost(10), cost(10_000)
	t.Logf("10 origins: %v, 10,000 origins: %v for each Set", few, many)
	if many > 20*few+10*time.Microsecond {
		t.Errorf("Set costs %v with 10,000 origins, and %v with 10", many, few)
	}
}
