package bearer

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"sync"

	"github.com/golang-jwt/jwt/v5"

	"github.com/countersign-go/countersign/creds"
)

// ErrKey means that a key cannot be used: it does not fit its method, or it is too small. The fault
// is in the configuration and not in a token.
var ErrKey = errors.New("bearer: unusable key")

// errPanic stays where a crypto.Signer panicked when it was first asked: once is once.
var errPanic = fmt.Errorf("%w: its code panicked", ErrKey)

// ErrUnknownKey is the error of a [KeySet] that has no key of that id.
var ErrUnknownKey = errors.New("bearer: no key of that id")

// A KeySet finds the key that a token was signed with. kid is the key id in the header of the
// token, and "" for a token without one. It comes from an unknown sender and is up to 1024 bytes of
// any text: look it up, and do nothing else with it. A nil Key, or an error that wraps
// [ErrUnknownKey], refuses the token. Any other error means that the KeySet cannot tell, which is
// answered with 503. A KeySet must be safe for concurrent use, and return the same *Key each time
// for the same key.
type KeySet interface {
	VerificationKey(ctx context.Context, kid string) (*Key, error)
}

// A Key is a key and the one method it is used with, no matter what a token says. A *Key is also a
// [KeySet], which ignores the key id. Its fields must not be changed once it is in use.
type Key struct {
	// Method is how tokens are signed with Key (RFC 7518, section 3.1; RFC 8037; RFC 9864): HS256,
	// HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA or
	// Ed25519. The last two are names of one method, and a token may have either. Required.
	Method string

	// Key is a creds.Secret or []byte with the secret, for HS256, HS384 and HS512. For the other
	// methods it is a public key, or a private one, whose public half is used: an *rsa.PublicKey,
	// an *ecdsa.PublicKey, an ed25519.PublicKey, a crypto.Signer, or the text of a PEM file with
	// one of them, as a creds.Secret or []byte. Required.
	//
	// A creds.Secret is better than []byte: package fmt prints a struct that holds a Key, and not a
	// *Key, without calling its Format method, and so also an ed25519.PrivateKey in it.
	Key any

	// Weak allows a secret that is shorter than the hash of its method (RFC 7518, section 3.2), and
	// an RSA key with less than 2048 bits. It is for peers that cannot be changed.
	Weak bool

	// more are keys of the same id with other methods, which a JWKS may hold.
	more []*Key

	once  sync.Once
	ready *readyKey
}

// A readyKey is made once. It holds the key by a pointer, as does whoever holds a readyKey: where
// they are held by value, %s and %q print what is behind one pointer.
type readyKey struct {
	key *signingKey
	err error
}

// VerificationKey returns k.
func (k *Key) VerificationKey(context.Context, string) (*Key, error) { return k, nil }

// Format writes the Method and not the Key of a *Key, whatever the verb.
func (k *Key) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "{Method:%q}", k.Method) }

// MarshalText returns an error: the key may be a secret. It implements [encoding.TextMarshaler],
// which encoding/json and encoding/xml ask for.
func (k *Key) MarshalText() ([]byte, error) { return nil, errKeyMarshalled }

// MarshalBinary returns an error. It implements [encoding.BinaryMarshaler], which encoding/gob asks
// for.
func (k *Key) MarshalBinary() ([]byte, error) { return nil, errKeyMarshalled }

var errKeyMarshalled = errors.New("bearer: a Key is not marshalled: it may be a secret")

// prepared returns what signs and verifies. It is made ready once.
func (k *Key) prepared() (*signingKey, error) {
	k.once.Do(func() {
		k.ready = &readyKey{err: errPanic}
		k.ready.key, k.ready.err = newSigningKey(k.Method, k.Key, k.Weak)
	})
	return k.ready.key, k.ready.err
}

// forMethod returns the key of k and k.more whose method is alg, or k if no method is.
func (k *Key) forMethod(alg string) *Key {
	for _, other := range k.more {
		if sameMethod(other.Method, alg) && !sameMethod(k.Method, alg) {
			return other
		}
	}
	return k
}

// sameMethod compares names of methods. Ed25519 is what EdDSA means with a key of that curve (RFC
// 9864, section 2.2), and no other curve is supported.
func sameMethod(a, b string) bool {
	isEd25519 := func(name string) bool { return name == "EdDSA" || name == "Ed25519" }
	return a == b || isEd25519(a) && isEd25519(b)
}

// A KeyMap is a [KeySet] with a key for each key id. A token without key id is verified by the key
// of "", if there is one.
type KeyMap map[string]*Key

// VerificationKey returns the key of kid, or [ErrUnknownKey].
func (m KeyMap) VerificationKey(_ context.Context, kid string) (*Key, error) {
	if k := m[kid]; k != nil {
		return k, nil
	}
	return nil, ErrUnknownKey
}

