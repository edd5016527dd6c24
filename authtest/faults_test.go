package authtest_test

import (
	"testing"

	"github.com/countersign-go/countersign"
	"github.com/countersign-go/countersign/authtest"
	"github.com/countersign-go/countersign/mac"
)

// ExpireAfter counts from when credentials were handed out, and not from Set.
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
