package auth_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/countersign-go/countersign/auth"
)

// Denied runs over a socket here, since what counts is what net/http puts on the wire.
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
		{"writes nothing at all", func(http.ResponseWriter, *http.Request) {}, 401, ""},
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

// An outage is no reason to show a login page.
func TestDeniedIsForRefusals(t *testing.T) {
	g := auth.Guard{
		Stack:  auth.Stack{refuses(auth.ErrUnavailable)},
		Denied: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("called") }),
	}
	if w := get(g.Handler(whoami)); w.Code != 503 {
		t.Errorf("%d, want 503", w.Code)
	}
}

// A hint is no answer yet, so it goes out as it is.
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
