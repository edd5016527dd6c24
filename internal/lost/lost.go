// Package lost tells from an error of net/http that a connection could not be made, or that it
// ended before the answer began.
package lost

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
)

// A closing is a text by which net/http says that a connection has ended, if it has no value to
// compare.
type closing string

func (c closing) Error() string { return string(c) }

// Connection returns the part of err that says that a connection could not be made, or that it
// ended before an answer began. If no part says so, it returns nil. A dial that took too long
// counts, though it looks like a deadline of the request.
func Connection(err error) error {
	if err == nil || err == io.ErrUnexpectedEOF { //nolint:errorlint // wrapped, it is another
		// HTTP/2 and the CONNECT of a proxy end like this. For an answer in HTTP/1.1 that was cut
		// off, it is wrapped.
		return err
	}
	if dial := Dial(err); dial != nil {
		return dial
	}
	if errors.Is(err, net.ErrClosed) { // on this side, for instance since another request failed
		return net.ErrClosed
	}
	for _, c := range closings {
		if errors.Is(err, c) {
			return c
		}
	}
	if stream, ok := errors.AsType[streamError](err); ok {
		if stream.Code == refusedStream {
			return stream
		}
		return nil
	}
	text := err.Error()
	for _, c := range suffixes {
		if strings.HasSuffix(text, string(c)) {
			return c
		}
	}
	for _, c := range prefixes {
		if strings.HasPrefix(text, string(c)) {
			return c
		}
	}
	return connect(text)
}

// Dial returns the part of err that says that a dial failed, so that nothing was sent, else nil.
func Dial(err error) error {
	op, ok := errors.AsType[*net.OpError](err)
	for ; ok; op, ok = errors.AsType[*net.OpError](op.Err) { // a proxy's hides the one of the dial
		if op.Op == "dial" {
			return op
		}
	}
	return nil
}

var (
	suffixes = [...]closing{
		"http: server closed idle connection",
		"http2: client conn is closed",
		"http2: client conn could not be established",
		"http2: client conn not usable",
		"http2: client connection force closed via ClientConn.Close",
		"http2: client connection lost",
		"http2: Transport received Server's graceful shutdown GOAWAY",
		"net/http: TLS handshake timeout",
	}
	prefixes = [...]closing{
		"http2: server sent GOAWAY and closed the connection",
	}
)

// connect returns the failure of a proxy's CONNECT, of which net/http tells the reason phrase
// alone. Other phrases than the registered ones cannot be told from other errors.
func connect(text string) error {
	for _, status := range [...]int{http.StatusTooManyRequests, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout} {
		if text == http.StatusText(status) {
			return closing("proxy: " + text)
		}
	}
	return nil
}

const refusedStream = 7 // RFC 9113, section 7

// A streamError gets what net/http knows of a stream that was reset. net/http fills any struct
// that has these fields.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (streamError) Error() string { return "http2: the server refused the stream" }
