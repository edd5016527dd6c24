package jwt

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/internal/jose"
	"github.com/countersign-go/countersign/internal/place"
)

// Explain says in one sentence why v does not accept the token in req, and how to fix that. It is
// for logs and tests, not for the response, since it names claims of a genuine token. It shows no
// part of keys or signatures. It calls Keys, Revoked and Groups of v. If v is nil, a zero Verifier
// is used.
func Explain(req *http.Request, v *Verifier) string {
	if v == nil {
		v = new(Verifier)
	}
	p, err := v.place()
	if err != nil {
		return err.Error()
	}
	token, err := p.Get(req.Header)
	switch {
	case errors.Is(err, place.ErrNoToken):
		return v.explainBroken(req, p.Raw(req.Header))
	case err != nil:
		return "there is " + err.Error() + ": send one, in one field"
	case token == "":
		return elsewhere(req.Header, p)
	}
	if _, err := jose.Parse(token); err != nil {
		return v.explainBroken(req, token)
	}
	return v.explainToken(req, token)
}

var _ auth.Explainer = (*Verifier)(nil)

// Explain calls the function [Explain], and implements [auth.Explainer]. The error is always nil.
func (v *Verifier) Explain(req *http.Request) (string, error) { return Explain(req, v), nil }

// elsewhere looks for a token in the places that the Verifier does not read.
func elsewhere(header http.Header, p place.Place) string {
	isJWS := func(s string) bool {
		_, err := jose.Parse(s)
		return err == nil
	}
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for _, line := range header[name] {
			word, rest, found := strings.Cut(line, " ")
			switch {
			case name == "Cookie":
				for pair := range strings.SplitSeq(line, ";") {
					cookie, value, _ := strings.Cut(textproto.TrimString(pair), "=")
					value = place.Unquoted(value)
					if isJWS(decoded(value)) {
						return fmt.Sprintf("the token is in the cookie %.64q, encoded by "+
							"pyramid_jwt: set Cookie, and Encoding to pyramid.Cookie", cookie)
					}
					if isJWS(value) {
						return fmt.Sprintf("the token is in the cookie %.64q: set Cookie", cookie)
					}
				}
			case isJWS(line) && name == p.Header:
				return fmt.Sprintf("there is no %q in front of the token", p.Scheme)
			case isJWS(line):
				return fmt.Sprintf("the token is in the field %.64q: set Header", name)
			case found && isJWS(strings.TrimSpace(rest)) && place.IsWord(word):
				return fmt.Sprintf("the token is in the field %.64q behind the word %.64q: "+
					"set Header or Scheme", name, word)
			}
		}
	}
	return "there is no token in the request, or none that is a JSON Web Token: it was not sent, " +
		"or a redirect or a proxy has taken it away"
}

// explainBroken tries to repair a text that is not a token.
func (v *Verifier) explainBroken(req *http.Request, text string) string {
	if len(text) > jose.MaxToken {
		return place.ErrLong.Error()
	}
	for _, as := range []struct {
		with, text string
	}{
		{"without the blanks around it", strings.TrimSpace(text)},
		{"without the quotes around it", strings.Trim(strings.TrimSpace(text), `"'`)},
		{"without the b'' of Python around it",
			strings.TrimSuffix(strings.TrimPrefix(text, "b'"), "'")},
		{"without a second word in front", text[strings.LastIndexByte(text, ' ')+1:]},
		{"with the percent encoding undone", unescape(text)},
		{"without padding", strings.ReplaceAll(text, "=", "")},
		{"in base64url instead of base64",
			strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(text)},
		{"without what pyramid_jwt puts around it in a cookie", decoded(text)},
	} {
		if _, err := jose.Parse(as.text); err == nil && as.text != text {
			return "the token would be read " + as.with + ", and then: " +
				v.explainToken(req, as.text)
		}
	}
	_, err := jose.Parse(text)
	switch dots := strings.Count(text, "."); {
	case dots == 4:
		return "the token has five parts: it is encrypted, and this Verifier reads signed ones"
	case errors.Is(err, jose.ErrParts) && dots < 2 && strings.HasPrefix(text, "ey"):
		return "the token has not three parts: it was cut off"
	case errors.Is(err, jose.ErrParts):
		return "there is no JSON Web Token, but something opaque: ask its issuer about it"
	case err == nil:
		return v.explainToken(req, text)
	}
	return "there is no token that can be read: " + err.Error() + ": it was changed, or cut off"
}

func unescape(text string) string {
	text, err := url.PathUnescape(text)
	if err != nil {
		return ""
	}
	return text
}

// decoded returns the token in a cookie value of pyramid_jwt, or "".
func decoded(value string) string {
	token, err := place.Pyramid{}.Decode(value)
	if err != nil {
		return ""
	}
	return token
}

// explainToken explains a token that can be parsed.
func (v *Verifier) explainToken(req *http.Request, token string) string {
	_, err := v.identify(req.Context(), token)
	if err == nil {
		return "the token is accepted"
	}
	t, parseErr := jose.Parse(token)
	if parseErr != nil {
		return err.Error()
	}
	switch {
	case errors.Is(err, ErrUnknownKey):
		return v.explainKeyID(t)
	case errors.Is(err, errAlg), errors.Is(err, errSignature):
		if key, err := v.Keys.VerificationKey(req.Context(), t.KeyID); err == nil && key != nil {
			return explainSignature(t, key.forMethod(t.Alg))
		}
	}
	if claims, claimsErr := readClaims(t.Payload); claimsErr == nil {
		if text := v.explainClaims(err, claims, time.Now()); text != "" {
			return text
		}
	}
	return err.Error()
}

