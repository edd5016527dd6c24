package retry_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// These ten things must not happen to a repeated request, or to its answer. Each of them happens if
// package retryablehttp sends the request itself, with its defaults.

// 1. The caller's request, and its Body, are not changed.
func TestTrap01_CallersBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stage{Plan: statuses(503, 503, 200)}
		req := request(t, "PUT", nil)
		body := &counted{Reader: strings.NewReader("body")}
		req.Body, req.ContentLength = body, -1
		var copies []*counted
		req.GetBody = func() (io.ReadCloser, error) {
			copies = append(copies, &counted{Reader: strings.NewReader("body")})
			return copies[len(copies)-1], nil
		}
		before := *req
		if _, err := clientOf(s, 0).Transport.RoundTrip(req); err != nil {
			t.Fatal(err)
		}
		if req.Body != body || req.ContentLength != -1 || fmt.Sprint(*req) != fmt.Sprint(before) {
			t.Errorf("the caller's request was changed: %+v", req)
		}
		if strings.Join(s.Bodies, " ") != "body body body" || len(copies) != 2 {
			t.Errorf("sent %q with %d copies", s.Bodies, len(copies))
		}
		for i, c := range append(copies, body) {
			if c.closed != 1 {
				t.Errorf("body %d was closed %d times", i, c.closed)
			}
		}
	})
}

// 2. A body without GetBody is streamed, and sent once.
func TestTrap02_StreamedBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, feed := io.Pipe()
		sends := 0
		client := newClient(config{
			Signer: &refuser{},
			Base: roundTripper(func(req *http.Request) (*http.Response, error) {
				sends++
				for _, part := range []string{"first ", "second"} { // each after the last arrived
					go func() { _, _ = feed.Write([]byte(part)) }()
					got := make([]byte, len(part))
					if _, err := io.ReadFull(req.Body, got); err != nil || string(got) != part {
						t.Errorf("got %q, %v", got, err)
					}
				}
				_ = req.Body.Close()
				return &http.Response{StatusCode: 503}, nil
			}),
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		req := request(t, "PUT", nil).WithContext(ctx)
		req.Body = source
		stop := context.AfterFunc(ctx, func() { _ = feed.Close() }) // if a reader waits for more
		defer stop()
		status, _, err := do(t, client, req)
		if status != 503 || err != nil || sends != 1 {
			t.Errorf("status %d, %v after %d attempts", status, err, sends)
		}
	})
}

// 3. Redirects are left to the caller's client.
func TestTrap03_Redirect(t *testing.T) {
	for _, plan := range [][]int{{302, 200}, {503, 302, 503, 200}, {503, 503, 307, 200}} {
		synctest.Test(t, func(t *testing.T) {
			s := &stage{Plan: statuses(plan...)}
			for i := range s.Plan {
				if s.Plan[i].Status/100 == 3 {
					s.Plan[i].Header = "Location: https://other.example.com/elsewhere"
				}
			}
			client, followed := clientOf(s, 0), 0
			client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
				followed++
				if len(via) != 1 || req.Response == nil || req.Response.StatusCode/100 != 3 {
					t.Errorf("%v: redirected from %v by %v", plan, via, req.Response)
				}
				return nil
			}
			status, _, err := do(t, client, request(t, "GET", nil))
			if status != 200 || err != nil || followed != 1 || len(s.Sent) != len(plan) {
				t.Fatalf("%v: status %d, %v after %d requests, %d redirects followed",
					plan, status, err, len(s.Sent), followed)
			}
			last := s.Sent[len(s.Sent)-1]
			if last.URL.Host != "other.example.com" || last.Header.Get("Authorization") != "" {
				t.Errorf("%v: the last request went to %s, or was signed", plan, last.URL.Host)
			}
		})
	}
}

// 4. The last answer is returned as a response.
func TestTrap04_LastAnswer(t *testing.T) {
	for _, status := range []int{429, 502, 503, 504} {
		synctest.Test(t, func(t *testing.T) {
			s := &stage{Plan: []reply{{Status: status, Header: "X-Reason: tired"}}}
			resp, err := clientOf(s, 0).Do(request(t, "GET", nil))
			if err != nil {
				t.Fatalf("status %d became %v", status, err)
			}
			body, err := io.ReadAll(resp.Body)
			if resp.StatusCode != status || resp.Header.Get("X-Reason") != "tired" ||
				string(body) != "a reason" || err != nil || len(s.Sent) != 3 {
				t.Errorf("%+v with body %q, %v after %d attempts", resp, body, err, len(s.Sent))
			}
		})
	}
}

// 5. A request that must be executed only once is sent only once.
func TestTrap05_PostOnce_B5(t *testing.T) {
	for _, tt := range []struct {
		method, header string
		repeat         bool
	}{
		{"", "", true}, {"GET", "", true}, {"HEAD", "", true}, {"OPTIONS", "", true},
		{"TRACE", "", true}, {"PUT", "", true}, {"DELETE", "", true},
		{"POST", "", false}, {"PATCH", "", false}, {"CONNECT", "", false}, {"get", "", false},
		{"LOCK", "", false},
		{"POST", "Idempotency-Key: 7", true}, {"PATCH", "X-Idempotency-Key: 7", true},
		{"POST", "Idempotency-Key: ", false}, {"POST", "Idempotency: 7", false},
		{"POST", "Idempotency-Key:  \t", false}, {"POST", "X-Idempotency-Key:  ", false},
	} {
		for name, r := range map[string]reply{
			"503":   {Status: 503},
			"reset": {Err: fmt.Errorf("read: %w", syscall.ECONNRESET)},
		} {
			t.Run(tt.method+" "+tt.header+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := &stage{Plan: []reply{r}}
					req := request(t, "GET", strings.NewReader("body"))
					req.Method = tt.method
					if name, value, ok := strings.Cut(tt.header, ": "); ok {
						req.Header.Set(name, value)
					}
					resp, err := clientOf(s, 0).Transport.RoundTrip(req)
					if err != r.Err || err == nil && resp.StatusCode != 503 {
						t.Errorf("%v, %v", resp, err)
					}
					want := 1
					if tt.repeat {
						want = 3
					}
					if len(s.Sent) != want || len(s.Bodies) != want {
						t.Errorf("%d attempts, want %d", len(s.Sent), want)
					}
				})
			})
		}
	}
}

