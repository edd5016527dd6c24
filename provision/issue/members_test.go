package issue_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision"
	"github.com/countersign-go/countersign/provision/issue"
)

// A token server built on Handler sends each client to its node, and the client finds the node.
func TestMembersRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const node = "https://db42.example/1.5/17"
		h := &issue.Handler{
			Auth: users(), Issue: testIssuer().Issue,
			Members: func(_ context.Context, id *auth.Identity, c *mac.Credentials) (
				map[string]any, error) {
				return map[string]any{
					"api_endpoint": node, "uid": 17, "hashalg": "sha256",
					"duration": int64(time.Until(c.Expires).Seconds()), "name": id.Subject,
				}, nil
			},
		}
		body, err := io.ReadAll(post(t, h, "ann", password).Body)
		if err != nil {
			t.Fatal(err)
		}
		var answer map[string]any
		if err := json.Unmarshal(body, &answer); err != nil {
			t.Fatal(err)
		}
		if len(answer) != 10 || answer["api_endpoint"] != node || answer["uid"] != 17.0 ||
			answer["duration"] != 300.0 || answer["expires_in"] != 300.0 ||
			answer["hashalg"] != "sha256" || answer["name"] != "ann" {
			t.Errorf("answered with %d members: %v", len(answer), answer)
		}

		c := &provision.Client{
			URL:    "https://user.example/provision",
			Signer: &basic.Signer{User: "ann", Password: creds.Secret(password)},
			HTTP:   handlerFunc(h.ServeHTTP),
		}
		got, err := c.Endpoint(t.Context())
		if err != nil || got != node {
			t.Errorf("%q, %v", got, err)
		}
		k, err := c.Credentials(t.Context())
		if err != nil || k.Algorithm != mac.SHA256 ||
			time.Until(k.Expires).Round(time.Second) != 5*time.Minute {
			t.Errorf("%v, %v", k, err)
		}
	})
}

// An answer that a client could not read, or would read differently, is an error of the server.
func TestMembersRefused(t *testing.T) {
	const planted = "canary-m3mber"
	down := errors.New("no node")
	for _, tt := range []struct {
		reason string
		more   map[string]any
		err    error
		status int
		log    string
	}{
		{"none", nil, nil, 200, "issued"},
		{"another name", map[string]any{"node_type": "spanner"}, nil, 200, "issued"},
		{"the id", map[string]any{"id": planted}, nil, 500, `"id" is taken`},
		{"the key in capitals", map[string]any{"KEY": planted}, nil, 500, `"KEY" is taken`},
		{"the end", map[string]any{"expires": 5}, nil, 500, `"expires" is taken`},
		{"another algorithm", map[string]any{"hashalg": "sha1"}, nil, 500, "not the same"},
		{"an address of no scheme", map[string]any{"api_endpoint": planted}, nil, 500,
			"api_endpoint is not an http or https URL"},
		{"an address that is a number", map[string]any{"api_endpoint": 7}, nil, 500,
			"api_endpoint is not text"},
		{"a duration in text", map[string]any{"duration": "5m"}, nil, 500,
			"duration is not a number"},
		{"no JSON", map[string]any{"uid": func() {}}, nil, 500, "cannot be written as JSON"},
		{"too much", map[string]any{"uid": strings.Repeat("x", 70<<10)}, nil, 500, "64 KiB"},
		{"an error", nil, down, 500, "no node"},
		{"an outage", nil, errors.Join(down, auth.ErrUnavailable), 503, "no node"},
		{"a quota", nil, issue.ErrQuota, 429, issue.ErrQuota.Error()},
	} {
		var log bytes.Buffer
		h := &issue.Handler{
			Auth: users(), Issue: testIssuer().Issue,
			Logger: slog.New(slog.NewJSONHandler(&log, nil)),
			Members: func(context.Context, *auth.Identity, *mac.Credentials) (
				map[string]any, error) {
				return tt.more, tt.err
			},
		}
		resp := post(t, h, "ann", password)
		if want, _ := json.Marshal(tt.log); resp.StatusCode != tt.status ||
			!strings.Contains(log.String(), strings.Trim(string(want), `"`)) ||
			strings.Contains(log.String(), planted) {
			t.Errorf("%s: %d, log %s", tt.reason, resp.StatusCode,
				strings.ReplaceAll(log.String(), planted, "(planted)"))
		}
	}
}

// A database that hangs holds a request for 20 s, however long the client would wait.
func TestHandlerLeavesHangingIssue_S9(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		h := &issue.Handler{Auth: users(), Issue: func(ctx context.Context, _ *auth.Identity) (
			*mac.Credentials, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		resp := post(t, h, "ann", password)
		if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" ||
			time.Since(start) != 20*time.Second {
			t.Errorf("%d after %v", resp.StatusCode, time.Since(start))
		}
	})
}
