package issue_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/creds/file"
	"github.com/countersign-go/countersign/provision/issue"
)

// BenchmarkLinear_S7 reports how many times longer an id of twice the length takes: 2, or 4 if the
// time were quadratic.
func BenchmarkLinear_S7(b *testing.B) {
	issuer := &issue.Issuer{Secrets: []creds.Secret{creds.Secret("canary-11near-0123456789")}}
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

// BenchmarkRegistryIssue issues, lists and revokes a credential in a folder that holds credentials
// of other subjects. The time must not depend on their number.
func BenchmarkRegistryIssue(b *testing.B) {
	for _, others := range []int{0, 2000, 30000} {
		b.Run(strconv.Itoa(others), func(b *testing.B) {
			dir := filepath.Join(b.TempDir(), "registry")
			r := &issue.Registry{Store: &file.Dir{Path: dir}}
			ctx, ann := context.Background(), subject("ann")
			cycle := func() {
				c, err := r.Issue(ctx, ann)
				if err != nil {
					b.Fatal(err)
				}
				if entries, err := r.List(ctx, "ann"); err != nil || len(entries) != 1 {
					b.Fatal(entries, err)
				}
				if err := r.Revoke(ctx, c.ID); err != nil {
					b.Fatal(err)
				}
			}
			cycle() // sweeps the folder, which happens once a minute
			for i := range others {
				for _, name := range []string{"id-%064x.record", "id-%064x.lock",
					"subject-%064x.record", "subject-%064x.lock"} {
					path := filepath.Join(dir, "registry-"+fmt.Sprintf(name, i))
					if err := os.WriteFile(path, nil, 0o600); err != nil {
						b.Fatal(err)
					}
				}
			}
			for b.Loop() {
				cycle()
			}
		})
	}
}
