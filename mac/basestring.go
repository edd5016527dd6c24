package mac

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/countersign-go/countersign/internal/view"
)

const (
	errMethod    problem = "the method is not a token"
	errTarget    problem = "the target holds a blank or a byte outside printable ASCII: escape it"
	errTimestamp problem = "ts, nonce or ext must be printable ASCII without quotes or backslashes"
)

// BaseString returns the text that is hashed for the MAC, the "normalized request string" of
// section 3.2.1 of the draft. The [Signer] that sends req and the [Verifier] that receives it both
// build this text. Compare it with the text of another implementation when MACs differ.
//
// If req has a RequestURI, it is read as a request that a server has received, from RequestURI,
// Host and TLS. Otherwise it is read as a request to be sent, as net/http would write it, from URL
// and Host. The [Django] dialect reads only requests to be sent. Errors wrap [ErrUnsignable].
func BaseString(req *http.Request, d Dialect, ts, nonce, ext string) (string, error) {
	var v reading
	var err error
	switch {
	case req.RequestURI == "":
		v, err = clientReading(req, d, "")
	case d == Django:
		err = errDjango
	default:
		v, err = receivedReading(req, nil)
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

// A reading holds the parts of a request that a MAC covers.
type reading struct {
	view.View

	spelled bool // keep the case of the host; set by Explain only
}

// clientReading reads a request as net/http will write it. port is Signer.Port.
func clientReading(req *http.Request, d Dialect, port string) (r reading, err error) {
	if r.View, err = view.Client(req); err == nil && d == Django {
		err = r.locateDjango(view.Authority(req), req.URL, port)
	}
	return r, err
}

// receivedReading reads a request as a server received it. public is Verifier.PublicURL.
func receivedReading(req *http.Request, public *url.URL) (r reading, err error) {
	r.View, err = view.Received(req, public)
	return r, err
}

// locateDjango sets host and port as auth_mac reads them. It cuts the host at the first colon,
// which leaves only a bracket of an IPv6 address. The port is the port of the server's own socket.
func (v *reading) locateDjango(authority string, u *url.URL, port string) (err error) {
	v.Host, _, _ = strings.Cut(authority, ":")
	if port == "" {
		port = u.Port()
	}
	if port == "" {
		port, err = view.DefaultPort(u.Scheme)
	}
	if err == nil && !view.IsPort(port) {
		err = view.ErrPort
	}
	v.Port = port
	return err
}

// append appends the base string from its third line on: method, target, host, port and ext. A line
// feed ends each line, also an empty ext (section 3.2.1).
func (v *reading) append(dst []byte, d Dialect, ext string) ([]byte, error) {
	if v.Method == "" || !visible.all(v.Method) {
		// This is looser than RFC 9110, section 5.6.2, but the method cannot hold a byte that ends
		// a word of the request line.
		return dst, errMethod
	}
	if !visible.all(v.Path) || !visible.all(v.Query) || !visible.all(v.Prefix) {
		return dst, errTarget
	}
	return v.assemble(dst, d, ext)
}

// assemble is append without the checks. The caller must have ruled out control characters, which
// could shift the lines.
func (v *reading) assemble(dst []byte, d Dialect, ext string) ([]byte, error) {
	dst, err := v.appendTarget(append(appendUpper(dst, v.Method), '\n'), d, ext)
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

func (v *reading) appendTarget(dst []byte, d Dialect, ext string) ([]byte, error) {
	switch d {
	case Draft01:
		dst = append(append(dst, v.Prefix...), v.Path...)
		if v.Ask {
			dst = append(append(dst, '?'), v.Query...)
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