// A method is one way to sign.
type method struct {
	jwt.SigningMethod
	hash crypto.Hash     // 0: EdDSA hashes by itself
	salt *rsa.PSSOptions // nil: not PSS
	bits int             // of the curve; 0: none
}

// methods has those that are supported, by name. None is not among them (RFC 8725, section 3.2).
var methods = map[string]method{
	"HS256": {jwt.SigningMethodHS256, crypto.SHA256, nil, 0},
	"HS384": {jwt.SigningMethodHS384, crypto.SHA384, nil, 0},
	"HS512": {jwt.SigningMethodHS512, crypto.SHA512, nil, 0},
	"RS256": {jwt.SigningMethodRS256, crypto.SHA256, nil, 0},
	"RS384": {jwt.SigningMethodRS384, crypto.SHA384, nil, 0},
	"RS512": {jwt.SigningMethodRS512, crypto.SHA512, nil, 0},
	"PS256": pss(jwt.SigningMethodPS256),
	"PS384": pss(jwt.SigningMethodPS384),
	"PS512": pss(jwt.SigningMethodPS512),
	"ES256": {jwt.SigningMethodES256, crypto.SHA256, nil, 256},
	"ES384": {jwt.SigningMethodES384, crypto.SHA384, nil, 384},
	"ES512": {jwt.SigningMethodES512, crypto.SHA512, nil, 521},
	"EdDSA": {jwt.SigningMethodEdDSA, 0, nil, 0},

	"Ed25519": {jwt.SigningMethodEdDSA, 0, nil, 0},
}

// pss takes one length of salt only, that of the hash (RFC 7518, section 3.5).
func pss(m *jwt.SigningMethodRSAPSS) method {
	salt := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: m.Hash}
	own := &jwt.SigningMethodRSAPSS{
		SigningMethodRSA: m.SigningMethodRSA, Options: salt, VerifyOptions: salt,
	}
	return method{own, m.Hash, salt, 0}
}

// The sizes of RSA keys are in bits. Below weakRSA, crypto/rsa refuses; with one over maxRSA, which
// may come in a [JWKS], each token would cost too much time.
const (
	minRSA  = 2048
	weakRSA = 1024
	maxRSA  = 16384
)

// A signingKey is a key that fits its method.
type signingKey struct {
	method
	verifies any           // what the SigningMethod verifies with
	signs    crypto.Signer // nil: a secret, or a public key, which cannot sign
}

func newSigningKey(name string, key any, weak bool) (*signingKey, error) {
	m, ok := methods[name]
	if !ok {
		return nil, fmt.Errorf("%w: its Method is none of HS256, HS384, HS512, RS256, RS384, "+
			"RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, Ed25519", ErrKey)
	}
	if _, ok := m.SigningMethod.(*jwt.SigningMethodHMAC); ok {
		secret, err := secretOf(key, m, weak)
		return &signingKey{method: m, verifies: secret}, err
	}
	key, err := parsed(key)
	if err != nil {
		return nil, err
	}
	k := &signingKey{method: m, verifies: key}
	if s, ok := key.(crypto.Signer); ok {
		if v := reflect.ValueOf(s); v.Kind() == reflect.Pointer && v.IsNil() {
			return nil, fmt.Errorf("%w: it is a nil %T", ErrKey, key)
		}
		k.signs, k.verifies = s, s.Public()
	}
	return k, k.check(weak)
}

// secretOf returns the secret for an HMAC. A public key is known to everybody, so it is no secret,
// however it came to be one (RFC 8725, section 2.1).
func secretOf(key any, m method, weak bool) ([]byte, error) {
	secret, ok := octets(key)
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: %s needs a creds.Secret or []byte", ErrKey, m.Alg())
	case len(secret) == 0:
		return nil, fmt.Errorf("%w: the secret is empty", ErrKey)
	case isKeyFile(secret):
		return nil, fmt.Errorf("%w: the secret for %s is a key file: choose the method of that key",
			ErrKey, m.Alg())
	case len(secret) < m.hash.Size() && !weak:
		return nil, fmt.Errorf("%w: the secret has %d bytes, and %s needs %d: "+
			"use a longer one, or allow this with Weak",
			ErrKey, len(secret), m.Alg(), m.hash.Size())
	}
	return bytes.Clone(secret), nil
}

func octets(key any) ([]byte, bool) {
	switch k := key.(type) {
	case creds.Secret:
		return k, true
	case []byte:
		return k, true
	}
	return nil, false
}

