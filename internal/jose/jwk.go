package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"fmt"
	"math/big"
)

// A JWK is a public key as JSON (RFC 7517, section 4).
type JWK struct {
	Type      string `json:"kty"`
	KeyID     string `json:"kid,omitempty"`
	Use       string `json:"use,omitempty"`
	Algorithm string `json:"alg,omitempty"`

	Curve string `json:"crv,omitempty"` // for EC and OKP
	X     string `json:"x,omitempty"`
	Y     string `json:"y,omitempty"`
	N     string `json:"n,omitempty"` // for RSA
	E     string `json:"e,omitempty"`
}

// NewJWK returns public as a JWK that holds only its kind and numbers (RFC 7518, section 6; RFC
// 8037, section 2).
func NewJWK(public crypto.PublicKey) (*JWK, error) {
	text := base64url.EncodeToString
	switch key := public.(type) {
	case *rsa.PublicKey:
		return &JWK{Type: string(kindRSA), N: text(key.N.Bytes()),
			E: text(big.NewInt(int64(key.E)).Bytes())}, nil
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil {
			return nil, err
		}
		size := len(point) / 2 // the first byte says that the point is uncompressed
		return &JWK{Type: string(kindEC), Curve: key.Curve.Params().Name,
			X: text(point[1 : 1+size]), Y: text(point[1+size:])}, nil
	case ed25519.PublicKey:
		return &JWK{Type: string(kindEd25519), Curve: "Ed25519", X: text(key)}, nil
	}
	return nil, fmt.Errorf("a %T has no JWK", public)
}
