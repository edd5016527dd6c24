package jwt

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/countersign-go/countersign/internal/jose"
)

// publishedFor is how long clients and caches may keep a published key set, in seconds. A key must
// be published for longer than that before a token is signed with it.
const publishedFor = 300

// Publish returns a handler that answers GET and HEAD with a key set (RFC 7517, section 5): the
// public half of each key, with its ID, its Method and use "sig". A [JWKS] reads it.
//
// Publish a new key an hour before signing with it, and the old key until its last token has
// expired.
//
// If a key is unusable or a secret, or two keys have the same ID and Method, the handler answers
// 500 with the reason, which holds no part of a key.
func Publish(keys ...*Key) http.Handler {
	text, err := keySet(keys)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch {
		case req.Method != http.MethodGet && req.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		default:
			w.Header().Set("Content-Type", "application/jwk-set+json")
			w.Header().Set("Cache-Control", "public, max-age="+strconv.Itoa(publishedFor))
			w.Header().Set("Content-Length", strconv.Itoa(len(text)))
			_, _ = w.Write(text)
		}
	})
}

// keySet returns the JSON text of a key set.
func keySet(keys []*Key) ([]byte, error) {
	set := struct {
		Keys []*jose.JWK `json:"keys"`
	}{make([]*jose.JWK, 0, len(keys))}
	for _, key := range keys {
		jwk, err := key.publicJWK()
		if err != nil {
			return nil, err
		}
		for _, other := range set.Keys {
			if other.KeyID == jwk.KeyID && jose.Same(other.Algorithm, jwk.Algorithm) {
				return nil, fmt.Errorf("jwt: two %s keys of ID %q are not published: "+
					"give each its own ID", jwk.Algorithm, jwk.KeyID)
			}
		}
		set.Keys = append(set.Keys, jwk)
	}
	return json.Marshal(set)
}

func (k *Key) publicJWK() (*jose.JWK, error) {
	if k == nil {
		return nil, errors.New("jwt: a nil Key is not published")
	}
	ready, err := k.prepared()
	if err == nil && ready.Symmetric() {
		err = fmt.Errorf("%w: it is a secret for %s", ErrKey, ready.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("jwt: the key of ID %q is not published: %w", k.ID, err)
	}
	jwk, err := jose.NewJWK(ready.verifies)
	if err != nil {
		return nil, err
	}
	jwk.KeyID, jwk.Use, jwk.Algorithm = k.ID, "sig", ready.Name
	return jwk, nil
}
