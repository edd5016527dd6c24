package basic_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/portal"
)

// spending returns a page that allows three guesses for each name. Its first Checker counts its
// calls, and the caller provides the second.
func spending(guesses *atomic.Int32, second portal.Checker) http.Handler {
	limiter := &auth.Limiter{Every: time.Hour, Burst: 3}
	counts := checker(func(ctx context.Context, c portal.Credentials) (string, error) {
		guesses.Add(1)
		return users.Check(ctx, c)
	})
	return auth.Require(http.NotFoundHandler(), &basic.Verifier{
		Users: portal.Checkers{counts, second},
		Attempt: func(_ *http.Request, user string) (func(error), error) {
			return limiter.Attempt(user)
		},
	})
}

// While one of several Checkers is down, a 503 tells an attacker as much as "wrong" does, so it
// counts as a guess.
func TestGuessesInOutage_S12(t *testing.T) {
	for _, down := range []error{
		errors.New("test: down"), auth.ErrUnavailable, auth.ErrLimited, portal.ErrUnhandled,
		context.DeadlineExceeded,
	} {
		var guesses atomic.Int32
		page := spending(&guesses, checkFunc(func() error { return down }))
		for i := range 1000 {
			w := httptest.NewRecorder()
			page.ServeHTTP(w, request("Basic "+encoded(fmt.Sprint("ann:", i))))
		}
		if n := guesses.Load(); n != 3 {
			t.Errorf("%v: %d guesses, want 3", down, n)
		}
	}
}

// A client that disconnects after the first Checker has answered has made a guess.
func TestGuessesByHangingUp_S12(t *testing.T) {
	var guesses atomic.Int32
	asked, ended := make(chan struct{}), make(chan struct{})
	page := spending(&guesses, checker(
		func(ctx context.Context, _ portal.Credentials) (string, error) {
			asked <- struct{}{}
			<-ctx.Done()
			return "", ctx.Err()
		}))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		defer func() { ended <- struct{}{} }()
		page.ServeHTTP(w, req)
	}))
	defer server.Close()
	for i := range 50 {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %s\r\n\r\n",
			encoded(fmt.Sprint("ann:", i)))
		select {
		case <-asked:
			conn.Close()
			<-ended
		case <-ended: // it was refused
			conn.Close()
		}
	}
	if n := guesses.Load(); n != 3 {
		t.Errorf("%d guesses, want 3", n)
	}
}

// A misconfigured service must not tell users that their password is wrong, and must not lock them
// out.
func TestFaultOfSetUp_S9(t *testing.T) {
	for _, nobody := range []passwordChecker{
		portal.Checkers{}, portal.Checkers{portal.AllowAnonymous{}}, &portal.File{}, &portal.SQL{},
	} {
		limiter := &auth.Limiter{Every: time.Hour, Burst: 1}
		page := auth.Require(http.NotFoundHandler(), &basic.Verifier{
			Users: nobody,
			Attempt: func(_ *http.Request, user string) (func(error), error) {
				return limiter.Attempt(user)
			},
		})
		for range 3 {
			w := httptest.NewRecorder()
			page.ServeHTTP(w, request("Basic "+encoded("ann:a:b")))
			if w.Code != http.StatusServiceUnavailable {
				t.Errorf("%T: %d, want 503", nobody, w.Code)
			}
		}
	}
}
