package bearer_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/transport"
)

// accepting is a Source that wants to know whether a server accepted its token.
type accepting struct {
	token    *oauth2.Token
	accepted int
}

func (a *accepting) Credentials(context.Context) (*oauth2.Token, error) { return a.token, nil }

func (a *accepting) Accept(good func(*oauth2.Token) bool) {
	if good(a.token) {
		a.accepted++
	}
}

// A Source learns once of each token that a server accepted it. All further responses cost nothing.
func TestAccepted(t *testing.T) {
	a := &accepting{token: &oauth2.Token{AccessToken: "first"}}
	s := &bearer.Signer{Source: a}
	sign := func() *http.Response {
		req := newRequest(t, "https://a.example/")
		if err := s.Sign(req, time.Now()); err != nil {
			t.Fatal(err)
		}
		return answer(req, 200)
	}
	old := sign()
	observe(t, s, old, transport.OutcomeNone)
	observe(t, s, old, transport.OutcomeRefused)
	if a.accepted != 0 {
		t.Error("told of an answer that does not accept it")
	}
	for range 3 {
		observe(t, s, sign(), transport.OutcomeAccepted)
	}
	if a.accepted != 1 {
		t.Errorf("told %d times, want once", a.accepted)
	}
	a.token = &oauth2.Token{AccessToken: "next"}
	resp := sign()
	observe(t, s, old, transport.OutcomeAccepted) // a late response
	if a.accepted != 1 {
		t.Error("the next token counts as accepted by an answer to another")
	}
	observe(t, s, resp, transport.OutcomeAccepted)
	if a.accepted != 2 {
		t.Errorf("told %d times, want once for each", a.accepted)
	}
	if n := testing.AllocsPerRun(100, func() {
		observe(t, s, resp, transport.OutcomeAccepted)
	}); n != 0 {
		t.Errorf("%v allocations for an answer that is no news", n)
	}
}
