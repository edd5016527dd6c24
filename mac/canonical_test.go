package mac_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/mac"
)

var (
	testTime  = time.Unix(1336363200, 0)
	testCreds = &mac.Credentials{ID: "h480djs93hd8", Key: []byte("489dks293j39")}
)

// anyNonce accepts every nonce, for tests of a Verifier's other checks.
type anyNonce struct{}

func (anyNonce) Claim(context.Context, string, string, time.Time) (bool, error) { return true, nil }

func newVerifier() *mac.Verifier {
	return &mac.Verifier{Keys: oneKey(testCreds), Nonces: anyNonce{}}
}

// signed returns req as a server receives it, signed by testCreds.
func signed(t testing.TB, req *http.Request) *http.Request {
	t.Helper()
	if err := (&mac.Signer{Source: testCreds}).Sign(req, testTime); err != nil {
		t.Fatal(err)
	}
	return received(req)
}

func authenticate(v *mac.Verifier, req *http.Request) error {
	_, err := v.AuthenticateAt(req, testTime)
	return err
}

// TestTargetTampering_C1_C2_C3_C4_C6_C7_C8 exchanges targets that some software treats as equal.
func TestTargetTampering_C1_C2_C3_C4_C6_C7_C8(t *testing.T) {
	tests := []struct{ signed, sent, why string }{
		{"/a%2Fb", "/a/b", "C1: an escaped slash"},
		{"/a/b", "/a%2fb", "C1"},
		{"/a/../b", "/b", "C2: dot segments"},
		{"/a//b", "/a/b", "C2: empty segments"},
		{"//a/b", "/a/b", "C2"},
		{"/a%252Fb", "/a%2Fb", "C3: encoded twice"},
		{"/%7Eu", "/~u", "C4: an unreserved escape"},
		{"/%c3%a9", "/%C3%A9", "C4: case of hex digits"},
		{"/a", "/a?", "C6: an empty query"},
		{"/a?", "/a", "C6"},
		{"/a?x=1", "/a?x=1;y=2", "C7: a pair that parsers drop"},
		{"/a?x=1", "/a?x=1&%zz=2", "C7"},
		{"/a?x=1&y=2", "/a?y=2&x=1", "C7: order"},
		{"/a?x=+", "/a?x=%20", "C7: two blanks"},
		{"/a", "/a#b", "C8: a fragment on the wire"},
	}
	for _, test := range tests {
		req := signed(t, newRequest(t, "GET", "http://example.com"+test.signed))
		if err := authenticate(newVerifier(), req); err != nil {
			t.Errorf("%s: %v", test.signed, err)
		}
		req.RequestURI = test.sent
		if err := authenticate(newVerifier(), req); !errors.Is(err, mac.ErrInvalid) {
			t.Errorf("%s: signed %s, sent %s: %v, want ErrInvalid",
				test.why, test.signed, test.sent, err)
		}
	}
}

