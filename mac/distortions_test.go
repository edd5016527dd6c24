package mac_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/mac"
)

// A distortion is a change to a request between a Signer and a Verifier.
type distortion struct {
	kind   string // its name in the tables
	reason string
	signer func(*mac.Signer, *mac.Credentials)
	url    string
	body   string
	proxy  func(*http.Request)
	server func(*mac.Verifier, *mac.Key)
	late   time.Duration
	causes []string
	text   string // a part of the sentence
}

func target(to string) func(*http.Request) {
	return func(req *http.Request) { req.RequestURI = to }
}

func rename(host string) func(*http.Request) {
	return func(req *http.Request) { req.Host, req.TLS = host, nil }
}

func field(name, value string) func(*http.Request) {
	return func(req *http.Request) { req.Header.Set(name, value) }
}

func all(proxies ...func(*http.Request)) func(*http.Request) {
	return func(req *http.Request) {
		for _, p := range proxies {
			p(req)
		}
	}
}

func plainHTTP(req *http.Request) { req.TLS = nil }

func payload(text string) func(*http.Request) {
	return func(req *http.Request) { req.Body = io.NopCloser(strings.NewReader(text)) }
}

func digests(s *mac.Signer, _ *mac.Credentials)  { s.BodyDigest = true }
func wantsDigest(v *mac.Verifier, _ *mac.Key)    { v.BodyDigest = true }
func speaksWebOb(v *mac.Verifier, _ *mac.Key)    { v.Dialect = mac.WebOb }
func inWebOb(s *mac.Signer, _ *mac.Credentials)  { s.Dialect = mac.WebOb }
func inSHA1(_ *mac.Signer, c *mac.Credentials)   { c.Algorithm = mac.SHA1 }
func inDjango(s *mac.Signer, c *mac.Credentials) { s.Dialect, c.Algorithm = mac.Django, mac.SHA1 }
func knowsSHA1(_ *mac.Verifier, k *mac.Key)      { k.Algorithm = mac.SHA1 }
func secret(as []byte) func(*mac.Verifier, *mac.Key) {
	return func(_ *mac.Verifier, k *mac.Key) { k.Secret = as }
}

const secureURL = "https://api.example.com/a/b?x=1&y=2"

// textKey is the key in all distortions: it is valid base64, base64url and hexadecimal.
const textKey = "0123456789abcdef0123456789abcdef"

