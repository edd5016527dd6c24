package mac_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/mac"
)

// benchKey has the shape of the keys that tokenlib derives.
const benchKey = "pD2bZkM9b0Jt0Yk1b1mW4m4S2y4mJfQx6mT7p7G2k0A="

// reference is R: one HMAC-SHA256 over 120 bytes with a keyed hash that is reused.
func reference() func() {
	keyed := hmac.New(sha256.New, []byte(benchKey))
	text := make([]byte, 120)
	sum := make([]byte, 0, sha256.Size)
	return func() {
		keyed.Reset()
		keyed.Write(text)
		sum = keyed.Sum(sum[:0])
	}
}

// inR runs op as the benchmark, and reports its cost in units of R. op and the reference alternate
// in short slices of the same run, because on a busy machine the times of two runs do not compare.
func inR(b *testing.B, op func()) {
	b.Helper()
	b.ReportAllocs()
	r := reference()
	const slice = 1000
	var ours, theirs time.Duration
	for done := 0; done < b.N; done += slice {
		n := min(slice, b.N-done)
		start := time.Now()
		for range n {
			op()
		}
		middle := time.Now()
		for range n {
			r()
		}
		ours += middle.Sub(start)
		theirs += time.Since(middle)
	}
	b.ReportMetric(float64(ours)/float64(b.N), "ns/op")
	b.ReportMetric(float64(ours)/float64(theirs), "R")
}

func benchRequest(b *testing.B) *http.Request {
	b.Helper()
	req, err := http.NewRequest("GET", "https://api.example.com/v1/items?limit=10&offset=20", nil)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "benchmark/1.0")
	req.Header.Set("X-Request-Id", "5f0c0f4e")
	return req
}

func BenchmarkSign(b *testing.B) {
	for _, algorithm := range []string{mac.SHA256, mac.SHA1} {
		b.Run(string(algorithm), func(b *testing.B) {
			s := &mac.Signer{Source: &mac.Credentials{
				ID: "h480djs93hd8", Key: []byte(benchKey), Algorithm: algorithm}}
			req := benchRequest(b)
			now := time.Now()
			inR(b, func() {
				if err := s.Sign(req, now); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	key := &mac.Key{Secret: []byte(benchKey)}
	v := &mac.Verifier{
		Keys: func(_ context.Context, id string) (*mac.Key, error) {
			if id != "h480djs93hd8" {
				return nil, mac.ErrUnknownID
			}
			return key, nil
		},
		Nonces: anyNonce{},
		Window: time.Hour,
	}
	for _, id := range []string{"h480djs93hd8", "unknown"} {
		b.Run(id, func(b *testing.B) {
			s := &mac.Signer{Source: &mac.Credentials{ID: id, Key: []byte(benchKey)}}
			req := benchRequest(b)
			if err := s.Sign(req, time.Now()); err != nil {
				b.Fatal(err)
			}
			req = received(req)
			inR(b, func() {
				if _, err := v.Authenticate(req); (err == nil) != (id == "h480djs93hd8") {
					b.Fatal(err)
				}
			})
		})
	}
}

// BenchmarkLinear_S7 reports the cost of doubling an input, as a multiple: at most 2.2.
func BenchmarkLinear_S7(b *testing.B) {
	v := &mac.Verifier{Keys: oneKey(testCreds), Nonces: anyNonce{}, Window: 1 << 62}
	header := func(line string) func() {
		req := received(benchRequest(b))
		req.Header.Set("Authorization", line)
		return func() { _, _ = v.Authenticate(req) }
	}
	target := func(d mac.Dialect, unit string, n int) func() {
		req := received(benchRequest(b))
		req.RequestURI = "/" + strings.Repeat(unit, n)
		return func() { _, _ = mac.BaseString(req, d, "1", "n", "") }
	}
	challenge := func(line string) func() {
		resp := &http.Response{Header: http.Header{"Www-Authenticate": {line}}}
		return func() { new(mac.Signer).Read(resp) }
	}
	tail := `, ts="1336363200", nonce="n", mac="6T3zZzy2Emppni6bzL7kdRxUWL4="`
	shapes := []struct {
		name string
		of   func(n int) func()
	}{
		{"commas", func(n int) func() { return header("MAC " + strings.Repeat(",", n)) }},
		{"open quote", func(n int) func() { return header(`MAC id="` + strings.Repeat("i", n)) }},
		{"equals", func(n int) func() { return header("MAC " + strings.Repeat("=", n)) }},
		{"blanks", func(n int) func() { return header("MAC " + strings.Repeat(" ", n) + "id") }},
		{"no name", func(n int) func() { return header("MAC " + strings.Repeat("i", n)) }},
		{"long id", func(n int) func() {
			return header(`MAC id="` + strings.Repeat("i", n) + `"` + tail)
		}},
		{"many names", func(n int) func() { return header("MAC " + strings.Repeat("id=i,", n/5)) }},
		{"target", func(n int) func() { return target(mac.Draft01, "a", n) }},
		{"escapes", func(n int) func() { return target(mac.WebOb, "%41", n) }},
		{"slashes", func(n int) func() { return target(mac.WebOb, "/", n) }},
		{"challenge commas", func(n int) func() {
			return challenge("MAC " + strings.Repeat(",", n))
		}},
		{"challenges", func(n int) func() { return challenge(strings.Repeat("MAC,", n/4)) }},
		{"challenge quotes", func(n int) func() {
			return challenge(`MAC error="` + strings.Repeat(`\"`, n/2))
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
