package mac_test

import (
	"errors"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/mac"
)

// signedAt returns a received request of id with exactly this ts and nonce. A Signer does not let
// its caller choose them.
func signedAt(t testing.TB, c *mac.Credentials, ts, nonce string) *http.Request {
	req := newRequest(t, "GET", "http://example.com/")
	text := ts + "\n" + nonce + "\nGET\n/\nexample.com\n80\n\n"
	req.Header.Set("Authorization", `MAC id="`+c.ID+`", ts="`+ts+`", nonce="`+nonce+`", mac="`+
		expected(c.Algorithm, string(c.Key), text)+`"`)
	return received(req)
}

// TestNonceSequences runs the peer's sequences against a Verifier whose Window is the peer's
// nonce_ttl. Where the results differ, testdata/noncecache_ours.json gives ours, with the rule.
func TestNonceSequences(t *testing.T) {
	var file struct {
		Count     int
		Sequences []struct {
			Name  string
			TTL   int `json:"nonce_ttl"`
			Steps []struct {
				T     float64
				ID    string
				TS    int64
				Nonce string
				Fresh *bool
			}
		}
	}
	load(t, "noncecache.json", &file)
	var ours map[string]map[string]struct {
		Fresh bool
		Rule  string
	}
	load(t, "noncecache_ours.json", &ours)
	sequences, steps, differ := 0, 0, 0
	for _, seq := range file.Sequences {
		sequences++
		window := time.Duration(seq.TTL) * time.Second
		if window == 0 {
			window = 1 // the shortest window: 0 means the default
		}
		v := &mac.Verifier{Window: window}
		for i, step := range seq.Steps {
			steps++
			c := &mac.Credentials{ID: step.ID, Key: []byte("k")}
			v.Keys = oneKey(c)
			now := time.Unix(0, 0).Add(time.Duration(step.T * float64(time.Second)))
			req := signedAt(t, c, strconv.FormatInt(step.TS, 10), step.Nonce)
			_, err := v.AuthenticateAt(req, now)
			want := step.Fresh != nil && *step.Fresh
			rule, listed := ours[seq.Name][strconv.Itoa(i)]
			if listed {
				differ++
				if rule.Fresh == want || rule.Rule == "" {
					t.Errorf("%s, step %d: listed, but no different: %+v", seq.Name, i, rule)
				}
				want = rule.Fresh
			}
			if (err == nil) != want {
				t.Errorf("%s, step %d: %v, want fresh %t", seq.Name, i, err, want)
			}
			if err != nil && !refusedForTime(err) && !listed && step.Nonce != "" {
				t.Errorf("%s, step %d: %v", seq.Name, i, err)
			}
		}
	}
	listed := 0
	for _, rows := range ours {
		listed += len(rows)
	}
	if sequences != file.Count || steps != 190 || differ != listed {
		t.Errorf("ran %d of %d sequences with %d steps, %d of %d listed",
			sequences, file.Count, steps, differ, listed)
	}
}

func refusedForTime(err error) bool {
	return errors.Is(err, mac.ErrStale) || errors.Is(err, mac.ErrReplayed) ||
		errors.Is(err, auth.ErrUnavailable)
}