func decoded(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// alone holds each of the 14 kinds of distortions.
var alone = []distortion{
	{kind: "port 80/443", reason: "a proxy ends TLS and names its own port",
		proxy: rename("api.example.com:8080"), causes: []string{"port"},
		text: "would match with port 443: the proxy in front ends TLS; set PublicURL"},
	{kind: "port 80/443", reason: "the same without TLS", url: "http://api.example.com/",
		proxy: rename("api.example.com:8080"), causes: []string{"port"}, text: "port 80: "},
	{kind: "scheme", reason: "a proxy ends TLS and keeps Host", proxy: plainHTTP,
		causes: []string{"scheme"},
		text:   "would match with port 443: the proxy in front ends TLS; set PublicURL"},
	{kind: "scheme", reason: "a PublicURL with the wrong scheme", url: "http://api.example.com/",
		server: func(v *mac.Verifier, _ *mac.Key) {
			v.PublicURL = &url.URL{Scheme: "https", Host: "api.example.com"}
		}, causes: []string{"host"}, text: "PublicURL is not what clients ask for"},
	{kind: "Host variants", reason: "missing port", url: "http://api.example.com:8081/",
		proxy: rename("api.example.com"), causes: []string{"host"}, text: "lost its port"},
	{kind: "Host variants", reason: "missing port, which is that of the server's socket",
		url: "http://api.example.com:4711/", proxy: all(rename("api.example.com"), onPort(4711)),
		causes: []string{"host"}, text: "port 4711"},
	{kind: "Host variants", reason: "another host", url: "http://localhost:8080/",
		proxy: rename("127.0.0.1:8080"), causes: []string{"host"}, text: "host localhost"},
	{kind: "Host variants", reason: "another host in an absolute URL of a proxied test",
		proxy: func(req *http.Request) {
			req.Host, req.URL.Host = "backend", "api.example.com"
		}, causes: []string{"host"}, text: `host "api.example.com"`},
	{kind: "Host variants", reason: "case", url: "http://API.example.com/?x=1",
		signer: inDjango, server: knowsSHA1, causes: []string{"dialect"}, text: "Django"},
	{kind: "Host variants", reason: "case, signed as it is",
		proxy:  signedBy(textKey, "/a/b?x=1&y=2", "API.example.com"),
		causes: []string{"host"}, text: "in the letters of the request"},
	{kind: "Host variants", reason: "a dot at the end was taken away",
		url: "http://api.example.com./", proxy: rename("api.example.com"),
		causes: []string{"host"}, text: "with a dot at its end"},
	{kind: "Host variants", reason: "a dot at the end came in", url: "http://api.example.com/",
		proxy: rename("api.example.com."), causes: []string{"host"}, text: "without a dot"},
	{kind: "forwarded headers", reason: "X-Forwarded-Host, and TLS ended",
		proxy: all(rename("backend:8080"), field("X-Forwarded-Host", "api.example.com"),
			field("X-Forwarded-Proto", "https")), causes: []string{"forwarded"},
		text: `host "api.example.com" and port 443 of the forwarded fields: the proxy`},
	{kind: "forwarded headers", reason: "X-Forwarded-Port, of two proxies",
		url: "https://api.example.com:4711/", proxy: all(rename("backend"),
			field("X-Forwarded-Host", "api.example.com, inner"), field("X-Forwarded-Port", "4711")),
		causes: []string{"forwarded"}, text: "port 4711"},
	{kind: "forwarded headers", reason: "Forwarded", url: "https://api.example.com:4711/",
		proxy: all(rename("backend"),
			field("Forwarded", `for=192.0.2.1;host="api.example.com:4711";proto=https, for=x`)),
		causes: []string{"forwarded"}, text: "port 4711"},
	{kind: "decoded path", reason: "by the proxy: a slash", url: "https://api.example.com/a%2Fb",
		proxy: target("/a/b"), causes: []string{"decoded path"}, text: "before it was decoded"},
	{kind: "decoded path", reason: "by the proxy: a tilde", url: "https://api.example.com/%7Eu",
		proxy: target("/~u"), causes: []string{"decoded path"}, text: "before it was decoded"},
	{kind: "decoded path", reason: "before it was signed",
		proxy: all(target("/caf%C3%A9"),
			signedBy(textKey, "/caf\xc3\xa9", "api.example.com")),
		causes: []string{"decoded path"}, text: "the path decoded"},
	{kind: "re-quoted path", reason: "the letters of the digits",
		url: "https://api.example.com/caf%c3%a9", proxy: target("/caf%C3%A9"),
		causes: []string{"requoted path"}},
	{kind: "re-quoted path", reason: "more was quoted", url: "https://api.example.com/a%3Ab%20c",
		proxy: target("/a:b%20c"), causes: []string{"requoted path"}},
	{kind: "re-quoted path", reason: "more was quoted, beside a quoted slash",
		url: "https://api.example.com/a%2Fb%3Ac%20d", proxy: target("/a%2Fb:c%20d"),
		causes: []string{"requoted path"}},
	{kind: "reordered query", reason: "by name, with more than are permuted",
		url:   "https://api.example.com/?a=1&b=2&b=1&c=1&e=1",
		proxy: target("/?b=2&e=1&a=1&b=1&c=1"), causes: []string{"query order"}},
	{kind: "reordered query", reason: "in full, with more than are permuted",
		url:   "https://api.example.com/?a=1&b=1&b=2&c=1&e=1",
		proxy: target("/?b=2&e=1&a=1&b=1&c=1"), causes: []string{"query order"}},
	{kind: "reordered query", reason: "sorted", url: "https://api.example.com/?b=1&c=2&a=3",
		proxy: target("/?a=3&b=1&c=2"), causes: []string{"query order"}},
	{kind: "reordered query", reason: "reversed, with more than are permuted",
		url:   "https://api.example.com/?f=1&e=2&d=3&c=4&g=5&a=6",
		proxy: target("/?a=6&g=5&c=4&d=3&e=2&f=1"), causes: []string{"query order"}},
	{kind: "re-encoded query", reason: "blanks", url: "https://api.example.com/?q=a+b",
		proxy: target("/?q=a%20b"), causes: []string{"query encoding"}},
	{kind: "re-encoded query", reason: "characters", url: "https://api.example.com/?q=a:b,c%20d",
		proxy: target("/?q=a%3Ab%2Cc%20d"), causes: []string{"query encoding"}},
	{kind: "re-encoded query", reason: "no equals sign", url: "https://api.example.com/?flag&x=1",
		proxy: target("/?flag=&x=1"), causes: []string{"query encoding"}},
	{kind: "trailing slash", reason: "added", proxy: target("/a/b/?x=1&y=2"),
		causes: []string{"trailing slash"}, text: "no slash at the end"},
	{kind: "trailing slash", reason: "taken away", url: "https://api.example.com/a/",
		proxy: target("/a"), causes: []string{"trailing slash"}, text: "a slash at the end"},
	{kind: "key read as base64", reason: "by the server",
		server: secret(decoded(base64.StdEncoding.DecodeString(textKey))), causes: []string{"key"},
		text: "the key encoded in base64"},
	{kind: "key read as base64", reason: "by the client",
		proxy: signedBy(string(decoded(base64.StdEncoding.DecodeString(textKey))),
			"/a/b?x=1&y=2", "api.example.com"), causes: []string{"key"},
		text: "the key decoded from base64"},
	{kind: "key read as base64", reason: "base64url, by the client",
		server: secret([]byte("-_-_")), proxy: signedBy("\xfb\xff\xbf",
			"/a/b?x=1&y=2", "api.example.com"), causes: []string{"key"},
		text: "the key decoded from base64"},
	{kind: "key read as base64", reason: "hexadecimal, by the server",
		server: secret(decoded(hex.DecodeString(textKey))), causes: []string{"key"},
		text: "the key encoded in hexadecimal"},
	{kind: "other algorithm", reason: "the client has SHA-1", signer: inSHA1,
		causes: []string{"algorithm"}, text: "would match with hmac-sha-1: "},
	{kind: "other algorithm", reason: "the server has SHA-1", server: knowsSHA1,
		causes: []string{"algorithm"}, text: "would match with hmac-sha-256: "},
	{kind: "other dialect", reason: "the client has WebOb", signer: inWebOb,
		url: "https://api.example.com/a%2Fb", causes: []string{"dialect"}, text: "WebOb"},
	{kind: "other dialect", reason: "the server has WebOb", server: speaksWebOb,
		url: "https://api.example.com/a%2Fb", causes: []string{"dialect"}, text: "Draft01"},
	{kind: "other dialect", reason: "the client has Django", signer: inDjango, server: knowsSHA1,
		causes: []string{"dialect"}, text: "Django"},
	{kind: "clock", reason: "behind", late: time.Hour, causes: []string{"clock"},
		text: "would pass with the clock set right: the timestamp is 1h0m0s behind the clock of " +
			"this machine and the window is 1m0s"},
	{kind: "clock", reason: "ahead", late: -90 * time.Second, causes: []string{"clock"},
		text: "is 1m30s ahead of"},
	{kind: "clock", reason: "by all that a timestamp can hold", late: -1e6 * time.Hour,
		causes: []string{"clock"}, text: "over 100 years"},
	{kind: "clock", reason: "not after NotBefore",
		server: func(v *mac.Verifier, _ *mac.Key) { v.NotBefore = testTime },
		causes: []string{"clock"}, text: "sign again"},
	{kind: "body re-serialised", reason: "a line feed", signer: digests, server: wantsDigest,
		body: `{"a":1}`, proxy: payload(`{"a":1}` + "\n"), causes: []string{"body"},
		text: "would pass with no line feed at the end of the body"},
	{kind: "body re-serialised", reason: "a line feed less", signer: digests, server: wantsDigest,
		body: "text\n", proxy: payload("text"), causes: []string{"body"},
		text: "a line feed at the end"},
	{kind: "body re-serialised", reason: "JSON", signer: digests, server: wantsDigest,
		body: `{"b": [1, 2], "a": "x, y: \" z"}`, proxy: payload(`{"b":[1,2],"a":"x, y: \" z"}`),
		causes: []string{"body"}, text: "JSON"},
	{kind: "body re-serialised", reason: "JSON with other indents", signer: digests,
		server: wantsDigest, body: "{\n  \"a\": 1\n}\n", proxy: payload(`{"a": 1}`),
		causes: []string{"body"}, text: "JSON"},
	{kind: "body re-serialised", reason: "JSON that had sorted names", signer: digests,
		server: wantsDigest, body: `{"a":"<","b":10000000000000001}`,
		proxy: payload(`{"b":10000000000000001,"a":"<"}`), causes: []string{"body"}, text: "JSON"},
	{kind: "body re-serialised", reason: "a form", signer: digests, server: wantsDigest,
		body: "a=1&b=x+y", proxy: payload("b=x%20y&a=1"), causes: []string{"body"}, text: "form"},
	{kind: "body re-serialised", reason: "other bytes", signer: digests, server: wantsDigest,
		body: "one", proxy: payload("two"), causes: []string{"body"}, text: "another body"},
	{kind: "body re-serialised", reason: "no body", signer: digests, server: wantsDigest,
		body: "one", proxy: payload(""), causes: []string{"body"}, text: "another body"},
	{kind: "body re-serialised", reason: "no digest", server: wantsDigest,
		body: "one", proxy: payload("one"), causes: []string{"body"}, text: "set BodyDigest"},
}

// pairs holds two distortions at a time, as they occur together in practice.
var pairs = []distortion{
	{kind: "port, forwarded", reason: "Host is another, and only a port is forwarded",
		proxy:  all(rename("www.api.example.com"), field("X-Forwarded-Port", "443")),
		causes: []string{"forwarded", "host"}},
	{kind: "forwarded, port", reason: "the host is forwarded, and TLS ended in silence",
		proxy:  all(rename("backend:8080"), field("X-Forwarded-Host", "api.example.com")),
		causes: []string{"forwarded", "port"},
		text:   "changes what clients ask for; the proxy in front ends TLS; set PublicURL"},
	{kind: "host, scheme", reason: "TLS ended, and a dot at the end",
		proxy: rename("api.example.com."), causes: []string{"host", "scheme"}},
	{kind: "scheme, port", reason: "TLS ended at a server that names its port",
		proxy: rename("api.example.com:8000"), causes: []string{"port"}, text: "port 443"},
	{kind: "forwarded, decoded path", reason: "a proxy that does all",
		url: "https://api.example.com/a%2Fb", proxy: all(rename("backend"), target("/a/b"),
			field("X-Forwarded-Host", "api.example.com"), field("X-Forwarded-Proto", "https")),
		causes: []string{"forwarded", "decoded path"}},
	{kind: "forwarded, query order", reason: "a proxy that sorts",
		url: "https://api.example.com/?b=1&a=2", proxy: all(rename("backend"), target("/?a=2&b=1"),
			field("X-Forwarded-Host", "api.example.com"), field("X-Forwarded-Proto", "https")),
		causes: []string{"forwarded", "query order"}},
	{kind: "scheme, clock", reason: "a new machine behind a proxy", proxy: plainHTTP,
		late: time.Hour, causes: []string{"scheme", "clock"},
		text: "would match with port 443 and the clock set right"},
	{kind: "dialect, clock", reason: "a Python client", signer: inWebOb, late: time.Hour,
		url: "https://api.example.com/a%2Fb", causes: []string{"dialect", "clock"}},
	{kind: "key, clock", reason: "a first try", late: time.Hour,
		server: secret(decoded(base64.StdEncoding.DecodeString(textKey))),
		causes: []string{"key", "clock"}},
	{kind: "algorithm, clock", reason: "a first try", signer: inSHA1, late: time.Hour,
		causes: []string{"algorithm", "clock"}},
	{kind: "body, clock", reason: "a first try", signer: digests, server: wantsDigest,
		late: time.Hour, body: "{}", proxy: payload("{}\n"), causes: []string{"clock", "body"}},
	{kind: "path, clock", reason: "a slow proxy", proxy: target("/a/b/?x=1&y=2"), late: time.Hour,
		causes: []string{"trailing slash", "clock"}},
	{kind: "scheme, dialect", reason: "a Django client behind a proxy", signer: inDjango,
		server: knowsSHA1, proxy: plainHTTP, causes: []string{"scheme", "dialect"}},
	{kind: "port, dialect", reason: "a Django client that knows the socket's port",
		server: knowsSHA1,
		signer: func(s *mac.Signer, c *mac.Credentials) { inDjango(s, c); s.Port = "8000" },
		url:    "http://api.example.com:81/?x=1",
		causes: []string{"port", "dialect"}, text: "port 8000"},
	{kind: "dialect, algorithm", reason: "an unknown Python client",
		url: "https://api.example.com/a%2Fb", causes: []string{"dialect", "algorithm"},
		signer: func(s *mac.Signer, c *mac.Credentials) { inWebOb(s, c); inSHA1(s, c) }},
	{kind: "scheme, key", reason: "behind a proxy, and a key decoded", proxy: plainHTTP,
		server: secret(decoded(base64.StdEncoding.DecodeString(textKey))),
		causes: []string{"scheme", "key"}},
	{kind: "scheme, slash", reason: "a proxy in front",
		proxy:  all(plainHTTP, target("/a/b/?x=1&y=2")),
		causes: []string{"scheme", "trailing slash"}},
	{kind: "query order, encoding", reason: "a proxy that parses and writes the query",
		url: "https://api.example.com/?z=a%20b&a=:", proxy: target("/?a=%3A&z=a+b"),
		causes: []string{"query order", "query encoding"}},
	{kind: "requoted path, query encoding", reason: "a proxy that writes all anew",
		url: "https://api.example.com/a%7e?q=a+b", proxy: target("/a~?q=a%20b"),
		causes: []string{"decoded path", "query encoding"}},
	{kind: "scheme, body", reason: "a proxy that knows JSON", signer: digests, server: wantsDigest,
		body: `{"a": 1}`, proxy: all(plainHTTP, payload(`{"a":1}`)),
		causes: []string{"scheme", "body"}},
	{kind: "scheme, algorithm, clock", reason: "all goes wrong", signer: inSHA1, proxy: plainHTTP,
		late: time.Hour, causes: []string{"scheme", "algorithm", "clock"}},
}

// others holds distortions of other kinds.
var others = []distortion{
	{reason: "a parameter was added", proxy: target("/a/b?x=1&y=2&z=3"),
		causes: []string{"added query"}, text: "parameter 3"},
	{reason: "the only parameter was added", url: "https://api.example.com/",
		proxy:  target("/?z=3"),
		causes: []string{"added query"}},
	{reason: "a question mark was lost", url: "https://api.example.com/?", proxy: target("/"),
		causes: []string{"query encoding"}},
	{reason: "the target is a whole URL", proxy: target("https://api.example.com/a/b?x=1&y=2"),
		causes: []string{"target"},
		text:   "would match with the path alone: the target came as a whole URL"},
	{reason: "the target is a whole URL without a path", url: "https://api.example.com",
		proxy: target("https://api.example.com"), causes: []string{"target"}},
	{reason: "the target is a whole URL, and was changed",
		proxy:  target("https://api.example.com/a/b/?x=1&y=2"),
		causes: []string{"target", "trailing slash"}},
	{reason: "a HEAD became a GET", proxy: func(req *http.Request) { req.Method = "HEAD" },
		causes: []string{"method"}},
	{reason: "the proxy takes a part of the path", proxy: all(target("/b?x=1&y=2"),
		field("X-Forwarded-Prefix", "/a/")), causes: []string{"path prefix"},
		text: "set PublicURL"},
	{reason: "the key was stored with a line feed", server: secret([]byte(textKey + "\n")),
		causes: []string{"key"}, text: "without the blanks"},
	{reason: "the key has ended", causes: []string{"expired"}, text: "it ended 1m0s ago",
		server: func(_ *mac.Verifier, k *mac.Key) {
			k.Identity.Expires = testTime.Add(-time.Minute)
		}},
	{reason: "PublicURL has a path too many", causes: []string{"path prefix"},
		server: func(v *mac.Verifier, _ *mac.Key) {
			v.PublicURL = &url.URL{Scheme: "https", Host: "api.example.com", Path: "/v1"}
		}},
}

func onPort(port int) func(*http.Request) {
	return func(req *http.Request) {
		ctx := context.WithValue(req.Context(), http.LocalAddrContextKey,
			net.Addr(&net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: port}))
		*req = *req.WithContext(ctx)
	}
}

