package countersign_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/jwt"
	"github.com/countersign-go/countersign/jwt/pyramid"
	"github.com/countersign-go/countersign/mac"
)

// A hostileField is a field, Authorization or Cookie, that an attacker without a key sends to cost
// a verifier more than it costs them.
type hostileField struct {
	scheme, name string
	field        func(size int) string
}

var hostileFields = []hostileField{
	{"MAC", "commas", filled(`MAC id="a",`, ",", "")},
	{"MAC", "parameters", filled(`MAC id="a"`, `,a#="b"`, "")},
	{"MAC", "long id", filled(`MAC ts="1", nonce="a", mac="`+noMAC+`", id="`, "a", `"`)},
	{"MAC", "long ext", filled(`MAC ts="1", nonce="a", mac="`+noMAC+`", id="a", ext="`, "a", `"`)},
	{"MAC", "escapes", filled(`MAC id="`, `\a`, `"`)},
	{"MAC", "blanks", filled("MAC id", " ", `="a"`)},
	{"Basic", "no colon", inBase64("", "a", "")},
	{"Basic", "colons", inBase64("", ":", "")},
	{"Basic", "letters of several bytes", inBase64("a:", "\u00e9", "")},
	{"JWT", "names", withHeader(`{"alg":"HS256"`, `,"a#":1`, `}`)},
	{"JWT", "names after the alg", withHeader(`{`, `"a#":1,`, `"alg":"HS256"}`)},
	{"JWT", "names almost registered", withHeader(`{"alg":"HS256"`, `,"x5tſ#":1`, `}`)},
	{"JWT", "nested arrays", withHeader(`{"alg":"HS256","a":[[]`, `,[]`, `]}`)},
	{"JWT", "nested objects", withHeader(`{"alg":"HS256","a":[{}`, `,{}`, `]}`)},
	{"JWT", "long text", withHeader(`{"alg":"HS256","a":"`, `a`, `"}`)},
	{"JWT", "long text with escapes", withHeader(`{"alg":"HS256","a":"`, `\u00e9`, `"}`)},
	{"JWT", "long number", withHeader(`{"alg":"HS256","a":1`, `0`, `}`)},
	{"JWT", "blanks in the header", withHeader(`{"alg":"HS256"`, ` `, `}`)},
	{"JWT", "long kid", withHeader(`{"alg":"HS256","kid":"`, `a`, `"}`)},
	{"JWT", "long payload", filled("Bearer "+encoded(`{"alg":"HS256"}`)+".", "e", "."+noMAC)},
	{"JWT", "dots", filled("Bearer a", ".", "")},
	{"Cookie", "empty cookies", filled("s=x", ";", "")},
	{"Cookie", "short cookies", filled("s=x", ";a=", "")},
	{"Cookie", "token between quotes", filled(`s="`, "e", `"`)},
	{"Cookie", "token with escapes", func(size int) string {
		text := filled(`"`, `\u0065`, `"`)(size/4*3 - 16)
		return "s=" + base64.URLEncoding.EncodeToString([]byte(text))
	}},
	{"Cookie", "token of pyramid_jwt", func(size int) string {
		token := withHeader(`{"alg":"HS256","a":"`, `\u00e9`, `"}`)(size/4*3 - 16)
		text := `"` + token[len("Bearer "):] + `"`
		return "s=" + base64.URLEncoding.EncodeToString([]byte(text))
	}},
}

// noMAC is 32 bytes in base64url, and is not the MAC of anything here.
var noMAC = encoded(strings.Repeat("x", 32))

func encoded(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// filled repeats part until the field has the size. A # in part is replaced by a number that
// differs each time.
func filled(head, part, tail string) func(int) string {
	return func(size int) string {
		var b strings.Builder
		b.WriteString(head)
		for i := 0; b.Len() < size-len(tail); i++ {
			b.WriteString(strings.ReplaceAll(part, "#", strconv.Itoa(i)))
		}
		return b.String() + tail
	}
}

// inBase64 is like filled, for the user and password of a Basic field.
func inBase64(head, part, tail string) func(int) string {
	return func(size int) string {
		text := filled(head, part, tail)((size-len("Basic "))/4*3 - 16)
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(text))
	}
}

