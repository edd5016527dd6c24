package issue_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/portal"
	"github.com/countersign-go/countersign/provision"
	"github.com/countersign-go/countersign/provision/issue"
)

const password = "hunter2hunter2"

func users() auth.Authenticator {
	return basic.Verifier{
		Realm: "demo",
		Users: portal.Memory{"ann": creds.Secret(password)},
	}
}

func post(t *testing.T, h http.Handler, user, pass string) *http.Response {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), "POST", "/provision", nil)
	if user != "" {
		req.SetBasicAuth(user, pass)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w.Result()
}

func TestHandlerAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := testIssuer()
		resp := post(t, &issue.Handler{Auth: users(), Issue: i.Issue}, "ann", password)
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(resp.StatusCode, err)
		}
		for name, want := range map[string]string{
			"Content-Type":           "application/json",
			"Cache-Control":          "no-store",
			"X-Content-Type-Options": "nosniff",
		} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %q", name, got)
			}
		}
		var form map[string]any
		if err := json.Unmarshal(body, &form); err != nil {
			t.Fatal(err)
		}
		if len(form) != 5 || form["algorithm"] != "hmac-sha-256" || form["expires_in"] != 300.0 ||
			form["expires"] != float64(time.Now().Unix()+300) {
			t.Errorf("got %v", form)
		}
		// The answer can be stored unchanged.
		c, err := provision.Unmarshal(body)
		if err != nil {
			t.Fatal(err)
		}
		key, err := i.Key(t.Context(), c.ID)
		if err != nil || key.Identity.Subject != "ann" || string(key.Secret) != string(c.Key) {
			t.Errorf("%v, %v", key, err)
		}
	})
}

func TestHandlerAnswerWithoutEnd(t *testing.T) {
	c := &mac.Credentials{ID: "a", Key: creds.Secret("k")}
	h := &issue.Handler{Auth: users(), Issue: issues(c, nil)}
	resp := post(t, h, "ann", password)
	body, _ := io.ReadAll(resp.Body)
	if string(body) != `{"id":"a","key":"k","algorithm":"hmac-sha-256"}` {
		t.Errorf("got %s", body)
	}
}

type issueFunc = func(context.Context, *auth.Identity) (*mac.Credentials, error)

func issues(c *mac.Credentials, err error) issueFunc {
	return func(context.Context, *auth.Identity) (*mac.Credentials, error) { return c, err }
}

type refuses struct{ err error }

func (r refuses) Authenticate(*http.Request) (*auth.Identity, error) { return nil, r.err }

// Each refusal has its status, one constant line, and the header fields that keep it out of caches.
// Its reason is in the log, and neither contains a secret.
func TestHandlerRefuses(t *testing.T) {
	const planted = "planted-secret"
	good := issues(&mac.Credentials{ID: "a", Key: creds.Secret(planted)}, nil)
	down := fmt.Errorf("the database with %s: %w", "some detail", auth.ErrUnavailable)
	broken := errors.New("some detail")
	tests := []struct {
		name       string
		h          issue.Handler
		user, pass string
		status     int
		body, log  string // body "": the body of the auth.Guard
	}{
		{"nobody", issue.Handler{Auth: users(), Issue: good}, "", "",
			401, "", "no credentials"},
		{"wrong password", issue.Handler{Auth: users(), Issue: good}, "ann", planted,
			401, "", "wrong user or password"},
		{"unknown user", issue.Handler{Auth: users(), Issue: good}, "bob", password,
			401, "", "wrong user or password"},
		{"empty stack", issue.Handler{Auth: auth.Stack{}, Issue: good}, "ann", password,
			401, "", "no credentials"},
		{"checker is down", issue.Handler{Auth: refuses{down}, Issue: good}, "ann", password,
			503, "", "some detail"},
		{"no Auth", issue.Handler{Issue: good}, "ann", password,
			503, "provisioning is not set up", "needs both Auth and Issue"},
		{"no Issue", issue.Handler{Auth: users()}, "ann", password,
			503, "provisioning is not set up", "needs both Auth and Issue"},
		{"nothing set", issue.Handler{}, "ann", password,
			503, "provisioning is not set up", "needs both Auth and Issue"},
		{"store is down", issue.Handler{Auth: users(), Issue: issues(nil, down)},
			"ann", password, 503, "no credentials can be issued now", "some detail"},
		{"issue fails", issue.Handler{Auth: users(), Issue: issues(nil, broken)},
			"ann", password, 500, "no credentials could be issued", "some detail"},
		{"nil credentials", issue.Handler{Auth: users(), Issue: issues(nil, nil)},
			"ann", password, 500, "no credentials could be issued", "they are nil"},
		{"key that no header can hold", issue.Handler{Auth: users(), Issue: issues(
			&mac.Credentials{ID: "a", Key: creds.Secret(planted + "\n")}, nil)},
			"ann", password, 500, "no credentials could be issued", "printable ASCII"},
		{"expired at once", issue.Handler{Auth: users(), Issue: issues(&mac.Credentials{
			ID: "a", Key: creds.Secret(planted), Expires: time.Unix(1, 0)}, nil)},
			"ann", password, 500, "no credentials could be issued", "already expired"},
	}
	for _, tt := range tests {
		var log bytes.Buffer
		tt.h.Logger = slog.New(slog.NewTextHandler(&log, nil))
		resp := post(t, &tt.h, tt.user, tt.pass)
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != tt.status || tt.body != "" && string(body) != tt.body+"\n" ||
			strings.Contains(string(body), "some detail") {
			t.Errorf("%s: %d %q", tt.name, resp.StatusCode, body)
		}
		if resp.Header.Get("Cache-Control") != "no-store" ||
			resp.Header.Get("X-Content-Type-Options") != "nosniff" ||
			!strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
			t.Errorf("%s: %v", tt.name, resp.Header)
		}
		challenge := resp.Header.Get("WWW-Authenticate")
		want := tt.status == 401 && tt.name != "empty stack"
		if strings.HasPrefix(challenge, "Basic ") != want {
			t.Errorf("%s: challenge %q", tt.name, challenge)
		}
		if !strings.Contains(log.String(), tt.log) || strings.Contains(log.String(), planted) ||
			strings.Contains(log.String(), password) {
			t.Errorf("%s: log %s", tt.name, log.String())
		}
		tt.h.Logger = nil // nothing is logged, without a panic
		if again := post(t, &tt.h, tt.user, tt.pass); again.StatusCode != tt.status {
			t.Errorf("%s: without a logger %d", tt.name, again.StatusCode)
		}
	}
}

