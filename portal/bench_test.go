package portal_test

import (
	"context"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
)

// The three must take the same time, S2.
func BenchmarkMemory(b *testing.B) {
	users := portal.Memory{
		"short": creds.Secret("x"),
		"long":  creds.Secret(strings.Repeat("x", 1<<10)),
	}
	for _, user := range []string{"short", "long", "nobody"} {
		b.Run(user, func(b *testing.B) {
			given := portal.Password{User: user, Password: creds.Secret("wrong")}
			for b.Loop() {
				users.Check(context.Background(), given)
			}
		})
	}
}
