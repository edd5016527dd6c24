package basic_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/portal"
)

// FuzzAuthorization checks that a field that the Verifier accepts has one reading: the Signer
// writes the same text for it, and net/http reads the same pair.
func FuzzAuthorization(f *testing.F) {
	for _, field := range []string{
		"", "Basic", "Basic ", "MAC x=1",
		"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "basic  dGVzdDoxMjPCow==",
		"Basic YW5uOmE6Yh==", "Basic YW5u\nOmE6Yg==",
		"Basic Og==", "Basic OmtleQ==", "Basic YW4AOng=",
		"Basic YW5uOmE6Yg==, Basic YW5uOmE6Yg==",
	} {
		f.Add(field)
	}
	f.Fuzz(func(t *testing.T, field string) {
		var given portal.Password
		everybody := func(_ context.Context, c portal.Credentials) (string, error) {
			given = c.(portal.Password)
			return "somebody", nil
		}
		req := request(field)
		id, err := basic.Verifier{Users: checker(everybody)}.Authenticate(req)
		if err != nil {
			if id != nil || !errors.Is(err, auth.ErrNone) && !errors.Is(err, basic.ErrRefused) {
				t.Fatalf("%v, %v", id, err)
			}
			return
		}
		user, password, ok := req.BasicAuth()
		same := ok && user == given.User && password == string(given.Password)
		if !same && field[len("Basic ")] != ' ' { // net/http accepts no second space
			t.Errorf("%q: net/http reads %q, %q, %t", field, user, password, ok)
		}
		if given.User == "" && len(given.Password) == 0 {
			return // the Signer does not send this
		}
		again := request()
		s := basic.Signer{User: given.User, Password: given.Password}
		if err := s.Sign(again, time.Time{}); err != nil {
			t.Fatalf("%q: taken, but not to be sent: %v", field, err)
		}
		_, want, _ := strings.Cut(again.Header.Get("Authorization"), " ")
		if got := strings.TrimLeft(field[len("Basic"):], " "); got != want {
			t.Errorf("%q: the same pair is also %q", field, want)
		}
	})
}