// signedBy is another client implementation, which signs a GET in its own way.
func signedBy(key, to, host string) func(*http.Request) {
	return func(req *http.Request) {
		const ts = "1336363200"
		text := strings.Join([]string{ts, "n", "GET", to, host, "443", "", ""}, "\n")
		req.Host = host
		req.Header.Set("Authorization", fmt.Sprintf(`MAC id="ann", ts="%s", nonce="n", mac="%s"`,
			ts, expected(mac.SHA256, key, text)))
	}
}

// arrange signs a request, sends it through the proxy and returns the request that the server
// receives.
func (d *distortion) arrange(t testing.TB) (*http.Request, *mac.Key, *mac.Verifier) {
	t.Helper()
	c := &mac.Credentials{ID: "ann", Key: []byte(textKey)}
	s := &mac.Signer{Source: c}
	if d.signer != nil {
		d.signer(s, c)
	}
	to := d.url
	if to == "" {
		to = secureURL
	}
	req := newRequest(t, "GET", to)
	if d.body != "" {
		req = must(http.NewRequest("POST", to, strings.NewReader(d.body)))
	}
	if err := s.Sign(req, testTime.Add(-d.late)); err != nil {
		t.Fatal(err)
	}
	got := received(req)
	got.GetBody = nil // a body from a socket cannot be read again
	if d.proxy != nil {
		d.proxy(got)
	}
	key := &mac.Key{Secret: []byte(textKey)}
	v := &mac.Verifier{Keys: func(context.Context, string) (*mac.Key, error) { return key, nil }}
	if d.server != nil {
		d.server(v, key)
	}
	return got, key, v
}

func must[V any](v V, err error) V {
	if err != nil {
		panic(err)
	}
	return v
}
