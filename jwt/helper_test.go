package jwt_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"sync"
	"testing"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/jwt"
)

var base64url, base64std = base64.RawURLEncoding, base64.StdEncoding

var hmacKey = &jwt.Key{
	Method: "HS256", Key: creds.Secret("0123456789abcdef0123456789abcdef"),
}

// rsaKey, ecKey and edKey are made once.
var (
	rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
		return must(rsa.GenerateKey(rand.Reader, 2048))
	})
	ecKey = sync.OnceValue(func() *ecdsa.PrivateKey {
		return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	})
	edKey = sync.OnceValue(func() ed25519.PrivateKey {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return must(key, err)
	})
)

func must[K any](key K, err error) K {
	if err != nil {
		panic(err)
	}
	return key
}

// part returns a part of a token: the text of a string, or the JSON of any other value.
func part(t testing.TB, v any) string {
	t.Helper()
	text, ok := v.(string)
	if !ok {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		text = string(data)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// sign appends the signature of key to text.
func sign(t testing.TB, key *jwt.Key, text string) string {
	t.Helper()
	signature, err := jwt.SignedBy(key, text)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// mint makes a token. If header is nil, it holds only the alg of key. A header or claims that are a
// string are used unchanged.
func mint(t testing.TB, key *jwt.Key, header, claims any) string {
	t.Helper()
	if header == nil {
		header = map[string]string{"alg": key.Method}
	}
	return sign(t, key, part(t, header)+"."+part(t, claims))
}

func withToken(token string) *http.Request {
	return &http.Request{Header: http.Header{"Authorization": {"Bearer " + token}}}
}

// pyramidCookie encodes a token as pyramid_jwt does in its cookies.
func pyramidCookie(token string) string {
	return base64.URLEncoding.EncodeToString([]byte(`"` + token + `"`))
}
