package mac

import "github.com/countersign-go/countersign/creds"

// Credentials are the key that a client signs with (draft-ietf-oauth-v2-http-mac-01, section 2).
// The ID must be printable ASCII without '"' and '\', and the Algorithm one of [SHA256] and [SHA1],
// or sha256 or sha1, which mean the same.
type Credentials = creds.SharedKey

// The algorithms of the draft.
const (
	SHA256 = "hmac-sha-256" // also the meaning of an empty Algorithm
	SHA1   = "hmac-sha-1"   // for servers that know nothing else
)
