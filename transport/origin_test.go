package transport_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/transport"
)

// The target of a redirect decides whether the next request is signed. In each chain the first URL
// is the caller's; want says for each hop whether it carries credentials.
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

// No redirect makes the client send credentials, or a header field that the Signer has set, to
// another origin.
func TestRedirectMatrix_K1_K2(t *testing.T) {
	if len(redirects) != 40 {
		t.Fatalf("%d cases, want 40", len(redirects))
	}
	for _, test := range redirects {
		for _, status := range []int{301, 302, 303, 307, 308} {
			for _, forgetful := range []bool{false, true} {
				name := fmt.Sprintf("%s %d forgetful=%v", test.name, status, forgetful)
				t.Run(name, func(t *testing.T) {
					follow(t, strings.Fields(test.chain), test.want, status, forgetful)
				})
			}
		}
	}
}

// follow walks a chain. A forgetful base leaves resp.Request nil.
func follow(t *testing.T, chain []string, want string, status int, forgetful bool) {
	hop := 0
	rt := &transport.Transport{
		Signer: transport.SignerFunc(func(req *http.Request, now time.Time) error {
			req.Header.Set("Authorization", "Token id0 1")
			req.Header.Set("X-Ours", "id0")
			return nil
		}),
		Base: base(func(req *http.Request) (*http.Response, error) {
			signed := strings.Contains(req.Header.Get("Authorization"), "id0") ||
				req.Header.Get("X-Ours") != ""
			if signed != (want[hop] == 'y') {
				t.Errorf("hop %d to %s: signed %v", hop, req.URL, signed)
			}
			hop++
			var resp *http.Response
			if hop < len(chain) {
				resp, _ = answer(status, "Location", chain[hop])
			} else {
				resp, _ = answer(200)
			}
			if !forgetful {
				resp.Request = req
			}
			return resp, nil
		})}
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Transport: rt, Jar: jar}
	resp, err := client.Post(chain[0], "text/plain", strings.NewReader("body"))
	if err != nil || resp.StatusCode != 200 || hop != len(chain) {
		t.Errorf("%v, %v after %d hops", resp, err, hop)
	}
}

// A base that follows redirects itself hides hops. Its answers from another origin are not acted
// on, and a request that it made itself does not hide a hop at another origin.
func TestBaseThatFollows(t *testing.T) {
	elsewhere, _ := http.NewRequest("GET", "https://b.example/", nil)
	elsewhere.Response = &http.Response{StatusCode: 302}
	signer := &token{}
	rt := &transport.Transport{Signer: signer,
		Base: base(func(req *http.Request) (*http.Response, error) {
			resp, _ := answer(401, "WWW-Authenticate", "Token credential")
			resp.Request = elsewhere
			return resp, nil
		})}
	resp, err := get(rt, "https://a.example/")
	if err != nil || resp.StatusCode != 401 || signer.refreshes != 0 || len(signer.observed) != 0 {
		t.Errorf("%v, %v, %d refreshes", resp, err, signer.refreshes)
	}

	hops := 0
	rt = &transport.Transport{Signer: &token{},
		Base: base(func(req *http.Request) (*http.Response, error) {
			if hops++; hops > 1 && req.Header.Get("Authorization") != "" {
				t.Errorf("hop %d to %s is signed", hops, req.URL)
			}
			next := []string{"https://b.example/", "https://a.example/", "https://a.example/2",
				""}[hops-1]
			resp, _ := answer(302, "Location", next)
			if next == "" {
				resp, _ = answer(200)
			}
			// This request has no Response.
			resp.Request, _ = http.NewRequest(req.Method, req.URL.String(), nil)
			return resp, nil
		})}
	if _, err := (&http.Client{Transport: rt}).Get("https://a.example/"); err != nil || hops != 4 {
		t.Errorf("%d hops, %v", hops, err)
	}
}

