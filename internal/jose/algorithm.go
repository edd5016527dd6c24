package jose

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
)

// An Algorithm is a signature algorithm of JWS (RFC 7518, section 3.1; RFC 8037; RFC 9864).
type Algorithm struct {
	Name string
	Hash crypto.Hash     // zero for Ed25519, which hashes internally
	Salt *rsa.PSSOptions // nil if not PSS
	kind kind
	bits int // of the curve; zero if none
}

type kind string

const (
	kindSecret  kind = "oct"
	kindRSA     kind = "RSA"
	kindEC      kind = "EC"
	kindEd25519 kind = "OKP"
)

// algorithms holds the supported algorithms by name. The algorithm "none" is not supported (RFC
// 8725, section 3.2).
var algorithms = map[string]Algorithm{
	"HS256": {"HS256", crypto.SHA256, nil, kindSecret, 0},
	"HS384": {"HS384", crypto.SHA384, nil, kindSecret, 0},
	"HS512": {"HS512", crypto.SHA512, nil, kindSecret, 0},
	"RS256": {"RS256", crypto.SHA256, nil, kindRSA, 0},
	"RS384": {"RS384", crypto.SHA384, nil, kindRSA, 0},
	"RS512": {"RS512", crypto.SHA512, nil, kindRSA, 0},
	"PS256": {"PS256", crypto.SHA256, salt(crypto.SHA256), kindRSA, 0},
	"PS384": {"PS384", crypto.SHA384, salt(crypto.SHA384), kindRSA, 0},
	"PS512": {"PS512", crypto.SHA512, salt(crypto.SHA512), kindRSA, 0},
	"ES256": {"ES256", crypto.SHA256, nil, kindEC, 256},
	"ES384": {"ES384", crypto.SHA384, nil, kindEC, 384},
	"ES512": {"ES512", crypto.SHA512, nil, kindEC, 521},

	"EdDSA":   {"EdDSA", 0, nil, kindEd25519, 0},
	"Ed25519": {"Ed25519", 0, nil, kindEd25519, 0},
}

// salt returns options that allow only a salt as long as the hash (RFC 7518, section 3.5).
func salt(hash crypto.Hash) *rsa.PSSOptions {
	return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
}

// ByName returns the algorithm with this name.
func ByName(name string) (_ Algorithm, ok bool) {
	a, ok := algorithms[name]
	return a, ok
}

// OfCurve returns the name of the algorithm for a curve of this size in bits, or "" if there is
// none.
func OfCurve(bits int) string {
	switch bits {
	case 256:
		return "ES256"
	case 384:
		return "ES384"
	case 521:
		return "ES512"
	}
	return ""
}

// Same reports whether two names mean the same algorithm. EdDSA with an Ed25519 key is the same as
// Ed25519 (RFC 9864, section 2.2), and other EdDSA keys are not supported.
func Same(a, b string) bool {
	isEd25519 := func(name string) bool { return name == "EdDSA" || name == "Ed25519" }
	return a == b || isEd25519(a) && isEd25519(b)
}

// Symmetric reports whether the key is a secret that both sides share.
func (a Algorithm) Symmetric() bool { return a.kind == kindSecret }

// IsRSA reports whether the key is an RSA key.
func (a Algorithm) IsRSA() bool { return a.kind == kindRSA }

// Bounds of RSA keys, in bits. Package crypto/rsa refuses keys below weakRSA. A key over maxRSA,
// which may come from a key set, would make each token too expensive to verify.
const (
	minRSA  = 2048
	weakRSA = 1024
	maxRSA  = 16384
)

