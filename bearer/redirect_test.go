package bearer_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/transport"
)

// The target of a redirect decides whether the next request carries the token. In each chain, the
// first URL is the caller's. want says for each hop whether the request carries the token.
var redirects = []struct {
	name  string
	chain string
	want  string
}{
	{"same path", "https://a.example/ https://a.example/", "yy"},
	{"same origin, other path", "https://a.example/ https://a.example/b", "yy"},
	{"same origin twice", "https://a.example/ https://a.example/b https://a.example/c", "yyy"},
	{"default port spelled out", "https://a.example/ https://a.example:443/", "yy"},
	{"default port left out", "https://a.example:443/ https://a.example/", "yy"},
	{"host in upper case", "https://a.example/ https://A.EXAMPLE/", "yy"},
	{"scheme in upper case", "https://a.example/ HTTPS://a.example/", "yy"},
	{"other host", "https://a.example/ https://b.example/", "yn"},
	{"subdomain", "https://a.example/ https://x.a.example/", "yn"},
	{"deep subdomain", "https://a.example/ https://y.x.a.example/", "yn"},
	{"parent domain", "https://x.a.example/ https://a.example/", "yn"},
	{"sibling", "https://x.a.example/ https://y.a.example/", "yn"},
	{"other port", "https://a.example/ https://a.example:8443/", "yn"},
	{"from a port to the default", "https://a.example:8443/ https://a.example/", "yn"},
	{"port of the other scheme", "https://a.example/ https://a.example:80/", "yn"},
	{"downgrade", "https://a.example/ http://a.example/", "yn"},
	{"downgrade on port 443", "https://a.example/ http://a.example:443/", "yn"},
	{"upgrade on loopback", "http://localhost/ https://localhost/", "yn"},
	{"loopback, other port", "http://127.0.0.1:1/ http://127.0.0.1:2/", "yn"},
	{"loopback by another name", "http://127.0.0.1/ http://localhost/", "yn"},
	{"loopback by another address", "http://127.0.0.1/ http://127.0.0.2/", "yn"},
	{"IPv6 for IPv4", "http://127.0.0.1/ http://[::1]/", "yn"},
	{"IPv6 in another spelling", "http://[::1]/ http://[0:0:0:0:0:0:0:1]/", "yn"},
	{"IPv4-mapped", "http://127.0.0.1/ http://[::ffff:127.0.0.1]/", "yn"},
	{"name to address", "https://a.example/ https://192.0.2.1/", "yn"},
	{"address to address", "https://192.0.2.1/ https://192.0.2.2/", "yn"},
	{"lookalike suffix", "https://a.example/ https://a.example.evil.example/", "yn"},
	{"lookalike prefix", "https://a.example/ https://evila.example/", "yn"},
	{"lookalike digit", "https://a1.example/ https://al.example/", "yn"},
	{"lookalike in punycode", "https://a.example/ https://xn--a-ecp.example/", "yn"},
	{"trailing dot", "https://a.example/ https://a.example./", "yn"},
	{"credentials named for the host", "https://a.example/ https://a.example@evil.example/", "yn"},
	{"host in the path", "https://a.example/ https://evil.example/a.example", "yn"},
	{"host in the query", "https://a.example/ https://evil.example/?a.example", "yn"},
	{"there and back", "https://a.example/ https://b.example/ https://a.example/", "ynn"},
	{"there and back, and on",
		"https://a.example/ https://b.example/ https://a.example/ https://a.example/c", "ynnn"},
	{"there and back twice",
		"https://a.example/ https://b.example/ https://a.example/ https://b.example/", "ynnn"},
	{"port there and back", "https://a.example/ https://a.example:8443/ https://a.example/", "ynn"},
	{"downgrade and back", "https://a.example/ http://a.example/ https://a.example/", "ynn"},
	{"late", "https://a.example/ https://a.example/b https://b.example/", "yyn"},
}

const redirected = "canary-r3d1r3ct"

// No token reaches another origin, whatever its place and whatever the redirect.
func TestRedirectMatrix_K1_K2(t *testing.T) {
	if len(redirects) != 40 {
		t.Fatalf("%d cases, want 40", len(redirects))
	}
	hops := 0
	for place, names := range map[string][2]string{
		"Authorization": {}, "header": {"X-Token", ""}, "cookie": {"", "session"},
	} {
		for _, test := range redirects {
			for _, status := range []int{301, 302, 303, 307, 308} {
				t.Run(fmt.Sprintf("%s %s %d", place, test.name, status), func(t *testing.T) {
					s := &bearer.Signer{Header: names[0], Cookie: names[1]}
					hops += follow(t, s, strings.Fields(test.chain), test.want, status)
				})
			}
		}
	}
	if hops != 3*5*89 {
		t.Errorf("%d hops, want %d", hops, 3*5*89)
	}
}

// follow follows a chain, and returns the number of hops. Every response to a signed request sets
// the cookie again, like a sliding session, and the client has a jar, like one that has logged in.
func follow(t *testing.T, s *bearer.Signer, chain []string, want string, status int) (hops int) {
	s.Source = &bearer.Tokens{
		Fetch: func(context.Context, *oauth2.Token) (*oauth2.Token, error) {
			return &oauth2.Token{AccessToken: redirected + "0"}, nil
		},
	}
	jar, _ := cookiejar.New(nil)
	for _, address := range chain {
		u, _ := url.Parse(address)
		jar.SetCookies(u, []*http.Cookie{{Name: "other", Value: "mine"}})
	}
	base := network(func(req *http.Request) (*http.Response, error) {
		signed := strings.Contains(fmt.Sprint(req.Header, req.URL), redirected)
		if signed != (want[hops] == 'y') {
			t.Errorf("hop %d to %s: signed %v", hops, req.URL, signed)
		}
		if !strings.Contains(req.Header.Get("Cookie"), "other=mine") {
			t.Errorf("hop %d to %s: the caller's cookie is gone", hops, req.URL)
		}
		hops++
		resp := answer(req, 200)
		if hops < len(chain) {
			resp = answer(req, status, "Location", chain[hops])
		}
		if signed && s.Cookie != "" {
			resp.Header.Add("Set-Cookie", fmt.Sprint("session=", redirected, hops, "; Path=/"))
		}
		return resp, nil
	})
	client := &http.Client{Transport: &transport.Transport{Signer: s, Base: base}, Jar: jar}
	req, _ := http.NewRequest(http.MethodPost, chain[0], strings.NewReader("body"))
	resp, err := client.Do(req)
	if err != nil || resp.StatusCode != 200 || hops != len(chain) {
		t.Errorf("%v, %v after %d hops", resp, err, hops)
	}
	if text := fmt.Sprint(req.Header, resp.Header); strings.Contains(text, redirected) {
		t.Errorf("the token stays in the caller's request or response")
	}
	for _, address := range chain {
		u, _ := url.Parse(address)
		if cookies := jar.Cookies(u); len(cookies) != 1 {
			t.Errorf("the jar has %d cookies for %s", len(cookies), address)
		}
	}
	return hops
}