// withHeader is like filled, for the header of a token whose claims and signature are short.
func withHeader(head, part, tail string) func(int) string {
	rest := "." + encoded(`{"sub":"a"}`) + "." + noMAC
	return func(size int) string {
		room := (size-len("Bearer ")-len(rest))/4*3 - 16
		return "Bearer " + encoded(filled(head, part, tail)(room)) + rest
	}
}

// verifierOf returns the verifier of a scheme. Each knows one key or one user, which no request
// has.
func verifierOf(scheme string) auth.Authenticator {
	key := creds.Secret("0123456789abcdef0123456789abcdef")
	switch scheme {
	case "MAC":
		return &mac.Verifier{Keys: func(context.Context, string) (*mac.Key, error) {
			return &mac.Key{Secret: key}, nil
		}}
	case "Basic":
		return &basic.Verifier{Users: noUser{}}
	}
	v := &jwt.Verifier{Keys: &jwt.Key{Method: "HS256", Key: key}}
	if scheme == "Cookie" {
		v.Cookie, v.Encoding = "s", pyramid.Cookie{}
	}
	return v
}

// noUser knows no user. It does not hash passwords, since the operator chooses the cost of a hash.
type noUser struct{}

func (noUser) CheckPassword(context.Context, string, creds.Secret) (string, error) {
	return "", creds.ErrWrong
}

// refuse returns a function that has v refuse a request with the field.
func refuse(t testing.TB, v auth.Authenticator, scheme, field string) func() {
	req, err := http.NewRequest("GET", "https://api.example.com/", nil)
	if err != nil {
		t.Fatal(err)
	}
	name := "Authorization"
	if scheme == "Cookie" {
		name = "Cookie"
	}
	req.Header.Set(name, field)
	if id, err := v.Authenticate(req); err == nil {
		t.Fatalf("%.40q: accepted for %v", field, id)
	}
	return func() { _, _ = v.Authenticate(req) }
}

// best returns the shortest time of many runs of each function. The functions take turns.
func best(fs ...func()) []time.Duration {
	times := make([]time.Duration, len(fs))
	for round := range 40 {
		for i, f := range fs {
			start := time.Now()
			f()
			if took := time.Since(start); round == 0 || took < times[i] {
				times[i] = took
			}
		}
	}
	return times
}

// TestFigure2_S7 measures how much work an attacker without a key can cause by one field of 8 KiB,
// the longest field that any verifier reads. On an idle machine the goal is 50 us, and 2.2 times
// the work for twice the length. The test has wider bounds, which a busy machine meets too: the
// time in which encoding/json reads the same length four times, and a number of allocations.
func TestFigure2_S7(t *testing.T) {
	text := []byte(`{"a":"` + strings.Repeat("a", 8<<10) + `"}`)
	read := func() { json.Valid(text) }
	var worst time.Duration
	var worstName, grownName string
	growth := 0.0 // from 4 to 8 KiB
	for _, f := range hostileFields {
		v := verifierOf(f.scheme)
		runs := []func(){read}
		for _, size := range []int{2 << 10, 4 << 10, 8 << 10, 16 << 10} {
			runs = append(runs, refuse(t, v, f.scheme, f.field(size)))
		}
		times := best(runs...)
		name := f.scheme + " " + f.name
		t.Logf("%-32s %8v %8v %8v %8v", name, times[1], times[2], times[3], times[4])
		if times[3] > worst {
			worst, worstName = times[3], name
		}
		// A verifier that needs less than a microsecond has rejected the field at once.
		if g := float64(times[3]) / float64(times[2]); g > growth && times[2] > time.Microsecond {
			growth, grownName = g, name
		}
		if times[3] > 4*times[0] {
			t.Errorf("%s: %v; encoding/json reads that in %v", name, times[3], times[0])
		}
		if n := testing.AllocsPerRun(10, runs[3]); n > 300 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	t.Logf("figure 2: worst %v (%s); growth %.2f (%s)", worst, worstName, growth, grownName)
	if growth > 4 {
		t.Errorf("%s: twice the length takes %.2f times as long", grownName, growth)
	}
}
