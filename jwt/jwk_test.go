package jwt_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"maps"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/jwt"
)

// TestJWKSKeys checks which keys of a set are used, and with which method.
func TestJWKSKeys(t *testing.T) {
	type set = []map[string]any
	ec, longID := ecKey(), strings.Repeat("k", 1025)
	with := func(name string, value any) map[string]any { return map[string]any{name: value} }
	other := jwk(newEC(), "other", nil) // so that a token without kid has no key
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	p521 := must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	d := base64.RawURLEncoding.EncodeToString(must(ec.Bytes()))
	weak := base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 128))
	huge := base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 2049))
	ed := map[string]any{"kty": "OKP", "crv": "Ed25519", "kid": "a",
		"x": base64.RawURLEncoding.EncodeToString(edKey()[32:])}
	edNamed := maps.Clone(ed)
	edNamed["alg"] = "Ed25519"
	const arn = "arn:aws:kms:eu-west-1:123456789012:key/0f0e0d0c-0b0a-0908-0706-050403020100"
	for _, c := range []struct {
		name string
		keys set
		kid  string
		want string // the method of the key; "" if the key is ignored
	}{
		{"EC", set{jwk(ec, "a", nil), other}, "a", "ES256"},
		{"EC with alg", set{jwk(ec, "a", with("alg", "ES256")), other}, "a", "ES256"},
		{"EC of P-384", set{jwk(p384, "a", nil), other}, "a", "ES384"},
		{"EC of P-521", set{jwk(p521, "a", nil), other}, "a", "ES512"},
		{"Ed25519", set{ed, other}, "a", "EdDSA"},
		{"RSA", set{rsaJWK("a", nil), other}, "a", "RS256"},
		{"RSA with alg", set{rsaJWK("a", with("alg", "PS384")), other}, "a", "PS384"},
		{"for signatures", set{jwk(ec, "a", with("use", "sig")), other}, "a", "ES256"},
		{"key_ops verify",
			set{jwk(ec, "a", with("key_ops", []string{"verify"})), other}, "a", "ES256"},
		{"kid of 1024", set{jwk(ec, longID[1:], nil), other}, longID[1:], "ES256"},
		{"a member nobody knows", set{jwk(ec, "a", with("x-y", 1)), other}, "a", "ES256"},
		{"no kid, one key", set{jwk(ec, "", nil)}, "", "ES256"},
		{"no kid, one key with kid", set{jwk(ec, "a", nil)}, "", "ES256"},
		{"no kid, one key is usable",
			set{jwk(ec, "a", nil), rsaJWK("b", with("use", "enc"))}, "", "ES256"},

		{"kid of a cloud service", set{jwk(ec, arn, nil), other}, arn, "ES256"},
		{"kid not ASCII", set{jwk(ec, "schlüssel", nil), other}, "schlüssel", "ES256"},
		{"kid with a control character", set{jwk(ec, "\x1f", nil), other}, "\x1f", "ES256"},
		{"two of one kid and another method",
			set{rsaJWK("a", nil), jwk(ec, "a", nil), other}, "a", "RS256"},
		{"the same key twice", set{jwk(ec, "a", nil), jwk(ec, "a", nil), other}, "a", "ES256"},
		{"two of one method, and one", set{
			jwk(ec, "a", nil), rsaJWK("a", nil), jwk(newEC(), "a", nil)}, "a", "RS256"},
		{"no kid, the only key of its method",
			set{jwk(ec, "a", nil), other, rsaJWK("b", nil)}, "", "RS256"},
		{"key_ops none, and one that is good",
			set{jwk(newEC(), "b", with("key_ops", []string{})), jwk(ec, "a", nil)}, "a", "ES256"},
		{"key_ops none", set{jwk(ec, "a", with("key_ops", []string{})), other}, "a", ""},
		{"key_ops null", set{jwk(ec, "a", with("key_ops", nil)), other}, "a", "ES256"},
		{"use null", set{jwk(ec, "a", with("use", nil)), other}, "a", "ES256"},
		{"alg null", set{jwk(ec, "a", with("alg", nil)), other}, "a", "ES256"},
		{"private member null", set{jwk(ec, "a", with("d", nil)), other}, "a", "ES256"},
		{"certificates null", set{jwk(ec, "a", map[string]any{
			"x5c": nil, "x5t": nil, "x5t#S256": nil, "x5u": nil}), other}, "a", "ES256"},
		{"kid null, one key", set{jwk(ec, "", with("kid", nil))}, "", "ES256"},
		{"Ed25519 by its own name", set{edNamed, other}, "a", "Ed25519"},

		{"no kid, two keys", set{jwk(ec, "a", nil), other}, "", ""},
		{"no kid, two without", set{jwk(ec, "", nil), jwk(ec, "", nil), other}, "", ""},
		{"kid of a key without", set{jwk(ec, "", nil)}, "a", ""},
		{"other case", set{jwk(ec, "a", nil), other}, "A", ""},
		{"two of one kid and method", set{jwk(ec, "a", nil), jwk(newEC(), "a", nil), other},
			"a", ""},
		{"three of one kid and method", set{jwk(ec, "a", nil), jwk(newEC(), "a", nil),
			jwk(ec, "a", nil), other}, "a", ""},
		{"for encryption", set{jwk(ec, "a", with("use", "enc")), other}, "a", ""},
		{"for signing only",
			set{jwk(ec, "a", with("key_ops", []string{"sign"})), other}, "a", ""},
		{"key_ops no list", set{jwk(ec, "a", with("key_ops", "verify")), other}, "a", ""},
		{"private", set{jwk(ec, "a", with("d", d)), other}, "a", ""},
		{"symmetric", set{{
			"kty": "oct", "kid": "a", "alg": "HS256", "k": weak}, other}, "a", ""},
		{"alg of another kind", set{jwk(ec, "a", with("alg", "RS256")), other}, "a", ""},
		{"alg of another curve", set{jwk(ec, "a", with("alg", "ES384")), other}, "a", ""},
		{"alg of a secret", set{jwk(ec, "a", with("alg", "HS256")), other}, "a", ""},
		{"alg none", set{jwk(ec, "a", with("alg", "none")), other}, "a", ""},
		{"alg a number", set{jwk(ec, "a", with("alg", 1)), other}, "a", ""},
		{"RSA of 1024 bits", set{rsaJWK("a", with("n", weak)), other}, "a", ""},
		{"RSA of 16392 bits", set{rsaJWK("a", with("n", huge)), other}, "a", ""},
		{"point off the curve", set{jwk(ec, "a", with("x", weak[:43])), other}, "a", ""},
		{"unknown kind", set{jwk(ec, "a", with("kty", "XX")), other}, "a", ""},
		{"unknown curve", set{jwk(ec, "a", with("crv", "secp256k1")), other}, "a", ""},
		{"kid of 1025", set{jwk(ec, longID, nil), other}, longID, ""},
		{"kid a number", set{jwk(ec, "a", with("kid", 1)), other}, "1", ""},
	} {
		i := newIssuer(setOf(c.keys...))
		key, err := i.keys().VerificationKey(context.Background(), c.kid)
		switch {
		case c.want == "" && (key != nil || !errors.Is(err, jwt.ErrUnknownKey)):
			t.Errorf("%s: %v, %v", c.name, key, err)
		case c.want != "" && (err != nil || key.Method != c.want):
			t.Errorf("%s: %v, %v, want %s", c.name, key, err, c.want)
		}
	}
}

