package mac

import (
	"net/http"
	"net/url"
	"strings"
)

const (
	errNoURL     problem = "the request has no URL"
	errOpaque    problem = "the URL is opaque: set its Path or RawPath, beginning with a slash"
	errConnect   problem = "a CONNECT without a path names no resource"
	errMethod    problem = "the method is not a token"
	errTarget    problem = "the target holds a blank or a byte outside printable ASCII: escape it"
	errForm      problem = "the target is neither a path nor a URL of this host"
	errTimestamp problem = "ts, nonce or ext is no printable ASCII without quote, backslash"
)

// BaseString returns the text whose MAC is sent, the "normalized request string" of section 3.2.1,
// as the [Signer] that sends req and the [Verifier] that receives it have to build it. It is for
// comparing with another implementation when MACs differ.
//
// A request with a RequestURI is taken as one that a server has received: RequestURI, Host and TLS
// count. Any other is one to be sent, so that URL and Host count, and is read as net/http would
// write it. Errors wrap [ErrUnsignable].
func BaseString(req *http.Request, d Dialect, ts, nonce, ext string) (string, error) {
	var v view
	var err error
	switch {
	case req.RequestURI == "":
		v, err = clientView(req, d, "")
	case d == Django:
		err = errDjango
	default:
		v, err = receivedView(req, nil)
	}
	if err == nil && (ts == "" || nonce == "" || !plain.all(ts+nonce+ext)) {
		err = errTimestamp
	}
	var text []byte
	if err == nil {
		text, err = v.append(appendLines(nil, ts, nonce), d, ext)
	}
	if err != nil {
		return "", because(ErrUnsignable, err)
	}
	return string(text), nil
}

func appendLines(dst []byte, lines ...string) []byte {
	for _, line := range lines {
		dst = append(append(dst, line...), '\n')
	}
	return dst
}

// A view is what a MAC covers of a request, cut from it but not yet normalized.
type view struct {
	method     string
	prefix     string // put in front of path: what a proxy took away
	path       string // up to the question mark
	query      string // what follows it
	ask        bool   // there is a question mark
	absolute   int    // length of "scheme://authority" in path, in a target of absolute-form
	host, port string // port is never empty
	bare       bool   // the port is the scheme's: the Host field had none
	spelled    bool   // the case of host is kept, as only Explain asks for
}

// clientView reads a request as net/http will write it. port is Signer.Port.
func clientView(req *http.Request, d Dialect, port string) (v view, err error) {
	u := req.URL
	switch {
	case u == nil:
		return v, errNoURL
	case req.Method == http.MethodConnect && u.Path == "":
		return v, errConnect
	}
	if v.method = req.Method; v.method == "" {
		v.method = http.MethodGet
	}
	if v.path, v.query, v.ask, err = clientTarget(u); err != nil {
		return v, err
	}
	authority := req.Host
	if authority == "" {
		authority = u.Host
	}
	authority = withoutZone(authority)
	if err := v.locate(authority, u.Scheme); err != nil {
		return v, err
	}
	if d == Django {
		err = v.locateDjango(authority, u, port)
	}
	return v, err
}

// clientTarget is u.RequestURI in its parts.
func clientTarget(u *url.URL) (path, query string, ask bool, err error) {
	path, query, ask = u.EscapedPath(), u.RawQuery, u.ForceQuery || u.RawQuery != ""
	if u.Opaque != "" {
		path, query, ask = strings.Cut(u.RequestURI(), "?")
	} else if path == "" {
		path = "/"
	}
	if path != "*" && !strings.HasPrefix(path, "/") {
		return "", "", false, errOpaque // such as "//host/path", which names an authority
	}
	return path, query, ask, nil
}

// receivedView reads a request as a server got it, from the public place that it was sent to, if
// that is not nil, for a server that stands behind a proxy.
func receivedView(req *http.Request, public *url.URL) (v view, err error) {
	v.method = req.Method
	v.path, v.query, v.ask = strings.Cut(req.RequestURI, "?")
	authority, scheme := req.Host, "http"
	if req.TLS != nil {
		scheme = "https"
	}
	if public != nil {
		authority, scheme = public.Host, public.Scheme
		v.prefix = strings.TrimRight(public.EscapedPath(), "/")
	}
	if err := v.locate(authority, scheme); err != nil {
		return v, err
	}
	if public != nil {
		v.bare = false // what the proxy was asked for, not a Host field that we read
	}
	return v, v.checkForm()
}

