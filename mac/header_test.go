package mac_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/mac"
)

// TestOtherSpellings_C15 signs requests that already have an Authorization field.
func TestOtherSpellings_C15(t *testing.T) {
	req := newRequest(t, "GET", "http://example.com/")
	for _, name := range []string{
		"authorization", "AUTHORIZATION", "Authorization", "authorizatioN",
	} {
		req.Header[name] = []string{"Basic eDp5", "Bearer t"}
	}
	req.Header["Authorizatio"] = []string{"kept"}
	if err := (&mac.Signer{Source: testCreds}).Sign(req, testTime); err != nil {
		t.Fatal(err)
	}
	if len(req.Header) != 2 || len(req.Header["Authorization"]) != 1 ||
		!strings.HasPrefix(req.Header["Authorization"][0], "MAC ") {
		t.Errorf("header %v", req.Header)
	}

	line := req.Header["Authorization"][0]
	if text, _, err := mac.Reprint("MAC" + line[4:]); err == nil {
		t.Errorf("without a blank behind the scheme: %s", text)
	}
	tests := []struct {
		lines []string
		want  error
	}{
		{nil, auth.ErrNone},
		{[]string{""}, auth.ErrNone},
		{[]string{"Basic eDp5"}, auth.ErrNone},
		{[]string{"Basic eDp5", "Bearer t"}, auth.ErrNone},
		{[]string{"MACaroon x"}, auth.ErrNone},
		{[]string{"Macaroon x"}, auth.ErrNone},
		{[]string{line}, nil},
		{[]string{line, line}, mac.ErrMalformed},
		{[]string{line, "Basic eDp5"}, mac.ErrMalformed},
		{[]string{"Basic eDp5", line}, mac.ErrMalformed},
		{[]string{"Basic eDp5", "mac"}, mac.ErrMalformed},
		{[]string{"mac" + line[3:]}, mac.ErrMalformed},
		{[]string{"Mac" + line[3:]}, mac.ErrMalformed},
		{[]string{" " + line}, mac.ErrMalformed},
		{[]string{line + " "}, mac.ErrMalformed},
		{[]string{"MAC"}, mac.ErrMalformed},
		{[]string{"MAC\t" + line[4:]}, nil},
		{[]string{line + ", Basic eDp5"}, mac.ErrMalformed},
	}
	for _, test := range tests {
		got := received(req)
		got.Header["Authorization"] = test.lines
		if err := authenticate(newVerifier(), got); !errors.Is(err, test.want) {
			t.Errorf("%q: %v, want %v", test.lines, err, test.want)
		}
	}
}

