package view_test

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/internal/view"
)

func TestSplitHost(t *testing.T) {
	for _, tt := range []struct {
		authority, host, port string
		err                   error
	}{
		{"example.com", "example.com", "", nil},
		{"Example.com:8080", "Example.com", "8080", nil},
		{"a_b~c.example:1", "a_b~c.example", "1", nil},
		{"192.0.2.1:65535", "192.0.2.1", "65535", nil},
		{"[::1]", "[::1]", "", nil},
		{"[2001:DB8::192.0.2.1]:443", "[2001:DB8::192.0.2.1]", "443", nil},
		{"", "", "", view.ErrNoHost},
		{":80", "", "", view.ErrNoHost},
		{"b\u00fccher.example", "", "", view.ErrHostASCII},
		{"a b", "", "", view.ErrHost},
		{"a/b", "", "", view.ErrHost},
		{"a%41", "", "", view.ErrHost},
		{"user@example.com", "", "", view.ErrHost},
		{"[::1", "", "", view.ErrHost},
		{"[]", "", "", view.ErrHost},
		{"[::1%25eth0]", "", "", view.ErrHost},
		{"[::g]", "", "", view.ErrHost},
		{"[::1]x80", "", "", view.ErrPort},
		{"example.com:", "", "", view.ErrPort},
		{"example.com:0", "", "", view.ErrPort},
		{"example.com:080", "", "", view.ErrPort},
		{"example.com:+80", "", "", view.ErrPort},
		{"example.com:65536", "", "", view.ErrPort},
		{"example.com:80:80", "", "", view.ErrPort},
		{"example.com:8o", "", "", view.ErrPort},
	} {
		host, port, err := view.SplitHost(tt.authority)
		if host != tt.host || port != tt.port || !errors.Is(err, tt.err) {
			t.Errorf("%q: %q, %q, %v; want %q, %q, %v",
				tt.authority, host, port, err, tt.host, tt.port, tt.err)
		}
	}
}

func TestWithoutZone(t *testing.T) {
	for authority, want := range map[string]string{
		"example.com":       "example.com",
		"[::1]:80":          "[::1]:80",
		"[fe80::1%eth0]":    "[fe80::1]",
		"[fe80::1%eth0]:80": "[fe80::1]:80",
		"[fe80::1%]":        "[fe80::1]",
		"[fe80::1%a/b]":     "[fe80::1%a/b]",
		"[fe80::1%eth0":     "[fe80::1%eth0",
	} {
		if got := view.WithoutZone(authority); got != want {
			t.Errorf("%q: %q, want %q", authority, got, want)
		}
	}
}