// A base that connects to another address, as in tests, has not left the origin.
func TestBaseThatRewrites(t *testing.T) {
	server := &service{valid: func(id string) bool { return id == "id1" }}
	rt := &transport.Transport{Signer: &token{},
		Base: base(func(req *http.Request) (*http.Response, error) {
			rewritten := req.Clone(req.Context())
			rewritten.URL.Scheme, rewritten.URL.Host = "http", "127.0.0.1:1"
			resp, err := server.RoundTrip(rewritten)
			resp.Request = rewritten
			return resp, err
		})}
	resp, err := get(rt, "https://a.example/")
	if err != nil || resp.StatusCode != 200 || resp.Request.URL.Host != "a.example" {
		t.Errorf("%v, %v", transport.History(resp), err)
	}
}

// Origins limits the origins that requests are signed for. Requests to other origins are sent
// unchanged.
func TestOrigins(t *testing.T) {
	tests := []struct {
		url, origins string
		signed       bool
		err          error
	}{
		{"https://a.example/x", "", true, nil},
		{"https://a.example/x", "https://a.example", true, nil},
		{"https://a.example/x", "https://A.example:443/", true, nil},
		{"https://a.example/x", "https://b.example https://a.example", true, nil},
		{"https://a.example/x", "https://b.example", false, nil},
		{"https://a.example/x", "https://a.example:8443", false, nil},
		{"https://a.example/x", "http://a.example", false, nil},
		{"http://a.example/x", "https://a.example", false, nil},
		{"http://a.example/x", "http://a.example", true, nil},
		{"http://a.example/x", "", false, transport.ErrPlainHTTP},
		{"http://127.0.0.1:8080/", "", true, nil},
		{"http://127.8.8.8/", "", true, nil},
		{"http://[::1]:8080/", "", true, nil},
		{"http://localhost:8080/", "", true, nil},
		{"http://LOCALHOST/", "", true, nil},
		{"http://x.localhost/", "", false, transport.ErrPlainHTTP},
		{"http://localhost.a.example/", "", false, transport.ErrPlainHTTP},
		{"http://127.0.0.1.a.example/", "", false, transport.ErrPlainHTTP},
		{"http://0.0.0.0/", "", false, transport.ErrPlainHTTP},
		{"http://10.0.0.1/", "", false, transport.ErrPlainHTTP},
		{"https://user@a.example/", "", false, transport.ErrUserInfo},
		{"https://user:pass@a.example/", "https://a.example", false, transport.ErrUserInfo},
		{"https://user:pass@b.example/", "https://a.example", false, nil},
	}
	for _, test := range tests {
		t.Run(test.url+" "+test.origins, func(t *testing.T) {
			sent := false
			rt := &transport.Transport{Signer: &token{}, Origins: strings.Fields(test.origins),
				Base: base(func(req *http.Request) (*http.Response, error) {
					sent = true
					if _, _, ok := credentials(req); ok != test.signed {
						t.Errorf("signed: %v", ok)
					}
					return answer(200)
				})}
			body := &closeCounter{Reader: strings.NewReader("body")}
			req, _ := http.NewRequest("PUT", test.url, body)
			if _, err := rt.RoundTrip(req); !errors.Is(err, test.err) || sent != (test.err == nil) {
				t.Errorf("error %v, sent %v", err, sent)
			}
			if body.closed != 1 {
				t.Errorf("the body was closed %d times", body.closed)
			}
		})
	}
}

// An Authorization field that the caller has set is neither replaced nor doubled. A scheme that
// does not use that field still signs the request.
func TestAuthorizationPresent_C15(t *testing.T) {
	for _, key := range []string{"Authorization", "authorization", "AUTHORIZATION"} {
		req, _ := http.NewRequest("GET", "https://a.example/", nil)
		req.Header[key] = []string{"Basic dXNlcjpwYXNz"}
		rt := &transport.Transport{Signer: &token{},
			Base: base(func(*http.Request) (*http.Response, error) {
				t.Error("it was sent")
				return answer(200)
			})}
		if _, err := rt.RoundTrip(req); !errors.Is(err, transport.ErrAuthorization) {
			t.Errorf("%s: %v", key, err)
		}
		rt = &transport.Transport{Signer: &cookie{}, Base: &service{}}
		if _, err := rt.RoundTrip(req); err != nil {
			t.Errorf("%s with a cookie: %v", key, err)
		}
	}
}

