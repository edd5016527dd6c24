package authtest_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/countersign-go/countersign"
	"github.com/countersign-go/countersign/authtest"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
)

// ExpireAfter counts from the time when credentials were issued, not from Set.
func TestSetLeavesTheUseOfCredentials(t *testing.T) {
	s := authtest.NewService(t)
	client := countersign.NewClient(countersign.Config{
		Signer: &mac.Signer{Source: s.Provisioner()}, Base: s,
	})
	for i, want := range []int{1, 1, 2} { // sets of credentials
		if i == 2 {
			s.Set(authtest.Faults{ExpireAfter: 2})
		}
		resp, err := client.Get(page)
		if err != nil || resp.StatusCode != 200 || s.Seen().Issued != want {
			t.Errorf("request %d: %v, %v, %d issued", i, resp, err, s.Seen().Issued)
		}
	}
}

// A client that knows an id but not its key must not change the state of the id.
func TestForgeriesUseNothingUp(t *testing.T) {
	for name, f := range map[string]authtest.Faults{
		"ExpireAfter":    {ExpireAfter: 2},
		"RevokeInFlight": {RevokeInFlight: 1},
		"LagRequests":    {LagRequests: 2},
	} {
		s := authtest.NewService(t)
		source := s.Provisioner()
		c, err := source.Credentials(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s.Set(f)
		send := func(key creds.Secret) {
			req, _ := http.NewRequest("GET", page, nil)
			signer := &mac.Signer{Source: &mac.Credentials{
				ID: c.ID, Key: key, Algorithm: c.Algorithm,
			}}
			if err := signer.Sign(req, time.Now()); err != nil {
				t.Fatal(err)
			}
			if resp, err := s.RoundTrip(req); err == nil {
				_ = resp.Body.Close()
			}
		}
		for range 3 {
			send(creds.Secret("another"))
		}
		if refused := s.Seen().Refused; refused["invalid"] != 3 || len(refused) != 1 {
			t.Errorf("%s: forgeries: %v", name, refused)
		}
		for range 3 {
			send(c.Key)
		}
		seen := s.Seen()
		refused := seen.Refused
		want := map[string][2]int{ // accepted and refused requests
			"ExpireAfter": {2, 1}, "RevokeInFlight": {0, 3}, "LagRequests": {1, 2},
		}[name]
		bad := refused["expired"] + refused["revoked"] + refused["lag"]
		if seen.Accepted != want[0] || bad != want[1] {
			t.Errorf("%s: %d accepted, %v", name, seen.Accepted, refused)
		}
	}
}
