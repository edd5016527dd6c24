package auth_test

import (
	"net/http"
	"testing"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/canary"
)

// A keyed Authenticator holds a secret, and relies on the Format method of the secret.
type keyed struct{ Key creds.Secret }

func (keyed) Authenticate(*http.Request) (*auth.Identity, error) { return nil, auth.ErrNone }

func TestPrintsRedacted_K6(t *testing.T) {
	stack := auth.Stack{keyed{creds.Secret("canary-5t4ck")}}
	canary.Print(t, ".", map[string]any{
		"All":         auth.All(stack),
		"ScopeError":  nil,
		"Guard":       &auth.Guard{Stack: stack},
		"Stack":       stack,
		"Identity":    nil,
		"Limiter":     nil,
		"NonceMemory": nil,
	})
}