func (v *Verifier) explainKeyID(t *jose.JWS) string {
	text := fmt.Sprintf("there is no key of the id %.256q here: compare the kid of the token with "+
		"the ids in Keys", t.KeyID)
	if m, ok := v.Keys.(KeyMap); ok {
		for id, key := range m {
			if key == nil {
				continue
			}
			ready, err := key.prepared()
			if err == nil && jose.Same(ready.Name, t.Alg) && ready.verify(t.Text, t.Signature) {
				return text + fmt.Sprintf("; that of %.256q has signed it", id)
			}
		}
	}
	return text
}

// explainSignature tries the common mistakes in the conversion of a key.
func explainSignature(t *jose.JWS, key *Key) string {
	ready, err := key.prepared()
	if err != nil {
		return err.Error()
	}
	hmac := func(secret []byte) bool {
		a, _ := jose.ByName(t.Alg)
		return a.Symmetric() &&
			libraryMethods[t.Alg].Verify(t.Text, t.Signature, secret) == nil
	}
	if !jose.Same(t.Alg, ready.Name) {
		if slices.ContainsFunc(keyFiles(key, ready), hmac) {
			return "the token is signed with the public key as a secret, which anyone could " +
				"do: its issuer has to use " + ready.Name + " and the private key"
		}
		text := fmt.Sprintf("the token is signed by %.16q and the key is for %s: set the Method "+
			"of one side to that of the other", t.Alg, ready.Name)
		if secret, ok := ready.verifies.([]byte); ok && !hmac(secret) {
			text += "; besides, the secret differs"
		}
		return text
	}
	if secret, ok := ready.verifies.([]byte); ok {
		for _, as := range otherSecrets(secret) {
			if hmac(as.secret) {
				return "the signature would match with " + as.with +
					": one side converts the key, and both have to use it as it is"
			}
		}
	}
	if want := ready.Size(ready.verifies); len(t.Signature) < want {
		return fmt.Sprintf("the signature has %d bytes, and one of %s has %d: the token was cut "+
			"off", len(t.Signature), t.Alg, want)
	}
	return "the signature is wrong, and no known distortion explains it: the key is another one, " +
		"or the token was changed"
}

// keyFiles returns the common file formats of a public key.
func keyFiles(key *Key, ready *signingKey) (files [][]byte) {
	if file, ok := octets(key.Key); ok {
		files = append(files, file)
	}
	der, err := x509.MarshalPKIXPublicKey(ready.verifies)
	if err != nil {
		return files
	}
	file := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return append(files, file, file[:len(file)-1], der)
}

type otherSecret struct {
	with   string
	secret []byte
}

func otherSecrets(secret []byte) (all []otherSecret) {
	text := strings.TrimSpace(string(secret))
	for _, e := range []*base64.Encoding{
		base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding,
	} {
		if decoded, err := e.DecodeString(text); err == nil {
			all = append(all, otherSecret{"the key decoded from base64", decoded})
		}
		all = append(all, otherSecret{"the key encoded in base64", e.AppendEncode(nil, secret)})
	}
	if decoded, err := hex.DecodeString(text); err == nil {
		all = append(all, otherSecret{"the key decoded from hexadecimal", decoded})
	}
	return append(all,
		otherSecret{"the key encoded in hexadecimal", hex.AppendEncode(nil, secret)},
		otherSecret{"the key without the blanks around it", []byte(text)},
		otherSecret{"a line feed at the end of the key", []byte(text + "\n")})
}

// explainClaims explains, with figures, which claim of a genuine token is wrong. It returns "" for
// other reasons.
func (v *Verifier) explainClaims(why error, claims map[string]any, now time.Time) string {
	by := func(name string) time.Duration {
		t, _, _ := date(claims, name)
		return now.Sub(t).Round(time.Second).Abs()
	}
	const clock = ": compare the clocks, or allow for them by Leeway"
	switch {
	case errors.Is(why, errExpired):
		return fmt.Sprintf("the token expired %v ago, and the Leeway is %v: fetch a new one, or "+
			"compare the clocks", by("exp"), v.Leeway)
	case errors.Is(why, errNotYet):
		return fmt.Sprintf("the token begins in %v, by its nbf", by("nbf")) + clock
	case errors.Is(why, errFromAhead):
		return fmt.Sprintf("the token is from %v ahead, by its iat", by("iat")) + clock
	case errors.Is(why, errAudience), errors.Is(why, errNoAudience):
		return fmt.Sprintf("the token is for %.256q and this service is %.256q: set Audience, or "+
			"ask for a token for this one", fmt.Sprint(claims["aud"]), v.Audience)
	case errors.Is(why, errIssuer):
		return fmt.Sprintf("the token is from %.256q and not from %.256q: compare them letter by "+
			"letter, a slash at the end too", fmt.Sprint(claims["iss"]), v.Issuer)
	case errors.Is(why, errNoExpiry):
		return "the token has no exp: have its issuer set one, or set NoExpiry"
	}
	return ""
}
