package jwt

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"reflect"
	"sync"

	jwtlib "github.com/golang-jwt/jwt/v5"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/jose"
)

// ErrKey means that a key does not fit its method, or is too small: a mistake in the configuration.
var ErrKey = errors.New("jwt: unusable key")

// errPanic remains if a crypto.Signer panicked when it was first used, since a sync.Once does not
// run its function again.
var errPanic = fmt.Errorf("%w: its code panicked", ErrKey)

// ErrUnknownKey is the error of a [KeySet] without a key of that ID.
var ErrUnknownKey = errors.New("jwt: no key of that id")

// A KeySet finds the key that verifies a token. A [*Key], a [KeyMap] and a [*JWKS] are KeySets.
type KeySet interface {
	// VerificationKey must return the key with the ID kid, and the same *Key each time for the same
	// key. The kid is untrusted text of up to 1024 bytes, or "" for a token without one: use it
	// only to look up a key. A nil Key, or an error that wraps [ErrUnknownKey], refuses the token.
	// Any other error is answered with 503. VerificationKey must be safe for concurrent use.
	VerificationKey(ctx context.Context, kid string) (*Key, error)
}

// A Key is a key and the one method that it is used with, whatever a token says. A *Key is also a
// [KeySet] for every key ID. A Key must not be changed after first use.
type Key struct {
	// Method is HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512,
	// EdDSA or Ed25519 (RFC 7518, section 3.1; RFC 9864). The last two name one method, and a token
	// may use either. Required.
	Method string

	// Key is a secret for HS256, HS384 and HS512: a creds.Secret or []byte. Otherwise it is a
	// public key, or a private one whose public half is used: an *rsa.PublicKey, *ecdsa.PublicKey,
	// ed25519.PublicKey, crypto.Signer, or PEM text as a creds.Secret or []byte. Required. Prefer
	// creds.Secret: package fmt prints []byte and an ed25519.PrivateKey in a struct that holds a
	// Key by value.
	Key any

	// Weak allows a secret shorter than the hash of its method (RFC 7518, section 3.2), and an RSA
	// key under 2048 bits, for peers that cannot be changed.
	Weak bool

	// ID is the key ID that [Publish] shows, the KeyID of the [Signer] with the key. If "", none.
	ID string

	// more are keys with the same ID and other methods, which a JWKS may hold.
	more []*Key

	once  sync.Once
	ready *readyKey
}

// A readyKey is made once. A Key points to it, and it points to the signingKey: in a struct that is
// printed by value, %s and %q print the value behind one pointer, but not behind two.
type readyKey struct {
	key *signingKey
	err error
}

// VerificationKey returns k.
func (k *Key) VerificationKey(context.Context, string) (*Key, error) { return k, nil }

// Format writes the Method of a *Key, not its Key, for every verb.
func (k *Key) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "{Method:%q}", k.Method) }

// MarshalText returns an error, since the Key may be a secret.
func (k *Key) MarshalText() ([]byte, error) { return nil, errKeyMarshalled }

// MarshalBinary returns an error, since the Key may be a secret.
func (k *Key) MarshalBinary() ([]byte, error) { return nil, errKeyMarshalled }

var errKeyMarshalled = errors.New("jwt: a Key is not marshalled: it may be a secret")

// prepared returns the key ready to sign and verify. It prepares the key once.
func (k *Key) prepared() (*signingKey, error) {
	k.once.Do(func() {
		k.ready = &readyKey{err: errPanic}
		k.ready.key, k.ready.err = newSigningKey(k.Method, k.Key, k.Weak)
	})
	return k.ready.key, k.ready.err
}

// forMethod returns the key among k and k.more whose method is alg, or else k.
func (k *Key) forMethod(alg string) *Key {
	for _, other := range k.more {
		if jose.Same(other.Method, alg) && !jose.Same(k.Method, alg) {
			return other
		}
	}
	return k
}

// A KeyMap is a [KeySet] with a key for each key ID. The key of "" verifies tokens without a key
// ID.
type KeyMap map[string]*Key

// VerificationKey returns the key of kid, or [ErrUnknownKey].
func (m KeyMap) VerificationKey(_ context.Context, kid string) (*Key, error) {
	if k := m[kid]; k != nil {
		return k, nil
	}
	return nil, ErrUnknownKey
}