// Check returns an error if public is a key of another kind than the algorithm's or is too small.
// So a token cannot make a verifier use a key for another purpose (RFC 8725, section 3.1). If weak
// is true, RSA keys from 1024 bits are allowed.
func (a Algorithm) Check(public crypto.PublicKey, weak bool) error {
	fits := false
	switch a.kind {
	case kindSecret: // it is not a public key
	case kindRSA:
		var key *rsa.PublicKey
		key, fits = public.(*rsa.PublicKey)
		if fits = fits && key != nil && key.N != nil; fits {
			return checkSize(key.N.BitLen(), weak)
		}
	case kindEC:
		var key *ecdsa.PublicKey
		key, fits = public.(*ecdsa.PublicKey)
		if fits = fits && key != nil && key.Curve != nil &&
			key.Curve.Params().BitSize == a.bits; fits {
			_, err := key.Bytes()
			return err
		}
	case kindEd25519:
		key, _ := public.(ed25519.PublicKey)
		fits = len(key) == ed25519.PublicKeySize
	}
	if !fits {
		return fmt.Errorf("a %T does not fit %s", public, a.Name)
	}
	return nil
}

func checkSize(bits int, weak bool) error {
	switch {
	case bits < weakRSA, bits < minRSA && !weak:
		return fmt.Errorf("an RSA key of %d bits, where %d are needed", bits, minRSA)
	case bits > maxRSA:
		return fmt.Errorf("an RSA key of over %d bits", maxRSA)
	}
	return nil
}

// Sign signs text with a private key, which may be in hardware.
func (a Algorithm) Sign(key crypto.Signer, text string) ([]byte, error) {
	digest, options := []byte(text), crypto.SignerOpts(a.Hash)
	if a.Hash != 0 {
		h := a.Hash.New()
		h.Write(digest)
		digest = h.Sum(nil)
	}
	if a.Salt != nil {
		options = a.Salt
	}
	signature, err := key.Sign(rand.Reader, digest, options)
	if err == nil && a.bits > 0 {
		signature, err = fixedSize(signature, (a.bits+7)/8)
	}
	return signature, err
}

// Size returns the length of a signature in bytes. key is a public key, or nil if the key is a
// secret.
func (a Algorithm) Size(key crypto.PublicKey) int {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return key.Size()
	case *ecdsa.PublicKey:
		return 2 * ((a.bits + 7) / 8)
	case ed25519.PublicKey:
		return ed25519.SignatureSize
	}
	return a.Hash.Size()
}

// fixedSize converts an ECDSA signature in ASN.1 to two numbers of size bytes each (RFC 7518,
// section 3.4).
func fixedSize(signature []byte, size int) ([]byte, error) {
	var number struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(signature, &number)
	if err != nil {
		return nil, err
	}
	if len(rest) > 0 || number.R.Sign() < 0 || number.S.Sign() < 0 ||
		number.R.BitLen() > 8*size || number.S.BitLen() > 8*size {
		return nil, errors.New("its signature is not one of ECDSA")
	}
	fixed := make([]byte, 2*size)
	number.R.FillBytes(fixed[:size])
	number.S.FillBytes(fixed[size:])
	return fixed, nil
}

// IsKeyFile reports whether secret looks like a key file instead of a secret: PEM, an SSH public
// key, a JWK, or a certificate or public key in DER, either raw or in base64.
func IsKeyFile(secret []byte) bool {
	text := bytes.TrimSpace(secret)
	if bytes.Contains(text, []byte("-----BEGIN ")) || bytes.Contains(text, []byte("---- BEGIN ")) ||
		bytes.HasPrefix(text, []byte("{")) && bytes.Contains(text, []byte(`"kty"`)) {
		return true
	}
	for _, kind := range []string{"ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-sha2-"} {
		if bytes.HasPrefix(text, []byte(kind)) {
			return true
		}
	}
	digits := bytes.TrimRight(bytes.Join(bytes.Fields(text), nil), "=")
	decoded, _ := base64.RawStdEncoding.AppendDecode(nil, digits)
	return isDER(secret) || isDER(text) || isDER(decoded)
}

func isDER(data []byte) bool {
	_, err := x509.ParsePKIXPublicKey(data)
	if err != nil {
		_, err = x509.ParsePKCS1PublicKey(data)
	}
	if err != nil {
		_, err = x509.ParseCertificate(data)
	}
	return err == nil
}