// TestUnsignable_C5_C10_C13 signs requests that net/http would send in a form that cannot be
// signed, or that a server need not accept.
func TestUnsignable_C5_C10_C13(t *testing.T) {
	type r = *http.Request
	u := func(change func(r)) r {
		req := newRequest(t, "GET", "http://example.com/a")
		change(req)
		return req
	}
	tests := map[string]r{
		"C5: a blank in the query":       u(func(r r) { r.URL.RawQuery = "q=a b" }),
		"C5: a raw byte in the query":    u(func(r r) { r.URL.RawQuery = "q=\xe9" }),
		"C5: a line feed in the query":   u(func(r r) { r.URL.RawQuery = "q=\nx" }),
		"C5: a NUL in the query":         u(func(r r) { r.URL.RawQuery = "q=\x00" }),
		"C10: an authority in Opaque":    u(func(r r) { r.URL.Opaque = "//evil.example/a" }),
		"C10: a URL in Opaque":           u(func(r r) { r.URL.Opaque = "http://evil.example/a" }),
		"C10: a word in Opaque":          u(func(r r) { r.URL.Opaque = "a" }),
		"C10: a path without a slash":    u(func(r r) { r.URL.Path = "a" }),
		"C13: a host beyond ASCII":       u(func(r r) { r.Host = "bücher.example" }),
		"C13: a blank in the host":       u(func(r r) { r.Host = "a b" }),
		"C13: a slash in the host":       u(func(r r) { r.Host = "a/b" }),
		"C13: a user in the host":        u(func(r r) { r.Host = "u@a" }),
		"C13: an escape in the host":     u(func(r r) { r.Host = "a%41" }),
		"C13: no host":                   u(func(r r) { r.URL.Host, r.Host = "", "" }),
		"C13: a port alone":              u(func(r r) { r.URL.Host, r.Host = ":80", "" }),
		"C13: an open bracket":           u(func(r r) { r.Host = "[::1" }),
		"C13: an empty bracket":          u(func(r r) { r.Host = "[]" }),
		"C13: text behind a bracket":     u(func(r r) { r.Host = "[::1]x80" }),
		"C13: an address without bracks": u(func(r r) { r.Host = "::1" }),
		"C11: an empty port":             u(func(r r) { r.Host = "a:" }),
		"C11: a port with a zero":        u(func(r r) { r.Host = "a:080" }),
		"C11: port zero":                 u(func(r r) { r.Host = "a:0" }),
		"C11: a port too large":          u(func(r r) { r.Host = "a:65536" }),
		"C11: a port with a sign":        u(func(r r) { r.Host = "a:+80" }),
		"C11: a port of letters":         u(func(r r) { r.Host = "a:http" }),
		"another scheme":                 u(func(r r) { r.URL.Scheme = "ftp" }),
		"no URL":                         u(func(r r) { r.URL = nil }),
		"a method of two words":          u(func(r r) { r.Method = "GET /" }),
		"a method with a line feed":      u(func(r r) { r.Method = "GET\n" }),
		"a CONNECT":                      u(func(r r) { r.Method, r.URL.Path = "CONNECT", "" }),
	}
	for name, req := range tests {
		for _, d := range []mac.Dialect{mac.Draft01, mac.WebOb, mac.Django} {
			s := &mac.Signer{Dialect: d, Source: &mac.Credentials{
				ID: "i", Key: []byte("k"), Algorithm: mac.SHA1}}
			if err := s.Sign(req, testTime); !errors.Is(err, mac.ErrUnsignable) {
				t.Errorf("%s, dialect %v: %v, want ErrUnsignable", name, d, err)
			}
			if req.Header.Get("Authorization") != "" {
				t.Errorf("%s, dialect %v: signed nevertheless", name, d)
			}
			if req.URL == nil {
				continue
			}
			text, err := mac.BaseString(req, d, "1", "n", "")
			if !errors.Is(err, mac.ErrUnsignable) {
				t.Errorf("%s, dialect %v: %q, %v, want ErrUnsignable", name, d, text, err)
			}
		}
	}
}

// TestPunycode_C13 checks that the error names the change to make.
func TestPunycode_C13(t *testing.T) {
	req := newRequest(t, "GET", "http://bücher.example/")
	_, err := mac.BaseString(req, mac.Draft01, "1", "n", "")
	if err == nil || !strings.Contains(err.Error(), "punycode") {
		t.Errorf("%v", err)
	}
}

