package fetch_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/internal/fetch"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	return f(req)
}

func answer(req *http.Request, status int, body string, header ...string) *http.Response {
	resp := &http.Response{
		StatusCode: status,
		Header:     make(http.Header),
		Body:       io.NopCloser(strings.NewReader(body)),
		Request:    req,
	}
	for i := 0; i < len(header); i += 2 {
		resp.Header.Add(header[i], header[i+1])
	}
	return resp
}

const target = "https://user.example/provision?code=hunter2"

func do(t *testing.T, f roundTrip, body string) (*fetch.Answer, error) {
	t.Helper()
	return doWith(t, &http.Client{Transport: f}, body)
}

func doWith(t *testing.T, client *http.Client, body string) (*fetch.Answer, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return fetch.Do(client, req)
}

func TestAnswer(t *testing.T) {
	a, err := do(t, func(req *http.Request) (*http.Response, error) {
		sent, _ := io.ReadAll(req.Body)
		if req.Method != "POST" || string(sent) != "text" {
			t.Errorf("sent %s %q", req.Method, sent)
		}
		return answer(req, 201, `{"id":"a"}`, "Content-Type", "application/json; charset=utf-8",
			"Date", "Tue, 15 Nov 1994 08:12:31 GMT"), nil
	}, "text")
	if err != nil {
		t.Fatal(err)
	}
	if a.Status != 201 || a.Object["id"] != "a" {
		t.Errorf("got %d %v", a.Status, a.Object)
	}
	if d, ok := a.Date(); !ok || d.Unix() != 784887151 {
		t.Errorf("Date = %v, %v", d, ok)
	}
	a.Header.Set("Age", "7")
	if d, ok := a.Date(); !ok || d.Unix() != 784887158 {
		t.Errorf("with an Age, Date = %v, %v", d, ok)
	}
}

