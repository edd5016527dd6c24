package bearer_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/creds"
)

// TestCheck checks that Check returns the error that the first use of each type would return.
func TestCheck(t *testing.T) {
	const origin = "https://api.example.com"
	sent := func(s *bearer.Signer) error { return s.Sign(newRequest(t, origin), time.Now()) }
	loggedIn := func(l *bearer.Login) error {
		_, err := l.Token(context.Background(), nil)
		return err
	}
	proxied := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(
		&url.URL{Scheme: "http", Host: "proxy.example:3128"})}}
	for name, tt := range map[string]struct{ check, use func() error }{
		"Signer without Source": both(&bearer.Signer{}, sent),
		"Signer with two places": both(&bearer.Signer{Source: static("token"),
			Header: "X-A", Cookie: "a"}, sent),
		"Signer with an empty token": both(&bearer.Signer{Source: bearer.StaticToken(nil)}, sent),
		"Signer with a line feed": both(&bearer.Signer{
			Source: bearer.StaticToken(creds.Secret("token\n"))}, sent),
		"Login without URL":   both(&bearer.Login{}, loggedIn),
		"Login by plain http": both(&bearer.Login{URL: "http://a.example/"}, loggedIn),
		"Login by a proxy elsewhere": both(
			&bearer.Login{URL: "http://localhost/", HTTP: proxied}, loggedIn),
		"Login with a Cookie": both(&bearer.Login{URL: origin, Cookie: "a b"}, loggedIn),
		"Login with other text": both(
			&bearer.Login{URL: origin, JSON: true, User: "\xff"}, loggedIn),
	} {
		first := tt.check()
		used := tt.use()
		if first == nil || used == nil || first.Error() != used.Error() {
			t.Errorf("%s: Check says %v, the first use %v", name, first, used)
		}
		var later interface{ RetryAfter() time.Duration }
		if errors.As(used, &later) && later.RetryAfter() > 0 {
			t.Errorf("%s is worth another try after %v", name, later.RetryAfter())
		}
	}
}

func both[T interface{ Check() error }](v T, use func(T) error) struct{ check, use func() error } {
	return struct{ check, use func() error }{v.Check, func() error { return use(v) }}
}

// TestCheckGood checks that Check accepts types that are set up well, and calls nothing else.
func TestCheckGood(t *testing.T) {
	never := func() { t.Error("Check has called something") }
	for name, c := range map[string]interface{ Check() error }{
		"Signer": &bearer.Signer{Source: static("token")},
		"Signer of Tokens": &bearer.Signer{Source: &bearer.Tokens{Fetch: func(context.Context,
			*oauth2.Token) (*oauth2.Token, error) {
			never()
			return nil, nil
		}}},
		"Login": &bearer.Login{URL: "https://api.example.com"},
	} {
		if err := c.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
