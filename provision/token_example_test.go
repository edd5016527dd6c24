package provision_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision"
	"github.com/countersign-go/countersign/transport"
)

// The answer of a token endpoint, without package oauth2.
func ExampleFromToken() {
	answer := map[string]any{ // as encoding/json reads it
		"access_token": "SlAV32hkKG", "token_type": "mac",
		"mac_key": "adijq39jdlaska9asud", "mac_algorithm": "hmac-sha-256",
	}
	c, err := provision.FromToken("SlAV32hkKG", func(name string) any { return answer[name] })
	fmt.Println(c.ID, c.Key, c.Algorithm, err)
	// Output: SlAV32hkKG [redacted] hmac-sha-256 <nil>
}

// A program with its own account gets MAC tokens by its client credentials (RFC 6749, section 4.4).
// The Cache gets a new one before the old one ends, and when a server refuses one.
func ExampleFromToken_clientCredentials() {
	service := tokenService()
	config := clientcredentials.Config{
		ClientID: "bot", ClientSecret: "correct horse", TokenURL: "https://auth.example/token",
	}
	source := &creds.Cache[*mac.Credentials]{
		Fetch: func(ctx context.Context) (*mac.Credentials, error) {
			// A context tells package oauth2 which http.Client to use.
			ctx = context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: service})
			token, err := config.Token(ctx)
			if err != nil {
				return nil, err
			}
			return provision.FromToken(token.AccessToken, token.Extra)
		},
		Expires: func(c *mac.Credentials) time.Time { return c.Expires },
		ID:      func(c *mac.Credentials) string { return c.ID },
	}
	client := &http.Client{Transport: &transport.Transport{
		Signer: &mac.Signer{Source: source}, Base: service,
	}}
	get(client, "https://api.example/number")
	get(client, "https://api.example/number")
	// Output:
	// token for client_credentials
	// 200 signed with client_credentials-1
	// 200 signed with client_credentials-1
}

// A program that may act for a user has a refresh token (RFC 6749, section 6), and gets MAC tokens
// with it.
func ExampleFromToken_refreshToken() {
	service := tokenService()
	config := oauth2.Config{
		ClientID: "app", Endpoint: oauth2.Endpoint{TokenURL: "https://auth.example/token"},
	}
	refresh := "kept from the last run" // keep the newer one of each answer, if any
	source := &creds.Cache[*mac.Credentials]{
		Fetch: func(ctx context.Context) (*mac.Credentials, error) {
			ctx = context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: service})
			token, err := config.TokenSource(ctx, &oauth2.Token{RefreshToken: refresh}).Token()
			if err != nil {
				return nil, err
			}
			refresh = token.RefreshToken
			return provision.FromToken(token.AccessToken, token.Extra)
		},
		Expires: func(c *mac.Credentials) time.Time { return c.Expires },
		ID:      func(c *mac.Credentials) string { return c.ID },
	}
	client := &http.Client{Transport: &transport.Transport{
		Signer: &mac.Signer{Source: source}, Base: service,
	}}
	get(client, "https://api.example/number")
	// Output:
	// token for refresh_token
	// 200 signed with refresh_token-1
}

// A program without a browser asks its user to allow it on another device (RFC 8628). It asks only
// once, so it uses the token directly; with a refresh token it goes on as in the example above.
func ExampleFromToken_deviceFlow() {
	service := tokenService()
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient,
		&http.Client{Transport: service})
	config := oauth2.Config{ClientID: "tv", Endpoint: oauth2.Endpoint{
		TokenURL: "https://auth.example/token", DeviceAuthURL: "https://auth.example/device",
	}}
	device, err := config.DeviceAuth(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("enter", device.UserCode, "at", device.VerificationURI)

	token, err := config.DeviceAccessToken(ctx, device) // waits until the user has done so
	if err != nil {
		fmt.Println(err)
		return
	}
	credentials, err := provision.FromToken(token.AccessToken, token.Extra)
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: &transport.Transport{
		Signer: &mac.Signer{Source: credentials}, Base: service,
	}}
	get(client, "https://api.example/number")
	// Output:
	// enter WDJB-MJHT at https://auth.example/enter
	// token for urn:ietf:params:oauth:grant-type:device_code
	// 200 signed with urn:ietf:params:oauth:grant-type:device_code-1
}

func get(client *http.Client, url string) {
	resp, err := client.Get(url)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.StatusCode, string(body))
}

// tokenService is a network that consists of an OAuth 2.0 server that gives MAC tokens, and a
// service that takes them.
func tokenService() http.RoundTripper {
	issued := make(map[string]creds.Secret)
	mux := http.NewServeMux()
	mux.HandleFunc("auth.example/device", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"device_code":"GmRh","user_code":"WDJB-MJHT","interval":1,`+
			`"verification_uri":"https://auth.example/enter","expires_in":60}`)
	})
	mux.HandleFunc("auth.example/token", func(w http.ResponseWriter, req *http.Request) {
		grant := req.FormValue("grant_type")
		fmt.Println("token for", grant)
		id := fmt.Sprint(grant, "-", len(issued)+1)
		issued[id] = creds.Secret("the key of " + id)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":%q,"token_type":"mac","expires_in":3600,`+
			`"mac_key":%q,"mac_algorithm":"hmac-sha-256"}`, id, string(issued[id]))
	})
	verifier := &mac.Verifier{Keys: func(_ context.Context, id string) (*mac.Key, error) {
		key, ok := issued[id]
		if !ok {
			return nil, mac.ErrUnknownID
		}
		return &mac.Key{Secret: key, Identity: auth.Identity{Subject: id}}, nil
	}}
	mux.HandleFunc("api.example/number", func(w http.ResponseWriter, req *http.Request) {
		id, err := verifier.Authenticate(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, "signed with ", id.Subject)
	})
	return direct{mux}
}
