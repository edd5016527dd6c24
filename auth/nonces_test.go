package auth_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
)

var testTime = time.Unix(1336363200, 0)

// TestNonceKeys_R9 claims ids and nonces that would be the same text if they were joined.
func TestNonceKeys_R9(t *testing.T) {
	m := new(auth.NonceMemory)
	until := testTime.Add(time.Minute)
	claims := []struct {
		id, nonce string
		until     time.Time
	}{
		{"ab", "c", until}, {"a", "bc", until}, {"", "abc", until}, {"abc", "", until},
		{"a", "b\x00c", until}, {"a\x00b", "c", until}, {"a", "n", until}, {"b", "n", until},
		{"a", "n", until.Add(time.Second)}, {"a", "N", until},
	}
	for round := range 2 {
		for _, c := range claims {
			fresh, err := m.ClaimAt(testTime, c.id, c.nonce, c.until)
			if err != nil || fresh != (round == 0) {
				t.Errorf("round %d, %+v: %t, %v", round, c, fresh, err)
			}
		}
	}
	// Ends are rounded up to a whole second, so these are the same end.
	for i, fraction := range []time.Duration{1, time.Second / 2, time.Second} {
		fresh, err := m.ClaimAt(testTime, "x", "n", until.Add(fraction))
		if err != nil || fresh != (i == 0) {
			t.Errorf("until+%v: %t, %v", fraction, fresh, err)
		}
	}
}

// TestNonceMemoryForgets checks that a long run drops the nonces that have ended, and their counts.
func TestNonceMemoryForgets(t *testing.T) {
	m := new(auth.NonceMemory)
	for second := range 1000 {
		now := testTime.Add(time.Duration(second) * time.Second)
		for i := range 10 {
			id, nonce := strconv.Itoa(i%3), strconv.Itoa(i)
			fresh, err := m.ClaimAt(now, id, nonce, now.Add(time.Minute))
			if !fresh || err != nil {
				t.Fatalf("second %d: %t, %v", second, fresh, err)
			}
		}
		if nonces, slots, ids := m.Held(); nonces > 10*66 || slots > 14 || ids != 3 {
			t.Fatalf("second %d: %d nonces, %d slots, %d ids", second, nonces, slots, ids)
		}
	}
	hour := testTime.Add(time.Hour)
	if _, err := m.ClaimAt(hour, "id", "n", hour.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if nonces, slots, ids := m.Held(); nonces != 1 || slots != 1 || ids != 1 {
		t.Errorf("%d nonces, %d slots, %d ids", nonces, slots, ids)
	}
}

// TestRetryAfterPerID has an id whose nonces end later than another id's.
func TestRetryAfterPerID(t *testing.T) {
	m := &auth.NonceMemory{MaxPerID: 1}
	for id, life := range map[string]time.Duration{"other": 10 * time.Second, "id": time.Minute} {
		if _, err := m.ClaimAt(testTime, id, "n", testTime.Add(life)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := m.ClaimAt(testTime, "id", "m", testTime.Add(time.Minute))
	var retry interface{ RetryAfter() time.Duration }
	if !errors.As(err, &retry) || retry.RetryAfter() < time.Minute {
		t.Errorf("%v, want a RetryAfter of a minute", err)
	}
}

// TestClaimTooLate claims nonces whose end has come. They are never fresh if the clock is right.
func TestClaimTooLate(t *testing.T) {
	m := new(auth.NonceMemory)
	for _, until := range []time.Time{testTime, testTime.Add(-1), testTime.Add(-time.Hour), {}} {
		if fresh, err := m.ClaimAt(testTime, "i", "n", until); fresh || err != nil {
			t.Errorf("until %v: %t, %v", until, fresh, err)
		}
	}
}

// TestDefaultQuota_R6 counts how many nonces one user may use.
func TestDefaultQuota_R6(t *testing.T) {
	m := new(auth.NonceMemory)
	until := testTime.Add(time.Minute)
	for i := range 1 << 16 {
		if fresh, err := m.ClaimAt(testTime, "id", strconv.Itoa(i), until); err != nil || !fresh {
			t.Fatalf("claim %d: %v, %v", i, fresh, err)
		}
	}
	if _, err := m.ClaimAt(testTime, "id", "more", until); !errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("claim %d: %v", 1<<16+1, err)
	}
}

func BenchmarkClaim(b *testing.B) {
	m := &auth.NonceMemory{Max: 1 << 30, MaxPerID: 1 << 30}
	until := time.Now().Add(time.Hour)
	nonce := make([]byte, 0, 16)
	n := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		n++
		nonce = strconv.AppendUint(nonce[:0], n|1<<50, 16)
		if fresh, err := m.Claim(b.Context(), "h480djs93hd8", string(nonce), until); !fresh {
			b.Fatal(err)
		}
	}
}
