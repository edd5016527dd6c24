package jwt_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/jwt"
)

func inPEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func inBase64(data []byte) []byte {
	return []byte(base64std.EncodeToString(data))
}

// hardware is a crypto.Signer that does not expose its key.
type hardware struct{ signer crypto.Signer }

func (h *hardware) Public() crypto.PublicKey { return h.signer.Public() }

func (h *hardware) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	return h.signer.Sign(r, digest, o)
}

// A broken signer returns a useless signature.
type broken struct {
	hardware
	signature string // if "", an error
}

func (b *broken) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	if b.signature == "" {
		return nil, errDown
	}
	return []byte(b.signature), nil
}

// TestKeyForms checks all forms of a key for each method.
func TestKeyForms(t *testing.T) {
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	p521 := must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	spki := func(key any) []byte {
		return inPEM("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(key)))
	}
	pkcs8 := func(key any) []byte {
		return inPEM("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(key)))
	}
	secret := []byte(strings.Repeat("k", 64))
	r, e, ed := rsaKey(), ecKey(), edKey()
	rsaForms := []any{r, &r.PublicKey, &hardware{r}, spki(&r.PublicKey), creds.Secret(pkcs8(r)),
		inPEM("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&r.PublicKey)),
		inPEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(r))}
	for method, forms := range map[string][]any{
		"HS256": {secret, creds.Secret(secret)}, "HS384": {secret}, "HS512": {secret},
		"RS256": rsaForms, "RS384": {r}, "RS512": {r},
		"PS256": rsaForms, "PS384": {r}, "PS512": {r},
		"ES256": {e, &e.PublicKey, &hardware{e}, spki(&e.PublicKey), pkcs8(e),
			inPEM("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(e)))},
		"ES384": {p384, &hardware{p384}, &p384.PublicKey}, "ES512": {p521, &hardware{p521}},
		"EdDSA": {ed, ed.Public(), &hardware{ed}, spki(ed.Public()), pkcs8(ed)},
	} {
		token := tokenBy(t, forms[0], method, "")
		for _, form := range forms {
			key := &jwt.Key{Method: method, Key: form}
			if err := verdict(key, token); err != nil {
				t.Errorf("%s, %T: %v", method, form, err)
			}
			forged := token[:len(token)-4] + "AAAA"
			if err := verdict(key, forged); !errors.Is(err, jwt.ErrRefused) {
				t.Errorf("%s, %T: a forged token: %v", method, form, err)
			}
			signature, err := jwt.SignedBy(key, "text")
			if isPublic(form) {
				if !errors.Is(err, jwt.ErrKey) {
					t.Errorf("%s, %T signs: %v", method, form, err)
				}
				continue
			}
			if ok, err2 := jwt.VerifiedBy(key, "text", signature); !ok {
				t.Errorf("%s, %T does not verify what it signs: %v, %v", method, form, err, err2)
			}
		}
	}
}

func isPublic(key any) bool {
	switch k := key.(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey:
		return true
	case []byte:
		return strings.Contains(string(k), "PUBLIC KEY-----")
	}
	return false
}

// TestKeyRefused_J13 has keys that must not be used, and a part of the error.
func TestKeyRefused_J13(t *testing.T) {
	r, e, ed := rsaKey(), ecKey(), edKey()
	spki := must(x509.MarshalPKIXPublicKey(&r.PublicKey))
	public, pkcs1 := inPEM("PUBLIC KEY", spki), x509.MarshalPKCS1PublicKey(&r.PublicKey)
	weakRSA := &rsa.PublicKey{N: new(big.Int).Rsh(r.N, 1024), E: 65537}
	tiny := &rsa.PublicKey{N: new(big.Int).Rsh(r.N, 1025), E: 65537}
	huge := &rsa.PublicKey{N: new(big.Int).Lsh(r.N, 16384), E: 65537}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Unix(1<<32, 0)}
	cert := must(x509.CreateCertificate(rand.Reader, template, template, e.Public(), e))
	off := must(ecdsa.ParseUncompressedPublicKey(elliptic.P256(), must(e.PublicKey.Bytes())))
	off.Curve = elliptic.P384()
	jwkText := must(json.Marshal(rsaJWK("", nil)))
	curve := must(asn1.Marshal(asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}))
	var noRSA *rsa.PrivateKey
	for _, c := range []struct {
		name, method string
		key          any
		weak         bool
		want         string // "" if the key may be used
	}{
		{"31 bytes", "HS256", make([]byte, 31), false, "31 bytes, and HS256 needs 32"},
		{"31 bytes, weak", "HS256", make([]byte, 31), true, ""},
		{"63 bytes", "HS512", make([]byte, 63), false, "or allow this with Weak"},
		{"empty", "HS256", []byte{}, true, "the secret is empty"},
		{"nil", "HS256", nil, true, "needs a creds.Secret or []byte"},
		{"a text", "HS256", strings.Repeat("k", 64), true, "needs a creds.Secret or []byte"},
		{"PEM as secret, J2", "HS256", public, true, "a key file"},
		{"PEM behind something", "HS256", append([]byte("\n#\n"), public...), true, "a key file"},
		{"DER as secret", "HS256", spki, true, "a key file"},
		{"PKCS #1 as secret", "HS256", pkcs1, true, "a key file"},
		{"certificate as secret", "HS256", cert, true, "a key file"},
		{"key of SSH as secret", "HS256", []byte("ssh-ed25519 AAAA"), true, "a key file"},
		{"ECDSA key of SSH as secret", "HS256", []byte("ecdsa-sha2-nistp256 AAAA"), true,
			"a key file"},
		{"hardware key of SSH as secret", "HS256", []byte("sk-ssh-ed25519@openssh.com AAAA"), true,
			"a key file"},
		{"hardware ECDSA key of SSH", "HS256",
			[]byte("sk-ecdsa-sha2-nistp256@openssh.com AAAA"), true, "a key file"},
		{"key of SSH behind a blank", "HS256", []byte("\r\n ssh-rsa AAAA"), true, "a key file"},
		{"key of SSH2 as secret", "HS256", []byte("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA"), true,
			"a key file"},
		{"JWK as secret", "HS256", jwkText, true, "a key file"},
		{"JWK behind a new line", "HS256", append([]byte("\n"), jwkText...), true, "a key file"},
		{"DER before a new line", "HS256", append(bytes.Clone(spki), '\n'), true, "a key file"},
		{"DER in base64", "HS256", inBase64(spki), true, "a key file"},
		{"PKCS #1 in base64", "HS256", inBase64(pkcs1), true, "a key file"},
		{"certificate in base64", "HS256", inBase64(cert), true, "a key file"},
		{"PEM without its frame", "HS256",
			bytes.Join(bytes.Split(bytes.TrimSpace(public), []byte("\n"))[1:8], []byte("\r\n")),
			true, "a key file"},
		{"random bytes in base64", "HS256", inBase64(bytes.Repeat([]byte{0x30}, 48)), false, ""},
		{"words", "HS256", []byte("a secret of ours, ssh- and {} and \"kty\""), false, ""},
		{"public key as secret", "HS256", &r.PublicKey, true, "needs a creds.Secret or []byte"},

		{"RSA of 1024 bits", "RS256", weakRSA, false, "1024 bits, where 2048"},
		{"RSA of 1024 bits, weak", "RS256", weakRSA, true, ""},
		{"RSA of 1023 bits, weak", "RS256", tiny, true, "1023 bits"},
		{"RSA of 18432 bits", "RS256", huge, true, "over 16384 bits"},
		{"RSA without number", "RS256", &rsa.PublicKey{}, false, "does not fit"},
		{"no RSA key", "RS256", noRSA, false, "nil *rsa.PrivateKey"},
		{"no public RSA key", "RS256", (*rsa.PublicKey)(nil), false, "does not fit"},
		{"EC for RSA", "RS256", e, false, "does not fit RS256"},
		{"RSA for EC", "ES256", r, false, "does not fit ES256"},
		{"another curve", "ES384", e, false, "does not fit ES384"},
		{"off the curve", "ES384", off, false, "unusable key: "},
		{"no curve", "ES256", &ecdsa.PublicKey{}, false, "does not fit"},
		{"RSA for EdDSA", "EdDSA", r, false, "does not fit EdDSA"},
		{"short Ed25519", "EdDSA", ed25519.PublicKey{1}, false, "wrong length"},
		{"short private Ed25519", "EdDSA", ed25519.PrivateKey{1}, false, "wrong length"},
		{"pointer to a short one", "EdDSA", &ed25519.PrivateKey{1}, false, "wrong length"},
		{"pointer to none", "EdDSA", (*ed25519.PrivateKey)(nil), false, "nil *ed25519.PrivateKey"},
		{"pointer", "EdDSA", &ed, false, ""},
		{"short public Ed25519", "EdDSA", &shows{key: ed25519.PublicKey{1}}, false, "does not fit"},
		{"secret for RSA", "RS256", []byte("secret"), false, "not PEM"},
		{"nil for RSA", "RS256", nil, false, "it is nil"},
		{"empty for RSA", "RS256", creds.Secret{}, false, "it is empty"},
		{"a file name for RSA", "RS256", "key.pem", false, "a string does not fit"},
		{"cut PEM", "RS256", public[:100], false, "not PEM: its end is missing"},
		{"PEM with its line breaks escaped", "RS256",
			bytes.ReplaceAll(public, []byte("\n"), []byte(`\n`)), false, `two characters \n`},
		{"PEM with the last line break whole", "RS256",
			append(bytes.ReplaceAll(public, []byte("\n"), []byte(`\n`)), '\n'), false,
			`two characters \n`},
		{"PEM in one line", "RS256", bytes.ReplaceAll(public, []byte("\n"), []byte(" ")), false,
			"blanks in place of line breaks"},
		{"short PEM in one line", "EdDSA", bytes.ReplaceAll(inPEM("PRIVATE KEY",
			must(x509.MarshalPKCS8PrivateKey(ed))), []byte("\n"), []byte(" ")), false,
			"blanks in place of line breaks"},
		{"PEM without line breaks", "RS256", bytes.ReplaceAll(public, []byte("\n"), nil), false,
			"no line breaks"},
		{"PEM of Windows", "RS256", bytes.ReplaceAll(public, []byte("\n"), []byte("\r\n")), false,
			""},
		{"what openssl ecparam -genkey writes", "ES256", append(inPEM("EC PARAMETERS", curve),
			inPEM("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(e)))...), false, ""},
		{"parameters alone", "ES256", inPEM("EC PARAMETERS", curve), false, "no key behind"},
		{"parameters and two keys", "ES256", slices.Concat(inPEM("EC PARAMETERS", curve),
			public, public), false, "more than one block"},
		{"certificate", "ES256", inPEM("CERTIFICATE", cert), false, "not a plain public or"},
		{"two blocks", "RS256", append(public, public...), false, "more than one block"},
		{"PEM of garbage", "RS256", inPEM("PUBLIC KEY", []byte("x")), false, "asn1"},

		{"no method", "", ed, false, "Method is not one of"},
		{"none, J1", "none", ed, false, "Method is not one of"},
		{"lower case", "hs256", make([]byte, 64), false, "Method is not one of"},
		{"ES256K", "ES256K", e, false, "Method is not one of"},
	} {
		key := &jwt.Key{Method: c.method, Key: c.key, Weak: c.weak}
		for range 2 { // the second time, the error is kept
			_, err := jwt.VerifiedBy(key, "text", nil)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("%s: %v", c.name, err)
			case c.want != "" && !(errors.Is(err, jwt.ErrKey) &&
				strings.Contains(err.Error(), c.want)):
				t.Errorf("%s: %v, want %q", c.name, err, c.want)
			}
		}
	}
}

// shows is a crypto.Signer with this public key. It panics without one.
type shows struct {
	hardware
	key crypto.PublicKey
}

func (s *shows) Public() crypto.PublicKey {
	if s.key == nil {
		panic("not plugged in")
	}
	return s.key
}

// A server recovers from a panic, and uses the key again for the next request.
func TestKeyPanics_J13(t *testing.T) {
	key := &jwt.Key{Method: "EdDSA", Key: new(shows)}
	j := &jwt.Signer{Method: "EdDSA", Key: new(shows)}
	s := &jwt.Session{Signer: &jwt.Signer{Method: "EdDSA", Key: new(shows)}}
	for name, use := range map[string]func() error{
		"Key": func() error { return verdict(key, "e30.e30.e30") },
		"JWT": func() error { return j.Sign(requestTo(t, siteURL), time.Now()) },
		"Session": func() error {
			_, err := s.Authenticate(requestTo(t, siteURL))
			return err
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic, so that this test shows nothing", name)
				}
			}()
			_ = use()
		}()
		if err := use(); !errors.Is(err, jwt.ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestKeyKeepsItsSecret changes the bytes that a Key was made from.
func TestKeyKeepsItsSecret(t *testing.T) {
	secret := []byte(strings.Repeat("k", 32))
	key := &jwt.Key{Method: "HS256", Key: secret}
	token := tokenBy(t, secret, "HS256", "")
	if err := verdict(key, token); err != nil {
		t.Fatal(err)
	}
	clear(secret)
	if err := verdict(key, token); err != nil {
		t.Errorf("the key changed with the bytes it was made of: %v", err)
	}
}

// TestBrokenSigner has a crypto.Signer whose output is not an ECDSA signature.
func TestBrokenSigner(t *testing.T) {
	for _, signature := range []string{
		"", "x", "\x30\x06\x02\x01\x01\x02\x01\x01x", "\x30\x06\x02\x01\xff\x02\x01\x01",
		"\x30\x26\x02\x21\x01" + strings.Repeat("1", 32) + "\x02\x01\x01",
	} {
		key := &jwt.Key{Method: "ES256", Key: &broken{hardware{ecKey()}, signature}}
		if s, err := jwt.SignedBy(key, "text"); err == nil {
			t.Errorf("%q became %q", signature, s)
		}
	}
}

func TestKeyMap(t *testing.T) {
	m := jwt.KeyMap{"a": hmacKey, "nil": nil}
	for kid, want := range map[string]*jwt.Key{"a": hmacKey, "A": nil, "": nil, "nil": nil} {
		key, err := m.VerificationKey(context.Background(), kid)
		if key != want || errors.Is(err, jwt.ErrUnknownKey) != (want == nil) {
			t.Errorf("%q: %v, %v", kid, key, err)
		}
	}
	token := mint(t, hmacKey, nil, claimsOf("1", time.Hour))
	if err := verdict(m, token); !errors.Is(err, jwt.ErrRefused) {
		t.Errorf("a token without kid: %v", err)
	}
	m[""] = hmacKey
	if err := verdict(m, token); err != nil {
		t.Errorf("a token without kid: %v", err)
	}
}

// TestSecondSignature_J12 makes another signature of a token that is signed with ECDSA, without its
// key. Both are genuine, so a DenyList must treat both as one token.
func TestSecondSignature_J12(t *testing.T) {
	token := tokenBy(t, ecKey(), "ES256", "")
	d := new(jwt.DenyList)
	v := &jwt.Verifier{
		Keys: &jwt.Key{Method: "ES256", Key: ecKey()}, Revoked: d.Revoked,
	}
	text, signature := token[:len(token)-86], must(base64url.DecodeString(token[len(token)-86:]))
	s := new(big.Int).SetBytes(signature[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(signature[32:])
	second := text + base64url.EncodeToString(signature)
	var claims map[string]any
	for _, token := range []string{token, second} {
		id, err := v.Authenticate(withToken(token))
		if err != nil {
			t.Fatal(err)
		}
		claims = id.Claims
	}
	if err := d.Revoke(claims); err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{token, second} {
		if _, err := v.Authenticate(withToken(token)); !errors.Is(err, jwt.ErrRefused) {
			t.Errorf("revoked: %v", err)
		}
	}
}
