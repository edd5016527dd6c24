// Package jose reads signed JSON Web Tokens and the keys that they are signed with: the compact
// form of a JWS (RFC 7515), PEM files, and the algorithms of RFC 7518 with the keys that fit them.
// It writes public keys as JWK (RFC 7517). Its errors have no prefix and hold nothing of a token or
// key: the packages that return them add their own.
package jose

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/countersign-go/countersign/internal/strictjson"
)

// MaxToken is the length in bytes of the longest token that is read or made.
const MaxToken = 8 << 10

// The errors of Parse on which a caller acts.
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

// A JWS is a token in the compact serialization (RFC 7515, section 3.1), taken apart. Nothing of it
// is known to be genuine.
type JWS struct {
	Alg, KeyID, Type string // of the header; "": absent
	Text             string // the signed part of the token
	Payload          []byte
	Signature        []byte
}

// base64url has one text for each value (RFC 7515, section 2): no padding, and no bits to spare.
var base64url = base64.RawURLEncoding.Strict()

// Parse takes a token apart. What it accepts is the only spelling of what it returns.
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

// headerNames are those that this package or another reader could act upon (RFC 7515, section 4.1;
// RFC 7516, section 4.1; RFC 7797, section 3).
var headerNames = []string{
	"alg", "enc", "zip", "jku", "jwk", "kid", "x5u", "x5c", "x5t", "x5t#S256", "typ", "cty", "crit",
	"b64",
}

// MaxKeyID is the length in bytes of the longest key id. It may hold any characters (RFC 7515,
// section 4.1.4): cloud services use names of 75 to 150 of them.
const MaxKeyID = 1024

// maxHeaderValues is how many values the header of a token may hold, those inside of others
// included. RFC 7515 registers 11 parameters, so the header of a real token holds fewer. The bound
// is for the work that a forged token causes before its signature is found to be wrong.
const maxHeaderValues = 64

// readHeader reads what says how to check the signature. A key that comes with the token (jwk, jku,
// x5u, x5c) is not looked at: anybody can send one.
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

// Similar reports whether object has a name that a careless reader takes for a registered one.
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

// mediaType makes the spellings of a typ or cty equal (RFC 7515, section 4.1.9).
func mediaType(typ string) string {
	typ = strings.ToLower(typ)
	if short, found := strings.CutPrefix(typ, "application/"); found &&
		strings.IndexByte(short, '/') < 0 {
		return short
	}
	return typ
}

// IsKind reports whether typ is want. A token that names another kind was made for something else,
// such as a logout or an e-mail address (RFC 8725, section 3.11). JOSE only says that the token is
// in the compact form (RFC 7515, section 4.1.9).
func IsKind(typ, want string) bool {
	typ, want = mediaType(typ), mediaType(want)
	if want == "" {
		return typ == "" || typ == "jwt" || typ == "at+jwt" || typ == "jose"
	}
	return typ == want
}
