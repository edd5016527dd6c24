package mac_test

import (
	"context"
	"flag"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/testkit"
	"github.com/countersign-go/countersign/mac"
)

var samples = flag.Int("samples", 5000, "how many requests to time for each length of keys")

// TestKeyLengthTiming_S2 compares an unknown id with a wrong MAC of a known one by Welch's t-test,
// also for keys that HMAC has to hash first. Each try measures the ids in random order. The plain
// run takes few samples, which only show that the test works; the checks take more.
func TestKeyLengthTiming_S2(t *testing.T) {
	for _, tt := range []struct{ longest, known int }{{32, 32}, {88, 88}, {300, 88}, {88, 32}} {
		keys := map[string]*mac.Key{
			"known":   {Secret: creds.Secret(strings.Repeat("k", tt.known))},
			"longest": {Secret: creds.Secret(strings.Repeat("k", tt.longest))},
		}
		v := &mac.Verifier{
			Nonces: anyNonce{},
			Keys: func(_ context.Context, id string) (*mac.Key, error) {
				if key := keys[id]; key != nil {
					return key, nil
				}
				return nil, mac.ErrUnknownID
			},
		}
		request := func(id string) *http.Request {
			c := &mac.Credentials{ID: id, Key: []byte("wrong")}
			return signedAt(t, c, "1336363200", "n")
		}
		v.AuthenticateAt(request("longest"), testTime) // shows the longest key to the Verifier
		reqs := [2]*http.Request{request("known"), request("noone")}
		// A busy machine can spoil a try. A real difference shows in every try.
		found := true
		var score, difference float64
		for try := 0; try < 5 && found; try++ {
			score, difference = welch(t, v, reqs, *samples)
			slack := 30.0 // ns
			if *samples < 20_000 {
				slack = 5000 // a busy machine can make any smaller difference
			}
			found = math.Abs(score) >= 4.5 && math.Abs(difference) >= slack
		}
		t.Logf("figure 21 (long keys): key of %d bytes, longest %d: t = %.2f, %.1f ns, %d samples",
			tt.known, tt.longest, score, difference, *samples)
		if found {
			t.Errorf("keys of %d bytes, longest %d: an unknown id can be told from a wrong MAC",
				tt.known, tt.longest)
		}
	}
}

// welch times requests of two kinds. It returns Welch's t and the difference of the means in
// nanoseconds.
func welch(t *testing.T, v *mac.Verifier, reqs [2]*http.Request, n int) (
	score, difference float64) {
	t.Helper()
	score, mean := testkit.Welch(n, func(class int) time.Duration {
		start := time.Now()
		_, err := v.AuthenticateAt(reqs[class], testTime)
		took := time.Since(start)
		if err == nil {
			t.Fatal("a wrong MAC passes")
		}
		return took
	})
	return score, mean[0] - mean[1]
}
