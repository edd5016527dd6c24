package creds_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/creds"
)

// A fetch finds the refusal that it is made for, and no other one.
func TestChallenge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []string
		failing := false
		c := &creds.Cache[string]{
			Expires: func(string) time.Time { return time.Now().Add(time.Hour) },
			Fetch: func(ctx context.Context) (string, error) {
				seen = append(seen, creds.Challenge(ctx).Get("WWW-Authenticate"))
				if failing {
					return "", errors.New("not now")
				}
				return seen[len(seen)-1] + "!", nil
			},
		}
		get := func() string {
			t.Helper()
			s, err := c.Credentials(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		all := func(string) bool { return true }
		refusal := http.Header{"Www-Authenticate": {"more"}}

		get()
		c.Reject(all, refusal)
		refusal.Set("WWW-Authenticate", "changed by the caller")
		c.Reject(all, http.Header{"Www-Authenticate": {"too late"}})
		get()
		time.Sleep(time.Hour) // the next fetch replaces credentials that have ended
		get()
		time.Sleep(2 * time.Second)
		c.Reject(all, nil)
		get()
		failing = true
		time.Sleep(time.Minute)
		c.Reject(all, http.Header{"Www-Authenticate": {"again"}})
		get()
		failing = false
		time.Sleep(time.Minute)
		get() // the failed fetch is repeated, for the same refusal
		want := []string{"", "more", "", "", "again", "again"}
		if !slices.Equal(seen, want) {
			t.Errorf("Fetch saw %q, want %q", seen, want)
		}
	})
}

// A fetch does not find the refusal of another Cache, in whose Fetch its first caller runs.
func TestChallengeOfAnother(t *testing.T) {
	var inner, outer []string
	in := &creds.Cache[string]{Fetch: func(ctx context.Context) (string, error) {
		inner = append(inner, creds.Challenge(ctx).Get("WWW-Authenticate"))
		return "key", nil
	}}
	out := &creds.Cache[string]{Fetch: func(ctx context.Context) (string, error) {
		outer = append(outer, creds.Challenge(ctx).Get("WWW-Authenticate"))
		in.Reject(func(string) bool { return true }, nil)
		return in.Credentials(ctx)
	}}
	for range 2 {
		if _, err := out.Credentials(t.Context()); err != nil {
			t.Fatal(err)
		}
		out.Reject(func(string) bool { return true }, http.Header{"Www-Authenticate": {"more"}})
	}
	if !slices.Equal(outer, []string{"", "more"}) || slices.Contains(inner, "more") {
		t.Errorf("outer saw %q, inner %q", outer, inner)
	}
}

// Outside a Fetch, Challenge returns nil.
func TestNoChallenge(t *testing.T) {
	if h := creds.Challenge(t.Context()); h != nil {
		t.Errorf("Challenge returned %v", h)
	}
}
