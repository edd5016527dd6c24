package bearer_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/authtest/schemetest"
	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/transport"
)

// checks returns a Check that returns the same result for every token.
func checks(
	id *auth.Identity, err error,
) func(context.Context, creds.Secret) (*auth.Identity, error) {
	return func(context.Context, creds.Secret) (*auth.Identity, error) { return id, err }
}

// bearing returns a request with a field.
func bearing(t *testing.T, name string, lines ...string) *http.Request {
	t.Helper()
	req := newRequest(t, "https://api.example.com/")
	req.Header[name] = lines
	return req
}

func TestVerifier(t *testing.T) {
	ann := &auth.Identity{Subject: "ann", Expires: time.Now().Add(time.Hour)}
	long := strings.Repeat("x", 8<<10)
	good := func() *bearer.Verifier { return &bearer.Verifier{Check: checks(ann, nil)} }
	for _, tt := range []struct {
		name     string
		verifier *bearer.Verifier
		header   string
		lines    []string
		want     string // the scheme of the identity, or an error
		code     int
	}{
		{"a token", good(), "Authorization",
			[]string{"Bearer abc"}, "Bearer", 200},
		{"in any case", good(), "Authorization",
			[]string{"bEARER abc"}, "Bearer", 200},
		{"another scheme", &bearer.Verifier{Scheme: "Token", Check: checks(ann, nil)},
			"Authorization", []string{"token abc"}, "Token", 200},
		{"another field", &bearer.Verifier{Header: "x-token", Check: checks(ann, nil)}, "X-Token",
			[]string{"abc"}, "Bearer", 200},
		{"a scheme of its own", &bearer.Verifier{
			Check: checks(&auth.Identity{Subject: "ann", Scheme: "opaque"}, nil)}, "Authorization",
			[]string{"Bearer abc"}, "opaque", 200},
		{"no token", good(), "X-Token", []string{"abc"},
			"none", 401},
		{"foreign credentials", good(), "Authorization",
			[]string{"Basic abc"}, "none", 401},
		{"two tokens", good(), "Authorization",
			[]string{"Bearer abc", "Bearer def"}, "refused", 401},
		{"no token behind the scheme", good(), "Authorization",
			[]string{"Bearer"}, "refused", 401},
		{"a token that is too long", good(), "Authorization",
			[]string{"Bearer " + long}, "refused", 401},
		{"unknown", &bearer.Verifier{
			Check: checks(nil, fmt.Errorf("%w: unknown", bearer.ErrRefused))}, "Authorization",
			[]string{"Bearer abc"}, "refused", 401},
		{"refused, with an identity", &bearer.Verifier{Check: checks(ann, bearer.ErrRefused)},
			"Authorization", []string{"Bearer abc"}, "refused", 401},
		{"refused, joined with ErrNone", &bearer.Verifier{
			Check: checks(nil, errors.Join(bearer.ErrRefused, auth.ErrNone))},
			"Authorization", []string{"Bearer abc"}, "refused", 401},
		{"expired", &bearer.Verifier{
			Check: checks(&auth.Identity{Subject: "ann", Expires: time.Now()}, nil)},
			"Authorization", []string{"Bearer abc"}, "refused", 401},
		{"an outage", &bearer.Verifier{Check: checks(nil, errors.New("the database is down"))},
			"Authorization", []string{"Bearer abc"}, "unavailable", 503},
		{"an outage and a refusal", &bearer.Verifier{
			Check: checks(nil, errors.Join(bearer.ErrRefused, auth.ErrUnavailable))},
			"Authorization", []string{"Bearer abc"}, "unavailable", 503},
		{"a context that ended", &bearer.Verifier{Check: checks(nil, context.DeadlineExceeded)},
			"Authorization", []string{"Bearer abc"}, "unavailable", 503},
		{"an ErrNone of Check", &bearer.Verifier{Check: checks(nil, auth.ErrNone)},
			"Authorization", []string{"Bearer abc"}, "unavailable", 503},
		{"no identity", &bearer.Verifier{Check: checks(nil, nil)}, "Authorization",
			[]string{"Bearer abc"}, "unavailable", 503},
		{"no subject", &bearer.Verifier{Check: checks(&auth.Identity{}, nil)}, "Authorization",
			[]string{"Bearer abc"}, "unavailable", 503},
		{"no Check", &bearer.Verifier{}, "Authorization",
			[]string{"Bearer abc"}, "unavailable", 503},
		{"no Check and no token", &bearer.Verifier{}, "X-Token", []string{"abc"},
			"unavailable", 503},
		{"no field", &bearer.Verifier{Header: "a b", Check: checks(ann, nil)}, "Authorization",
			[]string{"Bearer abc"}, "unavailable", 503},
	} {
		id, err := tt.verifier.Authenticate(bearing(t, tt.header, tt.lines...))
		got := ""
		switch {
		case err == nil && id.Subject == "ann":
			got = id.Scheme
		case errors.Is(err, auth.ErrUnavailable):
			got = "unavailable"
		case errors.Is(err, auth.ErrNone):
			got = "none"
		case errors.Is(err, bearer.ErrRefused):
			got = "refused"
		}
		if got != tt.want {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, err, tt.want)
		}
		w := httptest.NewRecorder()
		auth.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), tt.verifier).
			ServeHTTP(w, bearing(t, tt.header, tt.lines...))
		if w.Code != tt.code {
			t.Errorf("%s: status %d, want %d", tt.name, w.Code, tt.code)
		}
	}
	if ann.Scheme != "" {
		t.Error("the identity of Check was changed")
	}
}

