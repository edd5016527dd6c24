package lost_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/internal/lost"
	"github.com/countersign-go/countersign/internal/testkit"
)

const answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

type raw = func(net.Conn, *bufio.Reader)

// read reads a request and then calls act.
func read(act func(net.Conn)) raw {
	return func(conn net.Conn, r *bufio.Reader) {
		if req, err := http.ReadRequest(r); err == nil {
			if _, err = io.Copy(io.Discard, req.Body); err == nil {
				act(conn)
			}
		}
	}
}

func writes(text string) raw {
	return read(func(conn net.Conn) { _, _ = io.WriteString(conn, text) })
}

// Types of frames (RFC 9113, section 6), and error codes (section 7).
const (
	frameHeaders, frameReset, frameSettings, frameGoAway = 1, 3, 4, 7

	codeNone, codeInternal, codeRefused, codeCancel = 0, 2, 7, 8
)

func frame(w io.Writer, kind byte, stream uint32, payload ...uint32) {
	b := []byte{0, 0, byte(4 * len(payload)), kind, 0}
	for _, n := range append([]uint32{stream}, payload...) {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	_, _ = w.Write(b)
}

// http2 is an HTTP/2 server that calls act for each request, until act reports false.
func http2(act func(conn net.Conn, stream uint32) bool) raw {
	return func(conn net.Conn, r *bufio.Reader) {
		if _, err := r.Discard(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")); err != nil {
			return
		}
		frame(conn, frameSettings, 0)
		for {
			var header [9]byte
			if _, err := io.ReadFull(r, header[:]); err != nil {
				return
			}
			length := int(header[0])<<16 | int(header[1])<<8 | int(header[2])
			if _, err := r.Discard(length); err != nil {
				return
			}
			if header[3] == frameHeaders && !act(conn, binary.BigEndian.Uint32(header[5:])) {
				return
			}
		}
	}
}

// drain reads until the other side has closed the connection.
func drain(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// Each row causes an error of net/http. Connection must tell a connection that could not be made,
// or that ended before the answer began, from other errors. A GOAWAY that does not cover the
// request is not an error: net/http sends the request again on another connection.
func TestConnectionLive(t *testing.T) {
	cert, pool := testkit.Certificate()
	reset := func(code uint32) raw {
		return http2(func(conn net.Conn, id uint32) bool {
			frame(conn, frameReset, id, code)
			return true
		})
	}
	direct := func(*http.Transport) {}
	through := func(base *http.Transport) {
		base.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.example.com"})
	}
	for _, tt := range []struct {
		name, proto string
		raw         raw
		set         func(*http.Transport)
		lost        bool
	}{
		{"closed at once", testkit.HTTP11, func(net.Conn, *bufio.Reader) {}, direct, true},
		{"closed after the request", testkit.HTTP11, writes(""), direct, true},
		{"cut off in the first line", testkit.HTTP11, writes("HTTP/1.1 2"), direct, false},
		{"cut off in the header", testkit.HTTP11, writes("HTTP/1.1 200 OK\r\nX-A: "), direct,
			false},
		{"another protocol", testkit.HTTP11, writes("220 mail.example.com ESMTP\r\n\r\n"),
			direct, false},
		{"words of ours", testkit.HTTP11, writes("http2: client connection lost\r\n\r\n"),
			direct, false},
		{"silent for too long", testkit.HTTP11, read(drain), func(base *http.Transport) {
			base.ResponseHeaderTimeout = time.Second
		}, false},

		{"closed at once", testkit.HTTP11TLS, func(net.Conn, *bufio.Reader) {}, direct, true},
		{"slow handshake", testkit.HTTP11TLS, nil, func(base *http.Transport) {
			base.TLSHandshakeTimeout = time.Second
		}, true},
		{"certificate", testkit.HTTP11TLS, writes(answer), func(base *http.Transport) {
			base.TLSClientConfig.RootCAs = nil
		}, false},
		{"no common version", testkit.HTTP11TLS, writes(answer), func(base *http.Transport) {
			base.TLSClientConfig.MaxVersion = tls.VersionTLS11
			base.TLSClientConfig.MinVersion = tls.VersionTLS10
		}, false},
		{"closed after the request", testkit.HTTP11TLS, writes(""), direct, true},

		{"proxy 429", testkit.HTTP11, writes("HTTP/1.1 429 Too Many Requests\r\n\r\n"), through,
			true},
		{"proxy 502", testkit.HTTP11, writes("HTTP/1.1 502 Bad Gateway\r\n\r\n"), through, true},
		{"proxy 503", testkit.HTTP11, writes("HTTP/1.1 503 Service Unavailable\r\n\r\n"),
			through, true},
		{"proxy 504", testkit.HTTP11, writes("HTTP/1.1 504 Gateway Timeout\r\n\r\n"), through,
			true},
		{"proxy 403", testkit.HTTP11, writes("HTTP/1.1 403 Forbidden\r\n\r\n"), through, false},
		{"proxy 407", testkit.HTTP11,
			writes("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"), through, false},
		{"proxy 502 in other words", testkit.HTTP11, writes("HTTP/1.1 502 Try later\r\n\r\n"),
			through, false},
		{"proxy closed", testkit.HTTP11, writes(""), through, true},

		{"closed after the request", testkit.HTTP2,
			http2(func(net.Conn, uint32) bool { return false }), direct, true},
		{"closed before the settings", testkit.HTTP2, func(net.Conn, *bufio.Reader) {}, direct,
			true},
		{"refused, always", testkit.HTTP2, reset(codeRefused), direct, true},
		{"internal error", testkit.HTTP2, reset(codeInternal), direct, false},
		{"canceled there", testkit.HTTP2, reset(codeCancel), direct, false},
		{"shut down, the request in progress", testkit.HTTP2,
			http2(func(conn net.Conn, id uint32) bool {
				frame(conn, frameGoAway, 0, id, codeNone)
				return false
			}), direct, true},
		{"ended with an error", testkit.HTTP2, http2(func(conn net.Conn, id uint32) bool {
			frame(conn, frameGoAway, 0, id, codeInternal)
			return false
		}), direct, true},
		{"no answer to a ping", testkit.HTTP2, http2(func(conn net.Conn, _ uint32) bool {
			drain(conn)
			return false
		}), func(base *http.Transport) {
			base.HTTP2 = &http.HTTP2Config{SendPingTimeout: time.Second,
				PingTimeout: time.Second}
		}, true},
	} {
		t.Run(tt.proto+" "+tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := testkit.Server{Proto: tt.proto, Raw: tt.raw}
				if server.Raw == nil {
					server.Raw = func(net.Conn, *bufio.Reader) {}
				}
				base := server.Start(t, cert, pool)
				if tt.set(base); tt.raw == nil { // no handshake
					base.DialContext = func(context.Context, string, string) (net.Conn, error) {
						ours, theirs := net.Pipe()
						go drain(theirs)
						return ours, nil
					}
				}
				u := "https://127.0.0.1/"
				if tt.proto == testkit.HTTP11 && base.Proxy == nil {
					u = "http://127.0.0.1/"
				}
				req, err := http.NewRequestWithContext(t.Context(), "GET", u, http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := base.RoundTrip(req)
				if err == nil {
					_ = resp.Body.Close()
					t.Fatal("no error")
				}
				if got := lost.Connection(err); (got != nil) != tt.lost {
					t.Errorf("%v: %v", err, got)
				}
			})
		})
	}
}

