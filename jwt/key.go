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

// ErrKey means that a key cannot be used: it does not fit its method, or it is too small. The fault
// is in the configuration and not in a token.
var ErrKey = errors.New("jwt: unusable key")

// errPanic stays where a crypto.Signer panicked when it was first asked: once is once.
var errPanic = fmt.Errorf("%w: its code panicked", ErrKey)

// ErrUnknownKey is the error of a [KeySet] that has no key of that id.
var ErrUnknownKey = errors.New("jwt: no key of that id")

// A KeySet finds the key that a token was signed with. It must be safe for concurrent use. [Key],
// [KeyMap] and [JWKS] are KeySets.
type KeySet interface {
	// VerificationKey must return the key of the key id kid, and the same *Key each time for the
	// same key. The kid is "" for a token without one. It comes from an unknown sender and is up to
	// 1024 bytes of any text: look it up, and use it for no other purpose. A nil Key, or an error
	// that wraps [ErrUnknownKey], refuses the token. Any other error is answered with 503.
	VerificationKey(ctx context.Context, kid string) (*Key, error)
}

// A Key is a key and the one method it is used with, no matter what a token says. A *Key is also a
// [KeySet], which ignores the key id. Its fields must not be changed once it is in use.
type Key struct {
	// Method is how tokens are signed with Key (RFC 7518, section 3.1; RFC 9864): HS256, HS384,
	// HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA or Ed25519. The
	// last two are names of one method, and a token may have either. Required.
	Method string

	// Key is a creds.Secret or []byte with the secret, for HS256, HS384 and HS512. For the other
	// methods it is a public key, or a private one, whose public half is used: an *rsa.PublicKey,
	// an *ecdsa.PublicKey, an ed25519.PublicKey, a crypto.Signer, or the text of a PEM file with
	// one of them, as a creds.Secret or []byte. Required. Prefer a creds.Secret: package fmt prints
	// []byte and an ed25519.PrivateKey in a struct that holds a Key by value.
	Key any

	// Weak allows a secret that is shorter than the hash of its method (RFC 7518, section 3.2), and
	// an RSA key with less than 2048 bits, for peers that cannot be changed.
	Weak bool

	// ID is the key id under which [Publish] shows the key, which is the KeyID of the [Signer] that
	// signs with it. If "", the key is published without one.
	ID string

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

var errKeyMarshalled = errors.New("jwt: a Key is not marshalled: it may be a secret")

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
		if jose.Same(other.Method, alg) && !jose.Same(k.Method, alg) {
			return other
		}
	}
	return k
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

// A signingKey is a key that fits its method.
type signingKey struct {
	jose.Algorithm
	library  jwtlib.SigningMethod
	verifies any           // what the library verifies with: a public key, or a secret
	signs    crypto.Signer // nil: a secret, or a public key, which cannot sign
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

// pss returns m with one length of salt, that of the hash (RFC 7518, section 3.5).
func pss(m *jwtlib.SigningMethodRSAPSS) *jwtlib.SigningMethodRSAPSS {
	salt := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: m.Hash}
	return &jwtlib.SigningMethodRSAPSS{
		SigningMethodRSA: m.SigningMethodRSA, Options: salt, VerifyOptions: salt,
	}
}

func newSigningKey(name string, key any, weak bool) (*signingKey, error) {
	a, ok := jose.ByName(name)
	if !ok {
		return nil, fmt.Errorf("%w: its Method is none of HS256, HS384, HS512, RS256, RS384, "+
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

// checkSecret refuses a secret for an HMAC that is not one. A public key is known to everyone, so
// it is not a secret, however it came to be used as one (RFC 8725, section 2.1).
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

// verify reports whether signature is that of text.
func (k *signingKey) verify(text string, signature []byte) bool {
	return k.library.Verify(text, signature, k.verifies) == nil
}

// sign signs text.
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
