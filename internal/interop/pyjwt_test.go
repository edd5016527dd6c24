package interop

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/jwt"
)

// A keyPair is one key in PEM, in the forms that both sides read. A secret is the same twice.
type keyPair struct{ private, public creds.Secret }

func newSecret(t *testing.T) keyPair {
	t.Helper()
	s := creds.Secret(rand.Text() + rand.Text() + rand.Text())
	return keyPair{s, s}
}

func newKeyPair(t *testing.T, key crypto.Signer, err error) keyPair {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return keyPair{
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}),
	}
}

// newKeys returns a key for each method.
func newKeys(t *testing.T) map[string]keyPair {
	t.Helper()
	keys := make(map[string]keyPair)
	secret := newSecret(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	pair := newKeyPair(t, key, err)
	for _, size := range []string{"256", "384", "512"} {
		keys["HS"+size], keys["RS"+size], keys["PS"+size] = secret, pair, pair
	}
	for method, curve := range map[string]elliptic.Curve{
		"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521(),
	} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		keys[method] = newKeyPair(t, key, err)
	}
	_, ed, err := ed25519.GenerateKey(nil)
	keys["EdDSA"] = newKeyPair(t, ed, err)
	return keys
}

// A pyJWT is the real PyJWT.
type pyJWT struct{ *peer }

type pyAnswer struct {
	Token, Error   string
	Claims, Header map[string]any
}

func (p pyJWT) ask(t *testing.T, job map[string]any) pyAnswer {
	t.Helper()
	var a pyAnswer
	p.write(t, job)
	p.read(t, &a)
	return a
}

// TestPyJWT has each side verify the tokens of the other, and refuse them under another key.
func TestPyJWT(t *testing.T) {
	const issuer, audience = "https://issuer.example", "https://api.example"
	python := pyJWT{startPeer(t, "jwt_peer.py")}
	keys, others := newKeys(t), newKeys(t)
	if len(keys) != 13 {
		t.Fatalf("%d methods, want 13", len(keys))
	}
	for method, key := range keys {
		t.Run(method, func(t *testing.T) {
			claims := map[string]any{"iss": issuer, "name": "Jöhn", "roles": []any{"a", "b"}}
			t.Run("ours read by theirs", func(t *testing.T) {
				signer := &jwt.Signer{Key: key.private, Method: method, KeyID: "k1"}
				token, err := signer.Token("ann", claims, time.Minute, audience)
				if err != nil {
					t.Fatal(err)
				}
				job := map[string]any{"token": token, "key": string(key.public), "alg": method,
					"audience": audience, "issuer": issuer}
				a := python.ask(t, job)
				sameRoles := reflect.DeepEqual(a.Claims["roles"], claims["roles"])
				if a.Error != "" || a.Claims["sub"] != "ann" || a.Claims["name"] != "Jöhn" ||
					a.Header["kid"] != "k1" || !sameRoles {
					t.Errorf("PyJWT says %+v", a)
				}
				job["key"] = string(others[method].public)
				if a := python.ask(t, job); a.Error != "InvalidSignatureError" {
					t.Errorf("under another key, PyJWT says %+v", a)
				}
			})
			t.Run("theirs read by ours", func(t *testing.T) {
				now, big := time.Now().Unix(), json.Number("12345678901234567890")
				a := python.ask(t, map[string]any{"key": string(key.private), "alg": method,
					"headers": map[string]any{"kid": "k1"}, "claims": map[string]any{
						"sub": "ann", "iss": issuer, "aud": []string{audience, "x"}, "iat": now,
						"exp": now + 60, "name": "Jöhn", "big": big}})
				verifier := func(key keyPair) *jwt.Verifier {
					return &jwt.Verifier{Issuer: issuer, Audience: []string{audience},
						Keys: jwt.KeyMap{"k1": {Method: method, Key: key.public}}}
				}
				got, err := verifier(key).Verify(t.Context(), a.Token)
				if err != nil || got["sub"] != "ann" || got["name"] != "Jöhn" ||
					got["big"] != big {
					t.Errorf("%v, %v; from %+v", got, err, a)
				}
				if _, err := verifier(others[method]).Verify(t.Context(), a.Token); !errors.Is(
					err, jwt.ErrRefused) {
					t.Errorf("under another key: %v", err)
				}
			})
		})
	}
}

// TestPyJWTTakesOurSignature sends the token that a Signer puts into a request.
func TestPyJWTTakesOurSignature(t *testing.T) {
	python := pyJWT{startPeer(t, "jwt_peer.py")}
	for method, key := range newKeys(t) {
		signer := &jwt.Signer{Key: key.private, Method: method,
			Claims: func(*http.Request) (map[string]any, error) {
				return map[string]any{"iss": "ann"}, nil
			}}
		req, err := http.NewRequest(http.MethodGet, "https://api.example/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if err := signer.Sign(req, time.Now()); err != nil {
			t.Fatal(err)
		}
		token, _ := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
		job := map[string]any{"token": token, "key": string(key.public), "alg": method}
		if a := python.ask(t, job); a.Error != "" || a.Claims["iss"] != "ann" {
			t.Errorf("%s: PyJWT says %+v", method, a)
		}
	}
}
