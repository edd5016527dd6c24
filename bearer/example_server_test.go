package bearer_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/creds"
)

// A service looks tokens up in a table of their hashes, so that a copy of the table is useless to a
// thief. It would return an error of a database without ErrRefused, which is answered with 503.
func ExampleVerifier() {
	table := map[[sha256.Size]byte]string{
		sha256.Sum256([]byte("a-token-for-this-example")): "ann",
	}
	verifier := &bearer.Verifier{
		Check: func(_ context.Context, token creds.Secret) (*auth.Identity, error) {
			user, found := table[sha256.Sum256(token)]
			if !found {
				return nil, fmt.Errorf("%w: it is unknown", bearer.ErrRefused)
			}
			return &auth.Identity{Subject: user}, nil
		},
	}
	handler := auth.Require(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		id, _ := auth.FromContext(req.Context())
		fmt.Fprintf(w, "hello %s", id.Subject)
	}), verifier)
	for _, token := range []string{"a-token-for-this-example", "another-token"} {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, req)
		fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"), w.Body)
	}
	// Output:
	// 200  hello ann
	// 401 Bearer error="invalid_token" authentication required
}
