package mac_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/mac"
)

// djangoCreds are the credentials of a client of auth_mac.
var djangoCreds = &mac.Credentials{ID: "h480djs93hd8", Key: testCreds.Key, Algorithm: mac.SHA1}

// TestTransitionVectors sends requests signed by auth_mac's client to a Verifier with a Transition.
// Where the results differ, testdata/auth_mac_ours.json gives ours, with the rule.
func TestTransitionVectors(t *testing.T) {
	var file struct {
		Count   int
		Vectors []struct {
			djangoVector
			Accepted      bool
			Authorization string `json:"authorization_header"`
		}
	}
	load(t, "auth_mac.json", &file)
	var ours map[string]struct {
		Accepted bool
		Rule     string
	}
	load(t, "auth_mac_ours.json", &ours)
	ran, differ := 0, 0
	for _, row := range file.Vectors {
		if row.Host == nil {
			continue // only HTTP/1.0 has such requests
		}
		ran++
		v := &mac.Verifier{
			Keys: oneKey(&mac.Credentials{
				ID: "h480djs93hd8", Key: djangoCreds.Key, Algorithm: mac.SHA1}),
			Nonces: anyNonce{},
			Transition: &mac.Transition{Until: testTime.AddDate(0, 1, 0), Port: row.Port,
				Logger: slog.New(slog.DiscardHandler)},
		}
		req := fromWire(t, row.Method, "http", row.Target, *row.Host, row.Authorization)
		_, err := v.AuthenticateAt(req, testTime)
		want := row.Accepted
		if rule, listed := ours[row.Name]; listed {
			differ++
			if rule.Accepted == want || rule.Rule == "" {
				t.Errorf("%s: listed, but no different: %+v", row.Name, rule)
			}
			want = rule.Accepted
		}
		if (err == nil) != want {
			t.Errorf("%s: %v, want accepted %t", row.Name, err, want)
		}
	}
	if len(file.Vectors) != file.Count || ran != 61 || differ != len(ours) {
		t.Errorf("ran %d of %d rows, %d of %d listed", ran, file.Count, differ, len(ours))
	}
}

// TestTransition has a Verifier that accepts the Django dialect beside its own, until a date. The
// last rows are the attacks that this allows, and one that it does not allow.
func TestTransition(t *testing.T) {
	until := testTime.Add(30 * time.Second)
	sign := func(d mac.Dialect, c *mac.Credentials, url string) *http.Request {
		req := newRequest(t, "GET", url)
		s := &mac.Signer{Source: c, Dialect: d, Port: "8000"}
		if err := s.Sign(req, testTime); err != nil {
			t.Fatal(err)
		}
		return received(req)
	}
	at := func(req *http.Request, target string) *http.Request {
		req.RequestURI = target
		return req
	}
	const plain = "http://example.com/a%20b"
	sha256 := testCreds
	withExt := sign(mac.Django, djangoCreds, plain)
	withExt.Header.Set("Authorization", strings.Replace(withExt.Header.Get("Authorization"),
		`, mac=`, `, ext="x", mac=`, 1))
	public := &url.URL{Scheme: "https", Host: "api.example.com", Path: "/v1"}
	for _, tt := range []struct {
		reason string
		c      *mac.Credentials
		req    *http.Request
		after  time.Duration
		public *url.URL
		ok     bool
		warned bool
	}{
		{"its own dialect", djangoCreds, sign(mac.Draft01, djangoCreds, plain), 0, nil,
			true, false},
		{"Django", djangoCreds, sign(mac.Django, djangoCreds, plain), 0, nil, true, true},
		{"at the end", djangoCreds, sign(mac.Django, djangoCreds, plain), 30 * time.Second, nil,
			false, false},
		{"its own dialect at the end", djangoCreds, sign(mac.Draft01, djangoCreds, plain),
			30 * time.Second, nil, true, false},
		{"outside the window", djangoCreds, sign(mac.Django, djangoCreds, plain),
			-61 * time.Second, nil, false, false},
		{"another path", djangoCreds, at(sign(mac.Django, djangoCreds, plain), "/a"), 0, nil,
			false, false},
		{"an ext, which auth_mac does not cover", djangoCreds, withExt, 0, nil, false, false},
		{"behind a proxy", djangoCreds,
			at(sign(mac.Django, djangoCreds, "https://api.example.com/v1/a"), "/a"), 0, public,
			true, true},
		{"an unknown id", &mac.Credentials{ID: "another", Key: djangoCreds.Key,
			Algorithm: mac.SHA1}, sign(mac.Django, djangoCreds, plain), 0, nil, false, false},
		// The comment of Transition warns of these attacks.
		{"a changed query", djangoCreds, at(sign(mac.Django, djangoCreds, plain+"?a=1"),
			"/a%20b?a=2"), 0, nil, true, true},
		{"a query for a client of SHA-1 that uses another dialect", djangoCreds,
			at(sign(mac.Draft01, djangoCreds, "http://example.com:8000/a"), "/a?b"), 0, nil,
			true, true},
		{"a query for a client of SHA-256", sha256,
			at(sign(mac.Draft01, sha256, "http://example.com:8000/a"), "/a?b"), 0, nil,
			false, false},
	} {
		var logged strings.Builder
		v := &mac.Verifier{
			Keys: oneKey(tt.c), Nonces: anyNonce{}, PublicURL: tt.public,
			Transition: &mac.Transition{Until: until, Port: "8000",
				Logger: slog.New(slog.NewTextHandler(&logged, nil))},
		}
		if err := v.Check(); err != nil {
			t.Fatal(err)
		}
		_, err := v.AuthenticateAt(tt.req, testTime.Add(tt.after))
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.reason, err)
		}
		if (logged.Len() > 0) != tt.warned {
			t.Errorf("%s: logged %q", tt.reason, &logged)
		}
	}
}

