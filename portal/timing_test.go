package portal_test

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/base64"
	"errors"
	"flag"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/testkit"
	"github.com/countersign-go/countersign/portal"
)

var samples = flag.Int("samples", 2000, "how many logins to time for each checker")

// coarse returns the share of the time that is ignored in a run of few samples. A busy machine can
// cause any smaller difference; a missing hash causes a larger one.
func coarse() float64 {
	if *samples < 20_000 {
		return 0.5
	}
	return 0
}

// An unknown user takes as long as a wrong password: Welch's t test finds no difference. The plain
// run takes few samples, which suffice to find a missing hash; the checks take 100,000.
func TestUnknownUserTiming_S2(t *testing.T) {
	// With so few rounds a login is quick, so a difference beside the hash shows clearly.
	salt := []byte("saltsaltsalt")
	key, err := pbkdf2.Key(sha256.New, "right", salt, 250, sha256.Size)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawStdEncoding.EncodeToString
	hash := "$pbkdf2-sha256$250$" + encode(salt) + "$" + encode(key) + "\n"
	file := &portal.File{Path: writeUsers(t, "alice:"+hash+"bobby:"+hash)}
	settle(t, file.Path)
	sql := &portal.SQL{Query: usersQuery, DB: table(
		[]driver.Value{"alice", strings.TrimSpace(hash)},
		[]driver.Value{"bobby", strings.TrimSpace(hash)},
	).open(t)}
	for _, user := range []string{"alice", "bobby"} { // otherwise no decoy exists
		wants(t, user, sql, password(user, "right"), user)
	}
	// A login with yescrypt takes milliseconds, so fewer are timed.
	const yescrypt = "$y$j7.$EliA/kDxuiV7tzONOvPv/0$K1/0zxQhah4hnWA7YCFwYyQHI5795xo/exvQOmZu089"
	shadow := &portal.File{Path: writeUsers(t, "alice:"+yescrypt+"\nbobby:"+yescrypt)}
	settle(t, shadow.Path)
	// In one file, alice's account is locked; in the other, it has expired.
	locked := &portal.File{Path: writeUsers(t, "alice:!"+hash+"bobby:"+hash)}
	settle(t, locked.Path)
	expired := &portal.File{Path: writeUsers(t, "alice:"+strings.TrimSpace(hash)+
		":10900:0:99999:7::10957:\nbobby:"+hash)}
	settle(t, expired.Path)
	wants(t, "expired", expired, password("alice", "right"), "")
	memory := portal.Memory{"alice": creds.Secret("x"), "bobby": creds.Secret("y")}
	for _, tt := range []struct {
		name    string
		checker portal.Checker
		slack   float64 // the share of the time that an attacker cannot measure
		samples int
	}{
		{"file", file, 0, *samples},
		{"yescrypt", shadow, 0, *samples / 10},
		{"locked", locked, 0, *samples / 10},
		{"expired", expired, 0, *samples / 10},
		{"both", portal.Checkers{file, memory}, 0, *samples},
		{"sql", sql, 0.05, *samples},        // to return a row takes longer than to return none
		{"memory", memory, 0.005, *samples}, // some 3 ns remain; a quiet machine just sees them
	} {
		// A busy machine can spoil a try. A real difference shows in every try.
		found := true
		var score, difference float64
		for try := 0; try < 3 && found; try++ {
			score, difference = welch(t, tt.checker, tt.samples)
			found = score >= 4.5 && difference >= max(tt.slack, coarse())
		}
		t.Logf("%s: t = %.1f, %.2f %% of the time, %d samples",
			tt.name, score, 100*difference, tt.samples)
		if found {
			t.Errorf("%s: an unknown user can be told from a wrong password", tt.name)
		}
	}
}

// welch times logins with a wrong password, of a known user and an unknown one. It returns Welch's
// t and the difference as a share of the time, both without their signs.
func welch(t *testing.T, checker portal.Checker, n int) (score, difference float64) {
	t.Helper()
	users := [2]string{"alice", "mallo"}
	score, mean := testkit.Welch(n, func(class int) time.Duration {
		given := password(users[class], "wrong")
		start := time.Now()
		_, err := checker.Check(context.Background(), given)
		took := time.Since(start)
		if !errors.Is(err, portal.ErrUnauthorized) {
			t.Fatal(err)
		}
		return took
	})
	return math.Abs(score), math.Abs(mean[0]-mean[1]) / mean[1]
}
