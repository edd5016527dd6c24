package issue_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision/issue"
)

// Each row has the result of the version of tokenlib that it is for. The first one is from an
// article of 2012 on this way to log in.
func TestProvisioningVectors(t *testing.T) {
	var file struct {
		Count int
		Cases []struct {
			Name   string
			Format string
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
	load(t, "provisioning.json", &file)
	hashes := map[string]string{"tokenlib-0.1": "tokenlib-0.1", "tokenlib-2.0": "sha256"}
	ran, accepted := 0, 0
	for _, c := range file.Cases {
		ran++
		i := &issue.Issuer{
			Secrets: []creds.Secret{creds.Secret(c.Secret)}, Hash: hashes[c.Format],
		}
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
		if got != c.Want.Error {
			t.Errorf("%s: %q, want %q", c.Name, got, c.Want.Error)
		}
		if got != "" {
			continue
		}
		accepted++
		end, err := c.Want.Data.Expires.Float64()
		if err != nil || key.Identity.Expires.Sub(fromFloat(end)).Abs() > time.Microsecond ||
			key.Identity.Subject != c.Want.Data.Userid || string(key.Secret) != c.Want.Key {
			t.Errorf("%s: %+v", c.Name, key.Identity)
		}
	}
	if ran != 9 || file.Count != ran || accepted != 2 {
		t.Errorf("%d rows of %d, %d accepted", ran, file.Count, accepted)
	}
}

func fromFloat(seconds float64) time.Time { return time.UnixMicro(int64(seconds * 1e6)) }

// An Issuer of the first format accepts its own ids.
func TestFirstTokenlib(t *testing.T) {
	i := &issue.Issuer{
		Secrets: []creds.Secret{creds.Secret("canary-f1rst-t0kenlib")}, Hash: "tokenlib-0.1",
		Algorithm: mac.SHA1,
	}
	c, err := i.Issue(t.Context(), &auth.Identity{Subject: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	key, err := i.Key(t.Context(), c.ID)
	if err != nil || key.Identity.Subject != "ann" || string(key.Secret) != string(c.Key) {
		t.Errorf("%v, %v", key, err)
	}
}
