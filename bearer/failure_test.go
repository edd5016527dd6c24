package bearer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/oauth2/jwt"

	"github.com/countersign-go/countersign/bearer"
)

// endpointSays lets package oauth2 call an endpoint that sends this response, and returns the
// error.
func endpointSays(t *testing.T, status int, body string, fields ...string) error {
	t.Helper()
	conf := &clientcredentials.Config{
		ClientID: "id", ClientSecret: "canary-cl13nt", AuthStyle: oauth2.AuthStyleInParams,
		TokenURL: "https://a.example/token?key=canary-qu3ry",
	}
	client := &http.Client{Transport: network(func(req *http.Request) (*http.Response, error) {
		resp := answer(req, status, fields...)
		resp.Body = io.NopCloser(strings.NewReader(body))
		return resp, nil
	})}
	tokens := &bearer.Tokens{
		Fetch: func(ctx context.Context, _ *oauth2.Token) (*oauth2.Token, error) {
			return conf.Token(ctx)
		},
	}
	_, err := tokens.Credentials(context.WithValue(t.Context(), oauth2.HTTPClient, client))
	if err == nil {
		t.Fatal("it is no error")
	}
	return err
}

// An error repeats nothing that the endpoint sent except a plain error code, and says when to try
// again.
func TestErrorOfEndpoint_K7(t *testing.T) {
	const json, text = "application/json", "text/plain"
	for _, test := range []struct {
		name   string
		status int
		kind   string
		body   string
		say    string
		code   string
		final  bool
	}{
		{"a dead refresh token", 400, json,
			`{"error":"invalid_grant","error_description":"canary-d3scr","error_uri":"canary-ur1"}`,
			"invalid_grant (status 400): the refresh token", "invalid_grant", true},
		{"a wrong client", 401, json, `{"error":"invalid_client"}`,
			"check the id and the secret of the client", "invalid_client", true},
		{"an error with 200", 200, json, `{"error":"unauthorized_client"}`,
			"unauthorized_client (status 200)", "unauthorized_client", true},
		{"not now", 400, json, `{"error":"temporarily_unavailable"}`,
			"temporarily_unavailable (status 400)", "temporarily_unavailable", false},
		{"a code of its own", 400, json, `{"error":"canary-C0d3"}`,
			"status 400 (Bad Request)", "", true},
		{"a long code", 400, json, `{"error":"` + strings.Repeat("a", 41) + `"}`,
			"status 400 (Bad Request)", "", true},
		{"a body", 403, text, `canary-b0dy`, "status 403 (Forbidden)", "", true},
		{"a web page", 502, "text/html", `<p>canary-b0dy`, "status 502 (Bad Gateway)", "", false},
		{"too many", 429, json, `{}`, "status 429 (Too Many Requests)", "", false},
		{"an unknown status", 599, json, `{}`, "status 599", "", false},
		{"a redirect", 307, json, ``, "status 307", "", false},
		{"no JSON", 200, json, `canary-b0dy`, "cannot parse json", "", false},
		{"a wrong number", 200, json, `{"access_token":"a","expires_in":"canary-1x"}`,
			"cannot parse json", "", false},
		{"no token", 200, json, `{}`, "server response missing access_token", "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var err error
			synctest.Test(t, func(t *testing.T) {
				err = endpointSays(t, test.status, test.body, "Content-Type", test.kind,
					"Location", "https://b.example/canary-l0c", "Retry-After", "17")
			})
			text := err.Error()
			if !strings.Contains(text, "bearer: no token: ") || !strings.Contains(text, test.say) {
				t.Errorf("want %q in an error that is another one", test.say)
			}
			for _, form := range []string{"%v", "%+v", "%#v", "%q", "%x", "%d"} {
				text += fmt.Sprintf(form, err)
			}
			if strings.Contains(text, "canary") || strings.Contains(text, "63616e617279") {
				t.Error("the error shows what was sent")
			}
			var e *bearer.Error
			if !errors.As(err, &e) {
				t.Fatal("it is none of ours")
			}
			if e.Code != test.code || e.Final() != test.final {
				t.Errorf("code %q, final %v", e.Code, e.Final())
			}
			if _, ok := errors.AsType[*oauth2.RetrieveError](err); !ok {
				if e.Status != 0 {
					t.Errorf("status %d", e.Status)
				}
			} else if e.Status != test.status || e.RetryAfter() != 17*time.Second {
				t.Errorf("status %d, retry after %v", e.Status, e.RetryAfter())
			}
		})
	}
}

