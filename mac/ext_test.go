package mac_test

import (
	"context"
	"testing"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/mac"
)

// TestExtOfIdentity checks that the identity holds the verified ext, and that claims of the same
// name cannot pass for it.
func TestExtOfIdentity(t *testing.T) {
	claims := map[string]any{"role": "clerk", "mac.ext": "of a token"}
	v := &mac.Verifier{Nonces: anyNonce{}, Keys: func(context.Context, string) (*mac.Key, error) {
		return &mac.Key{Secret: testCreds.Key, Identity: auth.Identity{Claims: claims}}, nil
	}}
	for _, want := range []string{"", "tenant=7"} {
		req := newRequest(t, "GET", "http://example.com/")
		s := &mac.Signer{Source: testCreds, Ext: fixed(want)}
		if err := s.Sign(req, testTime); err != nil {
			t.Fatal(err)
		}
		id, err := v.AuthenticateAt(received(req), testTime)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := id.Claims["mac.ext"].(mac.Ext)
		if string(got) != want || ok != (want != "") || id.Claims["role"] != "clerk" {
			t.Errorf("ext %q: %v", want, id.Claims)
		}
	}
	if claims["mac.ext"] != "of a token" || len(claims) != 2 {
		t.Errorf("the claims of the key were changed: %v", claims)
	}
}
