// Package provision fetches MAC credentials from an endpoint: a [Client] is the Source of a Signer,
// and asks the endpoint whenever the Signer needs new ones. [Marshal] and [Unmarshal] are the JSON
// form in which credentials travel and are stored. Package provision/issue has the server.
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

// maxText is the longest id and the longest key, in bytes: both must fit into header fields.
const maxText = 4096

// form is the JSON object, in the order in which it is written.
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
// algorithm is always there; expires, in seconds since 1970 with up to nine decimals, is left out
// if it is zero. Whoever reads the text can sign as the owner of the credentials.
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
// Instead of algorithm there may be hashalg, and instead of expires there may be expires_at, each
// in the forms that a [Client] reads. A form without an algorithm means hmac-sha-1, which services
// that do not name one use. Names are exact; others than those six are ignored, so that
// what counts from the moment of an answer, such as expires_in, is lost; null stands for an absent
// algorithm or expiry. It refuses whatever could be read in two ways, an id or key that does not
// fit into a header field, and anything longer than 64 KiB. Expires is returned as it is, also if
// it has passed.
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

// CheckAnswer returns an error if a [Client] could not read data as the answer of its endpoint. Its
// text names a member of the answer, and no value.
func CheckAnswer(data []byte) error {
	object, err := strictjson.Object(data)
	if err == nil {
		_, err = replyOf(object)
	}
	return err
}

// redacted is what a creds.Secret prints as.
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

// checkText checks for the grammar of draft-ietf-oauth-v2-http-mac-01, section 2, so that nothing
// can leave the quotes of a header field.
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