// An error of the network, which holds the URL, does not repeat its query.
func TestErrorOfNetwork_K7(t *testing.T) {
	fails := func(cause error) context.Context {
		client := &http.Client{Transport: network(func(*http.Request) (*http.Response, error) {
			return nil, cause
		})}
		return context.WithValue(context.Background(), oauth2.HTTPClient, client)
	}
	const address = "https://a.example/?key=canary-qu3ry"
	clients := &clientcredentials.Config{TokenURL: address}
	assertion := &jwt.Config{TokenURL: address, PrivateKey: testKey}
	refused := errors.New("connection refused")
	odd := errors.New(`malformed HTTP response "canary-b0dy"`)
	for _, test := range []struct {
		name string
		call func() (*oauth2.Token, error)
		say  string
	}{
		{"client credentials",
			func() (*oauth2.Token, error) { return clients.Token(fails(refused)) },
			"bearer: no token: connection refused"},
		{"no HTTP", func() (*oauth2.Token, error) { return clients.Token(fails(odd)) },
			"bearer: no token: malformed HTTP response"},
		{"assertion", func() (*oauth2.Token, error) {
			return assertion.TokenSource(fails(refused)).Token()
		}, "bearer: no token: oauth2: cannot fetch token: Post ...: connection refused"},
		{"in time", func() (*oauth2.Token, error) {
			return clients.Token(fails(context.DeadlineExceeded))
		}, "bearer: no token: no answer in time"},
		{"wrapped by others", func() (*oauth2.Token, error) {
			return nil, fmt.Errorf("mine: %w", &oauth2.RetrieveError{Body: []byte("canary-b0dy"),
				Response: &http.Response{StatusCode: 500, Status: "500 canary-st4tus"}})
		}, "bearer: no token: status 500 (Internal Server Error)"},
		{"beyond ASCII", func() (*oauth2.Token, error) {
			return nil, errors.New("oauth2: \x1b[31m\u202e" + strings.Repeat("x", 1000))
		}, "bearer: no token: oauth2: ?[31m?" + strings.Repeat("x", 242)},
		{"with a body", func() (*oauth2.Token, error) {
			return nil, errors.New("oauth2: cannot fetch token: 500\nResponse: canary-b0dy")
		}, "bearer: no token: oauth2: cannot fetch token: 500"},
		{"anybody else's", func() (*oauth2.Token, error) {
			return nil, errors.New(`the file "a" is gone`)
		}, `the file "a" is gone`},
	} {
		var err error
		synctest.Test(t, func(t *testing.T) {
			_, err = bearer.FromTokenSource(sourceFunc(test.call)).Credentials(t.Context())
		})
		if err == nil || !strings.Contains(err.Error(), ": "+test.say+"; next try at ") {
			t.Errorf("%s: the error does not say %q", test.name, test.say)
		}
		if err != nil && strings.Contains(fmt.Sprintf("%+v %#v", err, err), "canary") {
			t.Errorf("%s: the error shows too much", test.name)
		}
	}
}

// A refusal that another try cannot change is not tried again soon, so that no account is locked.
func TestFinalError_F14(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		tokens := &bearer.Tokens{
			Fetch: func(context.Context, *oauth2.Token) (*oauth2.Token, error) {
				calls++
				return nil, &oauth2.RetrieveError{ErrorCode: "invalid_grant"}
			},
		}
		for range 299 {
			_, _ = tokens.Credentials(t.Context())
			time.Sleep(time.Second)
		}
		if calls != 1 {
			t.Errorf("%d calls in 5 min", calls)
		}
	})
}

