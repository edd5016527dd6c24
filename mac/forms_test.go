package mac_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/mac"
)

type dialects map[mac.Dialect]string

// TestTargetForms checks each form of a target (RFC 9112, section 3.2) in each dialect, as a Signer
// signs it and as a Verifier reads it. macauthlib behind waitress signs the texts of WebOb.
func TestTargetForms(t *testing.T) {
	const refused = ""
	forms := []struct {
		form, method, target string
		signed, read         dialects // the line of the base string; "" if refused
	}{
		{"origin-form", "GET", "/a%2Fb?c",
			dialects{mac.Draft01: "/a%2Fb?c", mac.WebOb: "/a/b?c", mac.Django: "/a/b"},
			dialects{mac.Draft01: "/a%2Fb?c", mac.WebOb: "/a/b?c", mac.Django: "/a/b"}},
		// A client that sends a request to a proxy signs the path. net/http writes the rest before
		// it.
		{"absolute-form", "GET", "http://example.com/a%2Fb?c",
			dialects{mac.Draft01: refused, mac.WebOb: refused, mac.Django: refused},
			dialects{mac.Draft01: "http://example.com/a%2Fb?c", mac.WebOb: "/a/b?c",
				mac.Django: refused}},
		{"absolute-form of another host", "GET", "http://example.org/a",
			dialects{mac.Draft01: refused, mac.WebOb: refused, mac.Django: refused},
			dialects{mac.Draft01: refused, mac.WebOb: refused, mac.Django: refused}},
		{"absolute-form without a path", "GET", "http://example.com",
			dialects{mac.Draft01: refused, mac.WebOb: refused, mac.Django: refused},
			dialects{mac.Draft01: "http://example.com", mac.WebOb: "/",
				mac.Django: refused}},
		{"asterisk-form", "OPTIONS", "*",
			dialects{mac.Draft01: "*", mac.WebOb: "*", mac.Django: refused},
			dialects{mac.Draft01: "*", mac.WebOb: "*", mac.Django: refused}},
		{"authority-form", "CONNECT", "example.com:80",
			dialects{mac.Draft01: refused, mac.WebOb: refused, mac.Django: refused},
			dialects{mac.Draft01: refused, mac.WebOb: refused, mac.Django: refused}},
	}
	c := &mac.Credentials{ID: "i", Key: testCreds.Key, Algorithm: mac.SHA1}
	text := func(ts, nonce, method, target string) string {
		return fmt.Sprintf("%s\n%s\n%s\n%s\nexample.com\n80\n\n", ts, nonce, method, target)
	}
	for _, f := range forms {
		for _, d := range []mac.Dialect{mac.Draft01, mac.WebOb, mac.Django} {
			name := fmt.Sprint(f.form, " in ", d)
			req := newRequest(t, f.method, "http://example.com/")
			if path, query, _ := strings.Cut(f.target, "?"); strings.HasPrefix(path, "/") {
				req = newRequest(t, f.method, "http://example.com"+f.target)
			} else if req.URL.Path = ""; f.method != http.MethodConnect {
				req.URL.Opaque, req.URL.RawQuery = path, query
			}
			err := (&mac.Signer{Source: c, Dialect: d}).Sign(req, testTime)
			switch want := f.signed[d]; {
			case want == refused:
				if !errors.Is(err, mac.ErrUnsignable) {
					t.Errorf("%s: signed: %v, want ErrUnsignable", name, err)
				}
			case err != nil:
				t.Errorf("%s: %v", name, err)
			default:
				p := params(t, req.Header.Get("Authorization"))
				want = text(p["ts"], p["nonce"], f.method, want)
				if p["mac"] != expected(mac.SHA1, string(c.Key), want) {
					t.Errorf("%s: not the MAC of %q", name, want)
				}
			}

			v := &mac.Verifier{Keys: oneKey(c), Nonces: anyNonce{}, Dialect: d}
			if d == mac.Django {
				v.Dialect = mac.Draft01
				v.Transition = &mac.Transition{Until: testTime.Add(time.Hour)}
			}
			line := f.read[d]
			if line == refused {
				line = f.target // a client may try to have it verified
			}
			got := received(newRequest(t, f.method, "http://example.com/"))
			got.RequestURI = f.target
			signed := text("1336363200", "n", f.method, line)
			got.Header.Set("Authorization", `MAC id="i", ts="1336363200", nonce="n", mac="`+
				expected(mac.SHA1, string(c.Key), signed)+`"`)
			_, err = v.AuthenticateAt(got, testTime)
			if d == mac.Django && f.read[mac.Draft01] == line {
				continue // the Verifier's own dialect accepts it
			}
			if (err == nil) != (f.read[d] != refused) {
				t.Errorf("%s: received: %v", name, err)
			}
		}
	}
}

func TestDialectString(t *testing.T) {
	got := fmt.Sprint(mac.Draft01, mac.WebOb, mac.Django, mac.Dialect(7))
	if want := "Draft01 WebOb Django Dialect(7)"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
