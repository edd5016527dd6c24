package mac

import "github.com/countersign-go/countersign/creds"

// Credentials are the key that a client signs with (draft-ietf-oauth-v2-http-mac-01, section 2).
// The ID and the Key must be printable ASCII without '"' and '\'. The Algorithm must be [SHA256],
// [SHA1], or one of their synonyms sha256 and sha1. An empty Algorithm means SHA256.
type Credentials = creds.SharedKey

// The algorithms of the draft.
const (
	SHA256 = "hmac-sha-256" // the default for an empty Algorithm
	SHA1   = "hmac-sha-1"   // for servers that support no other
)