// No redirect takes a secret that buys a token elsewhere, or sends it twice.
func TestTokenEndpointRedirects_F8(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		conf := &oauth2.Config{ClientID: "id", ClientSecret: "canary-cl13nt",
			Endpoint: oauth2.Endpoint{TokenURL: "https://a.example/token",
				AuthStyle: oauth2.AuthStyleInParams}}
		sent := 0
		base := network(func(req *http.Request) (*http.Response, error) {
			sent++
			return answer(req, status, "Location", "https://b.example/"), nil
		})
		tokens := &bearer.Tokens{Token: &oauth2.Token{RefreshToken: "canary-r3fr3sh"},
			Fetch: func(ctx context.Context, old *oauth2.Token) (*oauth2.Token, error) {
				return conf.TokenSource(ctx, old).Token()
			}}
		ctx := context.WithValue(t.Context(), oauth2.HTTPClient, &http.Client{Transport: base})
		var e *bearer.Error
		_, err := tokens.Credentials(ctx)
		if !errors.As(err, &e) || e.Status != status || sent != 1 {
			t.Errorf("%d: sent %d times", status, sent)
		}
	}
}

// This package prints no token, no password and no response of an endpoint.
func TestNothingPrinted_K6(t *testing.T) {
	const secret = "canary-s3cr3t"
	token := &oauth2.Token{AccessToken: secret, RefreshToken: secret}
	tokens := &bearer.Tokens{Token: token, Name: "ann",
		Fetch: func(context.Context, *oauth2.Token) (*oauth2.Token, error) { return token, nil }}
	source := bearer.FromTokenSource(oauth2.StaticTokenSource(token))
	login := &bearer.Login{URL: "https://ann:" + secret + "@a.example/login?key=" + secret,
		User: "ann", Password: []byte(secret)}
	log := new(journal)
	inJSON := slog.New(slog.NewJSONHandler(log, nil))
	values := []any{
		static(secret), tokens, source, login, &bearer.Signer{Source: static(secret)},
		&bearer.Signer{Source: tokens}, &bearer.Signer{Source: source},
		&bearer.Signer{Source: staticSource(token)}, &bearer.Login{URL: "://" + secret},
		endpointSays(t, 500, secret),
	}
	for _, s := range []interface {
		Credentials(ctx context.Context) (*oauth2.Token, error)
	}{tokens, source} {
		if _, err := s.Credentials(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for i, v := range values {
		var text strings.Builder
		for _, flags := range []string{"", "+", "#", " ", "-30.3"} {
			for _, verb := range "vsqxXdcUobgt" {
				for _, w := range []any{v, []any{v}, struct{ V any }{v}, map[string]any{"v": v}} {
					fmt.Fprintf(&text, "%"+flags+string(verb), w)
				}
			}
		}
		data, _ := json.Marshal([]any{v})
		text.Write(data)
		log.logger().Warn("a", "v", v)
		inJSON.Warn("a", "v", v)
		text.WriteString(log.String())
		for _, form := range []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret),
			strings.Trim(fmt.Sprint([]byte(secret)), "[]")} {
			if strings.Contains(text.String(), form) {
				t.Errorf("value %d, a %T, shows a secret", i, v)
			}
		}
	}
	if got := fmt.Sprint(tokens, login, values[4]); got != `{Name:"ann"} `+
		`{URL:"https://a.example/login" User:"ann"} {Scheme:"" Header:"" Cookie:""}` {
		t.Error("what is printed is another text")
	}
}

func staticSource(token *oauth2.Token) fixed { return fixed{token} }

// fixed is a Source that does not protect its token from being printed.
type fixed struct{ Token *oauth2.Token }

func (f fixed) Credentials(context.Context) (*oauth2.Token, error) { return f.Token, nil }
