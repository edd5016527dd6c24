package raven

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// A privateWriter adds Cache-Control: private to a response that has no Cache-Control field. It
// looks at the header when the header is sent, because a handler may remove the field before that:
// [http.FileServer] does so on errors.
type privateWriter struct {
	http.ResponseWriter
	marked bool
}

// mark adds the field, once. It must be called before the header is sent.
func (p *privateWriter) mark(status int) {
	if p.marked || 100 <= status && status < 200 {
		return
	}
	p.marked = true
	if header := p.Header(); header.Get("Cache-Control") == "" {
		header.Set("Cache-Control", "private")
	}
}

func (p *privateWriter) WriteHeader(status int) {
	p.mark(status)
	p.ResponseWriter.WriteHeader(status)
}

func (p *privateWriter) Write(text []byte) (int, error) {
	p.mark(http.StatusOK)
	return p.ResponseWriter.Write(text)
}

// ReadFrom lets the wrapped writer copy a file in its fastest way, such as sendfile.
func (p *privateWriter) ReadFrom(r io.Reader) (int64, error) {
	p.mark(http.StatusOK)
	return io.Copy(p.ResponseWriter, r)
}

// Unwrap is for [http.ResponseController]. Flush and Hijack are for handlers that do not use it.
func (p *privateWriter) Unwrap() http.ResponseWriter { return p.ResponseWriter }

func (p *privateWriter) Flush() { _ = p.FlushError() }

func (p *privateWriter) FlushError() error {
	p.mark(http.StatusOK)
	return http.NewResponseController(p.ResponseWriter).Flush()
}

func (p *privateWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(p.ResponseWriter).Hijack()
}