func TestHandlerLogsWhoGotSome(t *testing.T) {
	var log bytes.Buffer
	h := &issue.Handler{
		Auth: users(), Issue: testIssuer().Issue, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	}
	body, _ := io.ReadAll(post(t, h, "ann", password).Body)
	c, err := provision.Unmarshal(body)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "subject=ann scheme=Basic") ||
		strings.Contains(log.String(), string(c.Key)) || strings.Contains(log.String(), password) {
		t.Errorf("log %s", log.String())
	}
}

func TestHandlerPostOnly(t *testing.T) {
	issued := false
	h := &issue.Handler{Auth: users(), Issue: func(context.Context, *auth.Identity) (
		*mac.Credentials, error) {
		issued = true
		return nil, errors.New("not to be called")
	}}
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "post"} {
		req := httptest.NewRequestWithContext(t.Context(), method, "/provision", nil)
		req.SetBasicAuth("ann", password)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code != 405 || w.Header().Get("Allow") != "POST" || issued {
			t.Errorf("%s: %d, Allow %q", method, w.Code, w.Header().Get("Allow"))
		}
	}
}

func TestHandlerOtherSite(t *testing.T) {
	h := &issue.Handler{Auth: users(), Issue: testIssuer().Issue}
	tests := []struct {
		name, value string
		status      int
	}{
		{"Sec-Fetch-Site", "cross-site", 403},
		{"Sec-Fetch-Site", "same-site", 403},
		{"Sec-Fetch-Site", "same-origin", 200},
		{"Sec-Fetch-Site", "none", 200},
		{"Origin", "https://evil.example", 403},
		{"Origin", "http://example.com", 200}, // the host of the request
		{"X-Nothing", "x", 200},               // not a browser
	}
	for _, tt := range tests {
		req := httptest.NewRequestWithContext(t.Context(), "POST", "http://example.com/", nil)
		req.SetBasicAuth("ann", password)
		req.Header.Set(tt.name, tt.value)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code != tt.status {
			t.Errorf("%s: %s: %d", tt.name, tt.value, w.Code)
		}
	}
}

// A client that has gone is not reported as an error of the service.
func TestHandlerClientGone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	h := &issue.Handler{Auth: users(), Issue: func(ctx context.Context, _ *auth.Identity) (
		*mac.Credentials, error) {
		cancel()
		return nil, ctx.Err()
	}}
	req := httptest.NewRequestWithContext(ctx, "POST", "/", nil)
	req.SetBasicAuth("ann", password)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	if w.Code != 503 || w.Header().Get("Retry-After") != "1" {
		t.Errorf("%d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
}
