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

// A reading is the parts of a request that a MAC covers.
type reading struct {
	view.View

	spelled bool // the case of the host is kept, as only Explain asks for
}

// clientReading reads a request as net/http will write it. port is Signer.Port.
func clientReading(req *http.Request, d Dialect, port string) (r reading, err error) {
	if r.View, err = view.Client(req); err == nil && d == Django {
		err = r.locateDjango(view.Authority(req), req.URL, port)
	}
	return r, err
}

// receivedReading reads a request as a server got it. public is Verifier.PublicURL.
func receivedReading(req *http.Request, public *url.URL) (r reading, err error) {
	r.View, err = view.Received(req, public)
	return r, err
}

// locateDjango sets host and port as auth_mac has them: the host is cut at the first colon, which
// leaves a bracket of an IPv6 address, and the port is the one of the server's socket.
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

// append writes the base string from its third line on: method, target, host, port and ext, each
// ended by a line feed, the empty ext too (section 3.2.1).
func (v *reading) append(dst []byte, d Dialect, ext string) ([]byte, error) {
	if v.Method == "" || !visible.all(v.Method) {
		// Looser than RFC 9110, section 5.6.2, but no word of a request line can end in it.
		return dst, errMethod
	}
	if !visible.all(v.Path) || !visible.all(v.Query) || !visible.all(v.Prefix) {
		return dst, errTarget
	}
	return v.assemble(dst, d, ext)
}

// assemble is append for what is known to be without blanks and line feeds.
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
