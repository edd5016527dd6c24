package place_test

import (
	"encoding/base64"
	"math/rand/v2"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/internal/place"
)

func TestPlaceGet(t *testing.T) {
	field, _ := place.New("", "", "")
	word, _ := place.New("JWT", "", "")
	bare, _ := place.New("", "x-token", "")
	cookie, _ := place.New("", "", "s")
	pyramid := place.Place{Cookie: "s", Encoding: place.Pyramid{}}
	long := strings.Repeat("x", place.MaxToken+1)
	encoded := func(text string) string { return base64.URLEncoding.EncodeToString([]byte(text)) }
	for _, test := range []struct {
		name  string
		place place.Place
		lines []string
		want  string
		err   bool
	}{
		{"none", field, nil, "", false},
		{"a token", field, []string{"Bearer abc"}, "abc", false},
		{"in any case", field, []string{"bEARER abc"}, "abc", false},
		{"after blanks", field, []string{"Bearer   abc"}, "abc", false},
		{"another scheme", field, []string{"Basic abc"}, "", false},
		{"a longer word", field, []string{"Bearers abc"}, "", false},
		{"no space, which must not pass for no token", field, []string{"Bearerabc"}, "", true},
		{"a colon", field, []string{"Bearer: abc"}, "", true},
		{"a colon and no space", field, []string{"Bearer:abc"}, "", true},
		{"an equals sign", field, []string{"Bearer=abc"}, "", true},
		{"a shorter word", field, []string{"Bear"}, "", false},
		{"no token", field, []string{"Bearer"}, "", true},
		{"a comma", field, []string{"Bearer,abc"}, "", true},
		{"two words", field, []string{"Bearer abc def"}, "", true},
		{"parameters", field, []string{`Bearer a="b"`}, "", true},
		{"two lines", field, []string{"Bearer abc", "Bearer abc"}, "", true},
		{"one of them ours", field, []string{"Basic abc", "Bearer abc"}, "", true},
		{"two of others", field, []string{"Basic abc", "Basic def"}, "", false},
		{"too long", field, []string{"Bearer " + long}, "", true},
		{"another word", word, []string{"jwt abc"}, "abc", false},
		{"not Bearer then", word, []string{"Bearer abc"}, "", false},
		{"bare", bare, []string{"abc"}, "abc", false},
		{"bare and empty", bare, []string{""}, "", false},
		{"bare and none", bare, nil, "", false},
		{"bare with a word", bare, []string{"Bearer abc"}, "", true},
		{"bare twice", bare, []string{"abc", "abc"}, "", true},
		{"bare and long", bare, []string{long}, "", true},
		{"a cookie", cookie, []string{"a=1; s=abc; b=2"}, "abc", false},
		{"in one of two lines", cookie, []string{"a=1", "s=abc"}, "abc", false},
		{"no cookie", cookie, []string{"S=abc; ss=abc; s"}, "", false},
		{"an empty cookie", cookie, []string{"s="}, "", false},
		{"twice", cookie, []string{"s=abc; s=def"}, "", true},
		{"twice in two lines", cookie, []string{"s=abc", "s=abc"}, "", true},
		{"in quotes", cookie, []string{`a=1; s="abc"; b=2`}, "abc", false},
		{"in quotes and empty", cookie, []string{`s=""`}, "", false},
		{"in half a pair of quotes", cookie, []string{`s="abc`}, "", true},
		{"a quote alone", cookie, []string{`s="`}, "", true},
		{"in two pairs of quotes", cookie, []string{`s=""abc""`}, "", true},
		{"in quotes, as pyramid_jwt has it", pyramid, []string{`s="` + encoded(`"abc"`) + `"`},
			"abc", false},
		{"a long cookie", cookie, []string{"s=" + long}, "", true},
		{"as pyramid_jwt has it", pyramid, []string{"s=" + encoded(`"abc"`)}, "abc", false},
		{"a bare token there", pyramid, []string{"s=abc"}, "", true},
		{"a number there", pyramid, []string{"s=" + encoded(`12`)}, "", true},
		{"nothing in it", pyramid, []string{"s=" + encoded(`""`)}, "", true},
		{"not a token in it", pyramid, []string{"s=" + encoded(`"a b"`)}, "", true},
		{"spare bits", pyramid, []string{"s=ImEi" + "ImJ="}, "", true},
	} {
		name := test.place.Header
		if name == "" {
			name = "Cookie"
		}
		got, err := test.place.Get(http.Header{name: test.lines})
		if got != test.want || (err != nil) != test.err {
			t.Errorf("%s: got %q, %v; want %q", test.name, got, err, test.want)
		}
	}
}

