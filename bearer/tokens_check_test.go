package bearer_test

import (
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/creds"
)

// Check returns a mistake in the fields before the first call. The first call returns the same
// error, which does not read like an outage.
func TestTokensCheck(t *testing.T) {
	fetch := (&endpoint{}).fetch
	login := func(url string) *bearer.Tokens {
		l := &bearer.Login{URL: url, User: "ann", Password: creds.Secret(password)}
		return &bearer.Tokens{Fetch: l.Token}
	}
	for _, test := range []struct {
		name   string
		tokens *bearer.Tokens
		check  string // how the error begins; "" if Check cannot know
		call   string // how the error of the first call begins
	}{
		{"no Fetch", &bearer.Tokens{}, "bearer: Tokens without a token", ""},
		{"a refresh token alone", &bearer.Tokens{Token: &oauth2.Token{RefreshToken: "r"}},
			"bearer: Tokens without a token", ""},
		{"a Store without a Name", &bearer.Tokens{Fetch: fetch, Store: newMemory()},
			"bearer: Tokens with a Store need a Name", ""},
		{"a Login without an address", login(""), "", "bearer: Login.URL is not an address"},
		{"a Login over plain http", login("http://a.example/"), "", "bearer: plain http"},
	} {
		check := test.tokens.Check()
		_, err := test.tokens.Credentials(t.Context())
		if test.check != "" {
			test.call = test.check
			if check == nil || err == nil || check.Error() != err.Error() {
				t.Errorf("%s: Check says %v, and the first call %v", test.name, check, err)
			}
		} else if check != nil {
			t.Errorf("%s: Check says %v", test.name, check)
		}
		if err == nil || !strings.HasPrefix(err.Error(), test.call) ||
			strings.Contains(err.Error(), "next try") {
			t.Errorf("%s: %v, want %s", test.name, err, test.call)
		}
	}
	good := &bearer.Tokens{Fetch: fetch, Store: newMemory(), Name: "ann"}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
}
