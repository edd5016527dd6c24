package jwt_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/jwt"
)

// FuzzToken checks that each token that can be parsed has only one spelling, and that each accepted
// token was signed with the key and holds claims with a single meaning.
func FuzzToken(f *testing.F) {
	for _, c := range readVectors(f).VerifyCases {
		for _, value := range c.Headers {
			f.Add(value[strings.LastIndexByte(value, ' ')+1:])
		}
	}
	f.Add(mint(f, hmacKey, nil, `{"sub":"ann"}`))
	f.Add(mint(f, hmacKey, `{"alg":"HS256","kid":"k"}`, `{"sub":1,"aud":["a"],"x":[{}]}`))
	vector := readVectors(f).key("hs")
	v := &jwt.Verifier{NoExpiry: true, Keys: keyFunc(
		func(_ context.Context, kid string) (*jwt.Key, error) {
			if len(kid) > 64 {
				f.Errorf("a kid of %d bytes is looked up", len(kid))
			}
			return &jwt.Key{Method: "HS256", Key: vector}, nil
		})}
	f.Fuzz(func(t *testing.T, token string) {
		if again, err := jwt.Rewritten(token); err == nil && again != token {
			t.Errorf("%q is also written %q", token, again)
		}
		claims, err := v.Verify(context.Background(), token)
		id, err2 := v.Authenticate(&http.Request{
			Header: http.Header{"Authorization": {"Bearer " + token}}})
		if err == nil {
			i := strings.LastIndexByte(token, '.')
			signed := signHMAC(vector)(token[:i])
			if base64url.EncodeToString(signed) != token[i+1:] {
				t.Errorf("accepted, and not signed: %q", token)
			}
			if _, err := json.Marshal(claims); err != nil {
				t.Error(err)
			}
		} else if !errors.Is(err, jwt.ErrRefused) {
			t.Errorf("%q: %v", token, err)
		}
		switch {
		case err2 == nil && (err != nil || id.Subject == ""):
			t.Errorf("%q is about %q, and Verify says %v", token, id.Subject, err)
		case err2 != nil && !errors.Is(err2, jwt.ErrRefused):
			t.Errorf("%q: %v", token, err2)
		}
	})
}

// FuzzClaims checks arbitrary claims in genuine tokens.
func FuzzClaims(f *testing.F) {
	for _, c := range readVectors(f).VerifyCases {
		if text, err := json.Marshal(c.Claims); err == nil {
			f.Add(string(text))
		}
	}
	for _, c := range forgeries() {
		d := bases()[""].draft
		c.change(&d)
		f.Add(d.claims)
	}
	v := &jwt.Verifier{Keys: hmacKey, NoExpiry: true, Audience: []string{"api"}}
	denied := new(jwt.DenyList)
	f.Fuzz(func(t *testing.T, claims string) {
		token := mint(t, hmacKey, nil, claims)
		id, err := v.Authenticate(withToken(token))
		if err != nil {
			if !errors.Is(err, jwt.ErrRefused) {
				t.Errorf("%q: %v", claims, err)
			}
			return
		}
		jti, _ := id.Claims["jti"].(string)
		if err := denied.Revoke(id.Claims); (err == nil) != (jti != "") && denied.Held() < 100_000 {
			t.Errorf("%q cannot be revoked: %v", claims, err)
		}
	})
}
