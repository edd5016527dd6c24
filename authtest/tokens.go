package authtest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/jwt"
)

const tokenMethod = "HS256"

// errNotYet means that the token is genuine but not valid yet: it begins later.
var errNotYet = errors.New("authtest: the token begins later")

// newJWT returns a signer that makes tokens with the service's key.
func (c *core) newJWT(user string) *jwt.Signer {
	claims := map[string]any{"sub": user}
	return &jwt.Signer{
		Key: c.secret, Method: tokenMethod, TokenID: true,
		Claims: func(*http.Request) (map[string]any, error) { return claims, nil },
	}
}

// token makes a token by the service's clock.
func (v *visit) token(subject string) (id, text string, err error) {
	if text, err = v.newJWT(subject).Token(subject, nil, v.lifetime); err != nil {
		return "", "", err
	}
	text, id, _ = v.shift(text, v.faults.Offset)
	return id, text, nil
}

// tokens returns a verifier of tokens.
func (v *visit) tokens() *tokenDoor {
	return &tokenDoor{Verifier: &jwt.Verifier{Keys: v.key}, visit: v}
}

type tokenDoor struct {
	*jwt.Verifier

	visit *visit
}

// Authenticate passes a token to the Verifier, which knows only this machine's clock. So it first
// shifts the token's times from the service's clock to this machine's. It passes on a token that is
// not genuine unchanged, and the Verifier refuses it.
func (d *tokenDoor) Authenticate(req *http.Request) (*auth.Identity, error) {
	v := d.visit
	seen := req.Clone(req.Context())
	scheme, token, _ := strings.Cut(seen.Header.Get("Authorization"), " ")
	token, id, genuine := v.shift(token, -v.faults.Offset)
	if genuine {
		seen.Header.Set("Authorization", scheme+" "+token)
	}
	identity, err := d.Verifier.Authenticate(seen)
	switch {
	case err == nil:
	case genuine && !errors.Is(err, jwt.ErrExpired) && !errors.Is(err, auth.ErrNone):
		return nil, fmt.Errorf("%w: %w", errNotYet, err)
	default:
		return nil, err
	}
	if v.cause = v.judge(v.known(id, identity)); v.cause != "" {
		return nil, jwt.ErrRefused
	}
	return identity, nil
}

// known returns the grant of a token. If a client has made the token, it adds a grant for it.
func (v *visit) known(id string, identity *auth.Identity) *grant {
	v.mu.Lock()
	defer v.mu.Unlock()
	g := v.grants[id]
	if g == nil {
		g = &grant{id: id, subject: identity.Subject, born: time.Now(), expires: identity.Expires}
		v.grants[id] = g
	}
	return g
}

// shift returns a token of the service with its times moved by the given duration, and its id. If
// the token is not signed with the service's key, it returns the token unchanged, and false.
func (c *core) shift(token string, by time.Duration) (shifted, id string, genuine bool) {
	text, signature, _ := cutLast(token)
	if !hmac.Equal([]byte(signature), []byte(c.sign(text))) {
		return token, "", false
	}
	head, payload, _ := strings.Cut(text, ".")
	data, err := base64.RawURLEncoding.DecodeString(payload)
	claims := make(map[string]any)
	read := json.NewDecoder(bytes.NewReader(data))
	read.UseNumber()
	if err != nil || read.Decode(&claims) != nil {
		return token, "", false
	}
	if id, _ = claims["jti"].(string); id == "" {
		id = signature
	}
	if by == 0 {
		return token, id, true
	}
	for _, name := range []string{"iat", "nbf", "exp"} {
		if n, ok := claims[name].(json.Number); ok {
			if seconds, err := strconv.ParseInt(n.String(), 10, 64); err == nil {
				claims[name] = seconds + int64(by/time.Second)
			}
		}
	}
	if data, err = json.Marshal(claims); err != nil {
		return token, "", false
	}
	text = head + "." + base64.RawURLEncoding.EncodeToString(data)
	return text + "." + c.sign(text), id, true
}

func cutLast(token string) (text, signature string, ok bool) {
	i := strings.LastIndexByte(token, '.')
	if i < 0 {
		return token, "", false
	}
	return token[:i], token[i+1:], true
}

func (c *core) sign(text string) string {
	h := hmac.New(sha256.New, c.secret)
	h.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}
