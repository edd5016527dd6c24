package authparam_test

import (
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/internal/authparam"
)

// hostile are lines that cost a careless parser more than they are long.
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

// Twice the line takes about twice the time, and would take four times if a rule were quadratic.
// The shortest of many runs counts, which a busy machine disturbs little.
func TestLinear_S7(t *testing.T) {
	for _, tt := range hostile {
		half := []string{fill(tt.head, tt.repeat, 4<<10)}
		full := []string{fill(tt.head, tt.repeat, 8<<10)}
		a, b := time.Hour, time.Hour
		for range 50 {
			for range 10 {
				a = min(a, timeOf(half))
				b = min(b, timeOf(full))
			}
			if b < 3*a {
				break
			}
		}
		if b >= 3*a {
			t.Errorf("%s: 4 KiB take %v, 8 KiB take %v", tt.name, a, b)
		}
	}
}

func timeOf(lines []string) time.Duration {
	start := time.Now()
	authparam.Parse(lines)
	return time.Since(start)
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
