package raven_test

import (
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/raven"
)

// BenchmarkParse measures parsing an answer. Nearly all of the time goes into the signature.
func BenchmarkParse(b *testing.B) {
	v := loadVectors(b)
	for name, kid := range map[string]string{"1024 bits": "2", "2048 bits": "1"} {
		r := success()
		r.KeyID = kid
		text, s := sign(b, v, r, kid), v.service(b, kid)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Parse(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLinear_S7 reports by which factor the time grows when the input doubles: at most 2.2.
func BenchmarkLinear_S7(b *testing.B) {
	s := new(raven.Service)
	const head, tail = "3!410!", "!20240115T093000Z!1!u!!!!!!!!"
	request := func(r *raven.Request) func() { return func() { _, _ = r.Query() } }
	for name, of := range map[string]func(n int) func(){
		"bangs":   func(n int) func() { return parsing(s, "3"+strings.Repeat("!", n)) },
		"message": func(n int) func() { return parsing(s, head+strings.Repeat("m", n)+tail) },
		"escapes": func(n int) func() { return parsing(s, head+strings.Repeat("%21", n/3)+tail) },
		"commas": func(n int) func() {
			return parsing(s, "3!410!!20240115T093000Z!1!u!!"+strings.Repeat(",", n)+"!!!!!!")
		},
		"description": func(n int) func() {
			return request(&raven.Request{URL: "https://a/", Desc: strings.Repeat("é", n/16)})
		},
		"url": func(n int) func() {
			return request(&raven.Request{URL: "https://a/" + strings.Repeat("%21", n/16)})
		},
	} {
		b.Run(name, func(b *testing.B) {
			one, two := of(3500), of(7000)
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

func parsing(s *raven.Service, text string) func() {
	return func() { _, _ = s.Parse(text) }
}
