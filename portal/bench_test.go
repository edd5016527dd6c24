package portal_test

import (
	"context"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
)

// All three must take the same time, S2.
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

// BenchmarkFile measures the cost of a login except the hash: a look at the file, and reading it if
// it is new.
func BenchmarkFile(b *testing.B) {
	for _, name := range []string{"read", "cached"} {
		b.Run(name, func(b *testing.B) {
			users := &portal.File{
				Path:   writeUsers(b, strings.Repeat("# some user\n", 1000)+"ann:x\n"),
				Verify: func(string, creds.Secret, string) bool { return true },
			}
			if name == "cached" {
				settle(b, users.Path)
			}
			for b.Loop() {
				users.Check(context.Background(), password("ann", "x"))
			}
		})
	}
}

// BenchmarkHash measures the cost of a login, by format. The costs are those that the formats'
// authors advise.
func BenchmarkHash(b *testing.B) {
	const salt, key = "$c2FsdHNhbHRzYWx0c2FsdA$", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE"
	for _, bb := range []struct{ name, stored string }{
		{"bcrypt-10", strings.Replace(bcryptOfX, "$04$", "$10$", 1)},
		{"argon2id-64MiB-3", "$argon2id$v=19$m=65536,t=3,p=4" + salt + key},
		{"pbkdf2-600000", "$pbkdf2-sha256$600000" + salt + key},
		{"sha512crypt-5000", "$6$salt$" + strings.Repeat("x", 86)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			users := &portal.File{Path: writeUsers(b, "ann:"+bb.stored)}
			if err := users.Load(); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				users.Check(context.Background(), password("ann", "x"))
			}
		})
	}
}
