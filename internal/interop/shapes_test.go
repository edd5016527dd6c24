package interop

import (
	"net/url"
	"strings"
	"testing"
)

// A shape is a request that both directions try. The Python client and the Go client may send
// different requests for the same URL; each is verified by the other side's server.
type shape struct {
	name   string
	origin string // if empty, the service's own address, with its port
	target string
	host   string // of the Host field; if empty, the URL's host
	method string // if empty, GET
	body   string
	stream bool // send the body without its length
	ext    string
}

// Both clients connect to the service for these names, too, whatever the URL. So the tests can use
// the default ports without listening on them.
const (
	byName     = "http://example.com"
	overTLS    = "https://example.com"
	byIPv6     = "http://[::1]"
	byIPv6Port = "http://[::1]:8080"
	byZone     = "http://[fe80::1%25eth0]"
)

// origins are the origins that the Go client may sign for.
var origins = []string{byName, overTLS, byIPv6, byIPv6Port, byZone}

// Each client corrects some URLs before it signs. With the other client, the caller must correct
// them.
var (
	goShapes = []shape{
		{name: "leading slashes", target: "//a//b"},
		{name: "IPv6 with a zone", origin: byZone, target: "/a"},
		{name: "fragment", target: "/a?x=1#fragment"},
	}
	pythonShapes = []shape{
		{name: "query with a space", target: "/a?q=one two"},
		{name: "query in UTF-8 as it is", target: "/a?q=é"},
		{name: "percent that does not decode", target: "/100%"},
		{name: "host in UTF-8 as it is", origin: "http://bücher.example", target: "/a"},
	}
)

// shapes are for both.
var shapes = []shape{
	{name: "plain", target: "/resource/1?b=1&a=2"},
	{name: "no path"},
	{name: "no path but a query", target: "?x=1"},
	{name: "root", target: "/"},
	{name: "trailing slash", target: "/a/b/"},
	{name: "slash encoded", target: "/a%2Fb"},
	{name: "slash encoded in lower case", target: "/a%2fb"},
	{name: "slash encoded and a query", target: "/a%2Fb?x=%2f"},
	{name: "tilde encoded", target: "/%7Euser"},
	{name: "letter encoded", target: "/%41bc"},
	{name: "unreserved", target: "/AZaz09-._~"},
	{name: "space encoded", target: "/a%20b"},
	{name: "space as it is", target: "/a b"},
	{name: "UTF-8 encoded", target: "/caf%C3%A9"},
	{name: "UTF-8 encoded in lower case", target: "/caf%c3%a9"},
	{name: "UTF-8 as it is", target: "/日本"},
	{name: "plus", target: "/a+b"},
	{name: "plus encoded", target: "/a%2Bb"},
	{name: "colon encoded", target: "/ns%3Aitem"},
	{name: "brackets", target: "/list[0]"},
	{name: "brackets encoded", target: "/list%5B0%5D"},
	{name: "pipe and quote", target: `/a|b"c`},
	{name: "sub-delimiters", target: "/!$&'()*+,;=:@"},
	{name: "path parameters", target: "/a;v=1/b;w=2"},
	{name: "percent encoded", target: "/100%25"},
	{name: "question mark and hash encoded", target: "/what%3F%23"},
	{name: "encoded twice", target: "/a%252Fb"},
	{name: "NUL and line feed encoded", target: "/a%00b%0Ac"},
	{name: "dot segments", target: "/a/./b/../c"},
	{name: "dot segments encoded", target: "/a/%2E%2E/b"},
	{name: "empty segment", target: "/a//b"},
	{name: "long path", target: strings.Repeat("/segment", 400)},
	{name: "question mark alone", target: "/a?"},
	{name: "question mark alone on root", target: "/?"},
	{name: "question mark in the query", target: "/a?b?c"},
	{name: "query without values", target: "/a?x&y=&=z&&"},
	{name: "query order and repetition", target: "/a?z=1&a=2&z=1"},
	{name: "query with odd bytes encoded", target: "/a?q=%00%FF%0A%7e%41"},
	{name: "query in lower case", target: "/a?n=%c3%a9"},
	{name: "query with plus and brackets", target: "/a?ids[]=1&q=one+two%20three"},
	{name: "query with a URL", target: "/a?u=http://h:1/p;x='!'"},
	{name: "query that does not decode", target: "/a?x=%zz"},
	{name: "long query", target: "/a?" + strings.Repeat("key=value%20&", 300)},

	{name: "HEAD", method: "HEAD", target: "/res/42"},
	{name: "POST", method: "POST", target: "/res/42?x=1", body: "a body, añd UTF-8"},
	{name: "POST without a body", method: "POST", target: "/res/42"},
	{name: "POST of unknown length", method: "POST", target: "/res/42", body: "flow", stream: true},
	{name: "PUT", method: "PUT", target: "/res/42", body: strings.Repeat("long ", 20000)},
	{name: "PATCH", method: "PATCH", target: "/res/42", body: "{}"},
	{name: "DELETE", method: "DELETE", target: "/res/42"},
	{name: "OPTIONS", method: "OPTIONS", target: "/res/42"},
	{name: "a method of its own", method: "REPORT", target: "/res/42"},

	{name: "ext", target: "/e", ext: "payload"},
	{name: "ext with commas", target: "/e", ext: ",a,b=c, mac=1,"},
	{name: "ext with blanks", target: "/e", ext: " two  words "},
	{name: "ext with punctuation", target: "/e", ext: "!#$%&'()*+-./:;<=>?@[]^_`{|}~"},

	{name: "default port", origin: byName, target: "/a?x=1"},
	{name: "default port spelled out", origin: byName + ":80", target: "/a"},
	{name: "host in upper case", origin: "http://EXAMPLE.com", target: "/a"},
	{name: "TLS", origin: overTLS, target: "/a%2Fb?x=1"},
	{name: "TLS with its port spelled out", origin: overTLS + ":443", target: "/a"},
	{name: "TLS and POST", origin: overTLS, target: "/a", method: "POST", body: "body"},
	{name: "another Host", host: "virtual.example", target: "/a"},
	{name: "another Host with a port", host: "Virtual.Example:8080", target: "/a"},
	{name: "IPv6", origin: byIPv6, target: "/a"},
	{name: "IPv6 with a port", origin: byIPv6Port, target: "/a"},
}

func (s shape) url(listens string) string {
	if s.origin != "" {
		return s.origin + s.target
	}
	return listens + s.target
}

func (s shape) verb() string {
	if s.method == "" {
		return "GET"
	}
	return s.method
}

// answer is the body of an answer that repeats the request's body.
func (s shape) answer() string {
	if s.method == "HEAD" {
		return ""
	}
	return s.body
}

func portOf(t *testing.T, listens string) string {
	t.Helper()
	u, err := url.Parse(listens)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}