// TestClient reads requests before they are sent.
func TestClient(t *testing.T) {
	u := func(text string) *url.URL {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	at := func(method, path, query string, ask bool, host, port string, bare bool) view.View {
		return view.View{Method: method, Path: path, Query: query, Ask: ask,
			Host: host, Port: port, Bare: bare}
	}
	for _, tt := range []struct {
		reason string
		req    http.Request
		want   view.View
		err    error
	}{
		{"the usual", http.Request{Method: "POST", URL: u("https://example.com/a%2Fb?c=d")},
			at("POST", "/a%2Fb", "c=d", true, "example.com", "443", true), nil},
		{"neither method nor path", http.Request{URL: u("http://example.com:8080")},
			at("GET", "/", "", false, "example.com", "8080", false), nil},
		{"an empty query", http.Request{URL: u("http://example.com/?")},
			at("GET", "/", "", true, "example.com", "80", true), nil},
		{"a Host of its own", http.Request{Host: "h:1", URL: u("http://example.com/")},
			at("GET", "/", "", false, "h", "1", false), nil},
		{"a zone", http.Request{URL: u("http://[fe80::1%25eth0]/")},
			at("GET", "/", "", false, "[fe80::1]", "80", true), nil},
		{"the asterisk", http.Request{Method: "OPTIONS",
			URL: &url.URL{Scheme: "http", Host: "h", Opaque: "*"}},
			at("OPTIONS", "*", "", false, "h", "80", true), nil},
		{"an opaque path", http.Request{
			URL: &url.URL{Scheme: "http", Host: "h", Opaque: "/a", RawQuery: "b"}},
			at("GET", "/a", "b", true, "h", "80", true), nil},
		{"no URL", http.Request{}, view.View{}, view.ErrNoURL},
		{"CONNECT", http.Request{Method: "CONNECT", URL: &url.URL{Host: "h:1"}}, view.View{},
			view.ErrConnect},
		{"an opaque authority", http.Request{
			URL: &url.URL{Scheme: "http", Host: "h", Opaque: "//other/a"}}, view.View{},
			view.ErrOpaque},
		{"no host", http.Request{URL: u("/a")}, view.View{}, view.ErrNoHost},
		{"another scheme", http.Request{URL: u("ftp://h/")}, view.View{}, view.ErrScheme},
	} {
		got, err := view.Client(&tt.req)
		if !errors.Is(err, tt.err) || err == nil && got != tt.want {
			t.Errorf("%s: %+v, %v; want %+v, %v", tt.reason, got, err, tt.want, tt.err)
		}
	}
}

// TestReceived reads requests as a server gets them, also behind a proxy.
func TestReceived(t *testing.T) {
	public := &url.URL{Scheme: "https", Host: "api.example", Path: "/v1/"}
	odd := &url.URL{Scheme: "https", Host: "api.example:8443"}
	for _, tt := range []struct {
		reason, host, target string
		tls                  bool
		public               *url.URL
		want                 view.View
		err                  error
	}{
		{"plain", "h", "/a?b", false, nil,
			view.View{Path: "/a", Query: "b", Ask: true, Host: "h", Port: "80", Bare: true}, nil},
		{"over TLS", "h", "/", true, nil,
			view.View{Path: "/", Host: "h", Port: "443", Bare: true}, nil},
		{"a port", "h:1", "/", true, nil, view.View{Path: "/", Host: "h", Port: "1"}, nil},
		{"the asterisk", "h", "*", false, nil,
			view.View{Path: "*", Host: "h", Port: "80", Bare: true}, nil},
		{"behind a proxy that takes a part away", "internal:8080", "/a", false, public,
			view.View{Prefix: "/v1", Path: "/a", Host: "api.example", Port: "443"}, nil},
		{"behind one at another port", "", "/a", false, odd,
			view.View{Path: "/a", Host: "api.example", Port: "8443"}, nil},
		{"a whole URL", "h", "http://H:80/a", false, nil,
			view.View{Path: "http://H:80/a", Absolute: len("http://H:80"), Host: "h", Port: "80",
				Bare: true}, nil},
		{"of the public host", "internal", "https://api.example:8443/a", false, odd,
			view.View{Path: "https://api.example:8443/a",
				Absolute: len("https://api.example:8443"), Host: "api.example", Port: "8443"}, nil},
		{"of another host", "h", "http://other/a", false, nil, view.View{}, view.ErrForm},
		{"of another port", "h", "https://h/a", false, nil, view.View{}, view.ErrForm},
		{"of another scheme", "h", "ftp://h/a", false, nil, view.View{}, view.ErrForm},
		{"of no host", "h", "http:///a", false, nil, view.View{}, view.ErrNoHost},
		{"behind a prefix", "h", "https://api.example/a", false, public, view.View{},
			view.ErrForm},
		{"the asterisk behind a prefix", "h", "*", false, public, view.View{}, view.ErrForm},
		{"an authority", "h", "h:80", false, nil, view.View{}, view.ErrForm},
		{"no host", "", "/", false, nil, view.View{}, view.ErrNoHost},
		{"a public URL without a scheme", "h", "/", false, &url.URL{Host: "h"}, view.View{},
			view.ErrScheme},
	} {
		req := &http.Request{Method: "GET", Host: tt.host, RequestURI: tt.target}
		req.Header = http.Header{
			"X-Forwarded-Host": {"evil.example"}, "Forwarded": {"host=evil.example"},
		}
		if tt.tls {
			req.TLS = new(tls.ConnectionState)
		}
		tt.want.Method = "GET"
		got, err := view.Received(req, tt.public)
		if !errors.Is(err, tt.err) || err == nil && got != tt.want {
			t.Errorf("%s: %+v, %v; want %+v, %v", tt.reason, got, err, tt.want, tt.err)
		}
	}
}

// TestErrors checks the text of each error, which a scheme puts after its own.
func TestErrors(t *testing.T) {
	for _, err := range []view.Error{
		view.ErrNoURL, view.ErrOpaque, view.ErrConnect, view.ErrForm, view.ErrNoHost, view.ErrHost,
		view.ErrHostASCII, view.ErrPort, view.ErrScheme,
	} {
		if text := err.Error(); !strings.Contains(text, " ") || strings.HasSuffix(text, ".") {
			t.Errorf("%q", text)
		}
	}
}
