package provision_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision"
)

// Each row ends as it does with the version of tokenlib that it is for, unless
// testdata/provisioning_refused.json has the rule why not.
func TestProvisioningVectors(t *testing.T) {
	var file struct {
		Count int
		Cases []struct {
			Name   string
			Secret string `json:"master_secret"`
			ID     string
			Now    int64
			Want   struct {
				Data struct {
					Expires json.Number
					Userid  string
				}
				Key   string
				Error string
			}
		}
	}
	var refused map[string]string
	load(t, "provisioning.json", &file)
	load(t, "provisioning_refused.json", &refused)
	ran, accepted := 0, 0
	for _, c := range file.Cases {
		ran++
		i := &provision.Issuer{Secrets: []creds.Secret{creds.Secret(c.Secret)}}
		key, err := i.Key(t.Context(), c.ID)
		got := ""
		switch {
		case errors.Is(err, mac.ErrUnknownID):
			got = "bad_signature"
		case err != nil:
			t.Errorf("%s: %v", c.Name, err)
			continue
		case !time.Unix(c.Now, 0).Before(key.Identity.Expires):
			got = "expired"
		}
		want := c.Want.Error
		if _, ours := refused[c.Name]; ours {
			if want == "bad_signature" {
				t.Errorf("%s: listed as refused by us alone", c.Name)
			}
			delete(refused, c.Name)
			want = "bad_signature"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", c.Name, got, want)
		}
		if got != "" {
			continue
		}
		accepted++
		end, err := c.Want.Data.Expires.Int64()
		if err != nil || key.Identity.Expires.Unix() != end ||
			key.Identity.Subject != c.Want.Data.Userid || string(key.Secret) != c.Want.Key {
			t.Errorf("%s: %+v", c.Name, key.Identity)
		}
	}
	if ran != 9 || file.Count != ran || accepted != 1 || len(refused) > 0 {
		t.Errorf("%d rows of %d, %d accepted, not met: %v", ran, file.Count, accepted, refused)
	}
}
