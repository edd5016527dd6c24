package jwt_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/countersign-go/countersign/jwt"
)

// BenchmarkJWTSign signs with a token that is kept, and with one that is made for the request.
func BenchmarkJWTSign(b *testing.B) {
	claims := func(*http.Request) (map[string]any, error) {
		return map[string]any{"sub": "bob", "aud": apiOrigin, "iss": "me"}, nil
	}
	for name, j := range map[string]*jwt.Signer{
		"kept":        {Key: mintSecret, Method: "HS256"},
		"kept cookie": {Key: mintSecret, Method: "HS256", Cookie: "session"},
		"kept claims": {Key: mintSecret, Method: "HS256", Claims: claims},
	} {
		b.Run(name, func(b *testing.B) {
			req := requestTo(b, apiOrigin+"/a/b?c=d")
			b.ReportAllocs()
			for b.Loop() {
				if err := j.Sign(req, time.Now()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for name, j := range map[string]*jwt.Signer{
		"made HS256": {Key: mintSecret, Method: "HS256"},
		"made ES256": {Key: mintKeys.ec[0], Method: "ES256"},
		"made RS256": {Key: mintKeys.rsa, Method: "RS256"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := j.Token("bob", nil, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
