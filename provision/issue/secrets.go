package issue

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/countersign-go/countersign/creds"
)

// deriveLabel keeps what Derive makes apart from all else that is derived from a master secret.
const deriveLabel = "countersign/v1 secret for "

// Derive makes a secret for one purpose out of a master secret, so that one master serves for
// several: for the ids of an [Issuer], say, for those of another part of the site, and for session
// cookies. Who learns one of them learns nothing of the others, nor of the master, and what was
// made with one is not accepted for another.
//
// The purpose is any text that says what the secret is for, such as "mac ids of /archive". One
// purpose always gives the same secret, on every machine. It is 256 bits in 43 characters of
// URL-safe base64, so it also fits into a settings file or an environment variable. (It is
// HKDF-SHA-256 of RFC 5869, without a salt.)
//
// An error means that the master has fewer than 16 bytes, or that the purpose is empty.
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
