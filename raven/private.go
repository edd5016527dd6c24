package raven

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// A privateWriter has no shared cache keep an answer that says nothing of caches. It looks when the
// header is sent, as a handler may have taken the field away: [http.FileServer] does so on errors.
type privateWriter struct {
	http.ResponseWriter
	marked bool
}

// mark is called before the header is sent.
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

// ReadFrom lets the writer below copy a file as it can do best.
func (p *privateWriter) ReadFrom(r io.Reader) (int64, error) {
	p.mark(http.StatusOK)
	return io.Copy(p.ResponseWriter, r)
}

// Unwrap is for [http.ResponseController]; Flush and Hijack are for handlers that do without it.
func (p *privateWriter) Unwrap() http.ResponseWriter { return p.ResponseWriter }

func (p *privateWriter) Flush() { _ = p.FlushError() }

func (p *privateWriter) FlushError() error {
	p.mark(http.StatusOK)
	return http.NewResponseController(p.ResponseWriter).Flush()
}

func (p *privateWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(p.ResponseWriter).Hijack()
}
