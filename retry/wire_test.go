package retry_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/countersign-go/countersign/internal/testkit"
)

// TestRetryOverNetHTTP passes the errors of a connection through a real http.Transport, which wraps
// them. The second connection works, so a repeated request succeeds.
func TestRetryOverNetHTTP(t *testing.T) {
	reset := &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read",
		syscall.ECONNRESET)}
	pipe := &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.EPIPE)}
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect",
		syscall.ECONNREFUSED)}
	for _, tt := range []struct {
		name   string
		first  connection
		repeat bool
	}{
		{"refused", connection{dial: refused}, true},
		{"closed", connection{}, true},
		{"reset", connection{read: reset}, true},
		{"broken pipe", connection{write: pipe}, true},
		{"cut off in the first line", connection{answer: "HTTP/1.1 2"}, false},
		{"cut off in the header", connection{answer: "HTTP/1.1 200 OK\r\nX-A: "}, false},
		{"not HTTP", connection{answer: "220 mail.example.com ESMTP\r\n\r\n"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				connections := 0
				base := &http.Transport{DialContext: func(context.Context, string,
					string) (net.Conn, error) {
					if connections++; connections == 1 {
						return tt.first.open()
					}
					return connection{answer: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}.open()
				}}
				defer base.CloseIdleConnections()
				client := newClient(config{Signer: &refuser{}, Base: base})
				req := request(t, "GET", nil)
				req.URL.Scheme, req.URL.Host = "http", "localhost"
				status, _, err := do(t, client, req)
				if tt.repeat != (err == nil && status == 200 && connections == 2) {
					t.Errorf("status %d, %v with %d connections", status, err, connections)
				}
				if !tt.repeat && connections != 1 {
					t.Errorf("%d connections after what may have been executed", connections)
				}
			})
		})
	}
}

// A request that fails before there is a connection was never sent, so it is repeated for any
// method. Other failed requests are repeated only if that is safe.
func TestRetryUnsentLive(t *testing.T) {
	cert, pool := testkit.Certificate()
	answers := func(text string) func(net.Conn, *bufio.Reader) {
		return func(conn net.Conn, r *bufio.Reader) {
			if req, err := http.ReadRequest(r); err == nil {
				_, _ = io.Copy(io.Discard, req.Body)
				_, _ = io.WriteString(conn, text)
			}
		}
	}
	closes := func(net.Conn, *bufio.Reader) {}
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	for _, tt := range []struct {
		name, proto string
		raw         func(net.Conn, *bufio.Reader) // of the first connection
		proxy       bool
		post, get   int // connections
	}{
		{"handshake", testkit.HTTP11TLS, closes, false, 2, 2},
		{"handshake, HTTP/2", testkit.HTTP2, closes, false, 2, 2},
		{"proxy 503", testkit.HTTP11, answers("HTTP/1.1 503 Service Unavailable\r\n\r\n"), true,
			2, 2},
		{"proxy 429", testkit.HTTP11, answers("HTTP/1.1 429 Too Many Requests\r\n\r\n"), true,
			2, 2},
		{"proxy closed", testkit.HTTP11, answers(""), true, 2, 2},
		{"proxy 407", testkit.HTTP11,
			answers("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"), true, 1, 1},
		{"proxy 403", testkit.HTTP11, answers("HTTP/1.1 403 Forbidden\r\n\r\n"), true, 1, 1},
		{"after the request", testkit.HTTP11, answers(""), false, 1, 2},
		{"after the request, TLS", testkit.HTTP11TLS, answers(""), false, 1, 2},
	} {
		for _, method := range []string{"POST", "GET"} {
			t.Run(tt.name+" "+method, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var connections atomic.Int32
					base := testkit.Server{Proto: tt.proto, Raw: func(conn net.Conn,
						r *bufio.Reader) {
						if connections.Add(1) == 1 {
							tt.raw(conn, r)
							return
						}
						answers(ok)(conn, r)
					}}.Start(t, cert, pool)
					client := newClient(config{
						Signer: &refuser{}, Base: base})
					req := request(t, method, nil)
					if req.URL.Scheme = "https"; tt.proxy {
						base.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: "localhost:1"})
					} else if tt.proto == testkit.HTTP11 {
						req.URL.Scheme = "http"
					}
					req.URL.Host = "127.0.0.1"
					resp, err := client.Do(req)
					if err == nil {
						_ = resp.Body.Close()
					}
					want := tt.get
					if method == "POST" {
						want = tt.post
					}
					// The proxy does not support TLS after CONNECT, and the server does not support
					// HTTP/2.
					known := !tt.proxy && tt.proto != testkit.HTTP2
					if known && (err == nil) != (want == 2) ||
						int(connections.Load()) < want || want == 1 && connections.Load() != 1 {
						t.Errorf("%d connections, want %d, %v", connections.Load(), want, err)
					}
				})
			})
		}
	}
}

// TestRetryOverHTTP2_B10 has a server end the connection before it answers.
func TestRetryOverHTTP2_B10(t *testing.T) {
	type connKey struct{}
	var requests atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(
		func(_ http.ResponseWriter, req *http.Request) {
			if requests.Add(1) == 1 {
				_ = req.Context().Value(connKey{}).(net.Conn).Close()
				<-req.Context().Done()
			}
		}))
	server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c)
	}
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	client := newClient(config{Signer: &refuser{}, Base: server.Client().Transport})
	req, err := http.NewRequestWithContext(t.Context(), "GET", server.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.ProtoMajor != 2 || resp.StatusCode != 200 || requests.Load() != 2 {
		t.Errorf("%s, status %d after %d requests", resp.Proto, resp.StatusCode, requests.Load())
	}
}

// Each connection answers one request, or fails, and is then closed.
type connection struct {
	dial, read, write error
	answer            string
}

func (c connection) open() (net.Conn, error) {
	if c.dial != nil {
		return nil, c.dial
	}
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		if _, err := http.ReadRequest(bufio.NewReader(server)); err == nil {
			_, _ = io.WriteString(server, c.answer)
		}
	}()
	return brokenConn{client, c}, nil
}

type brokenConn struct {
	net.Conn
	c connection
}

func (b brokenConn) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	if errors.Is(err, io.EOF) && b.c.read != nil {
		err = b.c.read
	}
	return n, err
}

func (b brokenConn) Write(p []byte) (int, error) {
	if b.c.write != nil {
		return 0, b.c.write
	}
	return b.Conn.Write(p)
}
