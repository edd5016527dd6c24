package jwt_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/jwt"
)

func BenchmarkAuthenticate(b *testing.B) {
	for _, key := range []*jwt.Key{
		hmacKey, {Method: "ES256", Key: ecKey()}, {Method: "RS256", Key: rsaKey()},
		{Method: "EdDSA", Key: edKey()},
	} {
		b.Run(key.Method, func(b *testing.B) {
			v := &jwt.Verifier{Keys: key, Issuer: "us"}
			req := withToken(mint(b, key, nil, claimsOf("1", time.Hour)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Authenticate(req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLinear_S7 reports by which factor the cost grows when the input doubles: at most 2.2.
func BenchmarkLinear_S7(b *testing.B) {
	v := &jwt.Verifier{Keys: hmacKey, NoExpiry: true, Audience: []string{"api"}}
	token := func(token string) func() {
		return func() { _, _ = v.Verify(context.Background(), token) }
	}
	header := func(json string) func() { return token(part(b, json) + ".e30.AA") }
	claims := func(json string) func() { return token(mint(b, hmacKey, nil, json)) }
	names := func(n int) string {
		var s strings.Builder
		for i := range n / 9 {
			fmt.Fprintf(&s, `"%04x":1,`, i)
		}
		return "{" + s.String() + `"z":1}`
	}
	shapes := []struct {
		name string
		of   func(n int) func()
	}{
		{"dots", func(n int) func() { return token(strings.Repeat(".", n)) }},
		{"one part", func(n int) func() { return token(strings.Repeat("A", n)) }},
		{"signature", func(n int) func() { return token("e30.e30." + strings.Repeat("A", n/4*4)) }},
		{"line breaks", func(n int) func() { return token("e30.e30." + strings.Repeat("\n", n)) }},
		{"header names", func(n int) func() { return header(names(n * 3 / 4)) }},
		{"header depth", func(n int) func() {
			return header(`{"a":` + strings.Repeat("[", n*3/4) + `}`)
		}},
		{"header escapes", func(n int) func() {
			return header(`{"alg":"` + strings.Repeat(`\u0061`, n/8) + `"}`)
		}},
		{"claim names", func(n int) func() { return claims(names(n * 5 / 8)) }},
		{"audiences", func(n int) func() {
			return claims(`{"aud":[` + strings.Repeat(`"a",`, n*5/32) + `"b"]}`)
		}},
		{"digits", func(n int) func() {
			return claims(`{"exp":` + strings.Repeat("1", n*5/8) + `}`)
		}},
		{"cookies", func(n int) func() {
			v := &jwt.Verifier{Keys: hmacKey, Cookie: "s"}
			req := withToken("x")
			req.Header.Set("Cookie", strings.Repeat("a=b; ", n/5))
			return func() { _, _ = v.Authenticate(req) }
		}},
		{"blanks", func(n int) func() {
			req := withToken(strings.Repeat(" ", n))
			return func() { _, _ = v.Authenticate(req) }
		}},
	}
	for _, shape := range shapes {
		b.Run(shape.name, func(b *testing.B) {
			one, two := shape.of(4000), shape.of(8000)
			var short, long time.Duration
			for b.Loop() {
				start := time.Now()
				one()
				middle := time.Now()
				two()
				short += middle.Sub(start)
				long += time.Since(middle)
			}
			b.ReportMetric(float64(long)/float64(short), "times")
		})
	}
}