// With a mistake in the configuration, every request fails before anything is sent, and the error
// names the correct form.
func TestConfigError(t *testing.T) {
	signer := &token{}
	tests := []struct {
		name      string
		transport *transport.Transport
		say       string
	}{
		{"no signer", &transport.Transport{}, "Signer is nil"},
		{"a nil signer", &transport.Transport{Signer: (*token)(nil)}, "Signer is nil"},
		{"a host for an origin",
			&transport.Transport{Signer: signer, Origins: []string{"a.example"}},
			`like "https://api.example.com:8443"`},
		{"a path", &transport.Transport{Signer: signer, Origins: []string{"https://a.example/v1"}},
			"is not an origin"},
		{"a query", &transport.Transport{Signer: signer, Origins: []string{"https://a.example?"}},
			"is not an origin"},
		{"a user", &transport.Transport{Signer: signer, Origins: []string{"https://u@a.example"}},
			"is not an origin"},
		{"another scheme",
			&transport.Transport{Signer: signer, Origins: []string{"ftp://a.example"}},
			"is not an origin"},
		{"nothing to choose from", &transport.Transport{Signer: transport.ByOrigin{}},
			"without any origin"},
		{"no Signer in it", &transport.Transport{
			Signer: transport.ByOrigin{"https://a.example": nil}},
			`has nil for "https://a.example"`},
		{"an origin without one", &transport.Transport{
			Signer:  transport.ByOrigin{"https://a.example": signer},
			Origins: []string{"https://b.example"}}, "which has no Signer"},
		{"no function", &transport.Transport{Signer: transport.SignerFunc(nil)}, "Signer is nil"},
		{"no origin among them", &transport.Transport{
			Signer: transport.ByOrigin{"a.example": signer}}, "is not an origin"},
		{"an unusual spelling", &transport.Transport{
			Signer: transport.ByOrigin{"https://a.example:443": signer}},
			`write it "https://a.example"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.transport.Base = base(func(*http.Request) (*http.Response, error) {
				t.Error("it was sent")
				return answer(200)
			})
			_, err := get(test.transport, "https://a.example/")
			var config *transport.ConfigError
			if !errors.As(err, &config) || !strings.Contains(err.Error(), test.say) {
				t.Errorf("got %v, want one that says %q", err, test.say)
			}
		})
	}
	for _, u := range []*url.URL{nil, {Path: "/relative"}, {Scheme: "ftp", Host: "a.example"},
		{Scheme: "https", Path: "/"}} {
		rt := &transport.Transport{Signer: signer, Base: base(nil)}
		if _, err := rt.RoundTrip(&http.Request{URL: u}); err == nil ||
			errors.Is(err, transport.ErrPlainHTTP) {
			t.Errorf("%v: %v", u, err)
		}
	}
}

// One client for several services signs for each with its own Signer, and for no other origin.
func TestByOrigin(t *testing.T) {
	a, b := &token{}, &token{issued: 7}
	var got []string
	rt := &transport.Transport{
		Signer: transport.ByOrigin{"https://a.example": a, "https://b.example:8443": b,
			"http://c.example": &cookie{}},
		Base: base(func(req *http.Request) (*http.Response, error) {
			id, _, _ := credentials(req)
			got = append(got, req.URL.Host+" "+id)
			if id == "id7" {
				return answer(401, "WWW-Authenticate", "Token credential")
			}
			if req.URL.Path == "/refused" {
				return answer(401)
			}
			return answer(200)
		})}
	for _, u := range []string{"https://a.example/", "https://b.example:8443/",
		"https://c.example/refused", "http://c.example/refused"} {
		if _, err := get(rt, u); err != nil {
			t.Fatal(err)
		}
	}
	want := "a.example id0,b.example:8443 id7,b.example:8443 id8,c.example ,c.example "
	if strings.Join(got, ",") != want {
		t.Errorf("sent %v, want %s", got, want)
	}
	if a.refreshes != 0 || b.refreshes != 1 || len(b.observed) != 2 {
		t.Errorf("%d and %d refreshes, b observed %v", a.refreshes, b.refreshes, b.observed)
	}
}
