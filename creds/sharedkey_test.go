package creds_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/creds"
)

func TestSharedKeyPrintsNoKey(t *testing.T) {
	const planted = "canary-5ha2ed"
	k := creds.SharedKey{ID: "ann", Key: creds.Secret(planted), Algorithm: "sha256",
		Expires: time.Unix(0, 0).UTC()}
	const want = "{ID:ann Key:[redacted] Algorithm:sha256 Expires:1970-01-01 00:00:00 +0000 UTC}"
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q"} {
		for _, v := range []any{k, &k, struct{ K *creds.SharedKey }{&k}} {
			text := fmt.Sprintf(verb, v)
			if strings.Contains(text, planted) ||
				strings.Contains(text, fmt.Sprintf("%x", planted)) {
				t.Errorf("%s of a %T shows the key", verb, v)
			}
		}
		if text := fmt.Sprintf(verb, &k); text != want {
			t.Errorf("%s: %s", verb, text)
		}
	}
}

// A SharedKey is its own Source.
func ExampleSharedKey() {
	var source creds.Source[*creds.SharedKey] = &creds.SharedKey{
		ID: "h480djs93hd8", Key: creds.Secret("489dks293j39"), // from your configuration
	}
	key, err := source.Credentials(context.Background())
	fmt.Println(key.ID, key.Key, err)
	// Output: h480djs93hd8 [redacted] <nil>
}
