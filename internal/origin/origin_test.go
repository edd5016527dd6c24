package origin_test

import (
	"context"
	"errors"
	"hash/maphash"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/countersign-go/countersign/internal/origin"
)

// dialed returns the address that net/http connects to for a request to u, or "" if net/http
// refuses u. Name lookup ignores the case of ASCII letters, so dialed does too.
func dialed(u *url.URL) string {
	var address string
	t := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(_ context.Context, _, addr string) (net.Conn, error) {
			address = addr
			return nil, errors.New("not connected")
		},
	}
	_, _ = t.RoundTrip(&http.Request{Method: "GET", URL: u, Header: http.Header{}})
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, address)
}

// If two hosts have the same origin, net/http connects to the same address for both. The test
// compares every pair of code points.
func TestEqualOriginsAreDialedAlike_B1(t *testing.T) {
	with := func(r rune) url.URL {
		return url.URL{Scheme: "http", Host: "ap" + string(r) + ".example"}
	}
	seed := maphash.MakeSeed()
	first := make(map[uint64]rune, unicode.MaxRune) // by the hash of the origin's host
	pairs := 0
	for r := range unicode.MaxRune + 1 {
		if !utf8.ValidRune(r) {
			continue
		}
		u := with(r)
		o := origin.Of(&u)
		hash := maphash.String(seed, o.Host)
		former, found := first[hash]
		if !found {
			first[hash] = r
			continue
		}
		pairs++
		other := with(former)
		if a, b := dialed(&other), dialed(&u); a != b {
			t.Errorf("%q and %q are both %s, but net/http connects to %s and %s",
				other.Host, u.Host, o, a, b)
		}
	}
	if pairs != 26 {
		t.Errorf("%d pairs are equal, want the 26 of ASCII letters", pairs)
	}
}

// Spellings that are equal by IDNA or Unicode are not equal here: only the case of ASCII letters is
// ignored.
func TestSpellings_B1(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"https://desk.example", "HTTPS://DESK.Example:443/x?y#z", true},
		{"http://desk.example", "http://desk.example:80", true},
		{"https://desk.example", "https://de\u017fk.example", false}, // long s
		{"https://desk.example", "https://des\u212a.example", false}, // Kelvin sign
		{"https://api.example", "https://ap\u0130.example", false},   // I with a dot
		{"https://api.example", "https://ap%C4%B0.example", false},
		{"https://api.example", "https://ap\u0131.example", false}, // i without a dot
		{"https://api.example", "https://ap%C4%B0.EXAMPLE", false},
		{"https://api.example", "https://api\u3002example", false},  // ideographic full stop
		{"https://api.example", "https://api\uff0eexample", false},  // fullwidth full stop
		{"https://api.example", "https://\uff41pi.example", false},  // fullwidth a
		{"https://api.example", "https://api.example\u00ad", false}, // soft hyphen
		{"https://api.example", "https://api.example\u200b", false}, // zero width space
		{"https://b\u00fccher.example", "https://b%C3%BCcher.example", true},
		{"https://b\u00fccher.example", "https://b%c3%bccher.example", true},
		{"https://b\u00fccher.example", "https://B\u00fccher.example", false},
		{"https://b\u00fccher.example", "https://b\u00dccher.example", false},
		{"https://b\u00fccher.example", "https://xn--bcher-kva.example", false},
		{"https://\u10d0.example", "https://\u1c90.example", false}, // Georgian
		{"https://\u0430.example", "https://\u0410.example", false}, // Cyrillic
		{"http://[FE80::1%25eth0]:80/", "http://[fe80::1%25eth0]", true},
		{"http://[fe80::1%25ETH0]", "http://[fe80::1%25eth0]", false},
		{"http://[::1]", "http://[0:0:0:0:0:0:0:1]", false},
		{"https://api.example", "https://api.example.", false},
		{"https://api.example:0443", "https://api.example", false},
	} {
		a, b := parse(t, tt.a), parse(t, tt.b)
		if same := origin.Of(a) == origin.Of(b); same != tt.same {
			t.Errorf("%+q and %+q: equal is %v, want %v", tt.a, tt.b, same, tt.same)
		}
		if tt.same && dialed(a) != dialed(b) {
			t.Errorf("%+q and %+q lead to %s and %s", tt.a, tt.b, dialed(a), dialed(b))
		}
	}
}

// Parse accepts each spelling of an origin.
func TestText(t *testing.T) {
	for _, tt := range []struct{ in, short, long string }{
		{"https://User.Example/", "https://user.example", "https://user.example:443"},
		{"HTTP://user.example", "http://user.example", "http://user.example:80"},
		{"https://user.example:8443/", "https://user.example:8443", "https://user.example:8443"},
		{"http://[::1]:8080/", "http://[::1]:8080", "http://[::1]:8080"},
		{"http://[FE80::1%25eth0]:80/", "http://[fe80::1%25eth0]", "http://[fe80::1%25eth0]:80"},
		{"https://ap%C4%B0.example", "https://ap\u0130.example", "https://ap\u0130.example:443"},
	} {
		o, ok := origin.Parse(tt.in)
		if !ok || o.String() != tt.short || o.Long() != tt.long || origin.Of(o.URL()) != o {
			t.Errorf("%s: %v, %s, %s, %s", tt.in, ok, o, o.Long(), o.URL())
		}
		for _, text := range []string{o.String(), o.Long()} {
			if again, ok := origin.Parse(text); again != o || !ok {
				t.Errorf("%s is read as %v, %v", text, again, ok)
			}
		}
	}
	for _, in := range []string{"", "user.example", "ftp://user.example", "https://", "https:user",
		"https://user.example/v1", "https://u@user.example", "https://user.example?",
		"https://user.example?x", "https://user.example#x", "https://user.example:x",
		"https://*.user.example", "https://*", "https://user.example:0",
		"https://user.example:65536"} {
		if o, ok := origin.Parse(in); ok {
			t.Errorf("%q is read as %s", in, o)
		}
	}
}

// A host that is a loopback host only by IDNA is not trusted.
func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LocalHost": true, "127.0.0.1": true, "127.8.8.8": true, "[::1]": true,
		"[::ffff:127.0.0.1]": true, "x.localhost": false, "localhost.": false, "10.0.0.1": false,
		"localhost.example": false, "127.0.0.1.example": false, "0.0.0.0": false, "127.1": false,
		"localho\u017ft": false, "\uff4cocalhost": false, "127\u30020\u30020\u30021": false,
	} {
		if got := origin.Of(parse(t, "http://"+host)).Loopback(); got != want {
			t.Errorf("%+q: %v", host, got)
		}
	}
}

func TestAllocs(t *testing.T) {
	u := parse(t, "https://api.example.com:8443/x")
	if n := testing.AllocsPerRun(100, func() { _ = origin.Of(u) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func parse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