// isKeyFile recognises PEM, the public keys of SSH, a JWK, and the DER of a certificate or a public
// key, as it is or in base64.
func isKeyFile(secret []byte) bool {
	text := bytes.TrimSpace(secret)
	if bytes.Contains(text, []byte("-----BEGIN ")) || bytes.Contains(text, []byte("---- BEGIN ")) ||
		bytes.HasPrefix(text, []byte("{")) && bytes.Contains(text, []byte(`"kty"`)) {
		return true
	}
	for _, kind := range []string{"ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-sha2-"} {
		if bytes.HasPrefix(text, []byte(kind)) {
			return true
		}
	}
	digits := bytes.TrimRight(bytes.Join(bytes.Fields(text), nil), "=")
	decoded, _ := base64.RawStdEncoding.AppendDecode(nil, digits)
	return isDER(secret) || isDER(text) || isDER(decoded)
}

func isDER(data []byte) bool {
	_, err := x509.ParsePKIXPublicKey(data)
	if err != nil {
		_, err = x509.ParsePKCS1PublicKey(data)
	}
	if err != nil {
		_, err = x509.ParseCertificate(data)
	}
	return err == nil
}

// whole returns key, unless it is an Ed25519 key of the wrong length.
func whole(key any) (any, error) {
	if p, ok := key.(*ed25519.PrivateKey); ok && p != nil {
		key = *p // which is a crypto.Signer too
	}
	public, isPublic := key.(ed25519.PublicKey)
	private, isPrivate := key.(ed25519.PrivateKey)
	if isPublic && len(public) != ed25519.PublicKeySize ||
		isPrivate && len(private) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("%w: an Ed25519 key of the wrong length", ErrKey)
	}
	return key, nil
}

// check refuses a key of another kind than the method's, so that no token can have it used for
// something else (RFC 8725, section 3.1).
func (k *signingKey) check(weak bool) error {
	fits := false
	switch k.SigningMethod.(type) {
	case *jwt.SigningMethodRSA, *jwt.SigningMethodRSAPSS:
		var key *rsa.PublicKey
		key, fits = k.verifies.(*rsa.PublicKey)
		if fits = fits && key != nil && key.N != nil; fits {
			return checkSize(key.N.BitLen(), weak)
		}
	case *jwt.SigningMethodECDSA:
		var key *ecdsa.PublicKey
		key, fits = k.verifies.(*ecdsa.PublicKey)
		if fits = fits && key != nil && key.Curve != nil &&
			key.Curve.Params().BitSize == k.bits; fits {
			if _, err := key.Bytes(); err != nil {
				return fmt.Errorf("%w: %w", ErrKey, err)
			}
		}
	case *jwt.SigningMethodEd25519:
		key, _ := k.verifies.(ed25519.PublicKey)
		fits = len(key) == ed25519.PublicKeySize
	}
	if !fits {
		return fmt.Errorf("%w: a %T does not fit %s", ErrKey, k.verifies, k.Alg())
	}
	return nil
}

// checkSize judges an RSA key.
func checkSize(bits int, weak bool) error {
	switch {
	case bits < weakRSA, bits < minRSA && !weak:
		return fmt.Errorf("%w: an RSA key of %d bits, where %d are needed", ErrKey, bits, minRSA)
	case bits > maxRSA:
		return fmt.Errorf("%w: an RSA key of over %d bits", ErrKey, maxRSA)
	}
	return nil
}

// verify reports whether signature is that of text.
func (k *signingKey) verify(text string, signature []byte) bool {
	return k.Verify(text, signature, k.verifies) == nil
}

// sign signs text, with whatever holds the private key, be it a piece of hardware.
func (k *signingKey) sign(text string) ([]byte, error) {
	if k.signs == nil {
		if secret, ok := k.verifies.([]byte); ok {
			return k.Sign(text, secret)
		}
		return nil, fmt.Errorf("%w: a public key cannot sign", ErrKey)
	}
	digest, options := []byte(text), crypto.SignerOpts(k.hash)
	if k.hash != 0 {
		h := k.hash.New()
		h.Write(digest)
		digest = h.Sum(nil)
	}
	if k.salt != nil {
		options = k.salt
	}
	signature, err := k.signs.Sign(rand.Reader, digest, options)
	if err == nil && k.bits > 0 {
		signature, err = fixedSize(signature, (k.bits+7)/8)
	}
	if err != nil {
		return nil, fmt.Errorf("bearer: the key does not sign: %w", err)
	}
	return signature, nil
}

// fixedSize turns the ASN.1 of an ECDSA signature into two numbers of that many bytes (RFC 7518,
// section 3.4).
func fixedSize(signature []byte, size int) ([]byte, error) {
	var number struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(signature, &number)
	if err != nil {
		return nil, err
	}
	if len(rest) > 0 || number.R.Sign() < 0 || number.S.Sign() < 0 ||
		number.R.BitLen() > 8*size || number.S.BitLen() > 8*size {
		return nil, errors.New("its signature is not one of ECDSA")
	}
	fixed := make([]byte, 2*size)
	number.R.FillBytes(fixed[:size])
	number.S.FillBytes(fixed[size:])
	return fixed, nil
}
