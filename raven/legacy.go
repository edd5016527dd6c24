package raven

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the protocol fixes it
	"encoding/base64"
)

// legacyBase64 is the encoding of signatures: base64 with - . _ in place of + / =. Strict refuses
// spare bits, so that a signature has only one encoding.
var legacyBase64 = base64.NewEncoding(
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.",
).WithPadding('_').Strict()

// legacyVerify reports whether signature is the key's signature of an answer. The protocol requires
// RSASSA-PKCS1-v1_5 with SHA-1 (section 3). SHA-1 has known collisions, and the sender of a request
// chooses url and params. So the signature must not be the only check: an agent also compares url,
// params and issue. Do not use legacyVerify for anything else.
func legacyVerify(key *rsa.PublicKey, answer string, signature []byte) bool {
	digest := sha1.Sum([]byte(answer)) //nolint:gosec // the protocol fixes it
	return rsa.VerifyPKCS1v15(key, crypto.SHA1, digest[:], signature) == nil
}
