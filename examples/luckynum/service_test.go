package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/portal"
)

func TestLuckyNumber(t *testing.T) {
	morning := time.Date(2012, 10, 4, 0, 0, 0, 0, time.UTC)
	evening := morning.Add(24*time.Hour - 1)
	seen := map[int]bool{}
	for day := range 1000 {
		n := luckyNumber("demo", morning.AddDate(0, 0, day))
		if n < 1 || n > 100 {
			t.Fatalf("day %d: %d", day, n)
		}
		if n != luckyNumber("demo", evening.AddDate(0, 0, day).In(time.FixedZone("", 7200))) {
			t.Errorf("day %d: the number has changed", day)
		}
		seen[n] = true
	}
	if len(seen) < 90 {
		t.Errorf("%d different numbers in 1000 days", len(seen))
	}
	if luckyNumber("demo", morning) == luckyNumber("ann", morning) {
		t.Error("all users have the same number")
	}
}

func TestServiceAnswers(t *testing.T) {
	h := (&service{users: portal.Memory{"demo": []byte(demoPassword)}}).handler()
	for _, tt := range []struct {
		reason, method, path string
		status               int
	}{
		{"not signed", "GET", "/", http.StatusUnauthorized},
		{"no password", "POST", "/provision", http.StatusUnauthorized},
		{"a key is no page", "GET", "/provision", http.StatusMethodNotAllowed},
		{"nothing can be changed", "POST", "/", http.StatusMethodNotAllowed},
		{"no such page", "GET", "/elsewhere", http.StatusNotFound},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, http.NoBody))
		if w.Code != tt.status {
			t.Errorf("%s: %d, want %d", tt.reason, w.Code, tt.status)
		}
	}
}

// The window of a service with a wrong clock is around the time by that clock. This also holds if
// the clock is behind, and in the first minute after the start.
func TestSkewedWindow(t *testing.T) {
	for _, skew := range []time.Duration{time.Hour, -time.Hour, 30 * time.Second} {
		for _, tt := range []struct {
			reason string
			off    time.Duration // of the timestamp, by the clock of the service
			err    error
		}{
			{"right", 0, nil},
			{"the last that is not too old", -time.Minute, nil},
			{"too old", -time.Minute - time.Second, mac.ErrStale},
			{"the last that is not too far ahead", time.Minute, nil},
			{"too far ahead", time.Minute + time.Second, mac.ErrStale},
			{"from before the start", -3 * time.Minute, mac.ErrStale},
		} {
			synctest.Test(t, func(t *testing.T) {
				s := &service{skew: skew}
				key := &mac.Credentials{ID: "demo", Key: []byte(demoPassword)}
				v := s.skewed(&mac.Verifier{
					NotBefore: s.now(),
					Keys: func(context.Context, string) (*mac.Key, error) {
						return &mac.Key{Secret: key.Key}, nil
					},
				})
				time.Sleep(2 * time.Minute)
				req := httptest.NewRequest("GET", "/", http.NoBody)
				if err := (&mac.Signer{Source: key}).Sign(req, s.now().Add(tt.off)); err != nil {
					t.Fatal(err)
				}
				if _, err := v.Authenticate(req); !errors.Is(err, tt.err) {
					t.Errorf("skew %s, %s: %v", skew, tt.reason, err)
				}
			})
		}
	}
}
