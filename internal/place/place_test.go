package bearer

import (
	"encoding/base64"
	"math/rand/v2"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"golang.org/x/oauth2"
)

func TestPlaceGet(t *testing.T) {
	field, _ := placeOf("", "", "")
	word, _ := placeOf("JWT", "", "")
	bare, _ := placeOf("", "x-token", "")
	cookie, _ := placeOf("", "", "s")
	pyramid := place{cookie: "s", pyramid: true}
	long := strings.Repeat("x", maxToken+1)
	encoded := func(text string) string { return base64.URLEncoding.EncodeToString([]byte(text)) }
	for _, test := range []struct {
		name  string
		place place
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
		name := test.place.header
		if name == "" {
			name = "Cookie"
		}
		got, err := test.place.get(http.Header{name: test.lines})
		if got != test.want || (err != nil) != test.err {
			t.Errorf("%s: got %q, %v; want %q", test.name, got, err, test.want)
		}
	}
}

// TestCookieValues compares the search for a cookie with a plain reading of all of them.
func TestCookieValues(t *testing.T) {
	p := place{cookie: "ss"}
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
		got := slices.Collect(p.cookieValues(http.Header{"Cookie": {string(text)}}))
		if !slices.Equal(got, want) {
			t.Fatalf("%q: %q, want %q", text, got, want)
		}
	}
}

// A token that is taken up can be sent in every place, and the longest that is sent can be read.
func TestLongestToken(t *testing.T) {
	taken := strings.Repeat("x", maxTaken)
	if err := checkToken(&oauth2.Token{AccessToken: taken}); err != nil {
		t.Error(err)
	}
	if checkToken(&oauth2.Token{AccessToken: taken + "x"}) == nil {
		t.Error("a longer one is taken up")
	}
	for _, p := range []place{
		{scheme: "Bearer", header: "Authorization"}, {header: "X-Token"}, {cookie: "s"},
		{scheme: strings.Repeat("s", 63), header: "Authorization"},
	} {
		longest := maxToken
		if p.scheme != "" {
			longest -= len(p.scheme) + 1
		}
		for n, sent := range map[int]bool{maxTaken: true, longest: true, longest + 1: false} {
			header := make(http.Header)
			err := p.put(header, strings.Repeat("x", n))
			if (err == nil) != sent {
				t.Errorf("%+v: %d bytes: %v", p, n, err)
			}
			if got, err := p.get(header); sent && (err != nil || len(got) != n) {
				t.Errorf("%+v: read %d bytes of %d, %v", p, len(got), n, err)
			}
		}
	}
}

// What is put into a request is what is read from it, and nothing else of it changes.
func FuzzPlace(f *testing.F) {
	f.Add("abc", "a=1; s=old;; b", uint8(0))
	f.Add("eyJ0.eyJz.c2ln", "s=1", uint8(1))
	f.Add("a/b+c==", "", uint8(2))
	f.Add("a b", "=;=", uint8(3))
	f.Add(`a"b`, "s", uint8(4))
	f.Fuzz(func(t *testing.T, token, cookies string, which uint8) {
		places := []place{
			{scheme: "Bearer", header: "Authorization"}, {header: "X-Token"}, {cookie: "s"},
			{cookie: "s", pyramid: true},
		}
		p := places[int(which)%len(places)]
		header := http.Header{"Cookie": {cookies}, "x-token": {"old"}, "authorization": {"old"}}
		before := (&http.Request{Header: header.Clone()}).Cookies()
		if err := p.put(header, token); err != nil {
			if isToken(token) && len(token) < 5<<10 {
				t.Errorf("%q: %v", token, err)
			}
			return
		}
		if got, err := p.get(header); err != nil || got != token {
			t.Fatalf("put %q, got %q, %v", token, got, err)
		}
		var rest []string
		for _, c := range (&http.Request{Header: header}).Cookies() {
			if p.cookie == "" || c.Name != p.cookie {
				rest = append(rest, c.String())
			}
		}
		for _, c := range before {
			if p.cookie != "" && c.Name == p.cookie {
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
