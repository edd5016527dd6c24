// Package provision fetches MAC credentials from an endpoint. A [Client] is the Source of a Signer,
// and calls the endpoint whenever the Signer needs new ones. [Marshal] and [Unmarshal] are the JSON
// form in which credentials are sent and stored. Package provision/issue has the server.
//
// The answer of the endpoint is a JSON object with the members id and key, both text. It may have
// an algorithm or hashalg; without one, the algorithm is hmac-sha-1. It may have an api_endpoint.
// The credentials end at the first of these that is there:
//
//   - expires_in or duration, in seconds from the answer on
//   - expires, in seconds since 1970, or else expires_at, which may also be a time as in RFC 3339;
//     both are by the server's clock, not by this machine's
//   - the end that an id of Mozilla's tokenlib contains
//
// Other members are ignored. Names and types are exact.
//
// Whatever the answer states, credentials count as good for 5 s at least and a day at most. A
// Client replaces shorter-lived ones when a server refuses them. A call takes at most 30 s, and its
// answer has at most 64 KiB. Redirects are followed only within the origin of the URL. Retry-After,
// X-Backoff and Backoff, with any status, keep the Client from calling again, for up to a day. If
// they come with good credentials, they hold only until those end.
package provision

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/seconds"
	"github.com/countersign-go/countersign/internal/strictjson"
)

// maxText is the limit for an id and for a key, in bytes: both must fit into header fields.
const maxText = 4096

// form is the JSON object, with its members in the order in which they are written.
type form struct {
	ID        string      `json:"id"`
	Key       string      `json:"key"`
	Algorithm string      `json:"algorithm"`
	Expires   json.Number `json:"expires,omitempty"`
}

// Marshal writes credentials as a JSON object, with the key in clear:
//
//	{"id":"...","key":"...","algorithm":"hmac-sha-256","expires":1400000300.5}
//
// algorithm is always present; expires, in seconds since 1970 with up to nine decimals, is omitted
// if it is zero. Anyone who reads the text can sign as the owner of the credentials.
func Marshal(c *creds.SharedKey) ([]byte, error) {
	f, err := formOf(c)
	if err != nil {
		return nil, fmt.Errorf("provision: credentials cannot be written: %w", err)
	}
	return json.Marshal(f)
}

func formOf(c *creds.SharedKey) (*form, error) {
	if c == nil {
		return nil, errors.New("they are nil")
	}
	f := &form{ID: c.ID, Key: string(c.Key), Algorithm: cmp.Or(c.Algorithm, hmacSHA256)}
	if name, ok := hashes[f.Algorithm]; ok {
		f.Algorithm = name
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	if c.Expires.IsZero() {
		return f, nil
	}
	var err error
	if f.Expires, err = seconds.Number(c.Expires); err != nil {
		return nil, fmt.Errorf("expires is %w", err)
	}
	return f, nil
}

// Unmarshal reads one JSON object as [Marshal] writes it, and the older form {"id","key"} as well.
// It also takes hashalg instead of algorithm, and expires_at instead of expires, each in the forms
// that a [Client] reads. Without an algorithm, hmac-sha-1 is meant, which services use that do not
// name one. Names are exact, and members other than those six are ignored. So members that count
// from the moment of an answer, such as expires_in, are lost. A null stands for an absent algorithm
// or expiry.
//
// Unmarshal returns an error for any text that could be read in two ways, for an id or key that
// does not fit into a header field, and for data longer than 64 KiB. Expires is returned even if it
// has passed.
func Unmarshal(data []byte) (*creds.SharedKey, error) {
	object, err := strictjson.Object(data)
	if err != nil {
		return nil, fmt.Errorf("provision: credentials cannot be read: %w", err)
	}
	c, err := credentialsOf(object)
	if err != nil {
		return nil, fmt.Errorf("provision: credentials cannot be read: %w", err)
	}
	return c, nil
}

// CheckAnswer returns an error if a [Client] could not read data as the answer of its endpoint. The
// error's text names a member of the answer, and no value.
func CheckAnswer(data []byte) error {
	object, err := strictjson.Object(data)
	if err == nil {
		_, err = replyOf(object)
	}
	return err
}

// redacted is the text that a creds.Secret prints as.
const redacted = "[redacted]"

func (f *form) check() error {
	if err := checkText("id", f.ID); err != nil {
		return err
	}
	if err := checkText("key", f.Key); err != nil {
		return err
	}
	if f.Key == redacted {
		return errors.New("key is a redacted one: write credentials with provision.Marshal")
	}
	if f.Algorithm != hmacSHA1 && f.Algorithm != hmacSHA256 {
		return errors.New("algorithm is neither hmac-sha-1 nor hmac-sha-256")
	}
	return nil
}

// checkText returns an error unless s follows the grammar of draft-ietf-oauth-v2-http-mac-01,
// section 2, so that no value can end the quoted string of a header field.
func checkText(name, s string) error {
	if s == "" {
		return fmt.Errorf("%s is empty", name)
	}
	if len(s) > maxText {
		return fmt.Errorf("%s is longer than %d bytes", name, maxText)
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\\' {
			return fmt.Errorf(`%s holds something other than printable ASCII without " and \`, name)
		}
	}
	return nil
}
