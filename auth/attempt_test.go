package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/basic"
)

// Each row states the cost of an attempt with this outcome.
func TestAttempt_S12(t *testing.T) {
	for _, tt := range []struct {
		reason string
		err    error
		costs  bool
	}{
		{"wrong", errWrong, true},
		{"right", nil, false},
		{"an outage", retryError{}, false},
		{"a caller who left", fmt.Errorf("x: %w", context.Canceled), false},
		{"not looked at", auth.ErrLimited, false},
		{"wrong, before an outage", spentError{auth.ErrUnavailable, true}, true},
		{"wrong, before a caller left", fmt.Errorf("x: %w", spentError{context.Canceled, true}),
			true},
		{"an outage before anything was wrong", spentError{auth.ErrUnavailable, false}, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			limiter := &auth.Limiter{
				Every: time.Minute, Burst: 3, Limited: func(*http.Request) { t.Error("called") },
				Key: func(*http.Request) string { t.Error("called"); return "" },
			}
			for i := range 6 {
				done, err := limiter.Attempt("ann")
				if limited := tt.costs && i >= 3; limited {
					later, ok := errors.AsType[interface {
						error
						RetryAfter() time.Duration
					}](err)
					if done != nil || !errors.Is(err, auth.ErrLimited) || !ok ||
						later.RetryAfter() != time.Minute {
						t.Errorf("%s, attempt %d: %v", tt.reason, i, err)
					}
					continue
				}
				if err != nil {
					t.Fatalf("%s, attempt %d: %v", tt.reason, i, err)
				}
				done(tt.err)
			}
		})
	}
}

// A spentError reports whether a guess was made.
type spentError struct {
	error
	spent bool
}

func (e spentError) Unwrap() error { return e.error }
func (e spentError) Spent() bool   { return e.spent }

// Once all attempts are used up, they become available again over time, one by one, and separately
// for each name.
func TestAttemptsComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := &auth.Limiter{Every: time.Minute, Burst: 2}
		try := func(name string, ok bool) {
			t.Helper()
			done, err := limiter.Attempt(name)
			if (err == nil) != ok {
				t.Errorf("%s: %v", name, err)
			}
			if done != nil {
				done(errWrong)
			}
		}
		try("ann", true)
		try("ann", true)
		try("ann", false)
		try("bob", true)
		time.Sleep(time.Minute)
		try("ann", true)
		try("ann", false)
	})
}

// Guesses count from their start, so an attacker gains nothing by making several at the same time.
func TestParallelAttempts_S12(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := &auth.Limiter{Every: time.Minute, Burst: 7}
		var pending []func(error)
		for range 100 {
			if done, err := limiter.Attempt("ann"); err == nil {
				pending = append(pending, done)
			}
		}
		if len(pending) != 7 {
			t.Errorf("%d at once, want 7", len(pending))
		}
		for _, done := range pending {
			done(nil)
			done(nil)
		}
		if done, err := limiter.Attempt("ann"); err != nil {
			t.Errorf("all were right, but %v", err)
		} else {
			done(nil)
		}
	})
}

// Guesses at one user's password from many addresses are limited by the name. Guesses from one
// address are limited more tightly, by a Handler in front.
func ExampleLimiter_Attempt() {
	perUser := &auth.Limiter{Every: time.Minute, Burst: 3}
	perAddress := &auth.Limiter{Every: time.Minute, Burst: 2}
	guard := &auth.Guard{
		Stack: auth.Stack{basic.Verifier{
			Users: people.Users,
			Attempt: func(_ *http.Request, user string) (func(error), error) {
				return perUser.Attempt(strings.ToLower(user))
			},
		}},
		Decided: perAddress.Decided,
	}
	page := perAddress.Handler(guard.Handler(http.HandlerFunc(greet)))

	try := func(address, user, password string) {
		req := httptest.NewRequest("GET", "/", nil)
		req.RemoteAddr = address + ":1234"
		req.SetBasicAuth(user, password)
		w := httptest.NewRecorder()
		page.ServeHTTP(w, req)
		fmt.Print(w.Code, " ", w.Body)
	}
	try("192.0.2.1", "ann", "123456")
	try("192.0.2.1", "ann", "password")
	try("192.0.2.1", "bob", "battery staple") // the address is limited
	try("192.0.2.2", "Ann", "qwerty")
	try("192.0.2.3", "ann", "correct horse") // the name is limited, even with the right password
	try("192.0.2.3", "bob", "battery staple")
	// Output:
	// 401 authentication required
	// 401 authentication required
	// 429 too many requests
	// 401 authentication required
	// 429 too many requests
	// 200 hello, bob
}