// TestContentType checks that any answer that is JSON is read, whatever its Content-Type.
func TestContentType(t *testing.T) {
	tests := []struct {
		contentType string
		page        bool // the error names a web page, if the answer is not JSON
	}{
		{"", false}, // names no type
		{"application/json", false},
		{"application/vnd.example+json; charset", false},
		{"text/plain; charset=utf-8", false}, // the type that net/http gives to JSON
		{"a / b, text/html", false},
		{"text/html", true}, // scripts that do not set a type send it
		{"Text/HTML ;charset=utf-8", true},
		{"application/xhtml+xml", true},
	}
	for _, tt := range tests {
		for body, want := range map[string]string{
			`{"a":1}`:                  "",
			"\ufeff{\"a\":1}":          "", // RFC 8259, section 8.1
			"\ufeff\ufeff{\"a\":1}":    "not JSON",
			"<html>":                   "not JSON",
			"[1]":                      "not a JSON object",
			"":                         "nothing in it",
			strings.Repeat(" ", 1<<17): "more than 64 KiB",
		} {
			a, err := do(t, func(req *http.Request) (*http.Response, error) {
				return answer(req, 200, body, "Content-Type", tt.contentType), nil
			}, "")
			if want != "" && tt.page {
				want = "a web page instead of JSON"
			}
			if want != "" {
				want = "status 200 with " + want
			}
			if got := text(err); got != want || err == nil && a.Object["a"] != json.Number("1") {
				t.Errorf("%q: %.20q: %q, want %q", tt.contentType, body, got, want)
			}
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestRedirects_F8(t *testing.T) {
	tests := []struct {
		name, location string
		statuses       string // the statuses that are followed
	}{
		{"path", "/elsewhere", "307 308"},
		{"same origin", "https://user.example/elsewhere", "307 308"},
		{"default port", "https://USER.example:443/elsewhere", "307 308"},
		{"other host", "https://evil.example/elsewhere", ""},
		{"subdomain", "https://a.user.example/elsewhere", ""},
		{"other port", "https://user.example:8443/elsewhere", ""},
		{"other scheme", "http://user.example/elsewhere", ""},
		{"scheme-relative", "//evil.example/elsewhere", ""},
		{"trailing dot", "https://user.example./elsewhere", ""},
		{"broken", "https://hunter2:[/elsewhere", ""},
		{"none", "", ""},
	}
	for _, tt := range tests {
		for _, status := range []int{300, 301, 302, 303, 304, 307, 308} {
			requests := 0
			a, err := do(t, func(req *http.Request) (*http.Response, error) {
				if requests++; requests == 1 {
					return answer(req, status, "", "Location", tt.location), nil
				}
				sent, _ := io.ReadAll(req.Body)
				if req.Method != "POST" || string(sent) != "text" {
					t.Errorf("%s, %d: sent %s %q", tt.name, status, req.Method, sent)
				}
				return answer(req, 200, `{"id":"a"}`), nil
			}, "text")
			if follow := strings.Contains(tt.statuses, strconv.Itoa(status)); follow {
				if err != nil || a.Object["id"] != "a" || requests != 2 {
					t.Errorf("%s, %d: %v after %d requests", tt.name, status, err, requests)
				}
				continue
			}
			var e *fetch.Error
			if !errors.As(err, &e) || requests != 1 {
				t.Errorf("%s, %d: %v after %d requests", tt.name, status, err, requests)
			} else if e.Final() || strings.Contains(e.Error(), "hunter2") {
				t.Errorf("%s, %d: %v, final %t", tt.name, status, e, e.Final())
			}
		}
	}
}

// TestRedirectedGet_F8 follows a redirect that leaves a GET unchanged.
func TestRedirectedGet_F8(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		for location, follow := range map[string]bool{
			"/keys/": true, "https://user.example:443/keys/": true,
			"https://evil.example/keys/": false, "http://user.example/keys/": false,
			"https://u\u0130ser.example/keys/": false,
		} {
			requests := 0
			client := &http.Client{Transport: roundTrip(func(req *http.Request) (
				*http.Response, error,
			) {
				if requests++; requests == 1 {
					return answer(req, status, "", "Location", location), nil
				}
				if req.Method != http.MethodGet {
					t.Errorf("%d: sent %s", status, req.Method)
				}
				return answer(req, 200, `{"keys":[]}`), nil
			})}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, err = fetch.Do(client, req)
			if (err == nil) != follow || (requests == 2) != follow {
				t.Errorf("%d to %s: %v after %d requests", status, location, err, requests)
			}
		}
	}
}

// A RoundTripper that follows redirects itself may return an answer from any origin.
func TestAnswerFromElsewhere_F15(t *testing.T) {
	const elsewhere = "no answer: a redirect to another origin, which is not followed"
	for address, want := range map[string]string{
		"https://evil.example/":         elsewhere,
		"https://user.example:443/else": "",
	} {
		_, err := do(t, func(req *http.Request) (*http.Response, error) {
			from, err := http.NewRequest("GET", address, nil)
			return answer(from, 200, `{}`), err
		}, "")
		if text(err) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestRedirectLoop_F8(t *testing.T) {
	requests := 0
	_, err := do(t, func(req *http.Request) (*http.Response, error) {
		requests++
		return answer(req, 307, "", "Location", "/again"), nil
	}, "text")
	if err == nil || requests > 4 {
		t.Errorf("%v after %d requests", err, requests)
	}
}

// The caller's CheckRedirect is also called, but only for redirects that Do allows.
func TestRedirectCallersRule(t *testing.T) {
	no := errors.New("not by us")
	_, err := doWith(t, &http.Client{
		Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
			return answer(req, 307, "", "Location", "/again"), nil
		}),
		CheckRedirect: func(*http.Request, []*http.Request) error { return no },
	}, "text")
	if !errors.Is(err, no) {
		t.Errorf("got %v", err)
	}
}

type drip struct{ ctx context.Context }

func (d drip) Read(p []byte) (int, error) {
	select {
	case <-time.After(time.Second):
		p[0] = ' '
		return 1, nil
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	}
}

func (drip) Close() error { return nil }

func TestSlowEndpoint_F5(t *testing.T) {
	for name, f := range map[string]roundTrip{
		"drips": func(req *http.Request) (*http.Response, error) {
			resp := answer(req, 200, "")
			resp.Body = drip{req.Context()}
			return resp, nil
		},
		"hangs": func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			_, err := do(t, f, "")
			if took := time.Since(start); took != fetch.Timeout {
				t.Errorf("%s: took %v", name, took)
			}
			if !errors.Is(err, context.DeadlineExceeded) ||
				!strings.Contains(err.Error(), "not in time") {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// If the endless answer were read to its end, this test would not end.
func TestEndlessAnswer_F6(t *testing.T) {
	read := 0
	_, err := do(t, func(req *http.Request) (*http.Response, error) {
		resp := answer(req, 200, "")
		resp.Body = io.NopCloser(readerFunc(func(p []byte) (int, error) {
			read += len(p)
			for i := range p {
				p[i] = ' '
			}
			return len(p), nil
		}))
		return resp, nil
	}, "")
	if text(err) != "status 200 with more than 64 KiB" || read > 2*fetch.MaxBody {
		t.Errorf("%v after %d bytes", err, read)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestLargestAnswer(t *testing.T) {
	for size, want := range map[int]string{
		fetch.MaxBody:     "",
		fetch.MaxBody + 1: "status 200 with more than 64 KiB",
	} {
		_, err := do(t, func(req *http.Request) (*http.Response, error) {
			return answer(req, 200, "{}"+strings.Repeat(" ", size-2)), nil
		}, "")
		if text(err) != want {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestDoUpTo(t *testing.T) {
	const limit = 1 << 20
	for size, want := range map[int]string{
		fetch.MaxBody + 1: "",
		limit:             "",
		limit + 1:         "status 200 with more than 1024 KiB",
	} {
		client := &http.Client{Transport: roundTrip(
			func(req *http.Request) (*http.Response, error) {
				return answer(req, 200, "{}"+strings.Repeat(" ", size-2)), nil
			})}
		req, err := http.NewRequest("GET", "https://example.com/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = fetch.DoUpTo(client, req, limit); text(err) != want {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestBodyIsClosed(t *testing.T) {
	for _, status := range []int{200, 204, 401, 500} {
		closed := false
		do(t, func(req *http.Request) (*http.Response, error) {
			resp := answer(req, status, "x")
			resp.Body = closer{resp.Body, &closed}
			return resp, nil
		}, "")
		if !closed {
			t.Errorf("%d: the body was left open", status)
		}
	}
}

type closer struct {
	io.Reader
	closed *bool
}

func (c closer) Close() error { *c.closed = true; return nil }