// TestSignedHost_C12_C13 compares the signed host with the Host that net/http writes.
func TestSignedHost_C12_C13(t *testing.T) {
	tests := []struct {
		url, host, want string
	}{
		{"http://example.com/", "", "example.com\n80"},
		{"https://example.com/", "", "example.com\n443"},
		{"http://EXAMPLE.com./", "", "example.com.\n80"}, // C13: with a dot it is another host
		{"http://127.0.0.1:9000/", "virtual.example", "virtual.example\n80"},
		{"http://127.0.0.1/", "virtual.example:9000", "virtual.example\n9000"},
		{"http://[::1]:80/", "", "[::1]\n80"},
		{"http://[fe80::1%25eth0]:8080/", "", "[fe80::1]\n8080"},
		{"https://[fe80::1%25eth0]/", "", "[fe80::1]\n443"},
	}
	for _, test := range tests {
		req := newRequest(t, "GET", test.url)
		if test.host != "" {
			req.Host = test.host
		}
		req.Header["Host"] = []string{"ignored.example"} // C12: net/http does not send it
		text, err := mac.BaseString(req, mac.Draft01, "1", "n", "")
		if want := "1\nn\nGET\n/\n" + test.want + "\n\n"; text != want {
			t.Errorf("%s: %q, %v, want %q", test.url, text, err, want)
		}
		var wire strings.Builder
		if err := req.Write(&wire); err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(wire.String(), "\r\nHost: ")
		sent, _, _ := strings.Cut(rest, "\r\n")
		got := fromWire(t, "GET", req.URL.Scheme, "/", sent, "")
		if again, err := mac.BaseString(got, mac.Draft01, "1", "n", ""); again != text {
			t.Errorf("%s: the server reads %q, %v", test.url, again, err)
		}
	}
}

// TestReceivedTarget_C9 verifies the other forms of a target.
func TestReceivedTarget_C9(t *testing.T) {
	public := &url.URL{Scheme: "https", Host: "api.example.com"}
	prefixed := &url.URL{Scheme: "https", Host: "api.example.com", Path: "/v1/"}
	tests := []struct {
		target, host string
		public       *url.URL
		want         string // "" if refused
	}{
		{"http://example.com/a?b", "example.com", nil, "http://example.com/a?b\nexample.com\n80"},
		{"http://example.com:80/a", "example.com", nil, "http://example.com:80/a\nexample.com\n80"},
		{"HTTP://Example.com/a", "example.com", nil, "HTTP://Example.com/a\nexample.com\n80"},
		{"http://evil.example/a", "example.com", nil, ""},
		{"http://example.com:81/a", "example.com", nil, ""},
		{"https://example.com/a", "example.com", nil, ""}, // port 443 is another authority
		{"ftp://example.com/a", "example.com", nil, ""},
		{"http://u@example.com/a", "example.com", nil, ""},
		{"https://api.example.com/a", "backend:8080", public,
			"https://api.example.com/a\napi.example.com\n443"},
		{"http://backend:8080/a", "backend:8080", public, ""},
		{"https://api.example.com/a", "backend:8080", prefixed, ""},
		{"*", "example.com", nil, "*\nexample.com\n80"},
		{"*", "example.com", prefixed, ""},
		{"example.com:443", "example.com:443", nil, ""}, // authority-form is for CONNECT
		{"a", "example.com", nil, ""},
		{"/a", "backend:8080", prefixed, "/v1/a\napi.example.com\n443"},
		{"//a", "backend:8080", prefixed, "/v1//a\napi.example.com\n443"},
	}
	for _, test := range tests {
		req := newRequest(t, "OPTIONS", "http://unused.example/")
		req.RequestURI, req.Host = test.target, test.host
		text := "1336363200\nn\nOPTIONS\n" + test.want + "\n\n"
		req.Header.Set("Authorization", `MAC id="h480djs93hd8", ts="1336363200", nonce="n", mac="`+
			expected("", "489dks293j39", text)+`"`)
		v := newVerifier()
		v.PublicURL = test.public
		err := authenticate(v, req)
		switch {
		case test.want != "" && err != nil:
			t.Errorf("%s at %s: %v", test.target, test.host, err)
		case test.want == "" && !errors.Is(err, mac.ErrMalformed):
			t.Errorf("%s at %s: %v, want ErrMalformed", test.target, test.host, err)
		}
	}
}

// TestReceivedHost_C11 verifies hosts that net/http passes to a handler.
func TestReceivedHost_C11(t *testing.T) {
	for _, host := range []string{"", "example.com:", "example.com:080", "example.com:0",
		"example.com:99999", "example.com:abc", "example.com:80:80", "ex ample.com", "[::1", "::1",
		"[fe80::1%25eth0]", "b\xfccher.example", "example.com/x", "u@example.com"} {
		req := signed(t, newRequest(t, "GET", "http://example.com/a"))
		req.Host = host
		if err := authenticate(newVerifier(), req); !errors.Is(err, mac.ErrMalformed) {
			t.Errorf("Host %q: %v, want ErrMalformed", host, err)
		}
	}
}

