package provision

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/seconds"
)

// FromToken returns the credentials in the answer of an OAuth 2.0 token endpoint whose token_type
// is mac (draft-ietf-oauth-v2-http-mac-01, section 5.1). id is the access_token, which is the key
// identifier of such a token. extra returns the other members by name, as the method Extra of an
// oauth2.Token does.
//
// mac_key and mac_algorithm are required. An expires_in counts from now, so call FromToken when the
// token has just come; for a stored token, set Expires to its Expiry. An error names the member
// that is missing or of a wrong type, and contains no value.
func FromToken(id string, extra func(string) any) (*creds.SharedKey, error) {
	if extra == nil {
		return nil, errors.New("provision: a token cannot be used: extra is nil: " +
			"give the method Extra of the token")
	}
	c, err := ofToken(id, extra)
	if err != nil {
		return nil, fmt.Errorf("provision: a token cannot be used: %w", err)
	}
	return c, nil
}

func ofToken(id string, extra func(string) any) (*creds.SharedKey, error) {
	kind, err := member(extra, "token_type")
	if err != nil {
		return nil, err
	}
	// The type is case-insensitive (RFC 6749, section 5.1).
	if kind != "" && !strings.EqualFold(kind, "mac") {
		return nil, errors.New("its token_type is not mac: ask the service for one that is")
	}
	key, err := member(extra, "mac_key")
	if err != nil {
		return nil, err
	}
	algorithm, err := member(extra, "mac_algorithm")
	if err != nil {
		return nil, err
	}
	if err := checkText("access_token", id); err != nil {
		return nil, err
	}
	if err := checkText("mac_key", key); err != nil {
		return nil, err
	}
	c := &creds.SharedKey{ID: id, Key: []byte(key), Algorithm: algorithm}
	if c.Algorithm != hmacSHA1 && c.Algorithm != hmacSHA256 {
		return nil, errors.New("mac_algorithm is neither hmac-sha-1 nor hmac-sha-256")
	}
	v := extra("expires_in")
	if v == nil || v == "" {
		return c, nil
	}
	left, err := seconds.Duration(number(v))
	if err != nil {
		return nil, fmt.Errorf("expires_in is %w", err)
	}
	if left <= 0 {
		return nil, errors.New("expires_in is over")
	}
	c.Expires = time.Now().Add(left)
	return c, nil
}

// member returns the text of a member, "" if it is absent.
func member(extra func(string) any, name string) (string, error) {
	v := extra(name)
	if v == nil {
		return "", nil
	}
	text, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("%s is not text", name)
	}
	return text, nil
}

// number converts the types that package oauth2 has for a number to json.Number.
func number(v any) any {
	switch v := v.(type) {
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return v
		}
		return json.Number(strconv.FormatFloat(v, 'f', -1, 64))
	case int64:
		return json.Number(strconv.FormatInt(v, 10))
	}
	return v
}
