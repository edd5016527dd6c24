// Package jose reads signed JSON Web Tokens and their keys: the compact form of a JWS (RFC 7515),
// PEM files, and the algorithms of RFC 7518 with the keys that fit them. It writes public keys as
// JWK (RFC 7517). Its errors have no prefix and contain nothing from a token or key: the packages
// that return them add their own prefix.
package jose

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/countersign-go/countersign/internal/strictjson"
)

// MaxToken is the length of the longest token that is read or made, in bytes.
const MaxToken = 8 << 10

// The errors of Parse that callers handle.
var (
	ErrParts   = errors.New("it has not three parts")
	ErrSimilar = errors.New("a name differs from a registered one only by case")
	ErrNotText = errors.New("a claim or header parameter that has to be text is not")
)

var (
	errLong       = errors.New("it is too long")
	errEncoding   = errors.New("a part is not exactly base64url")
	errKeyID      = fmt.Errorf("its kid is over %d bytes", MaxKeyID)
	errCritical   = errors.New("it has crit, b64, enc or zip, which change its meaning")
	errNested     = errors.New("its cty names another token")
	errHeaderJSON = errors.New("its header")
)

// A JWS is a parsed token in the compact serialization (RFC 7515, section 3.1). It is not verified.
type JWS struct {
	Alg, KeyID, Type string // from the header; "" if absent
	Text             string // the signed part of the token
	Payload          []byte
	Signature        []byte
}

// base64url accepts one text for each value (RFC 7515, section 2): no padding, and no spare bits.
var base64url = base64.RawURLEncoding.Strict()

// Parse parses a token without verifying it. For each JWS that it returns, it accepts only one
// token.
func Parse(token string) (*JWS, error) {
	if len(token) > MaxToken {
		return nil, errLong
	}
	text, signature, _ := cutLast(token, '.')
	header, payload, found := strings.Cut(text, ".")
	if !found || strings.IndexByte(payload, '.') >= 0 {
		return nil, ErrParts
	}
	t := &JWS{Text: text}
	head, err := decodePart(header)
	if err == nil {
		t.Payload, err = decodePart(payload)
	}
	if err == nil {
		t.Signature, err = decodePart(signature)
	}
	if err != nil {
		return nil, err
	}
	return t, t.readHeader(head)
}

func cutLast(s string, sep byte) (before, after string, found bool) {
	i := strings.LastIndexByte(s, sep)
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+1:], true
}

func decodePart(part string) ([]byte, error) {
	// The decoder of the standard library skips line breaks.
	if strings.IndexByte(part, '\r') >= 0 || strings.IndexByte(part, '\n') >= 0 {
		return nil, errEncoding
	}
	data, err := base64url.DecodeString(part)
	if err != nil {
		return nil, errEncoding
	}
	return data, nil
}

// headerNames are the header parameters that this package or another reader could interpret (RFC
// 7515, section 4.1; RFC 7516, section 4.1; RFC 7797, section 3).
var headerNames = []string{
	"alg", "enc", "zip", "jku", "jwk", "kid", "x5u", "x5c", "x5t", "x5t#S256", "typ", "cty", "crit",
	"b64",
}

// MaxKeyID is the length of the longest key ID, in bytes. A key ID may contain any characters (RFC
// 7515, section 4.1.4). Cloud services use IDs of 75 to 150 characters.
const MaxKeyID = 1024

// maxHeaderValues is how many values the header of a token may contain, including nested ones. RFC
// 7515 registers 11 parameters, so the header of a real token has fewer. The bound limits the work
// that a forged token causes before its signature is found to be wrong.
const maxHeaderValues = 64

// readHeader reads the parameters that tell how to verify the signature. It ignores a key in the
// token (jwk, jku, x5u, x5c): an attacker can send one.
func (t *JWS) readHeader(data []byte) error {
	header, err := strictjson.Limits{Values: maxHeaderValues}.Object(data)
	if err != nil {
		return fmt.Errorf("%w: %w", errHeaderJSON, err)
	}
	if Similar(header, headerNames) {
		return ErrSimilar
	}
	for _, name := range []string{"crit", "b64", "enc", "zip"} {
		if _, ok := header[name]; ok {
			return errCritical
		}
	}
	var cty string
	for _, text := range []struct {
		name  string
		value *string
	}{{"alg", &t.Alg}, {"kid", &t.KeyID}, {"typ", &t.Type}, {"cty", &cty}} {
		if v, ok := header[text.name]; ok {
			if *text.value, ok = v.(string); !ok {
				return ErrNotText
			}
		}
	}
	if len(t.KeyID) > MaxKeyID {
		return errKeyID
	}
	if mediaType(cty) == "jwt" {
		return errNested
	}
	return nil
}

// Similar reports whether object has a name that differs from a registered one only by case, which
// a lenient reader would take for the registered one.
func Similar(object map[string]any, registered []string) bool {
	for name := range object {
		for _, r := range registered {
			if name != r && strings.EqualFold(name, r) {
				return true
			}
		}
	}
	return false
}

// mediaType returns a normal form of a typ or cty (RFC 7515, section 4.1.9).
func mediaType(typ string) string {
	typ = strings.ToLower(typ)
	if short, found := strings.CutPrefix(typ, "application/"); found &&
		strings.IndexByte(short, '/') < 0 {
		return short
	}
	return typ
}

// IsKind reports whether typ means want. A token of another type was made for another purpose, such
// as a logout or an e-mail address (RFC 8725, section 3.11). If want is "", the types of plain JWTs
// and access tokens fit. So does JOSE, which says only that the token has the compact form (RFC
// 7515, section 4.1.9).
func IsKind(typ, want string) bool {
	typ, want = mediaType(typ), mediaType(want)
	if want == "" {
		return typ == "" || typ == "jwt" || typ == "at+jwt" || typ == "jose"
	}
	return typ == want
}