// TestPublicURL_C14_C20 verifies behind a proxy that ends TLS, changes Host and removes a prefix.
func TestPublicURL_C14_C20(t *testing.T) {
	tests := []struct {
		url, target, public string
		ok                  bool
	}{
		{"https://api.example.com/a?b", "/a?b", "https://api.example.com", true},
		{"https://api.example.com/a", "/a", "https://api.example.com:443/", true},
		{"https://api.example.com:8443/a", "/a", "https://api.example.com:8443", true},
		{"https://api.example.com/v1/a", "/a", "https://api.example.com/v1", true},
		{"https://api.example.com/v1/a", "/a", "https://api.example.com/v1/", true},
		{"https://api.example.com/caf%C3%A9/a", "/a", "https://api.example.com/caf%C3%A9", true},
		{"https://[2001:db8::1]/a", "/a", "https://[2001:db8::1]", true},
		{"https://api.example.com/a", "/a", "http://api.example.com", false},
		{"https://api.example.com/a", "/a", "https://other.example.com", false},
		{"https://api.example.com/v2/a", "/a", "https://api.example.com/v1", false},
	}
	for _, test := range tests {
		public, err := url.Parse(test.public)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range []mac.Dialect{mac.Draft01, mac.WebOb} {
			req := newRequest(t, "GET", test.url)
			if err := (&mac.Signer{Source: testCreds, Dialect: d}).Sign(req, testTime); err != nil {
				t.Fatal(err)
			}
			got := received(req)
			got.TLS, got.Host, got.RequestURI = nil, "10.0.0.7:8080", test.target
			v := newVerifier()
			v.Dialect, v.PublicURL = d, public
			if err := authenticate(v, got); (err == nil) != test.ok {
				t.Errorf("%s, PublicURL %s, dialect %v: %v", test.url, test.public, d, err)
			}
			v.PublicURL = nil
			got.Header.Set("X-Forwarded-Proto", "https") // C20: any client can claim so
			got.Header.Set("X-Forwarded-Host", req.URL.Host)
			got.Header.Set("X-Forwarded-Port", "443")
			got.Header.Set("Forwarded", "proto=https;host="+req.URL.Host)
			if err := authenticate(v, got); !errors.Is(err, mac.ErrInvalid) {
				t.Errorf("forwarded headers are believed: %v", err)
			}
		}
	}
}

// TestMethod_C22 changes the method in transit, and sends a method that is not in upper case.
func TestMethod_C22(t *testing.T) {
	req := signed(t, newRequest(t, "GET", "http://example.com/a"))
	for method, want := range map[string]error{
		"DELETE": mac.ErrInvalid, "GETT": mac.ErrInvalid, "get": mac.ErrMalformed,
		"Get": mac.ErrMalformed, "": mac.ErrMalformed, "G T": mac.ErrMalformed,
	} {
		got := received(req)
		got.RequestURI, got.Method = req.RequestURI, method
		got.Header.Set("X-HTTP-Method-Override", "GET")
		if err := authenticate(newVerifier(), got); !errors.Is(err, want) {
			t.Errorf("method %q: %v, want %v", method, err, want)
		}
	}
	empty := newRequest(t, "", "http://example.com/a")
	empty.Method = "" // means GET to net/http
	text, err := mac.BaseString(empty, mac.Draft01, "1", "n", "")
	if err != nil || !strings.Contains(text, "\nGET\n") {
		t.Errorf("%q, %v", text, err)
	}
}

