package provision_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/provision"
)

// BenchmarkLinear_S7 reports how many times longer an id of twice the length takes: 2, and 4 if a
// rule were quadratic.
func BenchmarkLinear_S7(b *testing.B) {
	issuer := &provision.Issuer{Secrets: []creds.Secret{creds.Secret("canary-11near-0123456789")}}
	for name, unit := range map[string]string{"letters": "A", "padding": "=", "stranger": "!"} {
		b.Run(name, func(b *testing.B) {
			one, two := strings.Repeat(unit, 2000), strings.Repeat(unit, 4000)
			var short, long time.Duration
			for b.Loop() {
				start := time.Now()
				_, _ = issuer.Key(context.Background(), one)
				middle := time.Now()
				_, _ = issuer.Key(context.Background(), two)
				short += middle.Sub(start)
				long += time.Since(middle)
			}
			b.ReportMetric(float64(long)/float64(short), "times")
		})
	}
}
