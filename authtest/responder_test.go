package authtest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jarcoal/httpmock"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/authtest"
	"github.com/countersign-go/countersign/mac"
)

// keyOf returns a key function that knows one key.
func keyOf(c *mac.Credentials) func(context.Context, string) (*mac.Key, error) {
	return func(_ context.Context, id string) (*mac.Key, error) {
		if id != c.ID {
			return nil, mac.ErrUnknownID
		}
		return &mac.Key{Secret: c.Key}, nil
	}
}

// The responder gets the identity and the body, which is checked while it is read. It is not called
// for unknown clients.
func TestResponder(t *testing.T) {
	c := &mac.Credentials{ID: "bot", Key: []byte("canary-5ec2e7")}
	asked := 0
	var httpmockResponder httpmock.Responder = authtest.Responder(
		&mac.Verifier{Keys: keyOf(c), BodyDigest: true},
		func(req *http.Request) (*http.Response, error) {
			asked++
			id, _ := auth.FromContext(req.Context())
			body, err := io.ReadAll(req.Body)
			if id == nil || id.Subject != "bot" || string(body) != "a body" || req.URL.Host == "" {
				t.Errorf("%v sent %q to %s", id, body, req.URL)
			}
			return httpmock.NewStringResponse(200, ""), err
		})
	mock := httpmock.NewMockTransport()
	mock.RegisterNoResponder(httpmockResponder)
	signer := &mac.Signer{Source: c, BodyDigest: true}
	send := func(body string, change func(*http.Request)) int {
		req, _ := http.NewRequest("POST", page, strings.NewReader(body))
		if err := signer.Sign(req, time.Now()); err != nil {
			t.Fatal(err)
		}
		change(req)
		resp, err := mock.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode
	}
	for name, tt := range map[string]struct {
		change func(*http.Request)
		want   int
	}{
		"as signed":    {func(*http.Request) {}, 200},
		"without":      {func(r *http.Request) { r.Header.Del("Authorization") }, 401},
		"another path": {func(r *http.Request) { r.URL.Path = "/b" }, 401},
		"another body": {func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader("another"))
		}, 401},
		"no body": {func(r *http.Request) { r.Body, r.ContentLength = nil, 0 }, 401},
	} {
		if got := send("a body", tt.change); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times, want once", asked)
	}
	broken := errors.New("broken")
	responder := authtest.Responder(anybody{}, func(*http.Request) (*http.Response, error) {
		return nil, broken
	})
	req, _ := http.NewRequest("GET", page, nil)
	if _, err := responder(req); err != broken {
		t.Error(err)
	}
}

type anybody struct{}

func (anybody) Authenticate(*http.Request) (*auth.Identity, error) {
	return &auth.Identity{Subject: "anybody", Scheme: "None"}, nil
}
