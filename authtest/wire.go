package authtest

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// received returns req as a server would parse it.
func received(req *http.Request) *http.Request {
	r := req.Clone(req.Context())
	r.URL.User, r.URL.Fragment = nil, ""
	r.RequestURI = r.URL.RequestURI()
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	if r.Header == nil {
		r.Header = make(http.Header)
	}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	if r.RemoteAddr = "192.0.2.1:1234"; r.URL.Scheme == "https" { // RFC 5737
		r.TLS = new(tls.ConnectionState)
	}
	r.URL.Scheme, r.URL.Host = "", ""
	return r
}

// A counter counts the bytes that are read from a body.
type counter struct {
	io.ReadCloser
	n atomic.Int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// wait waits for d. If ctx ends first, it returns the error of ctx.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A drip is a body that returns one byte at a time, with a delay before each.
type drip struct {
	req   *http.Request // its context ends the waiting
	every time.Duration
	rest  io.Reader
}

func (d *drip) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := wait(d.req.Context(), d.every); err != nil {
		return 0, err
	}
	return d.rest.Read(p[:1])
}

func (*drip) Close() error { return nil }

// flushing sends each piece of an answer at once.
type flushing struct{ w http.ResponseWriter }

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err == nil {
		err = http.NewResponseController(f.w).Flush()
	}
	return n, err
}
