package bearer

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/countersign-go/countersign/internal/strictjson"
)

// A problem is what is wrong with a token. No text holds anything of the token.
type problem string

func (p problem) Error() string { return string(p) }

const (
	errLongToken  problem = "it is too long"
	errParts      problem = "it has not three parts"
	errEncoding   problem = "a part is not exactly base64url"
	errAlg        problem = "its alg is not that of the key"
	errSignature  problem = "the signature is wrong"
	errKeyID      problem = "its kid is over 1024 bytes"
	errCritical   problem = "it has crit, b64, enc or zip, which change its meaning"
	errNested     problem = "its cty names another token"
	errKind       problem = "its typ is that of another kind of token"
	errNotText    problem = "a claim or header parameter that has to be text is not"
	errSimilar    problem = "a name differs from a registered one only by case"
	errHeaderJSON problem = "its header"
	errClaimsJSON problem = "its claims"
)

// A jws is a token in the compact serialization (RFC 7515, section 3.1), taken apart. Nothing of it
// is known to be genuine.
type jws struct {
	alg, kid, typ string // "": absent
	text          string // what the signature is of
	payload       []byte
	signature     []byte
}

// base64url has one text for each value (RFC 7515, section 2): no padding, and no bits to spare.
var base64url = base64.RawURLEncoding.Strict()

// parseJWS takes a token apart. What it accepts is the only spelling of what it returns.
func parseJWS(token string) (*jws, error) {
	if len(token) > maxToken {
		return nil, errLongToken
	}
	text, signature, _ := cutLast(token, '.')
	header, payload, found := strings.Cut(text, ".")
	if !found || strings.IndexByte(payload, '.') >= 0 {
		return nil, errParts
	}
	t := &jws{text: text}
	head, err := decodePart(header)
	if err == nil {
		t.payload, err = decodePart(payload)
	}
	if err == nil {
		t.signature, err = decodePart(signature)
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

// maxKeyID is the length in bytes of the longest key id. It may hold any characters (RFC 7515,
// section 4.1.4): cloud services use names of 75 to 150 of them.
const maxKeyID = 1024

// maxHeaderValues is how many values the header of a token may hold, those inside of others
// included. RFC 7515 registers 11 parameters, so the header of a real token holds fewer. The bound
// is for the work that a forged token causes before its signature is found to be wrong.
const maxHeaderValues = 64

// readHeader reads what says how to check the signature. A key that comes with the token (jwk, jku,
// x5u, x5c) is not looked at: anybody can send one.
func (t *jws) readHeader(data []byte) error {
	header, err := strictjson.Limits{Values: maxHeaderValues}.Object(data)
	if err != nil {
		return fmt.Errorf("%w: %w", errHeaderJSON, err)
	}
	if similar(header, headerNames) {
		return errSimilar
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
	}{{"alg", &t.alg}, {"kid", &t.kid}, {"typ", &t.typ}, {"cty", &cty}} {
		if v, ok := header[text.name]; ok {
			if *text.value, ok = v.(string); !ok {
				return errNotText
			}
		}
	}
	if len(t.kid) > maxKeyID {
		return errKeyID
	}
	if mediaType(cty) == "jwt" {
		return errNested
	}
	return nil
}

// similar reports whether object has a name that a careless reader takes for a registered one.
func similar(object map[string]any, registered []string) bool {
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

// isKind reports whether typ is want. A token that names another kind was made for something else,
// such as a logout or an e-mail address (RFC 8725, section 3.11). JOSE only says that the token is
// in the compact form (RFC 7515, section 4.1.9).
func isKind(typ, want string) bool {
	typ, want = mediaType(typ), mediaType(want)
	if want == "" {
		return typ == "" || typ == "jwt" || typ == "at+jwt" || typ == "jose"
	}
	return typ == want
}
