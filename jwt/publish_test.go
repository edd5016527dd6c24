package jwt_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	joselib "github.com/go-jose/go-jose/v4"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/jwt"
)

// TestPublish publishes a key of each kind, fetches it with a JWKS, and verifies a token with it.
func TestPublish(t *testing.T) {
	signers := []*jwt.Signer{
		{Method: "RS256", Key: mintKeys.rsa}, {Method: "RS384", Key: mintKeys.rsa},
		{Method: "RS512", Key: mintKeys.rsa}, {Method: "PS256", Key: mintKeys.rsa},
		{Method: "PS384", Key: mintKeys.rsa}, {Method: "PS512", Key: mintKeys.rsa},
		{Method: "ES256", Key: mintKeys.ec[0]}, {Method: "ES384", Key: mintKeys.ec[1]},
		{Method: "ES512", Key: mintKeys.ec[2]}, {Method: "EdDSA", Key: mintKeys.ed},
		{Method: "Ed25519", Key: mintKeys.ed, KeyID: "another"},
	}
	var keys []*jwt.Key
	for _, s := range signers {
		if s.KeyID == "" {
			s.KeyID = "key of " + s.Method
		}
		keys = append(keys, &jwt.Key{Method: s.Method, Key: s.Key, ID: s.KeyID})
	}
	server := httptest.NewServer(jwt.Publish(keys...))
	defer server.Close()
	set := &jwt.JWKS{URL: server.URL}
	for _, s := range signers {
		if err := verdict(set, must(s.Token("ann", nil, 0))); err != nil {
			t.Errorf("%s: %v", s.Method, err)
		}
	}
	if len(keys) != 11 {
		t.Errorf("%d keys, want 11", len(keys))
	}
}

// TestPublishedIsPublic reads a published set with the library, which finds only public keys.
func TestPublishedIsPublic(t *testing.T) {
	w := httptest.NewRecorder()
	jwt.Publish(
		&jwt.Key{Method: "ES256", Key: mintKeys.ec[0], ID: "a"},
		&jwt.Key{Method: "RS256", Key: mintKeys.rsa, ID: "b"},
		&jwt.Key{Method: "EdDSA", Key: mintKeys.ed},
	).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/jwk-set+json" ||
		w.Header().Get("Cache-Control") != "public, max-age=300" {
		t.Errorf("%d, %v", w.Code, w.Header())
	}
	var raw struct{ Keys []map[string]any }
	var read joselib.JSONWebKeySet
	if err := errors.Join(json.Unmarshal(w.Body.Bytes(), &raw),
		json.Unmarshal(w.Body.Bytes(), &read)); err != nil {
		t.Fatal(err)
	}
	for i, key := range read.Keys {
		if !key.IsPublic() || !key.Valid() || key.Use != "sig" ||
			key.KeyID != []string{"a", "b", ""}[i] {
			t.Errorf("published: %+v", key)
		}
		for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
			if _, found := raw.Keys[i][name]; found {
				t.Errorf("key %d has the private member %s", i, name)
			}
		}
	}
	if len(read.Keys) != 3 || !mintKeys.ec[0].PublicKey.Equal(read.Keys[0].Key) ||
		!mintKeys.rsa.PublicKey.Equal(read.Keys[1].Key) {
		t.Errorf("%d keys, or others", len(read.Keys))
	}
}

func TestPublishNone(t *testing.T) {
	const planted = "canary-pub1ic-secret-of-32-bytes"
	ec := &jwt.Key{Method: "ES256", Key: mintKeys.ec[0], ID: "a"}
	for name, tt := range map[string]struct {
		keys   []*jwt.Key
		method string
		status int
		want   string
	}{
		"a secret": {[]*jwt.Key{ec, {Method: "HS256", Key: creds.Secret(planted), ID: "b"}},
			http.MethodGet, 500,
			`the key of ID "b" is not published: jwt: unusable key: it is a secret for HS256`},
		"a key of another kind": {[]*jwt.Key{{Method: "RS256", Key: mintKeys.ec[0]}},
			http.MethodGet, 500, `does not fit RS256`},
		"a text that is not a key": {[]*jwt.Key{{Method: "ES256", Key: creds.Secret(planted)}},
			http.MethodGet, 500, "it is not PEM"},
		"one ID and method twice": {[]*jwt.Key{ec, ec}, http.MethodGet, 500,
			`two ES256 keys of ID "a"`},
		"one ID, and two methods": {[]*jwt.Key{ec, {Method: "RS256", Key: mintKeys.rsa, ID: "a"}},
			http.MethodGet, 200, `"keys":[{`},
		"one ID and one method by two names": {[]*jwt.Key{{Method: "EdDSA", Key: mintKeys.ed},
			{Method: "Ed25519", Key: mintKeys.ed}}, http.MethodGet, 500,
			`two Ed25519 keys of ID ""`},
		"a nil key":    {[]*jwt.Key{nil}, http.MethodGet, 500, "a nil Key"},
		"no key":       {nil, http.MethodGet, 200, `{"keys":[]}`},
		"a HEAD":       {nil, http.MethodHead, 200, ""},
		"another verb": {nil, http.MethodPost, 405, "method not allowed"},
	} {
		w := httptest.NewRecorder()
		jwt.Publish(tt.keys...).ServeHTTP(w, httptest.NewRequest(tt.method, "/", nil))
		body, _ := io.ReadAll(w.Body)
		if w.Code != tt.status || !strings.Contains(string(body), tt.want) {
			t.Errorf("%s: %d %s, want %s", name, w.Code, body, tt.want)
		}
		if leaks := printed(string(body), planted); leaks != nil {
			t.Errorf("%s: the secret is published as %v", name, leaks)
		}
	}
}

// TestPublishRefusedByJWKS fetches nothing from a handler that publishes nothing.
func TestPublishRefusedByJWKS(t *testing.T) {
	server := httptest.NewServer(jwt.Publish(hmacKey))
	defer server.Close()
	set := &jwt.JWKS{URL: server.URL}
	if key, err := set.VerificationKey(context.Background(), ""); key != nil || err == nil {
		t.Errorf("%v, %v", key, err)
	}
}
