// Package lost recognizes the errors of net/http for a connection that could not be made, or that
// ended before the answer began.
package lost

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
)

// A closing is the text of an error by which net/http reports that a connection has ended. It is
// used for errors that have no exported value.
type closing string

func (c closing) Error() string { return string(c) }

// Connection returns the part of err that says that a connection could not be made, or that it
// ended before an answer began. If there is no such part, it returns nil. A dial that timed out
// counts, although its error looks like a deadline of the request.
func Connection(err error) error {
	if err == nil || err == io.ErrUnexpectedEOF { //nolint:errorlint // wrapped, it is another
		// HTTP/2 and the CONNECT of a proxy return this error unwrapped. For a truncated answer in
		// HTTP/1.1, it is wrapped.
		return err
	}
	if dial := Dial(err); dial != nil {
		return dial
	}
	if errors.Is(err, net.ErrClosed) { // closed on this side, perhaps as another request failed
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

// Dial returns the part of err that says that a dial failed, so that nothing was sent. Otherwise it
// returns nil.
func Dial(err error) error {
	op, ok := errors.AsType[*net.OpError](err)
	for ; ok; op, ok = errors.AsType[*net.OpError](op.Err) { // a proxy's error wraps the dial's
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

// connect returns the failure of a proxy's CONNECT. The error of net/http holds only the reason
// phrase. A phrase that is not registered cannot be told from other errors.
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

// A streamError describes an HTTP/2 stream that was reset. net/http fills any struct that has these
// fields.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (streamError) Error() string { return "http2: the server refused the stream" }