// locate sets host and port.
func (v *view) locate(authority, scheme string) (err error) {
	if v.host, v.port, err = splitHost(authority); err == nil && v.port == "" {
		v.bare = true
		v.port, err = defaultPort(scheme)
	}
	return err
}

// locateDjango sets host and port as auth_mac has them: the host is cut at the first colon, which
// leaves a bracket of an IPv6 address, and the port is that of the server's socket.
func (v *view) locateDjango(authority string, u *url.URL, port string) (err error) {
	v.host, _, _ = strings.Cut(authority, ":")
	if port == "" {
		port = u.Port()
	}
	if port == "" {
		port, err = defaultPort(u.Scheme)
	}
	if err == nil && !isPort(port) {
		err = errPort
	}
	v.port = port
	return err
}

// checkForm decides on the form of a received target (RFC 9112, section 3.2). An absolute one must
// name the very host that the request is judged for. Those of CONNECT are refused.
func (v *view) checkForm() error {
	switch {
	case strings.HasPrefix(v.path, "/"):
		return nil
	case v.path == "*" && v.prefix == "":
		return nil
	}
	scheme, rest, ok := strings.Cut(v.path, "://")
	if _, err := defaultPort(strings.ToLower(scheme)); !ok || err != nil || v.prefix != "" {
		return errForm
	}
	authority, _, _ := strings.Cut(rest, "/")
	var target view
	if err := target.locate(authority, strings.ToLower(scheme)); err != nil {
		return err
	}
	if !strings.EqualFold(target.host, v.host) || target.port != v.port {
		return errForm
	}
	v.absolute = len(scheme) + len("://") + len(authority)
	return nil
}

// append writes the base string from its third line on: method, target, host, port and ext, each
// ended by a line feed, the empty ext too (section 3.2.1).
func (v *view) append(dst []byte, d Dialect, ext string) ([]byte, error) {
	if v.method == "" || !visible.all(v.method) {
		// Looser than RFC 9110, section 5.6.2, but no word of a request line can end in it.
		return dst, errMethod
	}
	if !visible.all(v.path) || !visible.all(v.query) || !visible.all(v.prefix) {
		return dst, errTarget
	}
	return v.assemble(dst, d, ext)
}

// assemble is append for what is known to be without blanks and line feeds.
func (v *view) assemble(dst []byte, d Dialect, ext string) ([]byte, error) {
	dst, err := v.appendTarget(append(appendUpper(dst, v.method), '\n'), d, ext)
	if err != nil {
		return dst, err
	}
	host, port, err := v.place(d)
	if err != nil {
		return dst, err
	}
	dst = append(dst, '\n')
	if d == Django || v.spelled {
		dst = append(dst, host...)
	} else {
		dst = appendLower(dst, host)
	}
	return append(append(append(append(append(dst, '\n'), port...), '\n'), ext...), '\n'), nil
}

func (v *view) appendTarget(dst []byte, d Dialect, ext string) ([]byte, error) {
	switch d {
	case Draft01:
		dst = append(append(dst, v.prefix...), v.path...)
		if v.ask {
			dst = append(append(dst, '?'), v.query...)
		}
		return dst, nil
	case WebOb:
		return v.appendWebOb(dst)
	case Django:
		return v.appendDjango(dst, ext)
	}
	return dst, errDialect
}

func appendUpper(dst []byte, s string) []byte {
	start := len(dst)
	dst = append(dst, s...)
	for i, b := range dst[start:] {
		if 'a' <= b && b <= 'z' {
			dst[start+i] = b - ('a' - 'A')
		}
	}
	return dst
}

func appendLower(dst []byte, s string) []byte {
	start := len(dst)
	dst = append(dst, s...)
	for i, b := range dst[start:] {
		if 'A' <= b && b <= 'Z' {
			dst[start+i] = b + ('a' - 'A')
		}
	}
	return dst
}
