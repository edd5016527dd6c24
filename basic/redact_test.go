package basic_test

import (
	"testing"

	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/canary"
	"github.com/countersign-go/countersign/portal"
)

func TestPrintsRedacted_K6(t *testing.T) {
	secret := creds.Secret("canary-b4s1c")
	canary.Print(t, ".", map[string]any{
		"Signer":   basic.Signer{User: "ann", Password: secret},
		"Verifier": basic.Verifier{Users: portal.Memory{"ann": secret}},
	})
}
