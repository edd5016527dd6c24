package bearer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/oauth2/jwt"

	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/creds/file"
	"github.com/countersign-go/countersign/transport"
)

// An authority is an authorization server and a service in one, in memory.
type authority struct{ tokens int }

func (a *authority) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Path != "/token" && req.URL.Path != "/device" {
		got := req.Header.Get("Authorization") + req.Header.Get("Cookie")
		fmt.Println("the service got", got)
		return answer(req, 200), nil
	}
	form, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	grant := string(form)
	if _, last, found := strings.Cut(grant, "&grant_type="); found && grant[:9] == "assertion" {
		grant = "grant_type=" + last // the assertion differs each time
	}
	fmt.Println("asked with", strings.ReplaceAll(grant, "urn%3Aietf%3Aparams%3Aoauth%3A", "..."))
	if req.URL.Path == "/token" {
		a.tokens++
	}
	body := fmt.Sprintf(`{"access_token":"token%d","refresh_token":"refresh%[1]d",`+
		`"token_type":"bearer","expires_in":3600}`, a.tokens)
	if req.URL.Path == "/device" {
		body = `{"device_code":"dev","user_code":"WDJB-MJHT","interval":1,` +
			`"verification_uri":"https://auth.example/verify"}`
	}
	resp := answer(req, 200, "Content-Type", "application/json")
	resp.Body = io.NopCloser(strings.NewReader(body))
	return resp, nil
}

// inMemory lets package oauth2 call an authority in memory. A program leaves this out.
func inMemory(ctx context.Context) context.Context {
	client := &http.Client{Transport: new(authority)}
	return context.WithValue(ctx, oauth2.HTTPClient, client)
}

// get calls the service of an authority once.
func get(s *bearer.Signer) {
	client := &http.Client{Transport: &transport.Transport{Signer: s, Base: new(authority)}}
	req, err := http.NewRequestWithContext(
		inMemory(context.Background()), http.MethodGet, "https://api.example/items", http.NoBody)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp, err := client.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = resp.Body.Close()
}

// A personal access token comes from a file or from the environment.
func ExampleStaticToken() {
	token := bearer.StaticToken(creds.Secret("ghp_0123456789"))
	fmt.Println(token)

	get(&bearer.Signer{Source: token})
	get(&bearer.Signer{Source: token, Scheme: "token"})
	// Output:
	// [redacted]
	// the service got Bearer ghp_0123456789
	// the service got token ghp_0123456789
}

// A service acts for itself (RFC 6749, section 4.4).
func ExampleTokens_clientCredentials() {
	conf := &clientcredentials.Config{
		ClientID:     "reports",
		ClientSecret: "the secret of this client",
		TokenURL:     "https://auth.example/token",
		Scopes:       []string{"read"},
	}
	tokens := &bearer.Tokens{
		Fetch: func(ctx context.Context, _ *oauth2.Token) (*oauth2.Token, error) {
			return conf.Token(ctx)
		},
	}
	get(&bearer.Signer{Source: tokens})
	get(&bearer.Signer{Source: tokens})
	// Output:
	// asked with grant_type=client_credentials&scope=read
	// the service got Bearer token1
	// the service got Bearer token1
}

// The user has given consent before. The program keeps its tokens in files, and other processes may
// run at the same time.
func ExampleTokens_refreshToken() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	conf := &oauth2.Config{
		ClientID: "backup",
		Endpoint: oauth2.Endpoint{
			TokenURL: "https://auth.example/token", AuthStyle: oauth2.AuthStyleInParams,
		},
	}
	process := func() *bearer.Tokens {
		return &bearer.Tokens{
			Token: &oauth2.Token{RefreshToken: "from the consent"},
			Fetch: func(ctx context.Context, old *oauth2.Token) (*oauth2.Token, error) {
				refresh := &oauth2.Token{RefreshToken: old.RefreshToken}
				return conf.TokenSource(ctx, refresh).Token()
			},
			Store: &file.Dir{Path: dir},
			Name:  "ann",
		}
	}
	get(&bearer.Signer{Source: process()})
	get(&bearer.Signer{Source: process()})
	// Output:
	// asked with client_id=backup&grant_type=refresh_token&refresh_token=from+the+consent
	// the service got Bearer token1
	// the service got Bearer token1
}

