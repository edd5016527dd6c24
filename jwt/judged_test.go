package jwt_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/jwt"
)

// TestLogNamesSubject checks that the log of a refusal names the subject of a genuine token, and of
// no other token.
func TestLogNamesSubject(t *testing.T) {
	ended := map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}
	revoked := func(context.Context, map[string]any) (bool, error) { return true, nil }
	groups := func(context.Context, map[string]any) ([]string, error) {
		return nil, errors.New("locked")
	}
	for _, tt := range []struct {
		reason string
		token  string
		v      *jwt.Verifier
		named  bool
	}{
		{"it has ended", annToken(t, ended), &jwt.Verifier{}, true},
		{"it is for another", annToken(t, map[string]any{"aud": "b"}), &jwt.Verifier{}, true},
		{"it is revoked", annToken(t, nil), &jwt.Verifier{Revoked: revoked}, true},
		{"its user is locked", annToken(t, nil), &jwt.Verifier{Groups: groups}, true},
		{"it is forged", annToken(t, nil) + "A", &jwt.Verifier{}, false},
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
