package jwt_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/jwt"
)

// claimsOf returns the claims of a token as a Verifier returns them.
func claimsOf(jti string, life time.Duration) map[string]any {
	exp := strconv.FormatInt(time.Now().Add(life).Unix(), 10)
	return map[string]any{"jti": jti, "iss": "us", "sub": "ann", "exp": json.Number(exp)}
}

func isRevoked(t *testing.T, d *jwt.DenyList, claims map[string]any) bool {
	t.Helper()
	revoked, err := d.Revoked(context.Background(), claims)
	if err != nil {
		t.Fatal(err)
	}
	return revoked
}

func TestDenyList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(jwt.DenyList)
		claims := claimsOf("1", time.Hour)
		if isRevoked(t, d, claims) {
			t.Error("an empty list has a token")
		}
		for range 2 {
			if err := d.Revoke(claims); err != nil {
				t.Fatal(err)
			}
		}
		if !isRevoked(t, d, claims) {
			t.Error("the token is not on the list")
		}
		for name, change := range map[string]map[string]any{
			"another token":       {"jti": "2", "iss": "us"},
			"of another issuer":   {"jti": "1", "iss": "them"},
			"without issuer":      {"jti": "1"},
			"split another way":   {"jti": "s1", "iss": "u"},
			"without jti":         {"iss": "us"},
			"with a number as id": {"jti": json.Number("1"), "iss": "us"},
		} {
			if isRevoked(t, d, change) {
				t.Errorf("a token %s is on the list", name)
			}
		}
		if d.Held() != 1 {
			t.Errorf("%d entries, want 1", d.Held())
		}
	})
}

func TestDenyListCannotRevoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, claims := range map[string]map[string]any{
			"no jti":       {"sub": "ann"},
			"empty jti":    {"jti": ""},
			"jti a number": {"jti": json.Number("1")},
			"exp a text":   {"jti": "1", "exp": "soon"},
		} {
			d := new(jwt.DenyList)
			err := d.Revoke(claims)
			if err == nil || errors.Is(err, auth.ErrUnavailable) || d.Held() != 0 {
				t.Errorf("%s: %v, and %d entries", name, err, d.Held())
			}
		}
	})
}

// TestDenyListOutlivesLeeway checks that a token stays on the list for as long as any Verifier may
// accept it.
func TestDenyListOutlivesLeeway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(jwt.DenyList)
		v := &jwt.Verifier{Keys: hmacKey, Leeway: 5 * time.Minute, Revoked: d.Revoked}
		token := mint(t, hmacKey, nil, claimsOf("1", time.Minute))
		claims, err := v.Verify(context.Background(), token)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Revoke(claims); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6*time.Minute - time.Nanosecond)
		d.Sweep()
		if _, err := v.Verify(context.Background(), token); err != nil {
			t.Fatalf("the token does not last as long as this test believes: %v", err)
		}
		if _, err := v.Authenticate(withToken(token)); !errors.Is(err, jwt.ErrRefused) {
			t.Errorf("a revoked token came back to life: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if d.Sweep(); d.Held() != 0 {
			t.Error("a token that has ended is still on the list")
		}
		if err := d.Revoke(claims); err != nil || d.Held() != 0 {
			t.Errorf("a token that has ended was put on the list: %v", err)
		}
	})
}

// TestDenyListOutlivesGlitch moves the wall clock beyond every end for a moment. When it is back,
// the revoked tokens are still on the list.
func TestDenyListOutlivesGlitch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(jwt.DenyList)
		claims := claimsOf("1", time.Hour)
		if err := d.Revoke(claims); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if d.SweepAhead(6 * time.Hour); !isRevoked(t, d, claims) {
			t.Error("the token is off the list while the clock is ahead")
		}
		time.Sleep(59*time.Minute - time.Second)
		if d.Sweep(); !isRevoked(t, d, claims) {
			t.Error("the token is off the list before its end")
		}
		time.Sleep(6 * time.Minute)
		if d.Sweep(); d.Held() != 0 {
			t.Error("the token stays on the list after its end")
		}
	})
}

// TestDenyListKeepsTheLaterEnd_J12 revokes two tokens of one session, in either order.
func TestDenyListKeepsTheLaterEnd_J12(t *testing.T) {
	for name, lives := range map[string][]time.Duration{
		"the longer one last":  {time.Minute, time.Hour},
		"the longer one first": {time.Hour, time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := new(jwt.DenyList)
			for _, life := range lives {
				if err := d.Revoke(claimsOf("1", life)); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Hour)
			if d.Sweep(); !isRevoked(t, d, claimsOf("1", 0)) {
				t.Errorf("%s: forgotten too early", name)
			}
			time.Sleep(5 * time.Minute) // the longest Leeway
			if d.Sweep(); d.Held() != 0 {
				t.Errorf("%s: never forgotten", name)
			}
		})
	}
}