// TestJWKSVerifies verifies a token with each kind of key, and chooses the method of RSA keys.
func TestJWKSVerifies(t *testing.T) {
	set := setOf(jwk(ecKey(), "ec", nil), rsaJWK("rsa", nil), map[string]any{
		"kty": "OKP", "crv": "Ed25519", "kid": "ed",
		"x": base64.RawURLEncoding.EncodeToString(edKey()[32:])})
	i := newIssuer(set)
	keys := i.keys()
	keys.Method = "PS256"
	for _, c := range []struct {
		kid, method string
		key         any
		want        error
	}{
		{"ec", "ES256", ecKey(), nil},
		{"ed", "EdDSA", edKey(), nil},
		{"rsa", "PS256", rsaKey(), nil},
		{"rsa", "RS256", rsaKey(), jwt.ErrRefused},
		{"ec", "EdDSA", edKey(), jwt.ErrRefused},
		{"ec", "ES256", newEC(), jwt.ErrRefused},
	} {
		err := verdict(keys, tokenBy(t, c.key, c.method, c.kid))
		i.expect(t, c.kid+" "+c.method, err, c.want, 1)
	}
}

// TestJWKSNames checks that kid, key type and method together name a key: one kid may stand for
// several keys.
func TestJWKSNames(t *testing.T) {
	alg := func(name string) map[string]any { return map[string]any{"alg": name} }
	shared := newIssuer(setOf(rsaJWK("a", alg("RS256")), rsaJWK("a", alg("RS384")),
		rsaJWK("a", alg("PS512")), jwk(ecKey(), "a", nil))).keys()
	nameless := newIssuer(setOf(rsaJWK("a", alg("RS256")), jwk(ecKey(), "b", nil))).keys()
	double := newIssuer(setOf(
		jwk(newEC(), "a", nil), rsaJWK("a", nil), jwk(newEC(), "a", nil))).keys()
	for _, c := range []struct {
		name        string
		keys        jwt.KeySet
		kid, method string
		key         any
		want        error
	}{
		{"first", shared, "a", "RS256", rsaKey(), nil},
		{"second", shared, "a", "RS384", rsaKey(), nil},
		{"third", shared, "a", "PS512", rsaKey(), nil},
		{"of another kind", shared, "a", "ES256", ecKey(), nil},
		{"method of none", shared, "a", "RS512", rsaKey(), jwt.ErrRefused},
		{"method of none", shared, "a", "HS256", mintSecret, jwt.ErrRefused},
		{"another key", shared, "a", "ES256", newEC(), jwt.ErrRefused},
		{"behind a KeySet of one's own", wrapped{shared}, "a", "ES256", ecKey(), nil},
		{"no kid", nameless, "", "ES256", ecKey(), nil},
		{"no kid", nameless, "", "RS256", rsaKey(), nil},
		{"no kid", nameless, "", "PS256", rsaKey(), jwt.ErrRefused},
		{"the one that is not double", double, "a", "RS256", rsaKey(), nil},
		{"the double one", double, "a", "ES256", ecKey(), jwt.ErrRefused},
	} {
		if err := verdict(c.keys, tokenBy(t, c.key, c.method, c.kid)); !errors.Is(err, c.want) {
			t.Errorf("%s, %s: %v, want %v", c.name, c.method, err, c.want)
		}
	}
	v := &jwt.Verifier{Keys: shared}
	forged := tokenBy(t, newEC(), "ES256", "a")
	if text := jwt.Explain(withToken(forged), v); !strings.Contains(text, "signature is wrong") {
		t.Errorf("Explain looked at another key: %s", text)
	}
}

