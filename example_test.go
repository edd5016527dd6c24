package countersign_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/countersign-go/countersign"
	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/transport"
)

// carried stands in for the network. It prints what a request carries, but no secret.
type carried struct{}

func (carried) RoundTrip(req *http.Request) (*http.Response, error) {
	scheme, _, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	fmt.Printf("%s: Authorization %q", req.URL.Host, scheme)
	for _, c := range req.Cookies() {
		fmt.Printf(", a cookie %q", c.Name)
	}
	fmt.Println()
	return &http.Response{
		StatusCode: http.StatusNoContent, Header: make(http.Header),
		Body: io.NopCloser(strings.NewReader("")), Request: req,
	}, nil
}

func get(client *http.Client, urls ...string) {
	for _, u := range urls {
		resp, err := client.Get(u)
		if err != nil {
			fmt.Println(err)
			continue
		}
		_ = resp.Body.Close()
	}
}

// One client for several services, each with a scheme of its own. Whatever is not listed gets no
// credentials.
func ExampleNewClient_severalServices() {
	client := countersign.NewClient(countersign.Config{
		Signer: transport.ByOrigin{
			"https://lucky.example.com": &mac.Signer{
				Source: &mac.Credentials{ID: "id", Key: creds.Secret("a key for this example")},
			},
			"https://api.example.org": &bearer.Signer{
				Source: bearer.StaticToken(creds.Secret("a-token-for-this-example")),
			},
		},
		Base: carried{},
	})
	get(client, "https://lucky.example.com/", "https://api.example.org/", "https://example.net/")
	// Output:
	// lucky.example.com: Authorization "MAC"
	// api.example.org: Authorization "Bearer"
	// example.net: Authorization ""
}

// Two schemes on one request: a signature in Authorization, and a token in a cookie. A Transport is
// an http.RoundTripper, so one of them is the Base of the other; each mends its own refusals.
func ExampleNewClient_twoSchemes() {
	client := countersign.NewClient(countersign.Config{
		Signer: &mac.Signer{
			Source: &mac.Credentials{ID: "id", Key: creds.Secret("a key for this example")},
		},
		Base: &transport.Transport{
			Signer: &bearer.JWT{
				Key:    creds.Secret("a secret of 32 bytes for HS256.."),
				Method: "HS256",
				Claims: func(*http.Request) (jwt.MapClaims, error) {
					return jwt.MapClaims{"sub": "ann"}, nil
				},
				Cookie: "session",
			},
			Base: carried{},
		},
	})
	get(client, "https://lucky.example.com/")
	// Output:
	// lucky.example.com: Authorization "MAC", a cookie "session"
}
