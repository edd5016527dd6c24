package authparam_test

import (
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/internal/authparam"
)

// hostile holds lines for which a careless parser takes more than linear time.
var hostile = []struct{ name, head, repeat string }{
	{"commas", "MAC ", ","},
	{"schemes", "", "a,"},
	{"blanks", "MAC a", " "},
	{"blanks before each equals sign", "MAC a=1", ",b          "},
	{"one token68", "MAC ", "a"},
	{"padding", "MAC a", "="},
	{"token68 after token68", "", "a b=,"},
	{"an open quote", `MAC a="`, "a"},
	{"escapes", `MAC a="`, `\"`},
	{"challenges full of parameters", "", "A" + manyParams(16) + ","},
}

func fill(head, repeat string, n int) string {
	return (head + strings.Repeat(repeat, n))[:n]
}

// BenchmarkLinear_S7 reports how much longer a line of twice the length takes: 2, or 4 if a rule
// were quadratic.
func BenchmarkLinear_S7(b *testing.B) {
	for _, tt := range hostile {
		b.Run(tt.name, func(b *testing.B) {
			one := []string{fill(tt.head, tt.repeat, 4<<10)}
			two := []string{fill(tt.head, tt.repeat, 8<<10)}
			var short, long time.Duration
			for b.Loop() {
				start := time.Now()
				_, _ = authparam.Parse(one)
				middle := time.Now()
				_, _ = authparam.Parse(two)
				short += middle.Sub(start)
				long += time.Since(middle)
			}
			b.ReportMetric(float64(long)/float64(short), "times")
		})
	}
}

func BenchmarkParse(b *testing.B) {
	run := func(name, line string) {
		lines := []string{line}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				authparam.Parse(lines)
			}
		})
	}
	run("MAC", `MAC error="stale", ts="1336363200"`)
	for _, tt := range hostile {
		run(tt.name+"/4KiB", fill(tt.head, tt.repeat, 4<<10))
		run(tt.name+"/8KiB", fill(tt.head, tt.repeat, 8<<10))
	}
}
