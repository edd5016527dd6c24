package auth_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
)

// A real signature beside a session, in both orders. If both name one user, the request is let in
// and its body can be read. Otherwise it is refused. In every case, the signature is used up.
func TestSignedBesideSession_S5(t *testing.T) {
	c := &mac.Credentials{ID: "id", Key: creds.Secret("canary-5e5510")}
	echo := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		id, _ := auth.FromContext(req.Context())
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		io.WriteString(w, id.Subject+" says "+string(body))
	})
	for _, tt := range []struct {
		reason, key, cookie string
		status              int
		body                string
	}{
		{"no session", "canary-5e5510", "", 200, "ann says hello"},
		{"her own", "canary-5e5510", "a", 200, "ann says hello"},
		{"somebody else's", "canary-5e5510", "b", 400, "credentials of several people\n"},
		{"one that has ended is none", "canary-5e5510", "old", 200, "ann says hello"},
		{"a wrong signature beside her own", "canary-5e5511", "a", 401, body401},
		{"a wrong signature beside somebody else's", "canary-5e5511", "b", 401, body401},
	} {
		for _, signedFirst := range []bool{true, false} {
			key := &mac.Key{Secret: c.Key, Identity: auth.Identity{Subject: "ann"}}
			machines := &mac.Verifier{
				Keys:       func(context.Context, string) (*mac.Key, error) { return key, nil },
				BodyDigest: true,
			}
			people := sessions{"a": "ann", "b": "bob"}
			stack := auth.Stack{people, machines}
			if signedFirst {
				stack = auth.Stack{machines, people}
			}
			req := httptest.NewRequest("POST", "/", strings.NewReader("hello"))
			req.GetBody = func() (io.ReadCloser, error) {
				return io.NopCloser(strings.NewReader("hello")), nil
			}
			if tt.cookie != "" {
				req.AddCookie(&http.Cookie{Name: "session", Value: tt.cookie})
			}
			signer := &mac.Signer{BodyDigest: true,
				Source: &mac.Credentials{ID: "id", Key: creds.Secret(tt.key)}}
			if err := signer.Sign(req, time.Now()); err != nil {
				t.Fatal(err)
			}
			w := serve(auth.Require(echo, stack...), req)
			if w.Code != tt.status || w.Body.String() != tt.body {
				t.Errorf("%s, signed first: %t: %d %q", tt.reason, signedFirst, w.Code, w.Body)
			}
			req.Header.Del("Cookie")
			req.Body, _ = req.GetBody()
			w = serve(auth.Require(echo, stack...), req)
			if w.Code != 401 {
				t.Errorf("%s, signed first: %t: sent again: %d", tt.reason, signedFirst, w.Code)
			}
		}
	}
}
