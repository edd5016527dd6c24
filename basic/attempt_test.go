package basic_test

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
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
)

func TestAttempt_S12(t *testing.T) {
	broken := errors.New("test: connection reset")
	for _, tt := range []struct {
		reason  string
		attempt error // the result of Attempt
		check   error // the result of the Checker
		asked   bool
		want    error
		never   error
	}{
		{"right", nil, nil, true, nil, auth.ErrNone},
		{"wrong", nil, portal.ErrUnauthorized, true, basic.ErrRefused, auth.ErrUnavailable},
		{"an outage", nil, broken, true, auth.ErrUnavailable, basic.ErrRefused},
		{"too many", auth.ErrLimited, nil, false, auth.ErrLimited, auth.ErrUnavailable},
		{"too many wrong ones", errors.Join(portal.ErrUnauthorized, auth.ErrLimited), nil, false,
			auth.ErrLimited, basic.ErrRefused},
		{"too many is no absence", errors.Join(auth.ErrNone, auth.ErrLimited), nil, false,
			auth.ErrLimited, basic.ErrRefused},
		{"too many, says the Checker", nil, fmt.Errorf("x: %w", auth.ErrLimited), true,
			auth.ErrLimited, basic.ErrRefused},
		{"locked out, and it looks like a wrong password", portal.ErrUnauthorized, nil, false,
			basic.ErrRefused, auth.ErrLimited},
		{"nobody can tell how many there were", broken, nil, false,
			auth.ErrUnavailable, basic.ErrRefused},
		{"absence is not for Attempt to say", auth.ErrNone, nil, false,
			auth.ErrUnavailable, basic.ErrRefused},
	} {
		var calls []string
		req := request("Basic " + encoded("ann:a:b"))
		v := &basic.Verifier{
			Attempt: func(r *http.Request, user string) (func(error), error) {
				calls = append(calls, "attempt")
				if r.Header.Get("Authorization") == "" || user != "ann" {
					t.Errorf("%s: asked about %q", tt.reason, user)
				}
				return func(err error) {
					calls = append(calls, "done")
					if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
						t.Errorf("%s: done was told %v", tt.reason, err)
					}
				}, tt.attempt
			},
			Users: checker(func(context.Context, portal.Credentials) (string, error) {
				calls = append(calls, "check")
				return "ann", tt.check
			}),
		}
		id, err := v.Authenticate(req)
		if !errors.Is(err, tt.want) || tt.want == nil && err != nil || errors.Is(err, tt.never) ||
			(id == nil) == (err == nil) {
			t.Errorf("%s: %v, %v; want %v", tt.reason, id, err, tt.want)
		}
		want := "[attempt]"
		if tt.asked {
			want = "[attempt check done]"
		}
		if fmt.Sprint(calls) != want {
			t.Errorf("%s: %v, want %s", tt.reason, calls, want)
		}
		// A Guard must not treat any of these as a request without credentials.
		answer := httptest.NewRecorder()
		auth.Optional(http.NotFoundHandler(), v).ServeHTTP(answer, req.Clone(t.Context()))
		if passed := answer.Code == 404; passed != (tt.want == nil) {
			t.Errorf("%s: %d", tt.reason, answer.Code)
		}
	}
}

// A request without a user name does not count as an attempt. Attempt may return a nil done.
func TestAttemptIsForNames(t *testing.T) {
	asked := 0
	v := basic.Verifier{Users: users,
		Attempt: func(*http.Request, string) (func(error), error) {
			asked++
			return nil, nil
		}}
	for _, field := range []string{"", "MAC x=1", "Basic ?", "Basic " + encoded("ann")} {
		if id, err := v.Authenticate(request(field)); id != nil || asked != 0 {
			t.Errorf("%q: %v, %v, asked %d times", field, id, err, asked)
		}
	}
	if id, err := v.Authenticate(request("Basic " + encoded("ann:a:b"))); err != nil || asked != 1 {
		t.Errorf("%v, %v, asked %d times", id, err, asked)
	}
}

// limited returns a page behind a Verifier that allows three guesses for each name. Its Checker
// counts its calls, each of which could cost a hash.
func limited(hashes *int) http.Handler {
	perUser := &auth.Limiter{Every: time.Minute, Burst: 3}
	return auth.Require(http.NotFoundHandler(), &basic.Verifier{
		Users: checker(func(ctx context.Context, c portal.Credentials) (string, error) {
			*hashes++
			return users.Check(ctx, c)
		}),
		Attempt: func(_ *http.Request, user string) (func(error), error) {
			return perUser.Attempt(strings.ToLower(user))
		},
	})
}

// An attacker who guesses from any number of addresses, and in any case of the name, makes the
// server compute only a few hashes. The 429 does not reveal whether the user exists or a guess is
// right.
func TestBruteForce_S12(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hashes := 0
		page := limited(&hashes)
		try := func(i int, user, password string) string {
			req := request("Basic " + encoded(user+":"+password))
			req.RemoteAddr = fmt.Sprintf("192.0.2.%d:1234", i)
			w := httptest.NewRecorder()
			page.ServeHTTP(w, req)
			return fmt.Sprint(w.Code, w.Header(), w.Body)
		}
		for i := range 10 {
			known := try(i, []string{"ann", "Ann", "ANN"}[i%3], "wrong")
			unknown := try(i, "nobody", "wrong")
			if known != unknown {
				t.Errorf("guess %d:\n%s\n%s", i, known, unknown)
			}
			want := "429 "
			if i < 3 {
				want = "401 "
			}
			if !strings.HasPrefix(known, want) {
				t.Errorf("guess %d: %s, want %s", i, known, want)
			}
		}
		if hashes != 6 {
			t.Errorf("%d hashes for two names, want 6", hashes)
		}
		if right, wrong := try(99, "ann", "a:b"), try(99, "ann", "wrong"); right != wrong {
			t.Errorf("the right password:\n%s\nwant\n%s", right, wrong)
		}
		time.Sleep(time.Minute)
		for range 5 { // right passwords cost nothing
			if got := try(99, "ann", "a:b"); !strings.HasPrefix(got, "404 ") {
				t.Errorf("a minute later: %s", got)
			}
		}
	})
}

// Users type passwords into the field for the name, so no reason contains the name.
func TestReasonsNameNobody_S12(t *testing.T) {
	for _, check := range []passwordChecker{
		portal.Memory{},
		checker(func(context.Context, portal.Credentials) (string, error) {
			return "", errors.New("test: down")
		}),
	} {
		limiter := &auth.Limiter{Burst: 1}
		v := basic.Verifier{Users: check,
			Attempt: func(_ *http.Request, user string) (func(error), error) {
				return limiter.Attempt(user)
			}}
		for range 2 {
			req := newRequest(t)
			signer := basic.Signer{User: "canary-5ec7e1", Password: creds.Secret("canary-5ec7e2")}
			if err := signer.Sign(req, time.Time{}); err != nil {
				t.Fatal(err)
			}
			_, err := v.Authenticate(req)
			if err == nil || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, v), "5ec7e") {
				t.Error("let in, or a name or a password in the reason")
			}
		}
	}
}
