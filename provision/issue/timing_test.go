package issue_test

import (
	"context"
	"errors"
	"flag"
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds/file"
	"github.com/countersign-go/countersign/internal/testkit"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision/issue"
)

var samples = flag.Int("samples", 5000, "how many keys to look up for each registry")

// A Registry needs the same time to look up an unknown id as a known one. With very many samples
// any difference is significant, so a difference counts only if it is larger than the slack.
func TestUnknownIDTiming_S2(t *testing.T) {
	claims := func(context.Context, *auth.Identity) (issue.Terms, error) {
		return issue.Terms{Claims: map[string]any{"groups": []string{"staff", "admin"}}}, nil
	}
	for _, tt := range []struct {
		name     string
		registry *issue.Registry
		slack    float64 // the ratio of the time that does not count
	}{
		{"memory", &issue.Registry{}, 0.05},
		{"memory, claims", &issue.Registry{Terms: claims}, 0.05},
		{"dir", &issue.Registry{Store: &file.Dir{Path: filepath.Join(t.TempDir(), "r")}},
			0.1},
	} {
		// A busy machine can spoil one try. A real difference is there in each.
		found := true
		for try := 0; try < 5 && found; try++ {
			score, difference, took := welch(t, tt.registry, *samples)
			t.Logf("figure 21 (registry): %s: t = %.1f, known - unknown = %.0f ns of %.0f, "+
				"%d samples", tt.name, score, difference, took, *samples)
			slack := tt.slack
			if *samples < 20_000 {
				slack = 0.5 // a busy machine can make any smaller difference
			}
			found = math.Abs(score) >= 4.5 && math.Abs(difference) >= slack*took
		}
		if found {
			t.Errorf("%s: an unknown id can be told from a known one", tt.name)
		}
	}
}

// welch times Key for a known and an unknown id. It returns Welch's t and the difference, both
// positive if the known id took longer, and the time of Key, both times in nanoseconds.
func welch(t *testing.T, r *issue.Registry, n int) (score, difference, took float64) {
	t.Helper()
	c := issued(t, r, "ann")
	ids := [2]string{c.ID, "AAAAAAAAAAAAAAAA"}
	score, mean := testkit.Welch(n, func(class int) time.Duration {
		start := time.Now()
		_, err := r.Key(context.Background(), ids[class])
		took := time.Since(start)
		known := err == nil
		if known != (class == 0) || !known && !errors.Is(err, mac.ErrUnknownID) {
			t.Fatal(err)
		}
		return took
	})
	return score, mean[0] - mean[1], mean[0]
}
