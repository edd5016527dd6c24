package retry_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/countersign-go/countersign/retry"
	"github.com/countersign-go/countersign/transport"
)

var policies = map[string]retryablehttp.CheckRetry{
	"DefaultRetryPolicy":         retryablehttp.DefaultRetryPolicy,
	"ErrorPropagatedRetryPolicy": retryablehttp.ErrorPropagatedRetryPolicy,
}

// The policies of retryablehttp choose the same statuses as in retryablehttp, and a response is not
// turned into an error.
func TestCheckStatus(t *testing.T) {
	for name, check := range policies {
		for status, sends := range map[int]int{
			200: 1, 302: 1, 404: 1, 429: 3, 500: 3, 501: 1, 502: 3, 503: 3, 504: 3, 599: 3,
		} {
			synctest.Test(t, func(t *testing.T) {
				s := &stage{Plan: statuses(status)}
				client := checking(s, check)
				resp, err := client.Transport.RoundTrip(request(t, "GET", nil))
				if err != nil {
					t.Fatalf("%s: status %d became %v", name, status, err)
				}
				body, err := io.ReadAll(resp.Body)
				if resp.StatusCode != status || string(body) != "a reason" || err != nil ||
					len(s.Sent) != sends {
					t.Errorf("%s: status %d: %q, %v after %d attempts, want %d", name, status, body,
						err, len(s.Sent), sends)
				}
			})
		}
	}
}

// They also recognize the same errors as in retryablehttp. The caller gets the Base's own error.
func TestCheckError(t *testing.T) {
	for name, check := range policies {
		for _, tt := range []struct {
			err   error
			sends int
		}{
			{syscall.ECONNRESET, 3},
			{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, 3},
			{text("net/http: timeout awaiting response headers"), 3},
			{text(`unsupported protocol scheme "ftp"`), 1},
			{text(`net/http: invalid header field name "a b"`), 1},
			{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, 1},
		} {
			synctest.Test(t, func(t *testing.T) {
				s := &stage{Plan: []reply{{Err: tt.err}}}
				client := checking(s, check)
				_, err := client.Transport.RoundTrip(request(t, "GET", nil))
				if err != tt.err || len(s.Sent) != tt.sends {
					t.Errorf("%s: %v after %d attempts, want %v after %d", name, err, len(s.Sent),
						tt.err, tt.sends)
				}
			})
		}
	}
}

// A policy that always returns true does not change which requests may be repeated.
func TestCheckForbiddenRequests_B5(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	checks := map[string]retryablehttp.CheckRetry{
		"always": func(context.Context, *http.Response, error) (bool, error) { return true, nil },
	}
	for name, check := range policies {
		checks[name] = check
	}
	sign := transport.SignerFunc(func(*http.Request, time.Time) error { return nil })
	fail := transport.SignerFunc(func(*http.Request, time.Time) error { return dial })
	started := func() io.Reader { return struct{ io.Reader }{strings.NewReader("body")} }
	none := func() io.Reader { return nil }
	for _, tt := range []struct {
		name, method, key string
		body              func() io.Reader
		reply             reply
		signer            transport.Signer
		refused           int
		calls, sends      int // the number of calls of Check, and of requests
	}{
		{"GET", "GET", "", none, reply{Status: 503}, sign, 401, 3, 3},
		{"POST", "POST", "", none, reply{Status: 503}, sign, 401, 0, 1},
		{"POST that may have arrived", "POST", "", none, reply{Err: io.EOF}, sign, 401, 0, 1},
		{"POST that was not sent", "POST", "", none, reply{Err: dial}, sign, 401, 3, 3},
		{"POST with a key", "POST", "7", none, reply{Status: 503}, sign, 401, 3, 3},
		{"body read", "PUT", "", started, reply{Status: 503}, sign, 401, 1, 1},
		{"Signer failed", "GET", "", none, reply{Status: 200}, fail, 401, 0, 0},
		{"refused", "GET", "", none, reply{Status: 503}, sign, 503, 0, 1},
		{"refused as usual", "GET", "", none, reply{Status: 401}, sign, 0, 0, 1},
	} {
		for name, check := range checks {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				s := &stage{Plan: []reply{tt.reply}}
				c := config{Signer: tt.signer, Base: s, Retry: retry.Transport{
					Check: func(ctx context.Context, r *http.Response, err error) (bool, error) {
						calls++
						return check(ctx, r, err)
					}}}
				if tt.refused != 0 {
					c.Refused = func(r *http.Response) bool { return r.StatusCode == tt.refused }
				}
				req := request(t, tt.method, tt.body())
				if tt.key != "" {
					req.Header.Set("Idempotency-Key", tt.key)
				}
				_, _ = newClient(c).Transport.RoundTrip(req) //nolint:bodyclose // it is in memory
				if len(s.Sent) != tt.sends || calls != tt.calls {
					t.Errorf("%s, %s: %d requests and %d calls of Check, want %d and %d", name,
						tt.name, len(s.Sent), calls, tt.sends, tt.calls)
				}
			})
		}
	}
}

