package auth_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/auth"
)

// A cost that has drained is not refunded, so a client that delays many decisions gets no more
// requests than others.
func TestDrainedIsNotGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := &auth.Limiter{Every: time.Minute, Burst: 5}
		gate, guesses := make(chan struct{}), 0
		guard := &auth.Guard{Decided: limiter.Decided, Stack: auth.Stack{
			asked(func(req *http.Request) error {
				if req.URL.Path != "/held" {
					guesses++
					return errWrong
				}
				<-gate
				return auth.ErrNone
			}),
		}}
		h := limiter.Handler(guard.Handler(whoami))
		for range 50 {
			go serve(h, held(ann))
			time.Sleep(time.Minute)
		}
		for range 2 { // not completely drained when the guesses start
			go serve(h, held(ann))
		}
		time.Sleep(time.Minute / 2)
		for range 20 {
			serve(h, from(ann))
		}
		if guesses != 3 {
			t.Errorf("%d guesses beside one and a half that are pending, want 3", guesses)
		}
		close(gate)
		synctest.Wait()
		for range 20 {
			serve(h, from(ann))
		}
		if guesses != 5 {
			t.Errorf("%d guesses within half a minute, want 5", guesses)
		}
	})
}

// asked is an Authenticator that refuses all requests.
type asked func(*http.Request) error

func (a asked) Authenticate(req *http.Request) (*auth.Identity, error) { return nil, a(req) }

func held(address string) *http.Request {
	req := from(address)
	req.URL.Path = "/held"
	return req
}