func TestVerifierChallenge(t *testing.T) {
	refused := fmt.Errorf("%w: unknown", bearer.ErrRefused)
	for _, tt := range []struct {
		verifier bearer.Verifier
		err      error
		want     string
	}{
		{bearer.Verifier{}, auth.ErrNone, "Bearer"},
		{bearer.Verifier{Check: checks(nil, nil)}, nil, "Bearer"},
		{bearer.Verifier{Check: checks(nil, nil)}, auth.ErrNone, "Bearer"},
		{bearer.Verifier{Check: checks(nil, nil)}, refused, `Bearer error="invalid_token"`},
		{bearer.Verifier{Check: checks(nil, nil), Realm: "a"}, refused,
			`Bearer realm="a", error="invalid_token"`},
		{bearer.Verifier{Check: checks(nil, nil)}, &auth.ScopeError{Scope: "write"},
			`Bearer error="insufficient_scope", scope="write"`},
		{bearer.Verifier{Check: checks(nil, nil), Scheme: "Token"}, auth.ErrNone, "Token"},
		{bearer.Verifier{Check: checks(nil, nil), Header: "x-token"}, refused,
			`Bearer header="X-Token", error="invalid_token"`},
	} {
		h := make(http.Header)
		tt.verifier.Challenge(h, newRequest(t, "https://api.example.com/"), tt.err)
		if got := h.Get("WWW-Authenticate"); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.err, got, tt.want)
		}
	}
}

// TestSignerAndVerifier runs the tests for all schemes on the Signer and the Verifier.
func TestSignerAndVerifier(t *testing.T) {
	const secret = "canary-0paqu3"
	for name, v := range map[string]bearer.Verifier{
		"Authorization": {}, "scheme": {Scheme: "Token"}, "header": {Header: "X-Token"},
	} {
		v.Check = func(_ context.Context, token creds.Secret) (*auth.Identity, error) {
			if string(token) != secret {
				return nil, bearer.ErrRefused
			}
			return &auth.Identity{Subject: "ann"}, nil
		}
		t.Run(name, func(t *testing.T) {
			schemetest.Run(t, schemetest.Pair{
				New: func(*testing.T) (transport.Signer, auth.Authenticator) {
					s := &bearer.Signer{Source: static(secret), Scheme: v.Scheme, Header: v.Header}
					return s, &v
				},
				Fixed:   true,
				Secrets: []string{secret},
			})
		})
	}
}
