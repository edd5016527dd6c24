package raven

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
)

// Sizes of keys, in bits. The operator's keys have the minimum. The maximum bounds the work of
// verifying one answer.
const (
	minKeyBits = 1024
	maxKeyBits = 8192
)

// ParseKey reads an RSA public key of 1024 to 8192 bits from PEM, either in the form of PKCS #1
// ("RSA PUBLIC KEY", in which the operator publishes keys) or of X.509 ("PUBLIC KEY"). The text
// must contain exactly one PEM block. The error wraps [ErrKey].
func ParseKey(text []byte) (*rsa.PublicKey, error) {
	block, rest := pem.Decode(text)
	if block == nil {
		return nil, badKey("it is not PEM")
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, badKey("there is more than one PEM block")
	}
	key, err := decodeKey(block)
	if err != nil {
		return nil, err
	}
	if err := checkSize(key); err != nil {
		return nil, err
	}
	return key, nil
}

func checkSize(key *rsa.PublicKey) error {
	if bits := key.N.BitLen(); bits < minKeyBits || bits > maxKeyBits {
		return badKey("it has %d bits, not %d to %d", bits, minKeyBits, maxKeyBits)
	}
	return nil
}

func decodeKey(block *pem.Block) (*rsa.PublicKey, error) {
	switch block.Type {
	case "RSA PUBLIC KEY":
		key, err := x509.ParsePKCS1PublicKey(block.Bytes)
		if err != nil {
			return nil, badKey("%w", err)
		}
		return key, nil
	case "PUBLIC KEY":
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, badKey("%w", err)
		}
		key, ok := parsed.(*rsa.PublicKey)
		if !ok {
			return nil, badKey("it is not an RSA key")
		}
		return key, nil
	default:
		return nil, badKey("a PEM block %.32q is not a public key", block.Type)
	}
}

// Fingerprint returns the SHA-256 of a key in its X.509 form (SubjectPublicKeyInfo, DER), as 64
// lower-case hexadecimal digits. It returns "" if the key is nil or cannot be encoded. This command
// prints the same:
//
//	openssl pkey -pubin -in key.pem -outform DER | sha256sum
func Fingerprint(key *rsa.PublicKey) string {
	if key == nil || key.N == nil {
		return ""
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}
