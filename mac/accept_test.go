package mac_test

import (
	"net/http"
	"testing"

	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/transport"
)

// accepting is a Source that counts which of its credentials were accepted.
type accepting struct {
	cache
	accepted int
}

func (a *accepting) Accept(good func(*mac.Credentials) bool) {
	if good(a.now) {
		a.accepted++
	}
}

// A Source is told once for each set of credentials that it was accepted. All further responses
// cost nothing.
func TestAccepted(t *testing.T) {
	a := &accepting{cache: cache{now: testCreds}}
	s := &mac.Signer{Source: a}
	old := answer(t, s, "http://example.com/")
	for _, o := range []transport.Outcome{transport.OutcomeNone, transport.OutcomeRefused} {
		observe(t, s, old, o)
	}
	if a.accepted != 0 {
		t.Error("told of an answer that does not accept them")
	}
	for range 3 {
		observe(t, s, old, transport.OutcomeAccepted)
	}
	if a.accepted != 1 {
		t.Errorf("told %d times, want once", a.accepted)
	}
	a.now = &mac.Credentials{ID: "next", Key: []byte("k")}
	resp := answer(t, s, "http://example.com/")
	observe(t, s, old, transport.OutcomeAccepted) // a late response
	if a.accepted != 1 {
		t.Error("the next credentials count as accepted by an answer to others")
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
	observe(t, s, &http.Response{}, transport.OutcomeAccepted)
}
