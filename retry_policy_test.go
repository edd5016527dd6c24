package countersign_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign"
	"github.com/countersign-go/countersign/transport"
)

func TestRetryStatus(t *testing.T) {
	for status := 200; status < 600; status++ {
		want := 1
		switch status {
		case 429, 502, 503, 504:
			want = 2
		}
		synctest.Test(t, func(t *testing.T) {
			s := &stage{plan: statuses(status, 200)}
			if _, _, err := do(t, s.client(0), request(t, "GET", nil)); err != nil {
				t.Error(status, err)
			}
			if status != 401 && len(s.sent) != want { // a 401 is for package transport
				t.Errorf("status %d: %d attempts, want %d", status, len(s.sent), want)
			}
		})
	}
}

type text string

func (s text) Error() string { return string(s) }

// What is repeated is known by the error of the Base, and that is what is returned in the end.
func TestRetryError_B10(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect",
		syscall.ECONNREFUSED)}
	for _, tt := range []struct {
		name   string
		err    error
		repeat bool
	}{
		{"refused", refused, true},
		{"no such host", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "x"}}, true},
		{"proxy refused", &net.OpError{Op: "proxyconnect", Err: refused}, true},
		{"below a URL", &url.Error{Op: "Get", URL: origin, Err: refused}, true},
		{"reset", &net.OpError{Op: "read", Err: os.NewSyscallError("read",
			syscall.ECONNRESET)}, true},
		{"broken pipe", fmt.Errorf("write: %w", syscall.EPIPE), true},
		{"reset in Windows", &net.OpError{Op: "read", Err: syscall.Errno(10054)}, true},
		{"closed", io.EOF, true},
		{"closed while idle", text("http: server closed idle connection"), true},
		{"lost, HTTP/2", text("http2: client connection lost"), true},
		{"closed, HTTP/2", io.ErrUnexpectedEOF, true},
		{"slow dial", &net.OpError{Op: "dial", Err: context.DeadlineExceeded}, true},
		{"slow handshake", text("net/http: TLS handshake timeout"), true},

		{"cut off, as net/http tells", fmt.Errorf("net/http: HTTP/1.x transport connection "+
			"broken: %w", io.ErrUnexpectedEOF), false},
		{"a server that knows the words",
			text(`malformed HTTP response "http2: client connection lost"`), false},
		{"certificate", x509.UnknownAuthorityError{}, false},
		{"another OpError", &net.OpError{Op: "remote error", Err: text("tls: bad")}, false},
		{"slow answer", text("net/http: timeout awaiting response headers"), false},
		{"canceled below", context.Canceled, false},
		{"anything else", text("no responder found"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &stage{plan: []reply{{err: tt.err}}}
				_, err := s.client(0).Transport.RoundTrip(request(t, "GET", nil))
				if err != tt.err {
					t.Errorf("error %v, want that of the Base itself", err)
				}
				if want := map[bool]int{true: 3, false: 1}[tt.repeat]; len(s.sent) != want {
					t.Errorf("%d attempts, want %d", len(s.sent), want)
				}
				s = &stage{plan: []reply{{err: tt.err}, {status: 200}}}
				resp, err := s.client(0).Transport.RoundTrip(request(t, "GET", nil))
				if (err == nil) != tt.repeat || (resp != nil) != tt.repeat {
					t.Errorf("then an answer: %v, %v", resp, err)
				}
			})
		})
	}
}

// An answer whose header has arrived is the answer, however its body ends.
func TestBrokenBody_B10(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := io.NopCloser(io.MultiReader(
			strings.NewReader("half"), failure{syscall.ECONNRESET}))
		s := &stage{plan: []reply{{status: 200, body: broken}}}
		resp, err := s.client(0).Do(request(t, "GET", nil))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if string(body) != "half" || !errors.Is(err, syscall.ECONNRESET) || len(s.sent) != 1 {
			t.Errorf("%q, %v after %d attempts", body, err, len(s.sent))
		}
	})
}

type failure struct{ error }

func (f failure) Read([]byte) (int, error) { return 0, f.error }