// TestCookieValues compares the search for a cookie with a simple parser that reads all of them.
func TestCookieValues(t *testing.T) {
	p := place.Place{Cookie: "ss"}
	for range 200_000 {
		text := make([]byte, rand.IntN(24))
		for i := range text {
			text[i] = "sss==;; \t\"x"[rand.IntN(11)]
		}
		var want []string
		for pair := range strings.SplitSeq(string(text), ";") {
			name, value, ok := strings.Cut(textproto.TrimString(pair), "=")
			if ok && name == "ss" {
				if n := len(value); n > 1 && value[0] == '"' && value[n-1] == '"' {
					value = value[1 : n-1]
				}
				want = append(want, value)
			}
		}
		got := slices.Collect(p.CookieValues(http.Header{"Cookie": {string(text)}}))
		if !slices.Equal(got, want) {
			t.Fatalf("%q: %q, want %q", text, got, want)
		}
	}
}

// A token that is accepted from a server can be sent in every place, and the longest token that can
// be sent can be read.
func TestLongestToken(t *testing.T) {
	for _, p := range []place.Place{
		{Scheme: "Bearer", Header: "Authorization"}, {Header: "X-Token"}, {Cookie: "s"},
		{Scheme: strings.Repeat("s", 63), Header: "Authorization"},
	} {
		longest := place.MaxToken
		if p.Scheme != "" {
			longest -= len(p.Scheme) + 1
		}
		for n, sent := range map[int]bool{place.MaxTaken: true, longest: true, longest + 1: false} {
			header := make(http.Header)
			err := p.Put(header, strings.Repeat("x", n))
			if (err == nil) != sent {
				t.Errorf("%+v: %d bytes: %v", p, n, err)
			}
			if got, err := p.Get(header); sent && (err != nil || len(got) != n) {
				t.Errorf("%+v: read %d bytes of %d, %v", p, len(got), n, err)
			}
		}
	}
}

// A token that Put writes into a request is the token that Get reads from it. Nothing else in the
// request changes.
func FuzzPlace(f *testing.F) {
	f.Add("abc", "a=1; s=old;; b", uint8(0))
	f.Add("eyJ0.eyJz.c2ln", "s=1", uint8(1))
	f.Add("a/b+c==", "", uint8(2))
	f.Add("a b", "=;=", uint8(3))
	f.Add(`a"b`, "s", uint8(4))
	f.Fuzz(func(t *testing.T, token, cookies string, which uint8) {
		places := []place.Place{
			{Scheme: "Bearer", Header: "Authorization"}, {Header: "X-Token"}, {Cookie: "s"},
			{Cookie: "s", Encoding: place.Pyramid{}},
		}
		p := places[int(which)%len(places)]
		header := http.Header{"Cookie": {cookies}, "x-token": {"old"}, "authorization": {"old"}}
		before := (&http.Request{Header: header.Clone()}).Cookies()
		if err := p.Put(header, token); err != nil {
			if place.IsToken(token) && len(token) < 5<<10 {
				t.Errorf("%q: %v", token, err)
			}
			return
		}
		if got, err := p.Get(header); err != nil || got != token {
			t.Fatalf("put %q, got %q, %v", token, got, err)
		}
		var rest []string
		for _, c := range (&http.Request{Header: header}).Cookies() {
			if p.Cookie == "" || c.Name != p.Cookie {
				rest = append(rest, c.String())
			}
		}
		for _, c := range before {
			if p.Cookie != "" && c.Name == p.Cookie {
				continue
			}
			if len(rest) == 0 || rest[0] != c.String() {
				t.Fatalf("the cookies %q became %q", cookies, header["Cookie"])
			}
			rest = rest[1:]
		}
		if len(rest) > 0 {
			t.Errorf("%q came in addition", rest)
		}
	})
}