// TestTransitionWarnsOnce counts the records. Each record must name its client.
func TestTransitionWarnsOnce(t *testing.T) {
	var logged strings.Builder
	v := &mac.Verifier{
		Nonces: anyNonce{},
		Keys: func(_ context.Context, id string) (*mac.Key, error) {
			return &mac.Key{Secret: testCreds.Key, Algorithm: mac.SHA1,
				Identity: auth.Identity{Subject: "user of " + id}}, nil
		},
		Transition: &mac.Transition{Until: testTime.Add(time.Hour),
			Logger: slog.New(slog.NewJSONHandler(&logged, nil))},
	}
	const clients = 1024
	for round := range 2 {
		for i := range clients + 100 {
			c := &mac.Credentials{ID: fmt.Sprint("id", i), Key: testCreds.Key, Algorithm: mac.SHA1}
			req := newRequest(t, "GET", "http://example.com/a?b")
			s := &mac.Signer{Source: c, Dialect: mac.Django}
			if err := s.Sign(req, testTime); err != nil {
				t.Fatal(err)
			}
			if _, err := v.AuthenticateAt(received(req), testTime); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
	}
	lines := strings.Split(strings.TrimSpace(logged.String()), "\n")
	if len(lines) != clients+1 {
		t.Fatalf("%d records", len(lines))
	}
	var first map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &first); err != nil {
		t.Fatal(err)
	}
	if first["level"] != "WARN" || first["id"] != "id0" || first["subject"] != "user of id0" {
		t.Errorf("%v", first)
	}
}

// TestTransitionCheck checks Transitions that have no end, or match nothing.
func TestTransitionCheck(t *testing.T) {
	for _, tr := range []*mac.Transition{{}, {Until: testTime, Port: "x"}} {
		v := &mac.Verifier{Keys: oneKey(testCreds), Transition: tr}
		err := v.Check()
		if err == nil {
			t.Errorf("%+v passes", tr)
		}
		_, err = v.AuthenticateAt(signedAt(t, testCreds, "1336363200", "n"), testTime)
		if !errors.Is(err, auth.ErrUnavailable) {
			t.Errorf("%v", err)
		}
	}
}
