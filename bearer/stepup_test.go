package bearer_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"

	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/transport"
)

// A refusal that asks for more rights is worth a fetch only for a source that reads the challenge.
// That source gets the rights, without a wait for a token that may be too new.
func TestStepUp(t *testing.T) {
	for name, test := range map[string]struct {
		status       int
		error, param string
	}{
		"scope":            {403, "insufficient_scope", "scope"},
		"scope, as 401":    {401, "insufficient_scope", "scope"},
		"a stronger login": {401, "insufficient_user_authentication", "acr_values"},
		"claims":           {401, "insufficient_claims", "claims"},
	} {
		for _, source := range []string{"plain", "steps up", "steps up, stored"} {
			t.Run(name+", "+source, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					challenge := fmt.Sprintf("Bearer error=%q, %s=%q",
						test.error, test.param, "write")
					tokens := scoped(test.param)
					tokens.StepUp = source != "plain"
					if source == "steps up, stored" {
						tokens.Store, tokens.Name = newMemory(), "ann"
					}
					var sent []string
					rt := &transport.Transport{Signer: &bearer.Signer{Source: tokens}}
					rt.Base = network(func(req *http.Request) (*http.Response, error) {
						token := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
						sent = append(sent, token)
						if req.URL.Path == "/write" && !strings.HasSuffix(token, "write") {
							return answer(req, test.status, "WWW-Authenticate", challenge), nil
						}
						return answer(req, 200), nil
					})
					began := time.Now()
					var statuses []int
					for _, path := range []string{"/write", "/read"} {
						resp, err := rt.RoundTrip(newRequest(t, "https://api.example"+path))
						if err != nil {
							t.Fatal(err)
						}
						statuses = append(statuses, resp.StatusCode)
					}
					want, wantStatus := []string{"token1", "token1"}, []int{test.status, 200}
					if tokens.StepUp {
						want = []string{"token1", "token2write", "token2write"}
						wantStatus = []int{200, 200}
					}
					if !slices.Equal(sent, want) || !slices.Equal(statuses, wantStatus) {
						t.Errorf("sent %v, got %v; want %v, %v", sent, statuses, want, wantStatus)
					}
					if took := time.Since(began); took > 0 {
						t.Errorf("it took %v", took)
					}
				})
			})
		}
	}
}

// scoped returns Tokens whose tokens name the fetch and the requested value of a challenge's
// parameter.
func scoped(param string) *bearer.Tokens {
	fetches := 0
	return &bearer.Tokens{
		Fetch: func(ctx context.Context, _ *oauth2.Token) (*oauth2.Token, error) {
			fetches++
			text := creds.Challenge(ctx).Get("WWW-Authenticate")
			_, asked, _ := strings.Cut(text, param+`="`)
			asked, _, _ = strings.Cut(asked, `"`)
			return &oauth2.Token{AccessToken: fmt.Sprint("token", fetches, asked)}, nil
		},
	}
}

// A server that asks for more each time gets one more request for each call, and the fetches become
// rare.
func TestStepUpInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const challenge = `Bearer error="insufficient_scope"`
		fetches, sends := 0, 0
		tokens := &bearer.Tokens{
			StepUp: true,
			Fetch: func(context.Context, *oauth2.Token) (*oauth2.Token, error) {
				fetches++
				return &oauth2.Token{AccessToken: fmt.Sprint("token", fetches)}, nil
			},
		}
		rt := &transport.Transport{Signer: &bearer.Signer{Source: tokens}, Base: network(
			func(req *http.Request) (*http.Response, error) {
				sends++
				return answer(req, 403, "WWW-Authenticate", challenge), nil
			})}
		for range 100 {
			resp, err := rt.RoundTrip(newRequest(t, "https://api.example/"))
			if err != nil || resp.StatusCode != 403 {
				t.Fatal(resp, err)
			}
			time.Sleep(time.Second)
		}
		if fetches > 10 || sends > 110 {
			t.Errorf("%d fetches and %d requests in 100 calls", fetches, sends)
		}
	})
}

// Status 403 is a refusal only if the source can get a token with more rights.
func TestStepUpStatus(t *testing.T) {
	up := &bearer.Signer{Source: &bearer.Tokens{StepUp: true}}
	for _, test := range []struct {
		signer    *bearer.Signer
		status    int
		challenge string
		want      bool
	}{
		{up, 401, "", true},
		{up, 403, "", false},
		{up, 403, `Bearer error="invalid_token"`, false},
		{up, 403, `Bearer error="insufficient_scope"`, true},
		{up, 403, `Basic error="insufficient_scope"`, false},
		{up, 404, `Bearer error="insufficient_scope"`, false},
		{&bearer.Signer{Source: &bearer.Tokens{}}, 403, `Bearer error="insufficient_scope"`, false},
		{&bearer.Signer{Source: static("a")}, 403, `Bearer error="insufficient_scope"`, false},
		{&bearer.Signer{Source: static("a")}, 401, `Bearer error="insufficient_scope"`, true},
	} {
		resp := answer(nil, test.status)
		if test.challenge != "" {
			resp.Header.Set("WWW-Authenticate", test.challenge)
		}
		if got := test.signer.Refused(resp); got != test.want {
			t.Errorf("%d %s: %t, want %t", test.status, test.challenge, got, test.want)
		}
	}
}
