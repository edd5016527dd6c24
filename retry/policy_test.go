package retry_test

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
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/retry"
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
			s := &stage{Plan: statuses(status, 200)}
			if _, _, err := do(t, clientOf(s, 0), request(t, "GET", nil)); err != nil {
				t.Error(status, err)
			}
			if status != 401 && len(s.Sent) != want { // package transport handles a 401
				t.Errorf("status %d: %d attempts, want %d", status, len(s.Sent), want)
			}
		})
	}
}

type text string

func (s text) Error() string { return string(s) }

// The error of the Base decides whether a request is repeated, and is returned in the end.
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
				s := &stage{Plan: []reply{{Err: tt.err}}}
				_, err := clientOf(s, 0).Transport.RoundTrip(request(t, "GET", nil))
				if err != tt.err {
					t.Errorf("error %v, want the Base's own", err)
				}
				if want := map[bool]int{true: 3, false: 1}[tt.repeat]; len(s.Sent) != want {
					t.Errorf("%d attempts, want %d", len(s.Sent), want)
				}
				s = &stage{Plan: []reply{{Err: tt.err}, {Status: 200}}}
				resp, err := clientOf(s, 0).Transport.RoundTrip(request(t, "GET", nil))
				if (err == nil) != tt.repeat || (resp != nil) != tt.repeat {
					t.Errorf("then an answer: %v, %v", resp, err)
				}
			})
		})
	}
}

// If the header of an answer has arrived, the answer is returned, however its body ends.
func TestBrokenBody_B10(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := io.NopCloser(io.MultiReader(
			strings.NewReader("half"), failure{syscall.ECONNRESET}))
		s := &stage{Plan: []reply{{Status: 200, Body: broken}}}
		resp, err := clientOf(s, 0).Do(request(t, "GET", nil))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if string(body) != "half" || !errors.Is(err, syscall.ECONNRESET) || len(s.Sent) != 1 {
			t.Errorf("%q, %v after %d attempts", body, err, len(s.Sent))
		}
	})
}

type failure struct{ error }

func (f failure) Read([]byte) (int, error) { return 0, f.error }

// The client waits as long as the answer asks for, or returns the answer at once: it never shortens
// the wait.
func TestRetryAfter_F14(t *testing.T) {
	const (
		longest = 30 * time.Second
		usual   = -1 // the same wait as without the field
		never   = -2 // the answer is returned
	)
	for _, tt := range []struct {
		name, value string
		date        time.Duration // how far the answer's Date is off; for values that are dates
		want        time.Duration
	}{
		{"seconds", "7", 0, 7 * time.Second},
		{"zero", "0", 0, usual},
		{"zeros", "0007", 0, 7 * time.Second},
		{"most", "30", 0, longest},
		{"more", "31", 0, never},
		{"a year", "31536000", 0, never},
		{"overflow of a Duration", "9223372037", 0, never},
		{"overflow of an int64", "99999999999999999999", 0, never},
		{"negative", "-1", 0, usual},
		{"plus", "+5", 0, usual},
		{"not a number", "NaN", 0, usual},
		{"infinite", "Inf", 0, usual},
		{"exponent", "1e1", 0, usual},
		{"fraction", "1.5", 0, usual},
		{"hexadecimal", "0x10", 0, usual},
		{"other digits", "\u0667", 0, usual},
		{"list", "5, 6", 0, usual},
		{"date", "+9s", 0, 9 * time.Second},
		{"date past", "-9s", 0, usual},
		{"date far", "+900h", 0, never},
		{"date by a clock that is off", "+9s", 5 * time.Hour, 9 * time.Second},
		{"date by a clock that is late", "+9s", -5 * time.Hour, 9 * time.Second},
		{"date too old to subtract", "Mon, 01 Jan 0001 00:00:00 GMT", 0, usual},
		{"date too far to subtract", "Fri, 31 Dec 9999 23:59:59 GMT", 0, never},
		{"date as in RFC 850", "Saturday, 01-Jan-00 00:00:08 GMT", 0, 8 * time.Second},
		{"no date", "Fri, 99 Dec 9999 23:59:59 GMT", 0, usual},
	} {
		for _, status := range []int{429, 503} {
			t.Run(fmt.Sprint(tt.name, " ", status), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { // the bubble's clock starts at 2000-01-01
					s := &stage{Plan: statuses(status)}
					value := tt.value
					client := newClient(config{
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
						Retry: retry.Transport{Max: 1},
					})
					if _, _, err := do(t, client, request(t, "GET", nil)); err != nil {
						t.Fatal(err)
					}
					if tt.want == never {
						if len(s.Sent) != 1 || time.Since(s.Times[0]) != 0 {
							t.Errorf("%d attempts in %v", len(s.Sent), time.Since(s.Times[0]))
						}
						return
					}
					wait := s.Waits()[0]
					if tt.want >= 0 && wait != tt.want {
						t.Errorf("waited %v, want %v", wait, tt.want)
					}
					if tt.want == usual && (wait < least || wait > 2*least) {
						t.Errorf("waited %v, want the usual", wait)
					}
				})
			})
		}
	}
}

const least = 400 * time.Millisecond // the shortest first wait