// A brokenConn fails on this side.
type brokenConn struct {
	net.Conn

	closed atomic.Bool // a Write fails from now on
}

func (c *brokenConn) Write(p []byte) (int, error) {
	if c.closed.Load() {
		return 0, &net.OpError{Op: "write", Net: "tcp", Err: syscall.EPIPE}
	}
	return c.Conn.Write(p)
}

// If another request finds a connection broken, or the connection was closed on this side, it has
// also ended for a request that waits for an answer on it.
func TestConnectionEndedOnThisSide(t *testing.T) {
	cert, pool := testkit.Certificate()
	for name, end := range map[string]func(*http.Transport, *brokenConn){
		"closed": func(_ *http.Transport, conn *brokenConn) { _ = conn.Close() },
		"broken for another": func(base *http.Transport, conn *brokenConn) {
			conn.closed.Store(true)
			if err := get(base, "https://127.0.0.1/"); lost.Connection(err) == nil {
				t.Errorf("the other: %v", err)
			}
		},
	} {
		for _, proto := range []string{testkit.HTTP11, testkit.HTTP2} {
			if proto == testkit.HTTP11 && name != "closed" {
				continue // in HTTP/1.1, requests do not share a connection at the same time
			}
			synctest.Test(t, func(t *testing.T) {
				silent := http2(func(net.Conn, uint32) bool { return true })
				u := "https://127.0.0.1/"
				if proto == testkit.HTTP11 {
					silent, u = read(drain), "http://127.0.0.1/"
				}
				base := testkit.Server{Proto: proto, Raw: silent}.Start(t, cert, pool)
				conn := &brokenConn{}
				dial := base.DialContext
				base.DialContext = func(ctx context.Context, network, addr string) (net.Conn,
					error) {
					c, err := dial(ctx, network, addr)
					conn.Conn = c
					return conn, err
				}
				failed := make(chan error)
				go func() { failed <- get(base, u) }()
				synctest.Wait()
				end(base, conn)
				if err := <-failed; lost.Connection(err) == nil {
					t.Errorf("%s %s: %v", proto, name, err)
				}
			})
		}
	}
}

func get(rt http.RoundTripper, u string) error {
	req, err := http.NewRequest("GET", u, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := rt.RoundTrip(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	return err
}

// These errors occur only on other systems, or come from packages below net/http.
func TestConnectionErrno(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	for _, err := range []error{
		refused,
		&net.OpError{Op: "proxyconnect", Err: refused},
		&url.Error{Op: "Get", Err: refused},
		&net.OpError{Op: "dial", Err: context.DeadlineExceeded},
		&net.OpError{Op: "read", Err: syscall.ECONNRESET},
		fmt.Errorf("write: %w", syscall.EPIPE),
		&net.OpError{Op: "read", Err: syscall.Errno(10054)}, // reset in Windows
	} {
		if lost.Connection(err) == nil {
			t.Errorf("%v is not told", err)
		}
	}
	if dial := lost.Dial(&net.OpError{Op: "proxyconnect", Err: refused}); dial != refused {
		t.Errorf("dial of a proxy: %v", dial)
	}
	for _, err := range []error{nil, context.Canceled, context.DeadlineExceeded,
		&net.OpError{Op: "remote error", Err: syscall.EINVAL}, errors.New("no responder found")} {
		if got := lost.Connection(err); got != nil {
			t.Errorf("%v is told as %v", err, got)
		}
	}
}