// TestDenyListBounded_S3 fills the list. The full list refuses new tokens, drops no valid one, and
// has room again when tokens end.
func TestDenyListBounded_S3(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(jwt.DenyList)
		first := claimsOf("first", time.Minute)
		endless := map[string]any{"jti": "endless"}
		for _, claims := range []map[string]any{first, endless} {
			if err := d.Revoke(claims); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 99_998 {
			claims := claimsOf(fmt.Sprint(i), time.Hour)
			claims["sub"] = json.Number(fmt.Sprint(i / 1000))
			if err := d.Revoke(claims); err != nil {
				t.Fatal(i, err)
			}
		}
		last := claimsOf("last", 2*time.Hour)
		err := d.Revoke(last)
		if !errors.Is(err, auth.ErrUnavailable) || isRevoked(t, d, last) {
			t.Errorf("the list is full: %v", err)
		}
		if err := d.Revoke(first); err != nil || !isRevoked(t, d, first) {
			t.Errorf("what a full list has already: %v", err)
		}
		time.Sleep(6 * time.Minute)
		if err := d.Revoke(last); err != nil || d.Held() != 100_000 || isRevoked(t, d, first) {
			t.Errorf("one has ended: %v, and %d entries", err, d.Held())
		}
		time.Sleep(time.Hour)
		if err := d.Revoke(claimsOf("new", time.Hour)); err != nil || d.Held() != 3 {
			t.Errorf("all but two have ended: %v, and %d entries", err, d.Held())
		}
		if !isRevoked(t, d, endless) || !isRevoked(t, d, last) {
			t.Error("a token that has not ended was dropped")
		}
	})
}

// TestDenyListPerSubject_M9 has one user log in and out 100,000 times. All other users can still
// log out.
func TestDenyListPerSubject_M9(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(jwt.DenyList)
		of := func(sub any, jti string, life time.Duration) map[string]any {
			claims := claimsOf(jti, life)
			if claims["sub"] = sub; sub == nil {
				delete(claims, "sub")
			}
			return claims
		}
		for _, sub := range []any{"mallory", json.Number("7"), nil} {
			for i := range 100_000 {
				claims := of(sub, fmt.Sprint(sub, i), time.Hour)
				err := d.Revoke(claims)
				switch {
				case i < 1000 && err != nil, i < 1000 && !isRevoked(t, d, claims):
					t.Fatalf("token %d of %v: %v", i, sub, err)
				case i >= 1000 && !errors.Is(err, auth.ErrUnavailable):
					t.Fatalf("token %d of %v: %v", i, sub, err)
				}
			}
		}
		for i := range 1000 {
			sub := fmt.Sprint("user-", i)
			if err := d.Revoke(of(sub, sub, time.Hour)); err != nil {
				t.Fatalf("%s cannot log out: %v", sub, err)
			}
		}
		again := of("mallory", "mallory0", 2*time.Hour)
		if err := d.Revoke(again); err != nil {
			t.Errorf("a token that is on the list: %v", err)
		}
		other := of("mallory", "other issuer", time.Hour)
		if other["iss"] = "them"; d.Revoke(other) != nil {
			t.Error("the same sub of another issuer counts as one user")
		}
		time.Sleep(time.Hour + 5*time.Minute)
		for i := range 999 { // one token stays for another hour
			if err := d.Revoke(of("mallory", fmt.Sprint("new", i), time.Hour)); err != nil {
				t.Fatalf("token %d, after the others have ended: %v", i, err)
			}
		}
		if d.Revoke(of("mallory", "one more", time.Hour)) == nil {
			t.Error("the bound is gone")
		}
	})
}

// TestDenyListForgets adds many short-lived tokens to the list.
func TestDenyListForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(jwt.DenyList)
		most := 0
		for i := range 8_000 {
			if err := d.Revoke(claimsOf(fmt.Sprint(i), time.Minute)); err != nil {
				t.Fatal(err)
			}
			most = max(most, d.Held())
			time.Sleep(time.Second)
		}
		if most > 1100 {
			t.Errorf("up to %d entries, of which at most 360 are needed", most)
		}
	})
}