// Without Retry-After, the waits grow, and each is random within its bounds.
func TestBackoff(t *testing.T) {
	waits := make([][]time.Duration, 80)
	for i := range 50 {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Duration(i) * 19 * time.Millisecond) // the seed of the waits
			s := &stage{Plan: statuses(503)}
			if _, _, err := do(t, clientOf(s, len(waits)), request(t, "GET", nil)); err != nil {
				t.Fatal(err)
			}
			for i, wait := range s.Waits() {
				waits[i] = append(waits[i], wait)
			}
		})
	}
	for i, all := range waits {
		low := least * time.Duration(i+1)
		high := min(2*low, 30*time.Second)
		low = min(low, high)
		slices.Sort(all)
		if first, last := all[0], all[len(all)-1]; first < low || last > high ||
			i < 30 && last-first < (high-low)/2 {
			t.Errorf("wait %d: from %v to %v, want %v to %v", i+1, first, last, low, high)
		}
	}
}

// The comment of Transport.Max states the shortest outage that each number bridges.
func TestRetriesBridgeOutage(t *testing.T) {
	source, err := os.ReadFile("transport.go")
	if err != nil {
		t.Fatal(err)
	}
	comment := strings.Join(strings.Fields(strings.ReplaceAll(string(source), "//", "")), " ")
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	for max, outage := range map[int]string{0: "1.2s", 1: "400ms", 3: "2.4s", 5: "6s",
		10: "22s", 20: "1m24s"} {
		want, err := time.ParseDuration(outage)
		if err != nil {
			t.Fatal(err)
		}
		longest := time.Duration(1<<63 - 1)
		for i := range 50 {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Duration(i) * 19 * time.Millisecond)
				begun := time.Now()
				s := &stage{Plan: []reply{{Err: refused}}}
				req := request(t, "POST", strings.NewReader("body"))
				if _, _, err := do(t, clientOf(s, max), req); err == nil {
					t.Fatal("no error")
				}
				longest = min(longest, time.Since(begun))
			})
		}
		if longest < want || longest > want*3/2 {
			t.Errorf("Max %d: an outage of %v is bridged, the comment says %v", max,
				longest, want)
		}
		said := fmt.Sprintf("%d: %v", max, outage)
		if max == 0 {
			said = "0: 2, which bridges an outage of " + outage
		}
		if !strings.Contains(comment, said) {
			t.Errorf("the comment does not say %q", said)
		}
	}
}

// By default, a client bridges a restart of one second, for each method, if the body can be sent
// again.
func TestRetryUnsent(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	for name, body := range map[string]io.Reader{
		"none": nil, "in memory": strings.NewReader("body"),
		"untouched": struct{ io.Reader }{strings.NewReader("body")},
	} {
		for _, method := range []string{"GET", "PUT", "DELETE", "POST", "PATCH", "LOCK"} {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				var arrived string
				client := newClient(config{
					Signer: &refuser{},
					Base: roundTripper(func(req *http.Request) (*http.Response, error) {
						if time.Since(begun) < time.Second {
							if req.Body != nil {
								_ = req.Body.Close() // as net/http does
							}
							return nil, refused
						}
						if req.Body != nil {
							data, err := io.ReadAll(req.Body)
							arrived = string(data)
							if err != nil {
								t.Error(err)
							}
							_ = req.Body.Close()
						}
						return &http.Response{StatusCode: 200}, nil
					}),
				})
				if r, ok := body.(io.Seeker); ok {
					_, _ = r.Seek(0, io.SeekStart)
				}
				if name == "untouched" {
					body = struct{ io.Reader }{strings.NewReader("body")}
				}
				status, _, err := do(t, client, request(t, method, body))
				if status != 200 || err != nil || (arrived == "body") != (body != nil) {
					t.Errorf("%s, body %s: status %d, %v, %q arrived", method, name, status, err,
						arrived)
				}
			})
		}
	}
}

// A wait that would outlast the context does not begin.
func TestRetryDeadline(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for _, tt := range []struct {
		name  string
		reply reply
		limit time.Duration
		sends int
	}{
		{"enough time", reply{Status: 503, Header: "Retry-After: 5"}, 11 * time.Second, 3},
		{"for one", reply{Status: 503, Header: "Retry-After: 5"}, 7 * time.Second, 2},
		{"for none", reply{Status: 503, Header: "Retry-After: 5"}, 4 * time.Second, 1},
		{"after an error", reply{Err: dial}, time.Nanosecond, 1},
	} {
		for _, by := range []string{"context", "Timeout"} {
			t.Run(tt.name+", "+by, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := &stage{Plan: []reply{tt.reply}}
					client, req := clientOf(s, 0), request(t, "GET", nil)
					if by == "context" {
						ctx, cancel := context.WithTimeout(t.Context(), tt.limit)
						defer cancel()
						req = req.WithContext(ctx)
					} else {
						client.Timeout = tt.limit
					}
					status, _, err := do(t, client, req)
					if status != tt.reply.Status || !errors.Is(err, tt.reply.Err) {
						t.Errorf("status %d, %v", status, err)
					}
					took := time.Since(s.Times[0])
					if len(s.Sent) != tt.sends || took != time.Duration(tt.sends-1)*5*time.Second {
						t.Errorf("%d attempts in %v, want %d", len(s.Sent), took, tt.sends)
					}
				})
			})
		}
	}
}

// An answer that arrived before the context ended is returned.
func TestRetryCanceledBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		sends := 0
		client := newClient(config{
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

// If the context ends during a wait, the call returns the context's cause. All bodies are closed.
func TestRetryCanceled(t *testing.T) {
	for name, inMemory := range map[string]bool{"in memory": true, "another reader": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &stage{Plan: []reply{{Status: 503, Header: "Retry-After: 20"}}}
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
				_, err := clientOf(s, 0).Transport.RoundTrip(req)
				if err != cause || time.Since(begun) != 5*time.Second || len(s.Sent) != 1 {
					t.Errorf("%v after %v and %d attempts", err, time.Since(begun), len(s.Sent))
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