// A request that the signing Transport rejects was not sent, so no policy can repeat it.
func TestCheckRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stage{Plan: statuses(200)}
		begun := time.Now()
		client := checking(s, retryablehttp.DefaultRetryPolicy)
		_, err := client.Get("http://api.example.com/")
		if !errors.Is(err, transport.ErrPlainHTTP) || time.Since(begun) != 0 {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}

// Check can prevent a repetition. Its own error replaces an error, but never an answer.
func TestCheckForbids(t *testing.T) {
	own := errors.New("a policy of this program")
	for _, tt := range []struct {
		reply reply
		again bool
		own   error
		want  error
		sends int
	}{
		{reply{Status: 503}, false, nil, nil, 1},
		{reply{Status: 503}, false, own, nil, 1},
		{reply{Status: 503}, true, own, nil, 3},
		{reply{Err: io.EOF}, false, nil, io.EOF, 1},
		{reply{Err: io.EOF}, false, own, own, 1},
		{reply{Err: io.EOF}, true, own, io.EOF, 3},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &stage{Plan: []reply{tt.reply}}
			client := checking(s, func(context.Context, *http.Response, error) (bool, error) {
				return tt.again, tt.own
			})
			resp, err := client.Transport.RoundTrip(request(t, "GET", nil))
			if err != tt.want || (resp != nil) != (tt.want == nil) || len(s.Sent) != tt.sends {
				t.Errorf("%+v: %v, %v after %d attempts", tt, resp, err, len(s.Sent))
			}
		})
	}
}

// Check gets the error in the form of an http.Client, without the parts of the URL that may hold
// secrets. History and the log say that Check chose to repeat.
func TestCheckSeesURLError_K7(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		secret := text("canary-c4ec4")
		s := &stage{Plan: []reply{{Err: secret}, {Status: 200}}}
		var seen error
		client := checking(s, func(_ context.Context, r *http.Response, err error) (bool, error) {
			if err != nil {
				seen = err
			}
			return err != nil, nil
		})
		req := request(t, "PUT", nil)
		req.URL.RawQuery = "canary-77cc"
		resp, err := client.Transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		want := &url.Error{Op: "Put", URL: origin + "/path", Err: secret}
		if !reflect.DeepEqual(seen, error(want)) {
			t.Errorf("Check got %T", seen)
		}
		if h := fmt.Sprint(transport.History(resp)); strings.Contains(h, "canary-") ||
			!strings.Contains(h, "no answer: retry: an error that Check chose to repeat 200") {
			t.Errorf("history %s", strings.ReplaceAll(h, "canary-", "C-"))
		}
	})
}

