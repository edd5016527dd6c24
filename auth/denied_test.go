package auth_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/countersign-go/countersign/auth"
)

// Denied is tested over a socket, since the test is about the bytes that net/http sends.
func TestDenied(t *testing.T) {
	files := fstest.MapFS{"page": {Data: []byte("a page")}}
	for _, tt := range []struct {
		reason string
		page   http.HandlerFunc
		status int
		body   string
	}{
		{"forgets the status", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "a page")
		}, 401, "a page"},
		{"writes nothing at all", func(http.ResponseWriter, *http.Request) {}, 401, body401},
		{"writes nothing but fields", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "3")
		}, 401, body401},
		{"writes an empty page", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(200)
		}, 401, ""},
		{"means success, as file servers do", func(w http.ResponseWriter, req *http.Request) {
			http.ServeFileFS(w, req, files, "page")
		}, 401, "a page"},
		{"writes in parts", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "a ")
			io.WriteString(w, "page")
		}, 401, "a page"},
		{"flushes first", func(w http.ResponseWriter, _ *http.Request) {
			http.NewResponseController(w).Flush()
			io.WriteString(w, "a page")
		}, 401, "a page"},
		{"says that nothing has changed", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(304)
		}, 401, ""},
		{"hints first", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(103)
			io.WriteString(w, "a page")
		}, 401, "a page"},
		{"says it itself", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(401)
			io.WriteString(w, "a page")
		}, 401, "a page"},
		{"sends people to a login", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/login")
			w.WriteHeader(303)
		}, 303, ""},
		{"has trouble of its own", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
		}, 500, ""},
	} {
		m := refuses(auth.ErrNone)
		m.challenge = "A"
		g := auth.Guard{Stack: auth.Stack{m}, Denied: tt.page}
		server := httptest.NewServer(g.Handler(whoami))
		req, err := http.NewRequest("GET", server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := server.Client().Transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		server.Close()
		if err != nil || resp.StatusCode != tt.status || string(body) != tt.body {
			t.Errorf("%s: %d %q, %v; want %d %q",
				tt.reason, resp.StatusCode, body, err, tt.status, tt.body)
		}
		if c := resp.Header.Get("WWW-Authenticate"); c != "A" {
			t.Errorf("%s: challenge %q", tt.reason, c)
		}
		if c := resp.Header.Get("Cache-Control"); c != "no-store" {
			t.Errorf("%s: Cache-Control: %q", tt.reason, c)
		}
	}
}

// TestDeniedWritesEachStatus uses one page for all refusals, which gets the reason from Denial.
func TestDeniedWritesEachStatus(t *testing.T) {
	tooLarge := &http.MaxBytesError{Limit: 1}
	for _, tt := range []struct {
		reason string
		stack  auth.Stack
		admit  error
		status int
		text   string // of the Guard without a Denied handler
		why    error
	}{
		{"no credentials", auth.Stack{refuses(auth.ErrNone)}, nil, 401, body401, auth.ErrNone},
		{"wrong ones", auth.Stack{refuses(errWrong)}, nil, 401, body401, errWrong},
		{"of two people", auth.Stack{accepts("ann"), accepts("bob")}, nil,
			400, "credentials of several people\n", auth.ErrConflict},
		{"too weak", auth.Stack{accepts("ann")}, &auth.ScopeError{Scope: "write"},
			403, "insufficient scope\n", nil},
		{"with too large a body", auth.Stack{refuses(fmt.Errorf("test: %w", tooLarge))}, nil,
			413, "request too large\n", tooLarge},
		{"too many", auth.Stack{refuses(auth.ErrLimited)}, nil, 429, body429, auth.ErrLimited},
		{"not checked", auth.Stack{refuses(retryError{time.Minute})}, nil, 503, body503,
			auth.ErrUnavailable},
	} {
		var why error
		g := auth.Guard{Stack: tt.stack}
		if tt.admit != nil {
			g.Admit = func(*http.Request, *auth.Identity) (*auth.Identity, error) {
				return nil, tt.admit
			}
		}
		plain := get(g.Handler(whoami))
		g.Denied = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			why = auth.Denial(req.Context())
			io.WriteString(w, "a page")
		})
		page := get(g.Handler(whoami))
		if plain.Code != tt.status || plain.Body.String() != tt.text {
			t.Errorf("%s: without a page %d %q, want %d %q",
				tt.reason, plain.Code, plain.Body, tt.status, tt.text)
		}
		if page.Code != tt.status || page.Body.String() != "a page" {
			t.Errorf("%s: %d %q, want %d", tt.reason, page.Code, page.Body, tt.status)
		}
		if tt.why == nil {
			tt.why = tt.admit
		}
		if !errors.Is(why, tt.why) || auth.Status(why) != tt.status {
			t.Errorf("%s: Denial is %v, with the status %d", tt.reason, why, auth.Status(why))
		}
		for _, name := range []string{"Retry-After", "Cache-Control", "WWW-Authenticate"} {
			if a, b := plain.Header().Get(name), page.Header().Get(name); a != b {
				t.Errorf("%s: %s is %q, and %q with a page", tt.reason, name, a, b)
			}
		}
	}
}

// TestDenialElsewhere asks for the reason of a request that was not refused.
func TestDenialElsewhere(t *testing.T) {
	get(auth.Optional(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		if err := auth.Denial(req.Context()); err != nil || auth.Status(err) != 200 {
			t.Errorf("%v, with the status %d", err, auth.Status(err))
		}
	}), refuses(auth.ErrNone)))
}

// An informational response is not final, so its status is sent unchanged.
func TestDeniedHints(t *testing.T) {
	g := auth.Guard{Denied: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(103)
	})}
	server := httptest.NewServer(g.Handler(whoami))
	defer server.Close()
	var hints []int
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
		hints = append(hints, code)
		return nil
	}}
	ctx := httptrace.WithClientTrace(t.Context(), trace)
	req, err := http.NewRequestWithContext(ctx, "GET", server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if !slices.Equal(hints, []int{103}) || resp.StatusCode != 401 {
		t.Errorf("%d after %v, want 401 after 103", resp.StatusCode, hints)
	}
}
