package creds_test

import (
	"context"
	"testing"
	"time"

	"github.com/countersign-go/countersign/creds"
)

// This is the floor for comparison: most of the cost of a cached credential is a reading of the
// clock.
func BenchmarkTimeNow(b *testing.B) {
	end := time.Now().Add(time.Hour)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if !time.Now().Before(end) {
				b.Error("the hour is over")
			}
		}
	})
}

func BenchmarkCached(b *testing.B) {
	e := &endpoint{lifetime: 24 * time.Hour}
	benchmark(b, e.cache())
}

func BenchmarkCachedForever(b *testing.B) {
	e := &endpoint{}
	benchmark(b, e.cache())
}

// This measures callers while the credentials are being renewed.
func BenchmarkCachedInRenewal(b *testing.B) {
	e := &endpoint{lifetime: 24 * time.Hour}
	c := e.cache()
	c.SetRandom(func(time.Duration) time.Duration { return -24 * time.Hour }) // the window is open
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	if _, err := c.Credentials(ctx); err != nil {
		b.Fatal(err)
	}
	c.Fetch = func(context.Context) (*key, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	benchmark(b, c)
}

func benchmark(b *testing.B, c *creds.Cache[*key]) {
	ctx := context.Background()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.Credentials(ctx); err != nil {
				b.Error(err)
			}
		}
	})
}

func TestCachedAllocatesNothing(t *testing.T) {
	e := &endpoint{lifetime: 24 * time.Hour}
	c := e.cache()
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() { _, _ = c.Credentials(ctx) }); n != 0 {
		t.Errorf("%v allocations for cached credentials, want none", n)
	}
}
