package creds

import (
	"context"
	"fmt"
	"time"
)

// A SharedKey is a key that a client and a server share, under an ID. Schemes that compute a MAC
// sign with it. It must not be changed while a Signer uses it. A *SharedKey is also a [Source] that
// returns itself.
type SharedKey struct {
	// ID names the key to the server. It is sent in clear.
	ID string

	// Key is used unchanged; base64 is not decoded.
	Key Secret

	// Algorithm is the hash of the MAC, by a name that the scheme knows. Package mac knows sha256,
	// sha1, hmac-sha-256 and hmac-sha-1. If empty, SHA-256.
	Algorithm string

	// Expires is the end of the key, by this machine's clock. If zero, the end is unknown, or the
	// key does not expire.
	Expires time.Time
}

var _ Source[*SharedKey] = (*SharedKey)(nil)

// Format writes k without its key, in the same form for every verb. Without it, package fmt would
// print the key when it formats a struct that points to k with a verb for text, such as %s.
func (k SharedKey) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{ID:%s Key:%s Algorithm:%s Expires:%s}", k.ID, k.Key, k.Algorithm, k.Expires)
}

// Credentials returns k. It never returns an error.
func (k *SharedKey) Credentials(context.Context) (*SharedKey, error) { return k, nil }
