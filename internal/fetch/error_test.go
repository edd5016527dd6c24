package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/internal/fetch"
)

func fail(t *testing.T, f roundTrip) *fetch.Error {
	t.Helper()
	_, err := do(t, f, "")
	var e *fetch.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a *fetch.Error", err)
	}
	return e
}

func TestFinal(t *testing.T) {
	for status, final := range map[int]bool{
		400: true, 401: true, 403: true, 404: true, 405: true, 410: true, 451: true, 499: true,
		408: false, 425: false, 429: false, // the moment is wrong, not the request
		300: false, 500: false, 502: false, 503: false, 504: false, 599: false,
	} {
		e := fail(t, func(req *http.Request) (*http.Response, error) {
			return answer(req, status, "hunter2"), nil
		})
		if e.Final() != final || e.Status != status {
			t.Errorf("%d: Final = %t, Status = %d", status, e.Final(), e.Status)
		}
		if want := fmt.Sprintf("status %d", status); !strings.HasPrefix(e.Error(), want) {
			t.Errorf("%d: %v", status, e)
		}
	}
	e := fail(t, func(*http.Request) (*http.Response, error) { return nil, errors.New("down") })
	if e.Final() || e.Status != 0 || e.Error() != "no answer: down" {
		t.Errorf("no answer: %v, Final = %t", e, e.Final())
	}
}

func TestRetryAfter(t *testing.T) {
	const year2000 = "Sat, 01 Jan 2000 00:00:00 GMT" // where synctest starts
	tests := []struct {
		field, date string
		want        time.Duration
	}{
		{"", "", 0},
		{"0", "", 0},
		{"7", "", 7 * time.Second},
		{"3600", "", time.Hour},
		{"86400", "", fetch.MaxWait},
		{"86401", "", fetch.MaxWait},
		{"9223372036854775807", "", fetch.MaxWait},
		{"99999999999999999999999", "", fetch.MaxWait},
		{"-1", "", 0},
		{"1.5", "", 0},
		{"soon", "", 0},
		{"Sat, 01 Jan 2000 00:00:09 GMT", "", 9 * time.Second},
		{"Sat, 01 Jan 2000 00:00:09 GMT", year2000, 9 * time.Second},
		{"Sat, 01 Jan 2000 00:00:09 GMT", "Sat, 01 Jan 2000 00:00:07 GMT", 2 * time.Second},
		{"Fri, 31 Dec 1999 00:00:00 GMT", year2000, 0},
		{"Fri, 31 Dec 9999 23:59:59 GMT", year2000, fetch.MaxWait},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			e := fail(t, func(req *http.Request) (*http.Response, error) {
				return answer(req, 503, "", "Retry-After", tt.field, "Date", tt.date), nil
			})
			if e.RetryAfter() != tt.want {
				t.Errorf("%q at %q: %v, want %v", tt.field, tt.date, e.RetryAfter(), tt.want)
			}
		})
	}
}

// The error's text contains neither the server's text nor the query of the URL; errors.Is still
// finds the cause.
func TestErrorText_K7(t *testing.T) {
	const planted = "hunter2"
	for name, f := range map[string]roundTrip{
		"body": func(r *http.Request) (*http.Response, error) {
			return answer(r, 401, planted), nil
		},
		"garbage": func(r *http.Request) (*http.Response, error) {
			return answer(r, 200, planted), nil
		},
		"type": func(r *http.Request) (*http.Response, error) {
			return answer(r, 200, planted, "Content-Type", "text/html; "+planted), nil
		},
		"twice": func(r *http.Request) (*http.Response, error) {
			return answer(r, 200, `{"hunter2":1,"hunter2":2}`), nil
		},
		"location": func(r *http.Request) (*http.Response, error) {
			return answer(r, 307, "", "Location", "https://hunter2:[/"), nil
		},
		"retry": func(r *http.Request) (*http.Response, error) {
			return answer(r, 503, "", "Retry-After", planted), nil
		},
	} {
		if e := fail(t, f); strings.Contains(e.Error(), planted) {
			t.Errorf("%s: %v", name, e)
		}
	}
}

func TestErrorTextOverSocket_K7(t *testing.T) {
	for _, raw := range []string{
		"hunter2\r\n\r\n",
		"HTTP/1.1 hunter2\r\n\r\n",
		"HTTP/1.1 200 OK\r\nhunter2\r\n\r\n",
		"HTTP/1.1 200 OK\r\n hunter2: x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: hunter2\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: hunter2\r\n\r\n",
	} {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			server.Read(make([]byte, 4096))
			server.Write([]byte(raw))
		}()
		dial := func(context.Context, string, string) (net.Conn, error) { return client, nil }
		base := &http.Transport{DialContext: dial}
		req, err := http.NewRequestWithContext(t.Context(), "POST",
			"http://user.example/?code=hunter2", nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = fetch.Do(&http.Client{Transport: base}, req)
		base.CloseIdleConnections()
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", raw, err)
		}
	}
}

func TestUnreachable(t *testing.T) {
	e := fail(t, func(*http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	})
	const want = "no answer: dial tcp: connection refused"
	if !errors.Is(e, syscall.ECONNREFUSED) || e.Error() != want {
		t.Errorf("got %v", e)
	}
}
