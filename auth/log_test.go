package auth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
)

func TestLog(t *testing.T) {
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	for _, tt := range []struct {
		reason                 string
		ctx                    context.Context
		member                 auth.Authenticator
		level, message, scheme string
		why                    string
	}{
		{"refused", nil, &member{err: errWrong, challenge: "MAC x=1"},
			"WARN", "auth: credentials refused", "MAC", errWrong.Error()},
		{"no credentials", nil, &member{err: auth.ErrNone, challenge: "MAC"},
			"INFO", "auth: no credentials", "none", auth.ErrNone.Error()},
		{"by the scheme of the member, not of the request", nil, list{"hunter2"},
			"WARN", "auth: credentials refused", "List", errWrong.Error()},
		{"an outage that ends by itself", nil,
			&member{err: retryError{time.Second}, challenge: "MAC"},
			"WARN", "auth: credentials not checked", "MAC", "test: store is full"},
		{"an outage", nil, &member{err: auth.ErrUnavailable, challenge: "MAC"},
			"ERROR", "auth: credentials not checked", "MAC", auth.ErrUnavailable.Error()},
		{"a caller who left", gone, &member{err: context.Canceled, challenge: "MAC"},
			"INFO", "auth: credentials not checked", "MAC", "context canceled"},
		{"a bug", nil, &member{}, "ERROR", "auth: credentials not checked", "*auth_test.member",
			"auth: *auth_test.member named no subject: " + auth.ErrUnavailable.Error()},
	} {
		var logged bytes.Buffer
		g := auth.Guard{
			Stack:  auth.Stack{tt.member},
			Logger: slog.New(slog.NewJSONHandler(&logged, nil)),
		}
		req := httptest.NewRequest("GET", "/a/b?token=hunter2", nil)
		req.Header.Set("Authorization", "hunter2")
		if tt.ctx != nil {
			req = req.WithContext(tt.ctx)
		}
		serve(g.Handler(whoami), req)
		if strings.Contains(logged.String(), "hunter2") {
			t.Errorf("%s: a secret in the log: %s", tt.reason, &logged)
		}
		var got map[string]any
		if err := json.Unmarshal(logged.Bytes(), &got); err != nil {
			t.Errorf("%s: not one line: %v: %s", tt.reason, err, &logged)
			continue
		}
		delete(got, "time")
		for key, want := range map[string]string{
			"level": tt.level, "msg": tt.message, "method": "GET", "path": "/a/b",
			"remote": req.RemoteAddr, "scheme": tt.scheme, "reason": tt.why,
		} {
			if got[key] != want {
				t.Errorf("%s: %s is %q, want %q", tt.reason, key, got[key], want)
			}
			delete(got, key)
		}
		if len(got) > 0 {
			t.Errorf("%s: more than that in the log: %v", tt.reason, got)
		}
	}
}

// A knowing error tells the log more than the response tells the client.
type knowing struct{ subject string }

func (knowing) Error() string                                         { return "test: stale" }
func (e knowing) Subject() string                                     { return e.subject }
func (knowing) ClockOffset() time.Duration                            { return -90 * time.Second }
func admitNone(*http.Request, *auth.Identity) (*auth.Identity, error) { return nil, errWrong }

// TestLogNamesSubjectAndOffset checks that the log has the subject of refused credentials and the
// offset of the client's clock, if they are known.
func TestLogNamesSubjectAndOffset(t *testing.T) {
	for _, tt := range []struct {
		reason          string
		guard           auth.Guard
		subject, offset any
	}{
		{"an error that knows both", auth.Guard{Stack: auth.Stack{
			refuses(fmt.Errorf("wrapped: %w", knowing{"ann"}))}}, "ann", "-1m30s"},
		{"one that was never looked up", auth.Guard{Stack: auth.Stack{refuses(knowing{})}},
			nil, "-1m30s"},
		{"a long one", auth.Guard{Stack: auth.Stack{refuses(knowing{strings.Repeat("a", 500)})}},
			strings.Repeat("a", 128), "-1m30s"},
		{"one that Admit refuses", auth.Guard{Stack: auth.Stack{accepts("ann")}, Admit: admitNone},
			"ann", nil},
		{"two that contradict each other", auth.Guard{Stack: auth.Stack{accepts("ann"),
			accepts("bob")}}, "bob", nil},
		{"no credentials", auth.Guard{Stack: auth.Stack{refuses(auth.ErrNone)}}, nil, nil},
	} {
		var logged bytes.Buffer
		tt.guard.Logger = slog.New(slog.NewTextHandler(&logged, nil))
		get(tt.guard.Handler(whoami))
		for name, want := range map[string]any{"subject": tt.subject, "offset": tt.offset} {
			field := fmt.Sprintf(" %s=", name)
			if want != nil {
				field += fmt.Sprint(want, " ")
			}
			if strings.Contains(logged.String(), field) != (want != nil) {
				t.Errorf("%s: want %s %v in %s", tt.reason, name, want, &logged)
			}
		}
	}
}

// Requests that are let in are reported to Decided, and not logged.
func TestLogIsSilentOnSuccess(t *testing.T) {
	var logged bytes.Buffer
	for _, m := range []http.Handler{
		(&auth.Guard{
			Stack: auth.Stack{accepts("ann")}, Logger: slog.New(slog.NewTextHandler(&logged, nil)),
		}).Handler(whoami),
		(&auth.Guard{
			Optional: true, Logger: slog.New(slog.NewTextHandler(&logged, nil)),
		}).Handler(whoami),
	} {
		if w := get(m); w.Code != 200 || logged.Len() > 0 {
			t.Errorf("%d, logged %s", w.Code, &logged)
		}
	}
}
