package countersign_test

import (
	"errors"
	"testing"

	"github.com/countersign-go/countersign"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/testkit"
	"github.com/countersign-go/countersign/jwt"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/transport"
)

// Each request fails with the error that Check returns, and nothing is sent.
func TestCheck(t *testing.T) {
	good := &mac.Signer{Source: &mac.Credentials{ID: "id", Key: creds.Secret("canary-c4ec")}}
	short := &jwt.Signer{Method: "HS256", Key: creds.Secret("canary-5407")}
	var none *mac.Signer
	for name, tt := range map[string]struct {
		config countersign.Config
		field  string // of the ConfigError; "-" for another error, "" for none
	}{
		"good":           {countersign.Config{Signer: good}, ""},
		"no Signer":      {countersign.Config{}, "Signer"},
		"a nil Signer":   {countersign.Config{Signer: none}, "Signer"},
		"a bad origin":   {countersign.Config{Signer: good, Origins: []string{"a/b"}}, "Origins"},
		"a Signer's own": {countersign.Config{Signer: short}, "-"},
		"one of several": {countersign.Config{Signer: transport.ByOrigin{
			"https://a.example.com": good, "https://api.example.com": short}}, "-"},
		"the Base's": {countersign.Config{Signer: good,
			Base: &transport.Transport{Origins: []string{"a/b"}}}, "Signer"},
		"a wrapped client's": {countersign.Config{Signer: good,
			Base: countersign.NewClient(countersign.Config{Signer: short}).Transport}, "-"},
	} {
		err := tt.config.Check()
		if (err == nil) != (tt.field == "") {
			t.Errorf("%s: %v", name, err)
		}
		var config *countersign.ConfigError
		if errors.As(err, &config) != (tt.field != "" && tt.field != "-") ||
			config != nil && config.Field != tt.field {
			t.Errorf("%s: %v, want one about %s", name, err, tt.field)
		}
		s := &testkit.Stage{Plan: testkit.Statuses(200)}
		if tt.config.Base == nil {
			tt.config.Base = s
		}
		req := testkit.Request(t, "GET", nil)
		_, failed := countersign.NewClient(tt.config).Transport.RoundTrip(req)
		if (failed == nil) != (err == nil) || (len(s.Sent) == 0) != (err != nil) {
			t.Errorf("%s: the request failed with %v, Check with %v", name, failed, err)
		}
	}
}
