package bearer_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/bearer"
)

// TestLogNamesSubject has the records of refused tokens: they name the subject of a genuine one,
// and of no other.
func TestLogNamesSubject(t *testing.T) {
	ended := jwt.MapClaims{"exp": time.Now().Add(-time.Hour).Unix()}
	revoked := func(context.Context, jwt.MapClaims) (bool, error) { return true, nil }
	groups := func(context.Context, jwt.MapClaims) ([]string, error) {
		return nil, errors.New("locked")
	}
	for _, tt := range []struct {
		reason string
		token  string
		v      *bearer.Verifier
		named  bool
	}{
		{"it has ended", annToken(t, ended), &bearer.Verifier{}, true},
		{"it is for another", annToken(t, jwt.MapClaims{"aud": "b"}), &bearer.Verifier{}, true},
		{"it is revoked", annToken(t, nil), &bearer.Verifier{Revoked: revoked}, true},
		{"its user is locked", annToken(t, nil), &bearer.Verifier{Groups: groups}, true},
		{"it is forged", annToken(t, nil) + "A", &bearer.Verifier{}, false},
	} {
		var logged strings.Builder
		tt.v.Keys = hmacKey
		guard := &auth.Guard{
			Stack:  auth.Stack{tt.v},
			Logger: slog.New(slog.NewTextHandler(&logged, nil)),
		}
		req := httptest.NewRequest("GET", "/", nil)
		req.Header.Set("Authorization", "Bearer "+tt.token)
		w := httptest.NewRecorder()
		guard.Handler(http.NotFoundHandler()).ServeHTTP(w, req)
		if w.Code != 401 || strings.Contains(logged.String(), " subject=ann ") != tt.named {
			t.Errorf("%s: %d, %s", tt.reason, w.Code, &logged)
		}
	}
}