// A program without a browser (RFC 8628) asks the user once, and not again while the refresh token
// is valid.
func ExampleTokens_deviceFlow() {
	conf := &oauth2.Config{
		ClientID: "tv",
		Endpoint: oauth2.Endpoint{
			DeviceAuthURL: "https://auth.example/device",
			TokenURL:      "https://auth.example/token",
			AuthStyle:     oauth2.AuthStyleInParams,
		},
	}
	ctx := inMemory(context.Background())
	device, err := conf.DeviceAuth(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("Open %s and enter %s\n", device.VerificationURI, device.UserCode)
	token, err := conf.DeviceAccessToken(ctx, device)
	if err != nil {
		fmt.Println(err)
		return
	}
	tokens := &bearer.Tokens{
		Token: token,
		Fetch: func(ctx context.Context, old *oauth2.Token) (*oauth2.Token, error) {
			refresh := &oauth2.Token{RefreshToken: old.RefreshToken}
			return conf.TokenSource(ctx, refresh).Token()
		},
	}
	get(&bearer.Signer{Source: tokens})
	tokens.Reject(func(*oauth2.Token) bool { return true }, nil) // as after a refusal
	get(&bearer.Signer{Source: tokens})
	// Output:
	// asked with client_id=tv
	// Open https://auth.example/verify and enter WDJB-MJHT
	// asked with client_id=tv&device_code=dev&grant_type=...grant-type%3Adevice_code
	// the service got Bearer token1
	// asked with client_id=tv&grant_type=refresh_token&refresh_token=refresh1
	// the service got Bearer token1
}

// A service account authenticates with a key (RFC 7523).
func ExampleTokens_assertion() {
	conf := &jwt.Config{
		Email:      "reports@project.example",
		PrivateKey: testKey,
		TokenURL:   "https://auth.example/token",
	}
	tokens := &bearer.Tokens{
		Fetch: func(ctx context.Context, _ *oauth2.Token) (*oauth2.Token, error) {
			return conf.TokenSource(ctx).Token()
		},
	}
	get(&bearer.Signer{Source: tokens})
	// Output:
	// asked with grant_type=...grant-type%3Ajwt-bearer
	// the service got Bearer token1
}

// A source takes no context, and returns a new token for each call.
func ExampleFromTokenSource() {
	source := tokenCommand{"auth-helper"}
	get(&bearer.Signer{Source: bearer.FromTokenSource(source)})
	// Output:
	// auth-helper runs
	// the service got Bearer from-the-helper
}

// A tokenCommand is a program that prints tokens.
type tokenCommand struct{ name string }

func (c tokenCommand) Token() (*oauth2.Token, error) {
	fmt.Println(c.name, "runs")
	return &oauth2.Token{
		AccessToken: "from-the-helper", Expiry: time.Now().Add(time.Hour),
	}, nil
}

// A service has a login page, which answers {"result": "ok", "token": "..."}.
func ExampleLogin() {
	service := network(func(req *http.Request) (*http.Response, error) {
		form, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		fmt.Println(req.Method, req.URL, string(form))
		resp := answer(req, 200)
		body := `{"result":"ok","token":"eyJhbGciOiJIUzUxMiJ9.eyJzdWIiOiJhbm4ifQ.c2ln"}`
		if !strings.Contains(string(form), "correct") {
			body = `{"result":"error"}`
		}
		resp.Body = io.NopCloser(strings.NewReader(body))
		return resp, nil
	})
	login := &bearer.Login{
		URL: "https://api.example/login", UserField: "login",
		User: "ann", Password: creds.Secret("correct horse"),
		HTTP: &http.Client{Transport: service}, // a program leaves this out
	}
	get(&bearer.Signer{Source: &bearer.Tokens{Fetch: login.Token}, Scheme: "JWT"})

	login.Password = creds.Secret("wrong")
	_, err := login.Token(context.Background(), nil)
	fmt.Println(strings.Replace(err.Error(), ": check", ":\n  check", 1))
	// Output:
	// POST https://api.example/login login=ann&password=correct+horse
	// the service got JWT eyJhbGciOiJIUzUxMiJ9.eyJzdWIiOiJhbm4ifQ.c2ln
	// POST https://api.example/login login=ann&password=wrong
	// bearer: no token: status 200 with an answer that holds no token:
	//   check user and password, and TokenField
}

// A service for browsers keeps its token in a cookie, and sets a new one from time to time.
func ExampleSigner_cookie() {
	service := network(func(req *http.Request) (*http.Response, error) {
		if req.URL.Path == "/login" {
			return answer(req, 303, "Location", "/home", "Set-Cookie", "session=first"), nil
		}
		fmt.Println("the service got", req.Header.Get("Cookie"))
		return answer(req, 200, "Set-Cookie", "session=second"), nil
	})
	client := &http.Client{Transport: service} // a program leaves this out
	login := &bearer.Login{
		URL: "https://api.example/login", Cookie: "session",
		User: "ann", Password: creds.Secret("correct horse"), HTTP: client,
	}
	taken := make(chan string, 2)
	tokens := &bearer.Tokens{
		Fetch:   login.Token,
		Fetched: func(t *oauth2.Token) { taken <- t.AccessToken },
	}
	signer := &bearer.Signer{Source: tokens, Cookie: "session"}
	client = &http.Client{Transport: &transport.Transport{Signer: signer, Base: service}}
	resp, err := client.Get("https://api.example/items")
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = resp.Body.Close()
	fmt.Println("taken up:", <-taken, <-taken)
	// Output:
	// the service got session=first
	// taken up: first second
}

// A program that must ask the user again when a refresh token is no longer valid checks the code.
func ExampleError() {
	tokens := &bearer.Tokens{
		Token: &oauth2.Token{RefreshToken: "revoked"},
		Fetch: func(context.Context, *oauth2.Token) (*oauth2.Token, error) {
			return nil, &oauth2.RetrieveError{
				Response:  &http.Response{StatusCode: http.StatusBadRequest},
				ErrorCode: "invalid_grant", ErrorDescription: "whatever the other side says",
			}
		},
	}
	_, err := tokens.Credentials(context.Background())
	var e *bearer.Error
	if errors.As(err, &e) && e.Code == "invalid_grant" {
		fmt.Println("ask the user again:", e.Code, e.Status)
	}
	// Output:
	// ask the user again: invalid_grant 400
}
