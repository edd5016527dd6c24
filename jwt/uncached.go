package jwt

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
)

// An uncachedWriter keeps responses with the session's cookie out of caches, whatever a handler
// sets. A handler that serves files deletes Cache-Control from its errors, and others set a public
// one.
//
// It wraps the response of each request, even if no cookie is set, so that a handler that is
// incompatible with it fails the first time and not once an hour. In addition to Unwrap, it has the
// methods that older programs look for.
type uncachedWriter struct {
	http.ResponseWriter
	set  *sessionSettings
	sent bool // the header was sent and must not change
}

// private forbids caching, if the header has the cookie. It runs just before the header is sent.
func (u *uncachedWriter) private() {
	if u.sent {
		return
	}
	header := u.Header()
	if slices.ContainsFunc(header["Set-Cookie"], u.set.isOurs) {
		header["Cache-Control"] = []string{"no-store"}
	}
}

func (u *uncachedWriter) WriteHeader(status int) {
	u.private()
	u.sent = u.sent || status >= http.StatusOK
	u.ResponseWriter.WriteHeader(status)
}

func (u *uncachedWriter) Write(p []byte) (int, error) {
	u.private()
	u.sent = true
	return u.ResponseWriter.Write(p)
}

// ReadFrom copies r to the wrapped writer, which may let the operating system send a file.
func (u *uncachedWriter) ReadFrom(r io.Reader) (int64, error) {
	u.private()
	u.sent = true
	return io.Copy(u.ResponseWriter, r)
}

func (u *uncachedWriter) FlushError() error {
	u.private()
	u.sent = true
	return http.NewResponseController(u.ResponseWriter).Flush()
}

func (u *uncachedWriter) Flush() { _ = u.FlushError() }

func (u *uncachedWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(u.ResponseWriter).Hijack()
}

func (u *uncachedWriter) Unwrap() http.ResponseWriter { return u.ResponseWriter }
