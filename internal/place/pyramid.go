package place

import (
	"encoding/base64"
	"strings"
)

// Pyramid is the [Encoding] of pyramid_jwt: the base64 of the token's JSON text. A token holds
// nothing that JSON would have to escape.
type Pyramid struct{}

// Encode writes token as pyramid_jwt has it in its cookies.
func (Pyramid) Encode(token string) string {
	return base64.URLEncoding.EncodeToString([]byte(`"` + token + `"`))
}

// Decode reads the value of a cookie of pyramid_jwt.
func (Pyramid) Decode(value string) (string, error) {
	text, err := base64.URLEncoding.Strict().DecodeString(value)
	if err != nil {
		return "", ErrNoToken
	}
	// In JSON, a token stands between quotes and needs no escapes.
	token, opened := strings.CutPrefix(string(text), `"`)
	token, closed := strings.CutSuffix(token, `"`)
	if !opened || !closed || !IsToken(token) {
		return "", ErrNoToken
	}
	return token, nil
}
