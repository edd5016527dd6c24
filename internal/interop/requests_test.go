package interop

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/transport"
)

type extKey struct{}

func extOf(req *http.Request) (string, error) {
	ext, _ := req.Context().Value(extKey{}).(string)
	return ext, nil
}

func (s shape) request(t *testing.T, listens string) *http.Request {
	t.Helper()
	var body io.Reader
	if s.body != "" {
		body = strings.NewReader(s.body)
	}
	if s.stream {
		body = io.MultiReader(body) // hides the length
	}
	ctx := context.WithValue(t.Context(), extKey{}, s.ext)
	req, err := http.NewRequestWithContext(ctx, s.verb(), s.url(listens), body)
	if err != nil {
		t.Fatal(err)
	}
	if s.host != "" {
		req.Host = s.host
	}
	return req
}

// do sends req and returns the answer with its body.
func do(t *testing.T, client *http.Client, req *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func get(t *testing.T, client *http.Client, target string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", target, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, _ := do(t, client, req)
	return resp
}

func wantStatus(t *testing.T, resp *http.Response, want int) {
	t.Helper()
	if resp.StatusCode != want {
		t.Errorf("status %d, want %d; history %v, challenge %q", resp.StatusCode, want,
			transport.History(resp), resp.Header.Values("WWW-Authenticate"))
	}
}

// wantCalls compares the number of provisioning calls with want.
func wantCalls(t *testing.T, calls *counter, want int32) {
	t.Helper()
	if n := calls.n.Load(); n != want {
		t.Errorf("%d provisioning calls, want %d", n, want)
	}
}

// changed returns s with another first letter.
func changed(s string) string {
	if s[0] == 'x' {
		return "y" + s[1:]
	}
	return "x" + s[1:]
}
