// Package testkit holds helpers that the tests of several packages need.
package testkit

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A Network is a network in memory with one server. Like sockets, its connections hold data that is
// on the way. With testing/synctest, its servers and clients use the time of the test.
type Network struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// NewNetwork returns a Network whose server does not accept connections yet.
func NewNetwork() *Network {
	return &Network{conns: make(chan net.Conn), done: make(chan struct{})}
}

// Accept returns the server's end of the next connection.
func (l *Network) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close makes further dials fail.
func (l *Network) Close() error { l.once.Do(func() { close(l.done) }); return nil }

// Addr returns an address that is not in use.
func (l *Network) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

var errRefused = errors.New("connection refused") // a syscall.Errno in most systems

// Dial is for the DialContext field of an http.Transport.
func (l *Network) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := memPipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.done:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errRefused}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// A memConn is one end of a connection. Close first sends the rest of the data.
type memConn struct {
	net.Conn // one end of a net.Pipe
	peer     *memConn

	mu     sync.Mutex // guards the fields below
	queue  []byte
	closed bool
	more   chan struct{}
}

func memPipe() (ours, theirs *memConn) {
	a, b := net.Pipe()
	ours, theirs = newMemConn(a), newMemConn(b)
	ours.peer, theirs.peer = theirs, ours
	return ours, theirs
}

func newMemConn(pipe net.Conn) *memConn {
	c := &memConn{Conn: pipe, more: make(chan struct{}, 1)}
	go c.pump()
	return c
}

// pump sends the written data. If the other side has closed, the data is lost.
func (c *memConn) pump() {
	for range c.more {
		c.mu.Lock()
		data, closed := c.queue, c.closed
		c.queue = nil
		c.mu.Unlock()
		if len(data) > 0 {
			_, _ = c.Conn.Write(data)
		}
		if closed {
			_ = c.Conn.Close()
			return
		}
	}
}

func (c *memConn) wake() {
	select {
	case c.more <- struct{}{}:
	default:
	}
}

func (c *memConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	c.queue = append(c.queue, p...)
	c.wake()
	return len(p), nil
}

func (c *memConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.isClosed() {
		return 0, net.ErrClosed
	}
	return n, err
}

func (c *memConn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	_ = c.SetReadDeadline(time.Unix(1, 0))
	c.wake()
	if c.peer.isClosed() { // so the rest of the data cannot be read
		_ = c.Conn.Close()
	}
	return nil
}

// Data on the way does not have a deadline: a Write only queues it.
func (c *memConn) SetWriteDeadline(time.Time) error  { return nil }
func (c *memConn) SetDeadline(until time.Time) error { return c.SetReadDeadline(until) }

func (c *memConn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// SyscallConn lets a caller find out that this side was closed, as a socket does.
func (c *memConn) SyscallConn() (syscall.RawConn, error) { return memRaw{c}, nil }

type memRaw struct{ c *memConn }

func (r memRaw) Control(func(uintptr)) error {
	if r.c.isClosed() {
		return net.ErrClosed
	}
	return nil
}

func (memRaw) Read(func(uintptr) bool) error  { return errors.ErrUnsupported }
func (memRaw) Write(func(uintptr) bool) error { return errors.ErrUnsupported }

// Certificate returns the certificate of httptest, and a pool that trusts it.
func Certificate() (tls.Certificate, *x509.CertPool) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	return server.TLS.Certificates[0], pool
}

// A Server is at the other end of a Network.
type Server struct {
	Proto   string                        // HTTP11, HTTP11TLS or HTTP2
	Handler http.Handler                  // if nil, Raw
	Raw     func(net.Conn, *bufio.Reader) // called with each connection
}

// The protocols of a Server.
const (
	HTTP11    = "HTTP/1.1"
	HTTP11TLS = "HTTP/1.1 over TLS"
	HTTP2     = "HTTP/2"
)

// Start returns a Transport of net/http that is connected to the server. Both end with the test,
// which must be in a bubble of testing/synctest.
func (s Server) Start(t *testing.T, cert tls.Certificate, pool *x509.CertPool) *http.Transport {
	listener := NewNetwork()
	var accept net.Listener = listener
	base := &http.Transport{
		DialContext: listener.Dial, TLSClientConfig: &tls.Config{RootCAs: pool},
		ExpectContinueTimeout: time.Second,
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}}
	if s.Proto == HTTP2 {
		base.ForceAttemptHTTP2 = true
		config.NextProtos = []string{"h2"}
	}
	if s.Proto != HTTP11 {
		accept = tls.NewListener(listener, config)
	}
	if s.Raw != nil {
		var all sync.WaitGroup
		all.Go(func() {
			for {
				conn, err := accept.Accept()
				if err != nil {
					return
				}
				all.Go(func() {
					defer func() { _ = conn.Close() }()
					s.Raw(conn, bufio.NewReader(conn))
				})
			}
		})
		t.Cleanup(func() {
			base.CloseIdleConnections()
			_ = listener.Close()
			all.Wait()
			<-time.After(time.Minute) // the sender of a body may not have finished
		})
		return base
	}
	server := &http.Server{Handler: s.Handler, TLSConfig: config,
		ReadHeaderTimeout: time.Minute}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if s.Proto == HTTP11 {
			_ = server.Serve(listener)
		} else {
			_ = server.ServeTLS(listener, "", "")
		}
	}()
	t.Cleanup(func() {
		base.CloseIdleConnections()
		_ = server.Close()
		<-ended
		<-time.After(time.Minute) // a server's connection lingers
	})
	return base
}
