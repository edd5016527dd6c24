//go:build leak

package canary_test

import (
	"encoding/base64"
	"fmt"
	"testing"
)

// planted is a secret of the kind that tests plant, and that must never be printed.
const planted = "canary-4f1d9c"

// TestPlantedLeak prints the planted secret on purpose, one line for each form in which a secret
// can appear. Each line starts with "leak:", so that the checks can test the search for each of
// them.
func TestPlantedLeak(t *testing.T) {
	secret := []byte(planted)
	for _, line := range []string{
		planted,
		"CANARY-4F1D9C",
		fmt.Sprintf("%q", planted),
		fmt.Sprintf("%x", secret),
		fmt.Sprintf("%X", secret),
		fmt.Sprintf("%v", secret),
		fmt.Sprintf("%#v", secret),
		base64.StdEncoding.EncodeToString(secret),
		base64.StdEncoding.EncodeToString([]byte("a" + planted)),
		base64.StdEncoding.EncodeToString([]byte("al" + planted)),
		base64.URLEncoding.EncodeToString([]byte("alice:" + planted)),
	} {
		t.Log("leak: " + line)
	}
}
