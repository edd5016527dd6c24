package transport_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/countersign-go/countersign/transport"
)

// Check reports a Base that is a nil pointer, which would panic at the first request.
func TestCheckNilBase(t *testing.T) {
	sign := transport.SignerFunc(func(*http.Request, time.Time) error { return nil })
	for _, base := range []http.RoundTripper{(*http.Transport)(nil), (*transport.Transport)(nil)} {
		err := (&transport.Transport{Signer: sign, Base: base}).Check()
		var config *transport.ConfigError
		if !errors.As(err, &config) || config.Field != "Base" {
			t.Errorf("%T: %v", base, err)
		}
	}
	if err := (&transport.Transport{Signer: sign}).Check(); err != nil {
		t.Error(err)
	}
}
