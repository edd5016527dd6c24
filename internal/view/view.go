// Package view reads the parts of a request that a signature covers. For a request that a client is
// about to send, these are the parts that net/http will write. For a request that a server
// received, they are the parts that the client sent to the proxy in front.
package view

import (
	"net/http"
	"net/url"
	"strings"
)

// An Error is the reason why a request cannot be read.
type Error string

// Error returns the text of e.
func (e Error) Error() string { return string(e) }

// The reasons, each of which names the part of the request.
const (
	ErrNoURL     Error = "the request has no URL"
	ErrOpaque    Error = "the URL is opaque: set its Path or RawPath, beginning with a slash"
	ErrConnect   Error = "a CONNECT without a path names no resource"
	ErrForm      Error = "the target is neither a path nor a URL of this host"
	ErrNoHost    Error = "the request names no host"
	ErrHost      Error = "the host is not a name or an address"
	ErrHostASCII Error = "the host is not ASCII: write it in punycode (xn--...)"
	ErrPort      Error = "the port is not a number from 1 to 65535 without leading zeros"
	ErrScheme    Error = "the scheme is neither http nor https, so it has no default port"
)

// A View holds the parts of a request, unchanged and not normalized.
type View struct {
	Method     string
	Prefix     string // the part that a proxy removed from the start of Path
	Path       string // up to the question mark
	Query      string // after the question mark
	Ask        bool   // there is a question mark
	Absolute   int    // length of "scheme://authority" in Path, in a target of absolute-form
	Host, Port string // Port is never empty
	Bare       bool   // Port is the default of the scheme: the Host field had no port
}

// Client reads a request as net/http will write it.
func Client(req *http.Request) (v View, err error) {
	u := req.URL
	switch {
	case u == nil:
		return v, ErrNoURL
	case req.Method == http.MethodConnect && u.Path == "":
		return v, ErrConnect
	}
	if v.Method = req.Method; v.Method == "" {
		v.Method = http.MethodGet
	}
	if v.Path, v.Query, v.Ask, err = clientTarget(u); err != nil {
		return v, err
	}
	return v, v.locate(Authority(req), u.Scheme)
}

// Authority returns the Host field of a request that is about to be sent. req.URL is not nil.
func Authority(req *http.Request) string {
	if req.Host != "" {
		return WithoutZone(req.Host)
	}
	return WithoutZone(req.URL.Host)
}

// clientTarget returns the parts of u.RequestURI.
func clientTarget(u *url.URL) (path, query string, ask bool, err error) {
	path, query, ask = u.EscapedPath(), u.RawQuery, u.ForceQuery || u.RawQuery != ""
	if u.Opaque != "" {
		path, query, ask = strings.Cut(u.RequestURI(), "?")
	} else if path == "" {
		path = "/"
	}
	if path != "*" && !strings.HasPrefix(path, "/") {
		return "", "", false, ErrOpaque // such as "//host/path", which names an authority
	}
	return path, query, ask, nil
}

// Received reads a request as a server got it. If public is not nil, it is the URL that clients use
// for the proxy in front of the server: View has its scheme, host and port, and its path as a
// prefix. Header fields such as Forwarded are never read.
func Received(req *http.Request, public *url.URL) (v View, err error) {
	v.Method = req.Method
	v.Path, v.Query, v.Ask = strings.Cut(req.RequestURI, "?")
	authority, scheme := req.Host, "http"
	if req.TLS != nil {
		scheme = "https"
	}
	if public != nil {
		authority, scheme = public.Host, public.Scheme
		v.Prefix = strings.TrimRight(public.EscapedPath(), "/")
	}
	if err := v.locate(authority, scheme); err != nil {
		return v, err
	}
	if public != nil {
		v.Bare = false // public decides, and not the Host field
	}
	return v, v.checkForm()
}

// locate sets Host and Port.
func (v *View) locate(authority, scheme string) (err error) {
	if v.Host, v.Port, err = SplitHost(authority); err == nil && v.Port == "" {
		v.Bare = true
		v.Port, err = DefaultPort(scheme)
	}
	return err
}

// checkForm checks the form of a received target (RFC 9112, section 3.2). An absolute one must name
// the same host for which the request is checked. The targets of CONNECT are refused.
func (v *View) checkForm() error {
	switch {
	case strings.HasPrefix(v.Path, "/"):
		return nil
	case v.Path == "*" && v.Prefix == "":
		return nil
	}
	scheme, rest, ok := strings.Cut(v.Path, "://")
	if _, err := DefaultPort(strings.ToLower(scheme)); !ok || err != nil || v.Prefix != "" {
		return ErrForm
	}
	authority, _, _ := strings.Cut(rest, "/")
	var target View
	if err := target.locate(authority, strings.ToLower(scheme)); err != nil {
		return err
	}
	if !strings.EqualFold(target.Host, v.Host) || target.Port != v.Port {
		return ErrForm
	}
	v.Absolute = len(scheme) + len("://") + len(authority)
	return nil
}
