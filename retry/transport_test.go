package retry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/transport"
)

func TestRetries(t *testing.T) {
	for _, tt := range []struct{ retries, sends int }{{0, 3}, {1, 2}, {5, 6}, {-1, 1}} {
		synctest.Test(t, func(t *testing.T) {
			s := &stage{Plan: statuses(503)}
			status, body, err := do(t, clientOf(s, tt.retries), request(t, "GET", nil))
			if status != 503 || body != "a reason" || err != nil || len(s.Sent) != tt.sends {
				t.Errorf("Retries %d: status %d, %q, %v after %d attempts, want %d",
					tt.retries, status, body, err, len(s.Sent), tt.sends)
			}
		})
	}
}

// An error of the Signer is not a reason to repeat, even if it looks like an error of the Base.
func TestRetrySignerError(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for name, err := range map[string]error{
		"bare": dial, "wrapped": fmt.Errorf("x: %w", dial),
	} {
		synctest.Test(t, func(t *testing.T) {
			calls := 0
			client := newClient(config{
				Signer: transport.SignerFunc(func(*http.Request, time.Time) error {
					calls++
					return err
				}),
				Base: &stage{Plan: statuses(200)},
			})
			body := &counted{Reader: strings.NewReader("body")}
			req := request(t, "PUT", strings.NewReader("body"))
			req.Body = body
			_, got := client.Transport.RoundTrip(req)
			var signErr *transport.SignError
			if !errors.As(got, &signErr) || signErr.Err != err || calls != 1 || body.closed != 1 {
				t.Errorf("%s: %v after %d calls, body closed %d times", name, got, calls,
					body.closed)
			}
		})
	}
}

// If the Signer does not believe an answer, the server has answered. An error of the Signer of an
// inner Transport is an error of a Signer too. So neither error is a reason to repeat.
func TestRetrySignErrorOfAnyKind(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	fails := transport.SignerFunc(func(*http.Request, time.Time) error { return dial })
	for name, tt := range map[string]struct {
		signer transport.Signer
		base   http.RoundTripper
	}{
		"forged":  {distrustful{dial}, &stage{Plan: statuses(200)}},
		"further": {&refuser{}, &transport.Transport{Signer: fails}},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			client := newClient(config{Signer: tt.signer, Base: tt.base})
			_, err := client.Get("https://api.example.com/")
			var signErr *transport.SignError
			if !errors.As(err, &signErr) || signErr.Err != error(dial) || time.Since(began) > 0 {
				t.Errorf("%s: %v after %v", name, err, time.Since(began))
			}
		})
	}
}

// A distrustful signer believes no answer.
type distrustful struct{ err error }

func (distrustful) Sign(*http.Request, time.Time) error { return nil }

func (d distrustful) Observe(*http.Response, transport.Outcome) error { return d.err }

// counted is a body that counts how often it is closed.
type counted struct {
	io.Reader
	closed int
}

func (c *counted) Close() error { c.closed++; return nil }

// A request that an http.Client would reject, but a RoundTripper accepts, is passed on unchanged.
func TestRetryAnyRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stage{Plan: statuses(503, 200)}
		client := clientOf(s, 0)
		req := request(t, "GET", nil)
		req.RequestURI = "/path?query" // set by a server, and kept by a reverse proxy
		req.Header = nil
		req.Response = &http.Response{Request: request(t, "GET", nil)}
		resp, err := client.Transport.RoundTrip(req)
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
		for i, sent := range s.Sent {
			if sent.RequestURI != req.RequestURI || sent.Response != req.Response ||
				sent.URL != req.URL || sent.Header.Get("Authorization") == "" {
				t.Errorf("attempt %d has lost something: %+v", i, sent)
			}
		}
		if resp.Request.Header.Get("Authorization") != s.Sent[1].Header.Get("Authorization") {
			t.Error("the answer does not name the request that was sent")
		}
		req.URL = &url.URL{Scheme: "https", Host: "api.example.com", User: url.User("canary-1a2b")}
		if _, err := client.Transport.RoundTrip(req); !errors.Is(err, transport.ErrUserInfo) {
			t.Errorf("user-info: %v", err)
		}
		if _, err := client.Transport.RoundTrip(&http.Request{}); err == nil {
			t.Error("a request without a URL was sent")
		}
	})
}