// The back-off functions of retryablehttp can be used. Retry-After has precedence over them.
func TestBackoffs(t *testing.T) {
	const second = time.Second
	for _, tt := range []struct {
		name    string
		backoff retryablehttp.Backoff
		header  string
		low     []time.Duration // of the waits
		high    []time.Duration
	}{
		{"DefaultBackoff", retryablehttp.DefaultBackoff, "",
			[]time.Duration{second, 2 * second, 4 * second, 5 * second}, nil},
		{"LinearJitterBackoff", retryablehttp.LinearJitterBackoff, "",
			[]time.Duration{second, 2 * second, 3 * second, 4 * second},
			[]time.Duration{5 * second, 10 * second, 15 * second, 20 * second}},
		{"RateLimitLinearJitterBackoff", retryablehttp.RateLimitLinearJitterBackoff, "",
			[]time.Duration{second, 2 * second, 3 * second, 4 * second},
			[]time.Duration{5 * second, 10 * second, 15 * second, 20 * second}},
		{"nil", nil, "", []time.Duration{second, 2 * second, 3 * second, 4 * second},
			[]time.Duration{2 * second, 4 * second, 5 * second, 5 * second}},
		{"negative", func(_, _ time.Duration, _ int, _ *http.Response) time.Duration {
			return -second
		}, "", []time.Duration{0, 0, 0, 0}, nil},
	} {
		for header, wait := range map[string]time.Duration{
			"": -1, "0": -1, "3": 3 * second, "5": 5 * second, "6": -2, "31536000": -2,
			"9223372037": -2, "+31536000": -1, "Sat, 01 Jan 2000 00:00:04 GMT": 4 * second,
			"Fri, 31 Dec 2100 23:59:59 GMT": -2, "Fri, 31 Dec 1999 23:59:59 GMT": -1,
		} {
			synctest.Test(t, func(t *testing.T) { // the bubble's clock starts at 2000-01-01
				s := &stage{Plan: []reply{{Status: 503, Header: "Retry-After: " + header}}}
				times := 4
				if wait > 0 {
					times = 1
				}
				client := newClient(config{Signer: &refuser{}, Base: s, Retry: retry.Transport{
					Max: times, WaitMin: second, WaitMax: 5 * second, Backoff: tt.backoff}})
				if _, _, err := do(t, client, request(t, "GET", nil)); err != nil {
					t.Fatal(err)
				}
				waits := s.Waits()
				switch {
				case wait == -2 && len(waits) != 0, wait >= 0 && waits[0] != wait,
					wait == -1 && len(waits) != 4:
					t.Errorf("%s, Retry-After: %s: %v", tt.name, header, waits)
				}
				for i, got := range waits {
					high := tt.low[i]
					if tt.high != nil {
						high = tt.high[i]
					}
					if wait == -1 && (got < tt.low[i] || got > high) {
						t.Errorf("%s, Retry-After: %s: %v", tt.name, header, waits)
					}
				}
			})
		}
	}
}

// If a Backoff waits longer than the context allows, the call returns the answer.
func TestBackoffDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stage{Plan: statuses(503)}
		client := newClient(config{Signer: &refuser{}, Base: s, Retry: retry.Transport{
			Backoff: func(_, _ time.Duration, attempt int, _ *http.Response) time.Duration {
				return []time.Duration{time.Minute, time.Hour}[attempt]
			}}})
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
		defer cancel()
		status, _, err := do(t, client, request(t, "GET", nil).WithContext(ctx))
		if took := time.Since(s.Times[0]); status != 503 || err != nil || len(s.Sent) != 2 ||
			took != time.Minute {
			t.Errorf("status %d, %v after %d attempts in %v", status, err, len(s.Sent), took)
		}
	})
}

// Requests are repeated by the same rules if the Base is not a Transport that signs.
func TestPlainBase(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for _, tt := range []struct {
		method string
		reply  reply
		check  retryablehttp.CheckRetry
		sends  int
	}{
		{"GET", reply{Status: 503}, nil, 3},
		{"GET", reply{Status: 401}, nil, 1},
		{"GET", reply{Err: io.EOF}, nil, 3},
		{"POST", reply{Status: 503}, nil, 1},
		{"POST", reply{Err: io.EOF}, nil, 1},
		{"POST", reply{Err: dial}, nil, 3},
		{"POST", reply{Err: dial}, retryablehttp.DefaultRetryPolicy, 3},
		{"GET", reply{Err: text("anything")}, retryablehttp.DefaultRetryPolicy, 3},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &stage{Plan: []reply{tt.reply}}
			rt := &retry.Transport{Base: s, Check: tt.check}
			req := request(t, tt.method, strings.NewReader("body"))
			resp, err := rt.RoundTrip(req)
			if err != tt.reply.Err || err == nil && resp.StatusCode != tt.reply.Status ||
				len(s.Sent) != tt.sends || strings.Repeat("body", tt.sends) !=
				strings.Join(s.Bodies, "") {
				t.Errorf("%+v: %v, %v after %d attempts", tt, resp, err, len(s.Sent))
			}
		})
	}
}

