package place

import (
	"encoding/base64"
	"strings"
)

// Pyramid is the [Encoding] of pyramid_jwt: base64 of the token as a JSON string. A token contains
// nothing that JSON must escape.
type Pyramid struct{}

// Encode returns the value of the cookie in which pyramid_jwt would send token.
func (Pyramid) Encode(token string) string {
	return base64.URLEncoding.EncodeToString([]byte(`"` + token + `"`))
}

// Decode returns the token in the value of a cookie of pyramid_jwt.
func (Pyramid) Decode(value string) (string, error) {
	text, err := base64.URLEncoding.Strict().DecodeString(value)
	if err != nil {
		return "", ErrNoToken
	}
	// In JSON, a token is between quotes and needs no escapes.
	token, opened := strings.CutPrefix(string(text), `"`)
	token, closed := strings.CutSuffix(token, `"`)
	if !opened || !closed || !IsToken(token) {
		return "", ErrNoToken
	}
	return token, nil
}