// A refuser is a Signer that understands refusals and can replace its credentials.
type refuser struct {
	cause  transport.Cause
	fetchs int
	nonce  atomic.Int32
}

func (r *refuser) Sign(req *http.Request, now time.Time) error {
	req.Header.Set("Authorization", fmt.Sprint(now, " ", r.nonce.Add(1)))
	return nil
}

func (r *refuser) Read(*http.Response) transport.Refusal {
	return transport.Refusal{Cause: r.cause}
}

func (r *refuser) Refresh(*http.Response) (bool, error) {
	r.fetchs++
	return true, nil
}

// A server that always refuses gets one more request for each cause and hop, and no repetitions.
func TestAlwaysRefused_F1(t *testing.T) {
	for _, cause := range []transport.Cause{
		transport.CauseUnknown, transport.CauseStale, transport.CauseNonce,
		transport.CauseCredential,
	} {
		t.Run(string(cause), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				signer := &refuser{cause: cause}
				sends := map[string]int{}
				client := newClient(config{
					Signer: signer,
					Base: roundTripper(func(req *http.Request) (*http.Response, error) {
						sends[req.URL.Path]++
						resp := &http.Response{StatusCode: 401, Header: make(http.Header)}
						if n := sends[req.URL.Path]; req.URL.Path != "/3" && n == 2 {
							resp.StatusCode = 307
							resp.Header.Set("Location", map[string]string{"/1": "/2",
								"/2": "/3"}[req.URL.Path])
						}
						return resp, nil
					}),
				})
				req := request(t, "GET", nil)
				req.URL.Path = "/1"
				status, _, err := do(t, client, req)
				if status != 401 || err != nil {
					t.Errorf("status %d, %v", status, err)
				}
				if sends["/1"] != 2 || sends["/2"] != 2 || sends["/3"] != 2 || signer.fetchs > 3 {
					t.Errorf("sent %v with %d fetches", sends, signer.fetchs)
				}
			})
		})
	}
}

// An answer that Refused or the Signer calls a refusal is not repeated either.
func TestRetryRefused(t *testing.T) {
	signer := &refuser{cause: transport.CauseCredential}
	is503 := func(resp *http.Response) bool { return resp.StatusCode == 503 }
	for name, c := range map[string]config{
		"Refused": {Signer: signer, Refused: is503},
		"Refuser": {Signer: busy{signer}},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &stage{Plan: statuses(503)}
			c.Base = s
			status, _, err := do(t, newClient(c), request(t, "GET", nil))
			if status != 503 || err != nil || len(s.Sent) != 2 {
				t.Errorf("%s: status %d, %v after %d requests, want 2", name, status, err,
					len(s.Sent))
			}
		})
	}
}

// A busy scheme refuses credentials with status 503.
type busy struct{ *refuser }

func (busy) Refused(resp *http.Response) bool { return resp.StatusCode == 503 }

// A Base may return an answer without a body. For an unsigned request it may even return no answer.
func TestRetryPoorBase(t *testing.T) {
	for status, want := range map[int]int{503: 3, 0: 1} {
		synctest.Test(t, func(t *testing.T) {
			sends := 0
			client := newClient(config{
				Signer: &refuser{}, Origins: []string{"https://other.example.com"},
				Base: roundTripper(func(*http.Request) (*http.Response, error) {
					if sends++; status == 0 {
						return nil, nil
					}
					return &http.Response{StatusCode: status}, nil
				}),
			})
			got, _, err := do(t, client, request(t, "GET", nil))
			if got != status || (err == nil) != (status != 0) || sends != want {
				t.Errorf("status %d, %v after %d attempts", got, err, sends)
			}
		})
	}
}