// 6. Nothing is written to standard error. The default logger of retryablehttp holds os.Stderr from
// the start of the process, so the test runs in a child process.
func TestTrap06_Stderr(t *testing.T) {
	const child = "COUNTERSIGN_TEST_STDERR"
	if os.Getenv(child) != "" {
		s := &stage{Plan: []reply{{Status: 503, Header: "Retry-After: 0"}}}
		_, _, err := do(t, clientOf(s, 0), request(t, "GET", nil))
		if err != nil || len(s.Sent) != 3 {
			t.Errorf("%v after %d attempts", err, len(s.Sent))
		}
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), child+"=1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err != nil || !strings.Contains(stdout.String(), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, stdout.String())
	}
	if stderr.Len() > 0 {
		t.Errorf("on standard error:\n%s", stderr.String())
	}
}

// 7. A server cannot make its client sleep for as long as it likes. TestRetryAfter_F14 has more
// cases.
func TestTrap07_RetryAfter(t *testing.T) {
	for _, value := range []string{"31536000", "9223372037", "Fri, 31 Dec 2100 23:59:59 GMT"} {
		synctest.Test(t, func(t *testing.T) {
			s := &stage{Plan: []reply{{Status: 503, Header: "Retry-After: " + value}}}
			if _, _, err := do(t, clientOf(s, 0), request(t, "GET", nil)); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(s.Times[0]); len(s.Sent) != 1 || took != 0 {
				t.Errorf("Retry-After: %s: %d attempts in %v", value, len(s.Sent), took)
			}
		})
	}
}

// 8. Every copy of a body that GetBody made is closed, also if a redirect needs one more copy.
func TestTrap08_CopiesClosed(t *testing.T) {
	for name, check := range map[string]func(*http.Request, []*http.Request) error{
		"followed": nil,
		"not followed": func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &stage{Plan: []reply{
				{Status: 503}, {Status: 307, Header: "Location: /next"}, {Status: 200}}}
			var copies []*counted
			open := func() (io.ReadCloser, error) {
				copies = append(copies, &counted{Reader: strings.NewReader("body")})
				return copies[len(copies)-1], nil
			}
			req := request(t, "PUT", nil)
			req.Body, _ = open()
			req.GetBody = open
			client := clientOf(s, 0)
			client.CheckRedirect = check
			var err error
			if check == nil {
				_, _, err = do(t, client, req)
			} else { // without the copy that net/http itself makes for the redirect
				_, err = client.Transport.RoundTrip(req)
			}
			if err != nil || len(copies) != len(s.Sent) {
				t.Errorf("%s: %d copies for %d requests, %v", name, len(copies), len(s.Sent), err)
			}
			for i, c := range copies {
				// net/http closes the body once more when it follows a redirect.
				if c.closed != 1 && (check != nil || c.closed == 0) {
					t.Errorf("%s: copy %d was closed %d times", name, i, c.closed)
				}
			}
		})
	}
}

// 9. A Location that cannot be followed is not a reason to send again.
func TestTrap09_BadLocation(t *testing.T) {
	for _, plan := range [][]int{{302}, {503, 302}, {503, 503, 308}} {
		synctest.Test(t, func(t *testing.T) {
			s := &stage{Plan: statuses(append(plan, 200)...)}
			s.Plan[len(plan)-1].Header = "Location: http://[::1"
			resp, err := clientOf(s, 0).Transport.RoundTrip(request(t, "GET", nil))
			if err != nil || resp.StatusCode/100 != 3 || len(s.Sent) != len(plan) {
				t.Errorf("%v: %v, %v after %d attempts", plan, resp, err, len(s.Sent))
			}
			s.Sent = nil
			_, err = clientOf(s, 0).Get(origin)
			if err == nil || !strings.Contains(err.Error(), "Location") ||
				len(s.Sent) != len(plan) {
				t.Errorf("%v: %v after %d attempts", plan, err, len(s.Sent))
			}
		})
	}
}

// 10. The connections of the Base belong to the caller: none is closed when the attempts or the
// time run out.
func TestTrap10_IdleConnections(t *testing.T) {
	for name, tt := range map[string]struct {
		reply reply
		limit time.Duration
	}{
		"answers":  {reply{Status: 503}, time.Hour},
		"errors":   {reply{Err: io.EOF}, time.Hour},
		"canceled": {reply{Status: 503, Header: "Retry-After: 20"}, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &stage{Plan: []reply{tt.reply}}
			ctx, cancel := context.WithCancel(t.Context())
			stop := time.AfterFunc(tt.limit, cancel)
			defer stop.Stop()
			_, _, _ = do(t, clientOf(s, 0), request(t, "GET", nil).WithContext(ctx))
			if s.Closed != 0 {
				t.Errorf("%s: idle connections were closed %d times", name, s.Closed)
			}
		})
	}
}
