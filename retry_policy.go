package countersign

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	firstWait   = 500 * time.Millisecond
	longestWait = 30 * time.Second
)

// repeatable reports whether req may be executed twice (RFC 9110, section 9.2.2) and can be sent
// twice. A key that is not sent protects nothing, so an empty one does not count.
func repeatable(req *http.Request) bool {
	if hasBody(req) && req.GetBody == nil {
		return false
	}
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace,
		http.MethodPut, http.MethodDelete:
		return true
	}
	return hasKey(req, "Idempotency-Key") || hasKey(req, "X-Idempotency-Key")
}

// hasKey ignores blanks, which net/http does not send.
func hasKey(req *http.Request, name string) bool {
	return strings.TrimSpace(req.Header.Get(name)) != ""
}

// mayPass reports whether what an attempt ended with may pass by itself. A refusal does not: the
// Transport has done what can be done about it.
func (r *retrier) mayPass(resp *http.Response, err error) bool {
	if err != nil {
		w, ok := errors.AsType[*wireError](err)
		return ok && lost(w.error) != nil
	}
	if resp == nil { // from a Base that was sent a request unsigned
		return false
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable,
		http.StatusGatewayTimeout:
		return r.signed.Refused == nil || !r.signed.Refused(resp)
	}
	return false
}

// A closing is how net/http says that there is no connection, where it has no value to compare.
type closing string

func (c closing) Error() string { return string(c) }

var (
	closings = [...]error{io.EOF, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE,
		syscall.Errno(10053), syscall.Errno(10054)} // the last two: aborted and reset in Windows

	closingTexts = [...]closing{
		"http: server closed idle connection",
		"http2: client conn is closed",
		"http2: client conn not usable",
		"http2: client connection lost",
		"net/http: TLS handshake timeout",
	}
)

// lost returns the part of err that says that there was no connection, or that it ended before an
// answer began; nil if nothing says so. A dial that took too long counts, though it looks like a
// deadline of the request.
func lost(err error) error {
	if err == nil || err == io.ErrUnexpectedEOF { //nolint:errorlint // wrapped, it is another
		// This is how HTTP/2 tells. For HTTP/1 it is an answer that was cut off, and wrapped.
		return err
	}
	op, ok := errors.AsType[*net.OpError](err)
	for ; ok; op, ok = errors.AsType[*net.OpError](op.Err) { // a proxy's hides that of the dial
		if op.Op == "dial" {
			return op
		}
	}
	for _, c := range closings {
		if errors.Is(err, c) {
			return c
		}
	}
	text := err.Error()
	for _, c := range closingTexts {
		if strings.HasSuffix(text, string(c)) {
			return c
		}
	}
	return nil
}

// pause returns how long to wait after an attempt, counted from 1. resp is nil after an error. The
// wait is random, so that clients which failed together do not come back together.
func pause(attempt int, resp *http.Response) time.Duration {
	if resp != nil {
		if wait, ok := retryAfter(resp.Header); ok {
			return wait
		}
	}
	longest := min(firstWait<<min(attempt-1, 6), longestWait)
	return rand.N(longest + 1) //nolint:gosec // spreads load, and guards nothing
}

// retryAfter reads a Retry-After field (RFC 9110, section 10.2.3), and keeps what it asks for
// within bounds. A date is compared with that of the answer, since the two come from one clock.
func retryAfter(h http.Header) (time.Duration, bool) {
	value := h.Get("Retry-After")
	if value != "" && strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || seconds > int64(longestWait/time.Second) {
			return longestWait, true
		}
		return time.Duration(seconds) * time.Second, true
	}
	then, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return min(max(then.Sub(now), 0), longestWait), true
}