// History holds the attempts that were repeated, and the attempts that the signing Transport made
// after refusals.
func TestRetryHistory(t *testing.T) {
	for _, tt := range []struct {
		plan []int
		want []int
	}{
		{[]int{200}, nil},
		{[]int{503, 200}, []int{503, 200}},
		{[]int{503, 429, 200}, []int{503, 429, 200}},
		{[]int{503, 503, 503}, []int{503, 503, 503}},
		{[]int{401, 503, 200}, []int{401, 503, 200}},
		{[]int{503, 401, 200}, []int{503, 401, 200}},
		{[]int{401, 503, 401, 401}, []int{401, 503, 401, 401}},
		{[]int{401, 503, 503, 401, 503}, []int{401, 503, 503, 401, 503}},
		{[]int{0, 503, 200}, []int{0, 503, 200}},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &stage{Plan: statuses(tt.plan...)}
			if tt.plan[0] == 0 {
				s.Plan[0].Err = &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
			}
			client := newClient(config{
				Signer: &refuser{cause: transport.CauseCredential}, Base: s,
			})
			resp, err := client.Get(origin)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			history := transport.History(resp)
			var got []int
			for _, attempt := range history {
				got = append(got, attempt.Status)
			}
			if len(s.Sent) != len(tt.plan) || !slices.Equal(got, tt.want) {
				t.Errorf("%v: history %v, want %v, after %d requests", tt.plan, got, tt.want,
					len(s.Sent))
			}
		})
	}
}

// Repetitions are logged at level Debug, without the parts of a URL that may hold secrets.
func TestRetryLog_K7(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		dial := &net.OpError{Op: "dial", Net: "tcp", Err: text("refused")}
		s := &stage{Plan: []reply{
			{Err: &url.Error{Op: "Get", URL: origin + "/path?canary-77aa", Err: dial}},
			{Status: 503, Header: "Retry-After: 3"},
			{Status: 200},
		}}
		logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		client := newClient(config{
			Signer: &refuser{}, Base: s, Logger: logger,
		})
		req := request(t, "GET", nil)
		req.URL.RawQuery = "canary-77bb"
		if _, _, err := do(t, client, req); err != nil {
			t.Fatal(err)
		}
		got := log.String()
		for _, want := range []string{
			`level=DEBUG msg="request repeated" origin=` + origin + " path=/path method=GET ",
			`err="dial tcp: refused"`, "attempt=1 ", "attempt=2 wait=3s status=503",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("the log has no %q", want)
			}
		}
		if strings.Contains(got, "canary-") || strings.Count(got, "\n") != 2 {
			t.Errorf("logged:\n%s", strings.ReplaceAll(got, "canary-", "C-"))
		}
	})
}

// When no repetition is left, that is logged once, with the context of the request.
func TestRetryLogFailed(t *testing.T) {
	type key struct{}
	for name, plan := range map[string][]reply{
		"status":    statuses(503),
		"error":     {{Err: &net.OpError{Op: "dial", Err: text("refused")}}},
		"recovered": statuses(503, 200),
		"not found": statuses(503, 404),
	} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			s := &stage{Plan: plan}
			client := newClient(config{
				Signer: &refuser{}, Base: s,
				Logger: slog.New(contextHandler{slog.NewTextHandler(&log, nil), key{}}),
			})
			req := request(t, "GET", nil)
			_, _, _ = do(t, client, req.WithContext(context.WithValue(t.Context(), key{}, "t-1")))
			failed := strings.Contains(log.String(), `level=WARN msg="request failed, and so did `+
				`its repetitions" origin=`+origin+` path=/path method=GET attempt=3`)
			if want := len(plan) == 1; failed != want || want != (strings.Contains(log.String(),
				"trace=t-1") && strings.Count(log.String(), "\n") == 1) {
				t.Errorf("%s: logged %q", name, log.String())
			}
		})
	}
}

// A contextHandler adds the context's value for a key to each record.
type contextHandler struct {
	slog.Handler
	key any
}

func (h contextHandler) Handle(ctx context.Context, r slog.Record) error {
	r.AddAttrs(slog.Any("trace", ctx.Value(h.key)))
	return h.Handler.Handle(ctx, r)
}