// Whatever a server asks for, the wait is from nothing to 30 s.
func TestRetryAfter_F14(t *testing.T) {
	const longest = 30 * time.Second
	for _, tt := range []struct {
		name, value string
		date        time.Duration // of the answer, off by this; for values that are dates
		want        time.Duration // -1: as if there were none
	}{
		{"seconds", "7", 0, 7 * time.Second},
		{"none", "0", 0, 0},
		{"zeros", "0007", 0, 7 * time.Second},
		{"most", "30", 0, longest},
		{"more", "31", 0, longest},
		{"a year", "31536000", 0, longest},
		{"overflow of a Duration", "9223372037", 0, longest},
		{"overflow of an int64", "99999999999999999999", 0, longest},
		{"negative", "-1", 0, -1},
		{"plus", "+5", 0, -1},
		{"not a number", "NaN", 0, -1},
		{"infinite", "Inf", 0, -1},
		{"exponent", "1e1", 0, -1},
		{"fraction", "1.5", 0, -1},
		{"hexadecimal", "0x10", 0, -1},
		{"other digits", "\u0667", 0, -1},
		{"list", "5, 6", 0, -1},
		{"date", "+9s", 0, 9 * time.Second},
		{"date past", "-9s", 0, 0},
		{"date far", "+900h", 0, longest},
		{"date by a clock that is off", "+9s", 5 * time.Hour, 9 * time.Second},
		{"date by a clock that is late", "+9s", -5 * time.Hour, 9 * time.Second},
		{"date too old to subtract", "Mon, 01 Jan 0001 00:00:00 GMT", 0, 0},
		{"date too far to subtract", "Fri, 31 Dec 9999 23:59:59 GMT", 0, longest},
		{"date as in RFC 850", "Saturday, 01-Jan-00 00:00:08 GMT", 0, 8 * time.Second},
		{"no date", "Fri, 99 Dec 9999 23:59:59 GMT", 0, -1},
	} {
		for _, status := range []int{429, 503} {
			t.Run(fmt.Sprint(tt.name, " ", status), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { // where it is 2000-01-01
					s := &stage{plan: statuses(status)}
					value := tt.value
					client := countersign.NewClient(countersign.Config{
						Signer: transport.SignerFunc(func(*http.Request, time.Time) error {
							return nil
						}),
						Base: roundTripper(func(req *http.Request) (*http.Response, error) {
							resp, err := s.RoundTrip(req)
							now := time.Now().UTC().Add(tt.date)
							if d, err := time.ParseDuration(value); err == nil && d != 0 {
								value = now.Add(d).Format(http.TimeFormat)
							}
							resp.Header.Set("Retry-After", value)
							if tt.date != 0 {
								resp.Header.Set("Date", now.Format(http.TimeFormat))
							}
							return resp, err
						}),
						Retries: 1,
					})
					if _, _, err := do(t, client, request(t, "GET", nil)); err != nil {
						t.Fatal(err)
					}
					wait := s.waits()[0]
					if tt.want >= 0 && wait != tt.want || wait < 0 || wait > longest {
						t.Errorf("waited %v, want %v", wait, tt.want)
					}
					if tt.want < 0 && wait > time.Second/2 {
						t.Errorf("waited %v, want what is usual", wait)
					}
				})
			})
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// Without Retry-After the waits are random, and the most that they can be doubles up to 30 s.
func TestBackoff(t *testing.T) {
	longest := make([]time.Duration, 12)
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			s := &stage{plan: statuses(503)}
			if _, _, err := do(t, s.client(len(longest)), request(t, "GET", nil)); err != nil {
				t.Fatal(err)
			}
			for i, wait := range s.waits() {
				longest[i] = max(longest[i], wait)
			}
		})
	}
	limit := time.Second / 2
	for i, got := range longest {
		if got > limit || got < limit/2 {
			t.Errorf("wait %d: at most %v, want a little less than %v", i+1, got, limit)
		}
		limit = min(2*limit, 30*time.Second)
	}
}

// A wait that the context would end is not begun.
func TestRetryDeadline(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for _, tt := range []struct {
		name  string
		reply reply
		limit time.Duration
		sends int
	}{
		{"enough time", reply{status: 503, header: "Retry-After: 5"}, 11 * time.Second, 3},
		{"for one", reply{status: 503, header: "Retry-After: 5"}, 7 * time.Second, 2},
		{"for none", reply{status: 503, header: "Retry-After: 5"}, 4 * time.Second, 1},
		{"after an error", reply{err: dial}, time.Nanosecond, 1},
	} {
		for _, by := range []string{"context", "Timeout"} {
			t.Run(tt.name+", "+by, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := &stage{plan: []reply{tt.reply}}
					client, req := s.client(0), request(t, "GET", nil)
					if by == "context" {
						ctx, cancel := context.WithTimeout(t.Context(), tt.limit)
						defer cancel()
						req = req.WithContext(ctx)
					} else {
						client.Timeout = tt.limit
					}
					status, _, err := do(t, client, req)
					if status != tt.reply.status || !errors.Is(err, tt.reply.err) {
						t.Errorf("status %d, %v", status, err)
					}
					took := time.Since(s.times[0])
					if len(s.sent) != tt.sends || took != time.Duration(tt.sends-1)*5*time.Second {
						t.Errorf("%d attempts in %v, want %d", len(s.sent), took, tt.sends)
					}
				})
			})
		}
	}
}

// An answer that arrived before the context ended is the outcome.
func TestRetryCanceledBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		sends := 0
		client := countersign.NewClient(countersign.Config{
			Signer: &refuser{},
			Base: roundTripper(func(*http.Request) (*http.Response, error) {
				sends++
				cancel()
				return &http.Response{StatusCode: 503}, nil
			}),
		})
		resp, err := client.Transport.RoundTrip(request(t, "GET", nil).WithContext(ctx))
		if err != nil || resp.StatusCode != 503 || sends != 1 {
			t.Errorf("%v, %v after %d attempts", resp, err, sends)
		}
	})
}

// A context that ends during a wait ends the call, with its cause; nothing is left open.
func TestRetryCanceled(t *testing.T) {
	for name, inMemory := range map[string]bool{"in memory": true, "another reader": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &stage{plan: []reply{{status: 503, header: "Retry-After: 20"}}}
				cause := errors.New("closing time")
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(5*time.Second, func() { cancel(cause) })
				req := request(t, "PUT", strings.NewReader("body")).WithContext(ctx)
				var bodies []*counted
				if !inMemory {
					req.GetBody = func() (io.ReadCloser, error) {
						bodies = append(bodies, &counted{Reader: strings.NewReader("body")})
						return bodies[len(bodies)-1], nil
					}
					req.Body, _ = req.GetBody()
				}
				begun := time.Now()
				_, err := s.client(0).Transport.RoundTrip(req)
				if err != cause || time.Since(begun) != 5*time.Second || len(s.sent) != 1 {
					t.Errorf("%v after %v and %d attempts", err, time.Since(begun), len(s.sent))
				}
				for _, body := range bodies {
					if body.closed != 1 {
						t.Errorf("a body was closed %d times", body.closed)
					}
				}
			})
		})
	}
}