// TestExt_C25 changes, adds and removes an ext.
func TestExt_C25(t *testing.T) {
	req := newRequest(t, "GET", "http://example.com/a")
	s := &mac.Signer{Source: testCreds, Ext: fixed("a,b")}
	if err := s.Sign(req, testTime); err != nil {
		t.Fatal(err)
	}
	line := req.Header.Get("Authorization")
	for _, ext := range []string{"", `, ext=""`, `, ext="a,c"`, `, ext="a,b "`} {
		got := received(req)
		got.Header.Set("Authorization", strings.Replace(line, `, ext="a,b"`, ext, 1))
		if err := authenticate(newVerifier(), got); !errors.Is(err, mac.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", ext, err)
		}
	}
	if err := authenticate(newVerifier(), received(req)); err != nil {
		t.Error(err)
	}
	plain := signed(t, newRequest(t, "GET", "http://example.com/a"))
	line = plain.Header.Get("Authorization")
	plain.Header.Set("Authorization", strings.Replace(line, ", mac=", `, ext="x", mac=`, 1))
	if err := authenticate(newVerifier(), plain); !errors.Is(err, mac.ErrInvalid) {
		t.Errorf("an ext added: %v, want ErrInvalid", err)
	}
}

// TestEveryByte flips each byte of each covered part.
func TestEveryByte(t *testing.T) {
	req := newRequest(t, "POST", "http://example.com:8080/resource/1?b=1&a=2")
	s := &mac.Signer{Source: testCreds, Ext: fixed("a,b,c")}
	if err := s.Sign(req, testTime); err != nil {
		t.Fatal(err)
	}
	line := req.Header.Get("Authorization")
	original, _, _ := mac.Reprint(line)
	parts := map[string]struct {
		text string
		set  func(*http.Request, string)
	}{
		"method": {"POST", func(r *http.Request, s string) { r.Method = s }},
		"target": {"/resource/1?b=1&a=2", func(r *http.Request, s string) { r.RequestURI = s }},
		"host":   {"example.com:8080", func(r *http.Request, s string) { r.Host = s }},
		"header": {line, func(r *http.Request, s string) { r.Header.Set("Authorization", s) }},
	}
	v := newVerifier()
	for name, part := range parts {
		for i := range part.text {
			for flip := 1; flip < 256; flip++ {
				changed := []byte(part.text)
				changed[i] ^= byte(flip)
				got := received(req)
				part.set(got, string(changed))
				err := authenticate(v, got)
				if err != nil {
					continue
				}
				again, _, _ := mac.Reprint(got.Header.Get("Authorization"))
				if !(name == "host" && strings.EqualFold(got.Host, part.text)) &&
					!(name == "header" && again == original) {
					t.Errorf("%s %q passes for %q", name, changed, part.text)
				}
			}
		}
	}
	got := received(req)
	got.Host, got.TLS = "example.com", &tls.ConnectionState{}
	if err := authenticate(v, got); err == nil {
		t.Error("another default port passes")
	}
}

// TestOverTheWire_C8_C21 signs odd URLs. A real server verifies the requests that net/http makes of
// them, over HTTP/1.1 and HTTP/2.
func TestOverTheWire_C8_C21(t *testing.T) {
	v := &mac.Verifier{Keys: oneKey(testCreds)}
	handler := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if _, err := v.Authenticate(req); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
		}
	})
	urls := []string{"", "/", "?x", "/?", "/a%2Fb", "/%7Eu", "/caf%c3%a9", "/café", "/l[0]", "/a|b",
		"//a//b", "/a/../b", "/a;b=c", "/a?q=%zz", "/a?ids[]=1;x", "/a#frag", "/a?#frag", "/%00",
		"/*"}
	for _, http2 := range []bool{false, true} {
		server := httptest.NewUnstartedServer(handler)
		server.EnableHTTP2 = http2
		server.StartTLS()
		defer server.Close()
		for _, suffix := range urls {
			req := newRequest(t, "GET", server.URL+suffix)
			for _, host := range []string{"", "Virtual.Example:8443"} {
				if req.Host = host; host == "" {
					req.Host = req.URL.Host
				}
				if err := (&mac.Signer{Source: testCreds}).Sign(req, time.Now()); err != nil {
					t.Errorf("%s: %v", suffix, err)
					continue
				}
				resp, err := server.Client().Transport.RoundTrip(req)
				if err != nil {
					t.Errorf("%s: %v", suffix, err)
					continue
				}
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK || (resp.ProtoMajor == 2) != http2 {
					t.Errorf("%s, Host %q: %s %s", suffix, host, resp.Proto, resp.Status)
				}
			}
		}
	}
}
