package raven_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/countersign-go/countersign/auth"
)

// TestPersonalPage checks the header fields for caches on pages that are made for one user.
func TestPersonalPage(t *testing.T) {
	for name, tt := range map[string]struct {
		page http.HandlerFunc
		want string
	}{
		"nothing": {func(http.ResponseWriter, *http.Request) {}, "private"},
		"text": {func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "text")
		}, "private"},
		"a status": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
		}, "private"},
		"a hint in front": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			if w.Header().Get("Cache-Control") != "" {
				t.Error("the hint says private, too")
			}
			io.WriteString(w, "text")
		}, "private"},
		"a stream": {func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
		}, "private"},
		"a stream by a controller": {func(w http.ResponseWriter, _ *http.Request) {
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
		}, "private"},
		"a copy": {func(w http.ResponseWriter, _ *http.Request) {
			io.Copy(w, struct{ io.Reader }{strings.NewReader("text")})
		}, "private"},
		"a file that is not there": {http.FileServerFS(fstest.MapFS{}).ServeHTTP, "private"},
		"public": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "public, max-age=60")
		}, "public, max-age=60"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBrowser(t, newLogin(t))
			b.logIn(secret, answer{})
			guard := &auth.Guard{Stack: auth.Stack{b.login}, Denied: b.login, Optional: true}
			for _, handler := range []http.Handler{
				b.login.Require(tt.page), b.login.Answers(guard.Handler(tt.page)),
			} {
				header := b.overNetwork(handler).Header
				if got := header.Get("Cache-Control"); got != tt.want ||
					header.Get("Vary") != "Cookie" {
					t.Errorf("caches are told %q: %v", got, header)
				}
			}
		})
	}
}

// overNetwork requests the page from a new server over a socket. It closes the body of the
// response.
func (b *browser) overNetwork(handler http.Handler) *http.Response {
	b.t.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	req := b.request("GET", secret)
	req.RequestURI, req.URL.Scheme = "", "http"
	req.URL.Host = strings.TrimPrefix(server.URL, "http://")
	resp, err := server.Client().Transport.RoundTrip(req)
	if err != nil {
		b.t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

// TestHijack has a page hijack the connection.
func TestHijack(t *testing.T) {
	b := newBrowser(t, newLogin(t))
	b.logIn(secret, answer{})
	resp := b.overNetwork(b.login.Require(http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
			conn.Close()
		})))
	if resp.StatusCode != http.StatusNoContent {
		t.Error(resp.Status)
	}
}

// TestLimiter checks that a Limiter does not count answers of the service as wrong credentials.
func TestLimiter(t *testing.T) {
	l := newLogin(t)
	b := newBrowser(t, l)
	var decided []error
	guard := &auth.Guard{Stack: auth.Stack{l}, Denied: l,
		Decided: func(_ *http.Request, _ auth.Authenticator, _ *auth.Identity, err error) {
			decided = append(decided, err)
		}}
	b.handler = l.Answers(guard.Handler(http.HandlerFunc(b.page)))
	b.logIn(secret, answer{})
	b.get(secret)
	b.is(200, "")
	if len(decided) != 2 || !errors.Is(decided[0], auth.ErrNone) || decided[1] != nil {
		t.Errorf("decided %v", decided)
	}
}
