package mac

import (
	"context"
	"fmt"
	"time"

	"github.com/countersign-go/countersign/creds"
)

// Credentials are what a client signs with (draft-ietf-oauth-v2-http-mac-01, section 2). They must
// not be changed once a [Signer] uses them. A *Credentials is itself a [creds.Source], of itself.
type Credentials struct {
	ID        string       // the key identifier: printable ASCII without '"' and '\', sent in clear
	Key       creds.Secret // the key, used as it is: text in base64 is not decoded
	Algorithm Algorithm    // "": SHA256
	Expires   time.Time    // by the clock of this machine; zero: never, or unknown
}

// Format writes c without its key, in the same form for every verb. Without it, package fmt would
// print the key where a struct that points to c is formatted by a verb for text, such as %s.
func (c Credentials) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{ID:%s Key:%s Algorithm:%s Expires:%s}", c.ID, c.Key, c.Algorithm, c.Expires)
}

// Credentials returns c.
func (c *Credentials) Credentials(context.Context) (*Credentials, error) { return c, nil }

// An Algorithm is the hash of a MAC, by its name in the draft (section 2).
type Algorithm string

// The algorithms of the draft.
const (
	SHA256 Algorithm = "hmac-sha-256" // what the zero value means
	SHA1   Algorithm = "hmac-sha-1"   // for servers that know nothing else
)