// A signingKey is a key that fits its method.
type signingKey struct {
	jose.Algorithm
	library  jwtlib.SigningMethod
	verifies any           // a public key, or a secret, for the library
	signs    crypto.Signer // nil for a secret and for a public key, which cannot sign
}

// libraryMethods has the implementation of each algorithm.
var libraryMethods = map[string]jwtlib.SigningMethod{
	"HS256": jwtlib.SigningMethodHS256,
	"HS384": jwtlib.SigningMethodHS384,
	"HS512": jwtlib.SigningMethodHS512,
	"RS256": jwtlib.SigningMethodRS256,
	"RS384": jwtlib.SigningMethodRS384,
	"RS512": jwtlib.SigningMethodRS512,
	"PS256": pss(jwtlib.SigningMethodPS256),
	"PS384": pss(jwtlib.SigningMethodPS384),
	"PS512": pss(jwtlib.SigningMethodPS512),
	"ES256": jwtlib.SigningMethodES256,
	"ES384": jwtlib.SigningMethodES384,
	"ES512": jwtlib.SigningMethodES512,
	"EdDSA": jwtlib.SigningMethodEdDSA,

	"Ed25519": jwtlib.SigningMethodEdDSA,
}

// pss returns m with a salt as long as the hash (RFC 7518, section 3.5).
func pss(m *jwtlib.SigningMethodRSAPSS) *jwtlib.SigningMethodRSAPSS {
	salt := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: m.Hash}
	return &jwtlib.SigningMethodRSAPSS{
		SigningMethodRSA: m.SigningMethodRSA, Options: salt, VerifyOptions: salt,
	}
}

func newSigningKey(name string, key any, weak bool) (*signingKey, error) {
	a, ok := jose.ByName(name)
	if !ok {
		return nil, fmt.Errorf("%w: its Method is not one of HS256, HS384, HS512, RS256, RS384, "+
			"RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, Ed25519", ErrKey)
	}
	k := &signingKey{Algorithm: a, library: libraryMethods[name]}
	data, isText := octets(key)
	if a.Symmetric() {
		if !isText {
			return nil, fmt.Errorf("%w: %s needs a creds.Secret or []byte", ErrKey, name)
		}
		k.verifies = bytes.Clone(data)
		if err := k.checkSecret(data, weak); err != nil {
			return nil, err
		}
		return k, nil
	}
	if isText {
		key = data
	}
	key, err := jose.ParseKey(key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	k.verifies = key
	if s, ok := key.(crypto.Signer); ok {
		if v := reflect.ValueOf(s); v.Kind() == reflect.Pointer && v.IsNil() {
			return nil, fmt.Errorf("%w: it is a nil %T", ErrKey, key)
		}
		k.signs, k.verifies = s, s.Public()
	}
	if err := k.Check(k.verifies, weak); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return k, nil
}

// checkSecret refuses a value that is not a secret for an HMAC. Everyone knows a public key, so it
// is not a secret, even if it is configured as one (RFC 8725, section 2.1).
func (k *signingKey) checkSecret(secret []byte, weak bool) error {
	switch {
	case len(secret) == 0:
		return fmt.Errorf("%w: the secret is empty", ErrKey)
	case jose.IsKeyFile(secret):
		return fmt.Errorf("%w: the secret for %s is a key file: choose the method of that key",
			ErrKey, k.Name)
	case len(secret) < k.Hash.Size() && !weak:
		return fmt.Errorf("%w: the secret has %d bytes, and %s needs %d: "+
			"use a longer one, or allow this with Weak",
			ErrKey, len(secret), k.Name, k.Hash.Size())
	}
	return nil
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

// verify reports whether signature is valid for text.
func (k *signingKey) verify(text string, signature []byte) bool {
	return k.library.Verify(text, signature, k.verifies) == nil
}

func (k *signingKey) sign(text string) ([]byte, error) {
	if secret, ok := k.verifies.([]byte); ok {
		return k.library.Sign(text, secret)
	}
	if k.signs == nil {
		return nil, errPublic
	}
	signature, err := k.Sign(k.signs, text)
	if err != nil {
		return nil, fmt.Errorf("jwt: the key does not sign: %w", err)
	}
	return signature, nil
}

var errPublic = fmt.Errorf("%w: a public key cannot sign", ErrKey)
