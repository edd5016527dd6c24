package origin_test

import (
	"errors"
	"net/http"
	"net/url"
	"testing"

	"github.com/countersign-go/countersign/internal/origin"
)

type wrapper struct{ http.RoundTripper }

func (w wrapper) Unwrap() http.RoundTripper { return w.RoundTripper }

type itself struct{ http.RoundTripper }

func (i itself) Unwrap() http.RoundTripper { return i }

type opaque struct{ http.RoundTripper }

// A proxy on another machine sees a request for this machine, however the transport is wrapped.
func TestExposed_S6(t *testing.T) {
	by := func(proxy string) *http.Transport {
		return &http.Transport{Proxy: http.ProxyURL(parse(t, proxy))}
	}
	for name, tt := range map[string]struct {
		base http.RoundTripper
		want bool
	}{
		"none":              {&http.Transport{}, false},
		"default":           {nil, false},
		"nil":               {(*http.Transport)(nil), false},
		"environment":       {&http.Transport{Proxy: http.ProxyFromEnvironment}, false},
		"loopback":          {by("http://127.0.0.1:3128"), false},
		"localhost":         {by("http://localhost:3128"), false},
		"another machine":   {by("http://proxy.example:3128"), true},
		"by TLS":            {by("https://proxy.example:3128"), true},
		"SOCKS":             {by("socks5://proxy.example"), true},
		"almost localhost":  {by("http://localhost.proxy.example"), true},
		"wrapped":           {wrapper{by("http://proxy.example")}, true},
		"wrapped twice":     {wrapper{wrapper{by("http://proxy.example")}}, true},
		"wrapped, none":     {wrapper{&http.Transport{}}, false},
		"wrapped default":   {wrapper{nil}, false},
		"wrapped in itself": {itself{}, true},
		"opaque":            {opaque{by("http://proxy.example")}, false}, // as documented
		"a failure": {&http.Transport{Proxy: func(*http.Request) (*url.URL, error) {
			return nil, errors.New("no proxy")
		}}, true},
		"for others only": {&http.Transport{Proxy: func(r *http.Request) (*url.URL, error) {
			if r.URL.Hostname() == "localhost" {
				return nil, nil
			}
			return url.Parse("http://proxy.example")
		}}, false},
	} {
		req := &http.Request{Method: "GET", URL: parse(t, "http://localhost:9/x")}
		if got := origin.Exposed(tt.base, req); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
