package transport_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/internal/testkit"
	"github.com/countersign-go/countersign/transport"
)

// After refusals in less usual forms, the request is sent again on the same connection, and the
// answer that follows keeps its form.
func TestMendedOverOneConnection(t *testing.T) {
	cert, pool := testkit.Certificate()
	chunked := "Transfer-Encoding: chunked\r\n\r\n" +
		strings.Repeat("400\r\n"+strings.Repeat("x", 1<<10)+"\r\n", 50) + "0\r\n\r\n"
	for _, tt := range []struct {
		name, method, refusal, answer string
		status                        int
	}{
		{"Content-Length for HEAD", "HEAD", "Content-Length: 1000\r\n\r\n",
			"200 OK\r\nContent-Length: 1000\r\n\r\n", 200},
		{"50 KiB in chunks", "GET", chunked, "200 OK\r\nContent-Length: 2\r\n\r\nok", 200},
		{"another protocol", "GET", "Content-Length: 0\r\n\r\n",
			"101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", 101},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var connections atomic.Int32
				base := testkit.Server{Proto: testkit.HTTP11, Raw: func(conn net.Conn,
					r *bufio.Reader) {
					connections.Add(1)
					for {
						req, err := http.ReadRequest(r)
						if err != nil {
							return
						}
						if id, _, _ := credentials(req); id == "id0" {
							_, _ = fmt.Fprintf(conn, "HTTP/1.1 401 No\r\nWWW-Authenticate: "+
								"Token credential\r\n%s", tt.refusal)
							continue
						}
						_, _ = fmt.Fprintf(conn, "HTTP/1.1 %s", tt.answer)
						if tt.status == 101 {
							_, _ = io.Copy(conn, r)
							return
						}
					}
				}}.Start(t, cert, pool)
				rt := &transport.Transport{Signer: &token{}, Base: base}
				req, _ := http.NewRequest(tt.method, "http://127.0.0.1/", http.NoBody)
				req.Header.Set("Connection", "Upgrade")
				req.Header.Set("Upgrade", "echo")
				resp, err := rt.RoundTrip(req)
				if err != nil || resp.StatusCode != tt.status || connections.Load() != 1 {
					t.Fatalf("%v, %v, %d connections", resp, err, connections.Load())
				}
				if tt.status == 101 {
					line := make([]byte, 5)
					w := resp.Body.(io.Writer)
					_, _ = io.WriteString(w, "hello")
					if _, err := io.ReadFull(resp.Body, line); string(line) != "hello" {
						t.Errorf("%q, %v", line, err)
					}
				}
				_ = resp.Body.Close()
			})
		})
	}
}

// While a refused upload waits for other credentials, its server does not count as silent: the next
// upload asks again.
func TestExpectDuringSlowRefresh(t *testing.T) {
	cert, pool := testkit.Certificate()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		base := testkit.Server{Proto: testkit.HTTP11, Handler: http.HandlerFunc(
			func(w http.ResponseWriter, req *http.Request) {
				if req.Header.Get("Expect") != "" {
					asked.Add(1)
				}
				if id, _, _ := credentials(req); id == "id0" {
					w.Header().Set("WWW-Authenticate", "Token credential")
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				_, _ = io.Copy(w, req.Body)
			})}.Start(t, cert, pool)
		dial := base.DialContext
		base.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			return struct{ net.Conn }{conn}, err // this type does not reveal that it was closed
		}
		rt := &transport.Transport{Base: base, Signer: &fetching{token: &token{},
			fetch: func() error { time.Sleep(3 * time.Second); return nil }}}
		for range 2 {
			body := struct{ io.Reader }{strings.NewReader("whole")}
			req, _ := http.NewRequest("POST", "http://127.0.0.1/", body)
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(resp.Body)
			if resp.StatusCode != 200 || string(data) != "whole" || err != nil {
				t.Errorf("status %d, %q, %v", resp.StatusCode, data, err)
			}
		}
		if n := asked.Load(); n != 3 {
			t.Errorf("asked %d times for 3 requests", n)
		}
	})
}