// wrapped is a user's own KeySet around another.
type wrapped struct{ jwt.KeySet }

// TestEd25519 checks that Ed25519 and EdDSA are two names of one method (RFC 9864, section 2.2) in
// a key set, a Key, a Signer and a Session.
func TestEd25519(t *testing.T) {
	public := map[string]any{"kty": "OKP", "crv": "Ed25519", "kid": "a",
		"x": base64.RawURLEncoding.EncodeToString(edKey()[32:])}
	for _, alg := range []any{"Ed25519", "EdDSA", nil} {
		public["alg"] = alg
		keys := newIssuer(setOf(public)).keys()
		for _, method := range []string{"Ed25519", "EdDSA"} {
			j := &jwt.Signer{Method: method, Key: edKey(), KeyID: "a"}
			token, err := j.Token("ann", nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			if header, _ := opened(t, token); header["alg"] != method {
				t.Errorf("Method %s made alg %v", method, header["alg"])
			}
			if err := verdict(keys, token); err != nil {
				t.Errorf("key with alg %v, token of %s: %v", alg, method, err)
			}
			for _, own := range []string{"Ed25519", "EdDSA"} {
				key := &jwt.Key{Method: own, Key: edKey().Public()}
				if err := verdict(key, token); err != nil {
					t.Errorf("key for %s, token of %s: %v", own, method, err)
				}
				s := &jwt.Session{Signer: j, Verifier: &jwt.Verifier{Keys: key}}
				if err := s.Set(httptest.NewRecorder(), "ann", nil); err != nil {
					t.Errorf("session: key for %s, token of %s: %v", own, method, err)
				}
			}
		}
		if err := verdict(keys, tokenBy(t, ecKey(), "ES256", "a")); !errors.Is(err,
			jwt.ErrRefused) {
			t.Errorf("another method: %v", err)
		}
	}
}

// TestJWKSSetup_F9 checks that a JWKS with wrong fields fetches nothing, and names the field.
func TestJWKSSetup_F9(t *testing.T) {
	for _, c := range []struct{ url, method, want string }{
		{"", "", "URL"},
		{"keys", "", "URL"},
		{"http://issuer.example/keys", "", "URL"},
		{"http://localhost.evil.example/keys", "", "URL"},
		{"http://127.0.0.1.example/keys", "", "URL"},
		{"ftp://issuer.example/keys", "", "URL"},
		{"https://ann:secret@issuer.example/keys", "", "URL"},
		{"https:///keys", "", "URL"},
		{"https://issuer.example/\x00", "", "URL"},
		{keysURL, "HS256", "Method"},
		{keysURL, "ES256", "Method"},
		{keysURL, "RS1", "Method"},
		{keysURL, "rs256", "Method"},
		{"https://issuer.example/keys?x=1", "PS512", ""},
		{"http://127.0.0.1:8080/keys", "", ""},
		{"http://[::1]/keys", "", ""},
		{"http://LOCALHOST/keys", "", ""},
	} {
		i := newIssuer(setOf(jwk(ecKey(), "a", nil)))
		keys := i.keys()
		keys.URL, keys.Method = c.url, c.method
		_, err := keys.VerificationKey(context.Background(), "a")
		switch {
		case c.want == "":
			i.expect(t, c.url+c.method, err, nil, 1)
		case err == nil || !strings.Contains(err.Error(), "its "+c.want+" ") ||
			strings.Contains(err.Error(), "secret"):
			t.Errorf("%s %s: %v", c.url, c.method, err)
		default:
			i.expect(t, c.url+c.method, err, auth.ErrUnavailable, 0)
		}
	}
}