// TestHeaderGrammar_C16_C17_C18_R5_R9_S4 changes one part at a time of a header that passes.
func TestHeaderGrammar_C16_C17_C18_R5_R9_S4(t *testing.T) {
	req := signedAt(t, testCreds, "1336363200", "dj83hs9s")
	line := req.Header.Get("Authorization")
	tag := params(t, line)["mac"]
	if err := authenticate(newVerifier(), req); err != nil {
		t.Fatal(err)
	}
	same := []struct{ old, new, why string }{
		{`, `, `,`, "no blanks"},
		{`, `, "\t , \t", "many blanks"},
		{`MAC `, "MAC  \t", "many blanks behind the scheme"},
		{`"1336363200"`, `1336363200`, "ts without quotes"},
		{`"dj83hs9s"`, `dj83hs9s`, "nonce without quotes"},
		{`, mac=`, `, ext="", mac=`, "an empty ext"},
	}
	for _, test := range same {
		req.Header.Set("Authorization", strings.ReplaceAll(line, test.old, test.new))
		if err := authenticate(newVerifier(), req); err != nil {
			t.Errorf("%s: %v", test.why, err)
		}
	}
	malformed := []struct{ old, new, why string }{
		{`id=`, `id="a", id=`, "C16: id twice"},
		{`mac=`, `mac="` + tag + `", mac=`, "C16: mac twice"},
		{`mac=`, `ext="", ext="x", mac=`, "C16: ext twice, once empty"},
		{`id=`, `scheme="MAC", id=`, "C16: a parameter called scheme"},
		{`id=`, `realm="x", id=`, "C16: an unknown name"},
		{`id=`, `ID=`, "C16: a name in upper case"},
		{`id=`, `i%64=`, "C16: an escaped name"},
		{tag, tag[:len(tag)-1], "C17: no padding"},
		{tag, tag + "=", "C17: more padding"},
		{tag, tag[:len(tag)-2] + spare(tag) + "=", "C17: spare bits"},
		{tag, tag[:20] + " " + tag[20:], "C17: a blank inside"},
		{tag, tag[:20] + "\r\n" + tag[20:], "C17: a line end inside"},
		{tag, tag[:28], "C17: cut to the length of SHA-1"},
		{tag, strings.NewReplacer("+", "-", "/", "_").Replace(tag[:42]) + "-=", "C17: URL-safe"},
		{tag, "", "C17: empty"},
		{`"` + tag + `"`, tag, "C18: base64 without quotes"},
		{`"` + tag + `"`, `"` + tag, "C18: an open quote"},
		{`"` + tag + `"`, `"` + tag + `"x`, "C18: text behind a quote"},
		{`"` + tag + `"`, `"` + tag + `",`, "C18: a comma at the end"},
		{`", ts`, `",, ts`, "C18: two commas"},
		{`MAC `, `MAC ,`, "C18: a comma first"},
		{`", ts`, `" ts`, "C18: no comma"},
		{`", ts`, `"; ts`, "C18: a semicolon"},
		{`id=`, `id =`, "C18: a blank before ="},
		{`id=`, `id= `, "C18: a blank after ="},
		{`id=`, `id==`, "C18: two ="},
		{`id=`, `id`, "C18: no ="},
		{`"h480`, `"h4\80`, "C18: an escape"},
		{`"h480djs93hd8"`, `'h480djs93hd8'`, "C18: other quotes"},
		{`"h480djs93hd8"`, ``, "C18: no value"},
		{`"h480djs93hd8"`, `""`, "C18: an empty value"},
		{`"h480djs93hd8"`, "\"h480\u00e9\"", "C18: beyond ASCII"},
		{`"h480djs93hd8"`, "\"h4\x0080\"", "C18: a NUL"},
		{`MAC `, "MAC\u00a0", "C18: another blank"},
		{`"1336363200"`, `"+1336363200"`, "R5"},
		{`"1336363200"`, `"01336363200"`, "R5"},
		{`"1336363200"`, `" 1336363200"`, "R5"},
		{`"1336363200"`, `"1336363200.0"`, "R5"},
		{`"1336363200"`, `"1e9"`, "R5"},
		{`"1336363200"`, `"1_336"`, "R5"},
		{`"1336363200"`, `"-1"`, "R5"},
		{`"1336363200"`, `"0"`, "R5"},
		{`"1336363200"`, `"1336363200123456"`, "R5: 16 digits"},
		{`dj83hs9s`, strings.Repeat("n", 129), "R9: a nonce over 128 bytes"},
		{`h480djs93hd8`, strings.Repeat("i", 8193-len(line)+12), "S4: a header over 8 KiB"},
	}
	for _, test := range malformed {
		changed := strings.Replace(line, test.old, test.new, 1)
		if changed == line {
			t.Fatalf("%s: nothing was changed", test.why)
		}
		req.Header.Set("Authorization", changed)
		if err := authenticate(newVerifier(), req); !errors.Is(err, mac.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", test.why, err)
		}
	}
	// A Verifier still reads a header at the limits. It then refuses the MAC, which was made for
	// other values.
	for old, longest := range map[string]string{
		"dj83hs9s":     strings.Repeat("n", 128),
		"h480djs93hd8": strings.Repeat("i", 8192-len(line)+len("h480djs93hd8")),
		`"1336363200"`: `"133636320012345"`,
	} {
		req.Header.Set("Authorization", strings.Replace(line, old, longest, 1))
		if err := authenticate(newVerifier(), req); errors.Is(err, mac.ErrMalformed) || err == nil {
			t.Errorf("%.20s...: %v", longest, err)
		}
	}
}

// spare returns tag with other spare bits in its last letter. Both decode to the same bytes.
func spare(tag string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	i := strings.IndexByte(alphabet, tag[len(tag)-2])
	return alphabet[i^1 : i^1+1]
}

// TestCredentials_C19 signs with credentials and ext that would break out of the header.
func TestCredentials_C19(t *testing.T) {
	for _, bad := range []string{`a"b`, `a\b`, "a\nb", "a\rb", "a\x00b", "a\x7fb", "café", ""} {
		for what, c := range map[string]*mac.Credentials{
			"id":  {ID: bad, Key: []byte("k")},
			"key": {ID: "i", Key: []byte(bad)},
		} {
			req := newRequest(t, "GET", "http://example.com/")
			err := (&mac.Signer{Source: c}).Sign(req, testTime)
			if !errors.Is(err, mac.ErrCredentials) || len(req.Header) != 0 {
				t.Errorf("%s %q: %v, want ErrCredentials; header %v", what, bad, err, req.Header)
			}
			if bad != "" && strings.Contains(err.Error(), bad) {
				t.Errorf("the error holds the %s: %v", what, err)
			}
		}
		if bad == "" {
			continue
		}
		req := newRequest(t, "GET", "http://example.com/")
		s := &mac.Signer{Source: testCreds, Ext: fixed(bad)}
		if err := s.Sign(req, testTime); !errors.Is(err, mac.ErrUnsignable) {
			t.Errorf("ext %q: %v, want ErrUnsignable", bad, err)
		}
		for _, field := range [][3]string{{bad, "n", ""}, {"1", bad, ""}, {"1", "n", bad}} {
			_, err := mac.BaseString(req, mac.Draft01, field[0], field[1], field[2])
			if !errors.Is(err, mac.ErrUnsignable) {
				t.Errorf("BaseString with %q: %v, want ErrUnsignable", field, err)
			}
		}
	}
}