// A request without a URL is left to the Base. The request of an answer does not carry the
// httptrace of the retries.
func TestPlainRequest(t *testing.T) {
	s := &stage{Plan: []reply{{Err: io.EOF}}}
	rt := &retry.Transport{Base: s, Check: retryablehttp.DefaultRetryPolicy}
	if _, err := rt.RoundTrip(&http.Request{}); err != io.EOF || len(s.Sent) != 1 {
		t.Errorf("%v after %d attempts", err, len(s.Sent))
	}
	rt.Base = roundTripper(func(req *http.Request) (*http.Response, error) {
		if httptrace.ContextClientTrace(req.Context()) == nil {
			t.Error("the Base is not traced")
		}
		return &http.Response{StatusCode: 200, Request: req}, nil
	})
	resp, err := rt.RoundTrip(request(t, "POST", nil))
	if err != nil || httptrace.ContextClientTrace(resp.Request.Context()) != nil {
		t.Errorf("the answer carries a trace, or %v", err)
	}
}

// A wrapper hides a Transport that signs.
type wrapper struct{ http.RoundTripper }

// A wrapper between the retries and the Transport that signs does not change the rules.
func TestWrapperBetween(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	sign := transport.SignerFunc(func(*http.Request, time.Time) error { return nil })
	fail := transport.SignerFunc(func(*http.Request, time.Time) error { return dial })
	for _, tt := range []struct {
		method, url string
		signer      transport.Signer
		plan        []reply
		sends       int
		history     string
	}{
		{"GET", origin, sign, statuses(503, 502, 200), 3, "[503 502 200]"},
		{"GET", origin, fail, statuses(200), 0, "[]"},
		{"GET", "http://api.example.com", sign, statuses(200), 0, "[]"},
		{"POST", origin, sign, []reply{{Err: dial}, {Status: 200}}, 2,
			"[no answer: dial: connection refused 200]"},
		{"POST", origin, sign, []reply{{Err: io.EOF}}, 1, "[]"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, begun := &stage{Plan: tt.plan}, time.Now()
			rt := &retry.Transport{
				Base:  wrapper{&transport.Transport{Signer: tt.signer, Base: s}},
				Check: retryablehttp.DefaultRetryPolicy,
			}
			req, err := http.NewRequestWithContext(t.Context(), tt.method, tt.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := rt.RoundTrip(req)
			h := fmt.Sprint(transport.History(resp))
			if h != tt.history || len(s.Sent) != tt.sends {
				t.Errorf("%s %s: %v after %d attempts, history %s", tt.method, tt.url, err,
					len(s.Sent), h)
			}
			if tt.sends < 2 && time.Since(begun) != 0 {
				t.Errorf("%s %s: %v after %v", tt.method, tt.url, err, time.Since(begun))
			}
		})
	}
}

// A Signer may call another service with the request's context, by another Transport that signs.
// The outcome of that call says nothing about the request.
func TestCallsOfSigner_B5(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	plain := transport.SignerFunc(func(*http.Request, time.Time) error { return nil })
	for name, tt := range map[string]struct {
		theirs http.RoundTripper
		ours   http.RoundTripper
		sends  int
	}{
		"theirs not sent, ours lost": {unconnected{}, &stage{Plan: []reply{{Err: io.EOF}}}, 1},
		"theirs sent, ours not":      {&stage{Plan: statuses(200)}, unconnected{}, 3},
		"neither sent":               {&stage{Plan: []reply{{Err: dial}}}, unconnected{}, 3},
	} {
		synctest.Test(t, func(t *testing.T) {
			signs := 0
			login := &transport.Transport{Signer: plain, Base: tt.theirs}
			client := newClient(config{Base: tt.ours, Signer: transport.SignerFunc(
				func(req *http.Request, _ time.Time) error {
					signs++
					call := request(t, "POST", nil).WithContext(req.Context())
					_, _ = login.RoundTrip(call) //nolint:bodyclose // it is in memory
					return nil
				})})
			_, err := client.Transport.RoundTrip(request(t, "POST", nil))
			if err != io.EOF || signs != tt.sends {
				t.Errorf("%s: %v after %d attempts, want %d", name, err, signs, tt.sends)
			}
		})
	}
}

// unconnected fails before it gets a connection.
type unconnected struct{}

func (unconnected) RoundTrip(req *http.Request) (*http.Response, error) {
	if trace := httptrace.ContextClientTrace(req.Context()); trace != nil {
		trace.GetConn("api.example.com:443")
	}
	return nil, io.EOF
}

func checking(base http.RoundTripper, check retryablehttp.CheckRetry) *http.Client {
	return newClient(config{Signer: &refuser{}, Base: base, Retry: retry.Transport{Check: check}})
}
