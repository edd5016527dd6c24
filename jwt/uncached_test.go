package jwt_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
)

// No cache may keep a response with a session, whatever the handler sets and however it writes.
// Other responses are unchanged.
func TestSessionUncached_S15(t *testing.T) {
	public := func(w http.ResponseWriter) { w.Header().Set("Cache-Control", "public, max-age=60") }
	for name, handler := range map[string]http.HandlerFunc{
		"a status": func(w http.ResponseWriter, _ *http.Request) {
			public(w)
			w.WriteHeader(http.StatusNoContent)
		},
		"text": func(w http.ResponseWriter, _ *http.Request) {
			public(w)
			_, _ = io.WriteString(w, "text")
			public(w)
		},
		"a copy": func(w http.ResponseWriter, _ *http.Request) {
			public(w)
			_, _ = io.Copy(w, io.LimitReader(strings.NewReader("text"), 4))
		},
		"a flush": func(w http.ResponseWriter, _ *http.Request) {
			public(w)
			w.(http.Flusher).Flush()
		},
		"a flush by controller": func(w http.ResponseWriter, _ *http.Request) {
			public(w)
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
		},
		"nothing": func(w http.ResponseWriter, _ *http.Request) { public(w) },
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newSession()
			said := ""
			b := newBrowser(t, s)
			b.visit("POST", "/login")
			b.handler = s.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				switch req.URL.Path {
				case "/login":
					if err := s.Set(w, "ann", nil); err != nil {
						t.Error(err)
					}
				case "/logout":
					if err := s.Clear(w, req); err != nil {
						t.Error(err)
					}
				}
				handler(w, req)
			}))
			records := b.handler
			b.handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				records.ServeHTTP(w, req)
				said = w.(*httptest.ResponseRecorder).Result().Header.Get("Cache-Control")
			})
			visit := func(path, want string, cookies int) {
				t.Helper()
				b.visit("GET", path)
				if said != want || len(b.lines) != cookies {
					t.Errorf("%s, %s: Cache-Control %q and %d cookies, want %q and %d",
						name, path, said, len(b.lines), want, cookies)
				}
			}
			visit("/", "public, max-age=60", 0)
			time.Sleep(20 * time.Minute)
			visit("/", "no-store", 1)
			visit("/login", "no-store", 1)
			visit("/logout", "no-store", 1)
			visit("/", "public, max-age=60", 0)
		})
	}
}

// The file handler of net/http deletes Cache-Control from a 404.
func TestSessionUncachedFiles_S15(t *testing.T) {
	s := newSession()
	s.ReissueAfter = time.Nanosecond
	w := httptest.NewRecorder()
	if err := s.Set(w, "bob", nil); err != nil {
		t.Fatal(err)
	}
	files := s.Handler(http.FileServerFS(fstest.MapFS{"a": {Data: []byte("text")}}))
	for path, want := range map[string]int{"a": 200, "b": 404} {
		req := requestTo(t, siteURL+path)
		req.Header.Set("Cookie", strings.Split(w.Header().Get("Set-Cookie"), ";")[0])
		answer := httptest.NewRecorder()
		files.ServeHTTP(answer, req)
		resp := answer.Result()
		if resp.StatusCode != want || len(resp.Header["Set-Cookie"]) != 1 ||
			resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d, %v", path, resp.StatusCode, resp.Header)
		}
	}
}

// A handler can do through a Session all that it can do with the writer of a real server.
func TestSessionWriter(t *testing.T) {
	s := newSession()
	server := httptest.NewServer(s.Handler(http.HandlerFunc(
		func(w http.ResponseWriter, req *http.Request) {
			if err := http.NewResponseController(w).SetReadDeadline(time.Time{}); err != nil {
				t.Error(err)
			}
			switch req.URL.Path {
			case "/hint":
				w.WriteHeader(http.StatusEarlyHints)
				if err := s.Set(w, "bob", nil); err != nil {
					t.Error(err)
				}
				w.Header().Set("Cache-Control", "public")
				_, _ = io.WriteString(w, "text")
				return
			case "/file":
				file, err := os.Open("testdata/token.txt")
				if err != nil {
					t.Error(err)
					return
				}
				defer file.Close()
				if _, err := io.Copy(w, file); err != nil {
					t.Error(err)
				}
				return
			}
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.0 299 own\r\n\r\n")
			_ = conn.Close()
		})))
	defer server.Close()
	for path, want := range map[string]int{"/": 299, "/file": 200, "/hint": 200} {
		resp, err := server.Client().Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != want || (path == "/") != (len(body) == 0) {
			t.Errorf("%s: %d, %v", path, resp.StatusCode, err)
		}
		if got := resp.Header.Get("Cache-Control"); (path == "/hint") != (got == "no-store") {
			t.Errorf("%s: Cache-Control %q", path, got)
		}
		_ = resp.Body.Close()
	}
}
