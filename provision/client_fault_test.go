package provision_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision"
)

func TestWrongPassword_F1(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fetched atomic.Int32
		c := &provision.Client{
			URL:    endpoint,
			Signer: basic.Signer{User: "ann", Password: creds.Secret("hunter3")},
			HTTP:   &http.Client{Transport: service(testIssuer(), &fetched)},
		}
		const want = "provision: no credentials from https://user.example/provision: " +
			"status 401 (Unauthorized): check user and password"
		for range 100 {
			_, err := c.Credentials(t.Context())
			var e *provision.Error
			if !errors.As(err, &e) || e.Status != 401 || e.Error() != want {
				t.Fatalf("got %v", err)
			}
			time.Sleep(time.Second)
		}
		if n := fetched.Load(); n != 1 {
			t.Errorf("%d attempts with one wrong password", n)
		}
	})
}

// A request without credentials is not sent again because of the clock.
func TestUnsigned401_F1(t *testing.T) {
	for _, challenge := range []string{"", "MAC", `MAC error="stale", ts="1"`, "Basic"} {
		sent := 0
		c := &provision.Client{URL: endpoint, HTTP: handlerFunc(
			func(w http.ResponseWriter, _ *http.Request) {
				sent++
				there := time.Now().Add(time.Hour)
				w.Header().Set("Date", there.UTC().Format(http.TimeFormat))
				if challenge != "" {
					w.Header().Set("WWW-Authenticate", challenge)
				}
				w.WriteHeader(401)
			})}
		if _, err := c.Credentials(t.Context()); err == nil || sent != 1 {
			t.Errorf("%s: %v after %d requests", challenge, err, sent)
		}
	}
}

// The Client asks an endpoint that gives nothing better at growing intervals.
func TestSameAgain_F2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := 0
		c := &provision.Client{URL: endpoint, HTTP: handlerFunc(
			func(w http.ResponseWriter, _ *http.Request) {
				sent++
				_, _ = io.WriteString(w, `{"id":"a","key":"k"}`)
			})}
		for range 3600 {
			if got, err := c.Credentials(t.Context()); err != nil || got.ID != "a" {
				t.Fatal(got, err)
			}
			c.Reject(func(*mac.Credentials) bool { return true }, nil)
			time.Sleep(time.Second)
		}
		if sent > 60 { // a back-off is random, up to 5 min
			t.Errorf("%d requests in an hour", sent)
		}
	})
}

// A Client that would need its own credentials to get some returns an error at once, rather than
// wait for itself.
func TestOwnCredentials_F17(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &provision.Client{URL: endpoint, HTTP: says(200, `{"id":"a","key":"k"}`)}
		c.Signer = &mac.Signer{Source: c}
		start := time.Now()
		if _, err := c.Credentials(t.Context()); !errors.Is(err, creds.ErrRecursive) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("took %v", took)
		}
	})
}

func TestHangingEndpoint_F5(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &provision.Client{URL: endpoint, HTTP: handlerFunc(
			func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() })}
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := c.Credentials(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("impatient: %v", err)
		}
		if took := time.Since(start); took != 50*time.Millisecond {
			t.Errorf("impatient: %v", took)
		}
		_, err := c.Credentials(t.Context())
		if took := time.Since(start); err == nil || took > 31*time.Second {
			t.Errorf("patient: %v after %v", err, took)
		}
	})
}

// Garbage is not stored, and earlier credentials stay in use.
func TestGarbage_F7(t *testing.T) {
	for _, body := range []string{
		"", "hunter2", "{}", `{"id":"a"}`, `{"id":"a","key":"k","key":"k"}`, `{"ID":"a","Key":"k"}`,
		`{"id":"a","key":"k"}x`, `{"id":"a\"","key":"k"}`, `{"id":"a","key":7}`,
		`{"id":"a","key":"k","algorithm":"none"}`,
		strings.Repeat(" ", 1<<17) + `{"id":"a","key":"k"}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			answers := []string{`{"id":"a","key":"k"}`, body}
			c := &provision.Client{URL: endpoint, HTTP: handlerFunc(
				func(w http.ResponseWriter, _ *http.Request) {
					_, _ = io.WriteString(w, answers[0])
					answers = answers[1:]
				})}
			first, err := c.Credentials(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			c.Reject(func(*mac.Credentials) bool { return true }, nil)
			got, err := c.Credentials(t.Context())
			if err != nil || got != first || len(answers) != 0 {
				t.Errorf("%.40q: %v, %v", body, got, err)
			}
		})
	}
}

func TestRedirect_F8(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		var went []string
		c := &provision.Client{URL: endpoint, Signer: ann(), HTTP: handlerFunc(
			func(w http.ResponseWriter, req *http.Request) {
				went = append(went, req.URL.Host)
				w.Header().Set("Location", "https://evil.example/provision")
				w.WriteHeader(status)
			})}
		_, err := c.Credentials(t.Context())
		var e *provision.Error
		if !errors.As(err, &e) || e.Status != status || len(went) != 1 {
			t.Errorf("%d: %v after %v", status, err, went)
		}
	}
}

// Within the origin, the redirected request is signed too.
func TestRedirectWithin_F8(t *testing.T) {
	service := service(testIssuer(), new(atomic.Int32))
	c := &provision.Client{
		URL: "https://user.example/old", Signer: ann(),
		HTTP: handlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.URL.Path == "/old" {
				http.Redirect(w, req, "/provision", http.StatusPermanentRedirect)
				return
			}
			service.ServeHTTP(w, req)
		}),
	}
	if _, err := c.Credentials(t.Context()); err != nil {
		t.Error(err)
	}
}
