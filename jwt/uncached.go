package jwt

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
)

// An uncachedWriter keeps an answer with our cookie out of caches, whatever a handler says of it:
// one that serves files deletes Cache-Control from its errors, and others set a public one.
//
// It is there for each request and not only where a cookie is set, so that a handler that does not
// get along with it fails the first time and not once an hour. Besides Unwrap it has the methods
// that older programs look for.
type uncachedWriter struct {
	http.ResponseWriter
	set  *sessionSettings
	sent bool // the header, so that it is left alone
}

// private has the last word on the header before it is sent.
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

// ReadFrom leaves it to the writer behind to send a file in the way of the operating system.
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
