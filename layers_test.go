package countersign_test

import (
	"strings"
	"testing"

	"github.com/countersign-go/countersign"
	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision"
	"github.com/countersign-go/countersign/transport"
)

// The Check method of the outermost layer of a client reports a mistake in any layer, and each
// request fails with the same error.
func TestCheckFindsMistakesOfAllLayers(t *testing.T) {
	good := &mac.Signer{Source: &mac.Credentials{ID: "a", Key: creds.Secret(password)}}
	provisioned := func(url string, signer transport.Signer) countersign.Config {
		source := &provision.Client{URL: url, Signer: signer}
		return countersign.Config{Signer: &mac.Signer{Source: source}}
	}
	alice := basic.Signer{User: "alice", Password: creds.Secret(password)}
	for _, tt := range []struct {
		config countersign.Config
		want   string // part of the error; "" for none
	}{
		{countersign.Config{Signer: good}, ""},
		{countersign.Config{Signer: good, Origins: []string{origin}}, ""},
		{countersign.Config{}, "Signer is nil"},
		{countersign.Config{Signer: (*mac.Signer)(nil)}, "Signer is nil"},
		{countersign.Config{Signer: good, Origins: []string{"api.example.com"}}, "Origins has"},
		{countersign.Config{Signer: good, Origins: []string{"https://*.example.com"}},
			"Origins has"},
		{countersign.Config{Signer: transport.ByOrigin{}}, "without any origin"},
		{countersign.Config{Signer: transport.ByOrigin{origin: new(mac.Signer)}}, "no Source"},
		{countersign.Config{Signer: new(mac.Signer)}, "no Source"},
		{countersign.Config{Signer: &bearer.Signer{Source: new(bearer.Tokens)}}, "set their Fetch"},
		{provisioned(origin, alice), ""},
		{provisioned(origin, nil), ""},
		{provisioned("", alice), "Client.URL is not an address"},
		{provisioned("http://api.example.com", alice), "plain http"},
		{provisioned(origin, basic.Signer{}), "Password are empty"},
	} {
		found := tt.config.Check()
		if tt.want == "" {
			if found != nil {
				t.Errorf("%v: %v, want no error", tt.config, found)
			}
			continue
		}
		if found == nil || !strings.Contains(found.Error(), tt.want) {
			t.Errorf("%v: %v, want %q", tt.config, found, tt.want)
			continue
		}
		_, err := countersign.NewClient(tt.config).Get(origin) //nolint:bodyclose // there is none
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: the request fails with %v, Check with %v", tt.config, err, found)
		}
	}
}
