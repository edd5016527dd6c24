package raven

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the protocol fixes it
	"encoding/base64"
)

// legacyBase64 is that of signatures: - . _ stand for + / =. Strict refuses spare bits, so that a
// signature has one spelling.
var legacyBase64 = base64.NewEncoding(
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.",
).WithPadding('_').Strict()

// legacyVerify reports whether signature is that of an answer, by RSASSA-PKCS1-v1_5 with SHA-1, as
// the protocol has fixed it (section 3). SHA-1 has known collisions, and url and params are chosen
// by whoever asks, so a signature is the first line of defence and not the only one: an agent
// compares url, params and issue as well. Nothing else may ever be verified with this.
func legacyVerify(key *rsa.PublicKey, answer string, signature []byte) bool {
	digest := sha1.Sum([]byte(answer)) //nolint:gosec // the protocol fixes it
	return rsa.VerifyPKCS1v15(key, crypto.SHA1, digest[:], signature) == nil
}
