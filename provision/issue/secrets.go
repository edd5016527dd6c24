package issue

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/countersign-go/countersign/creds"
)

// deriveLabel separates the results of Derive from all other keys that are derived from a master
// secret.
const deriveLabel = "countersign/v1 secret for "

// Derive makes a secret for one purpose from a master secret, so that one master serves several
// purposes: the ids of an [Issuer], the ids of another part of the site, and session cookies, say.
// An attacker that learns one of the secrets learns nothing about the others or the master. Values
// made with one secret are not accepted for another.
//
// The purpose is any text that names the use of the secret, such as "mac ids of /archive". A
// purpose always gives the same secret, on every machine. The secret is 256 bits in 43 characters
// of URL-safe base64, so it also fits into a settings file or an environment variable. (It is
// HKDF-SHA-256 of RFC 5869, without a salt.)
//
// Derive returns an error if the master has fewer than 16 bytes, or if the purpose is empty.
func Derive(master creds.Secret, purpose string) (creds.Secret, error) {
	if len(master) < minSecret {
		return nil, fmt.Errorf(
			"issue: a master secret of %d bytes: it takes %d or more, random ones",
			len(master), minSecret)
	}
	if purpose == "" {
		return nil, errors.New("issue: say what purpose the secret is for")
	}
	key, err := hkdf.Key(sha256.New, master, nil, deriveLabel+purpose, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("issue: %w", err)
	}
	return creds.Secret(base64.RawURLEncoding.EncodeToString(key)), nil
}
