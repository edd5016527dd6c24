package provision_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/provision"
	"github.com/countersign-go/countersign/transport"
)

func TestPlainHTTP_K4(t *testing.T) {
	for _, signer := range []transport.Signer{nil, ann()} {
		for address, ok := range map[string]bool{
			"http://user.example/":      false,
			"http://localhost.evil/":    false,
			"http://192.168.0.1/":       false,
			"http://localhost:8080/":    true,
			"http://127.0.0.1/":         true,
			"http://[::1]:8080/":        true,
			"https://user.example:444/": true,
		} {
			sent := 0
			c := &provision.Client{URL: address, Signer: signer, HTTP: handlerFunc(
				func(w http.ResponseWriter, _ *http.Request) {
					sent++
					_, _ = io.WriteString(w, `{"id":"a","key":"k"}`)
				})}
			_, err := c.Credentials(t.Context())
			if (err == nil) != ok || (sent == 1) != ok {
				t.Errorf("%s: %v after %d requests", address, err, sent)
			}
			const want = ": plain http would show password and key on the way: use https"
			if !ok && !strings.HasSuffix(text(err), want) {
				t.Errorf("%s: %v", address, err)
			}
			if check := c.Check(); text(check) != text(err) {
				t.Errorf("%s: Check says %v, and the first call %v", address, check, err)
			}
		}
	}
}

type failing struct{ err error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }

func fails(err error) *http.Client { return &http.Client{Transport: failing{err}} }

// Each error tells the next action, and no secret: no body, no query, no password.
func TestErrorText_K7(t *testing.T) {
	const address = "https://user.example/provision?code=hunter2#hunter2"
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	tests := []struct {
		name   string
		c      *provision.Client
		status int
		want   string
	}{
		{"unreachable", &provision.Client{URL: address, HTTP: fails(dial)}, 0,
			"no answer: dial tcp: connection refused: " +
				"check the address, and that the service runs"},
		{"cut off", &provision.Client{URL: address, HTTP: fails(io.EOF)}, 0,
			"no answer: EOF: check the address, and that the service runs"},
		{"signer", &provision.Client{URL: address, Signer: basic.Signer{User: "a:b"}}, 0,
			"no answer: basic: "},
		{"wrong password", &provision.Client{URL: address, HTTP: says(401, "hunter2")}, 401,
			"status 401 (Unauthorized): check user and password"},
		{"forbidden", &provision.Client{URL: address, HTTP: says(403, "hunter2")}, 403,
			"status 403 (Forbidden): check user and password"},
		{"wrong place", &provision.Client{URL: address, HTTP: says(404, "hunter2")}, 404,
			"status 404 (Not Found): check that the address is that of a provisioning endpoint"},
		{"wrong page", &provision.Client{URL: address,
			HTTP: says(200, "hunter2", "Content-Type", "text/html")}, 200,
			"status 200 with a web page instead of JSON: check that the address is that of"},
		{"garbage", &provision.Client{URL: address, HTTP: says(200, "hunter2")}, 200,
			"status 200 with not JSON: check that the address is that of"},
		{"no key", &provision.Client{URL: address, HTTP: says(200, `{"id":"hunter2"}`)}, 200,
			"an answer that is of no use: there is no key: check that"},
		{"too often", &provision.Client{URL: address, HTTP: says(429, "hunter2")}, 429,
			"the service cannot help now, try again later"},
		{"broken", &provision.Client{URL: address, HTTP: says(500, "hunter2")}, 500,
			"the service cannot help now, try again later"},
		{"user in URL", &provision.Client{URL: "https://ann:hunter2@user.example/provision"}, 0,
			"the URL holds a user or password: remove it, and set Signer to a basic.Signer"},
	}
	for _, tt := range tests {
		_, err := tt.c.Credentials(t.Context())
		var e *provision.Error
		if !errors.As(err, &e) || e.Status != tt.status {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		const start = "provision: no credentials from https://user.example/provision: "
		if !strings.HasPrefix(e.Error(), start) || !strings.Contains(e.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, e, tt.want)
		}
		for _, shown := range []string{err.Error(), fmt.Sprintf("%+v", e)} {
			if strings.Contains(shown, "hunter2") {
				t.Errorf("%s: %s", tt.name, shown)
			}
		}
	}
	if _, err := tests[0].c.Credentials(t.Context()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the cause is lost: %v", err)
	}
}

func TestClientURL(t *testing.T) {
	for _, address := range []string{
		"", "user.example", "//user.example/", "ftp://user.example/", "https://", "https:///x",
		"https://ann:hunter2@[::1", "mailto:ann@user.example", "https://user.example/%zz?hunter2",
	} {
		c := &provision.Client{URL: address}
		_, err := c.Credentials(t.Context())
		if !strings.HasPrefix(text(err), "provision: Client.URL is not an address") ||
			strings.Contains(text(err), "hunter2") || text(c.Check()) != text(err) {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// The endpoint decides how long a failure is remembered.
func TestRetryAfter(t *testing.T) {
	tests := []struct {
		status      int
		field       string
		least, most int // requests in an hour of one call a second
	}{
		{503, "120", 10, 30}, {503, "99999999", 1, 1}, {429, "1800", 1, 2}, {429, "300", 6, 12},
		{403, "1", 6, 12},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			sent := 0
			c := &provision.Client{URL: endpoint, HTTP: handlerFunc(
				func(w http.ResponseWriter, _ *http.Request) {
					sent++
					w.Header().Set("Retry-After", tt.field)
					w.WriteHeader(tt.status)
				})}
			for range 3600 {
				if _, err := c.Credentials(t.Context()); err == nil {
					t.Fatal("no error")
				}
				time.Sleep(time.Second)
			}
			if sent < tt.least || sent > tt.most {
				t.Errorf("%d, %s: %d requests, want %d to %d",
					tt.status, tt.field, sent, tt.least, tt.most)
			}
		})
	}
}

func TestClientPrintsNoSecret_K6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &provision.Client{
			URL: endpoint, Signer: ann(), HTTP: says(200, `{"id":"a","key":"hunter3"}`),
		}
		if _, err := c.Credentials(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // package fmt reads without locks
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			for _, secret := range []string{password, "hunter3"} {
				if out := fmt.Sprintf(verb, c); shows(out, secret) {
					t.Errorf("%s: %s", verb, out)
				}
			}
		}
	})
}
