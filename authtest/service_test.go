package authtest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/countersign-go/countersign"
	"github.com/countersign-go/countersign/authtest"
	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/transport"
)

type (
	fault   = authtest.Faults
	trouble = authtest.Trouble
)

const (
	page = "https://api.example.com/items?q=1"

	ok     = "200 200 200 200 200"
	first  = "200 401 401 401 401" // the second call finds the credentials expired
	later  = "401 200 200 200 200"
	never  = "401 401 401 401 401"
	failed = "error error error error error"
)

// The clients that each fault is tested with.
var clients = map[string]func(*authtest.Service) *http.Client{
	"MAC": func(s *authtest.Service) *http.Client {
		return signing(s, &mac.Signer{Source: s.Provisioner()})
	},
	"token": func(s *authtest.Service) *http.Client {
		return signing(s, &bearer.Signer{Source: s.Tokens()})
	},
	"JWT": func(s *authtest.Service) *http.Client { return signing(s, s.JWT()) },
	// The plain client sends its token, and fetches another when that has expired.
	"plain": func(s *authtest.Service) *http.Client {
		conf := clientcredentials.Config{
			ClientID: s.User, ClientSecret: string(s.Password),
			TokenURL: "https://api.example.com/token",
		}
		ctx := context.WithValue(context.Background(), oauth2.HTTPClient,
			&http.Client{Transport: s})
		return conf.Client(ctx)
	},
}

func signing(s *authtest.Service, signer transport.Signer) *http.Client {
	return countersign.NewClient(countersign.Config{Signer: signer, Base: s})
}

// get returns the status of a call, as text, or "error".
func get(client *http.Client) string {
	resp, err := client.Get(page)
	if err != nil {
		return "error"
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return "cut off"
	}
	return fmt.Sprint(resp.StatusCode)
}

func calls(client *http.Client, n int) string {
	var all []string
	for range n {
		all = append(all, get(client))
		time.Sleep(10 * time.Second)
	}
	return strings.Join(all, " ")
}

// The results of five calls, 10 s apart, by each of the clients. The clients have made one call
// before the fault begins, unless it is there from the start.
//
// No client can recover from these faults:
//
//   - a wrong clock behind a cache that holds answers for long, since then no field tells the time;
//   - an old Date without an Age, which looks like a wrong clock;
//   - a clock that is right again before the request was sent again;
//   - a proxy that changes a signed part;
//   - an endpoint that does not issue credentials.
//
// A replica that lags makes the first call fail if the client makes its tokens itself.
var faults = []struct {
	name                   string
	fault                  fault
	start                  bool
	mac, token, jwt, plain string
}{
	{"none", fault{}, false,
		ok, ok, ok, ok},
	{"expired", fault{ExpireAfter: 2}, false,
		ok, ok, ok, first},
	{"revoked in flight", fault{RevokeInFlight: 1}, false,
		ok, ok, ok, never},
	{"replica, one request", fault{LagRequests: 1}, true,
		ok, ok, later, later},
	{"replica, 2 s", fault{Lag: 2 * time.Second}, true,
		ok, ok, later, later},
	{"revoked twice in flight", fault{RevokeInFlight: 2}, false,
		later, later, later, never},
	{"clock ahead", fault{Offset: time.Hour}, true,
		ok, ok, ok, ok},
	{"clock behind", fault{Offset: -time.Hour}, true,
		ok, ok, ok, ok},
	{"clock moves", fault{Offset: 30 * time.Minute}, false,
		ok, ok, ok, ok},
	{"clock glitch, one request", fault{Glitch: 6 * time.Hour, GlitchRequests: 1}, false,
		later, ok, later, later},
	{"clock glitch, two requests", fault{Glitch: 6 * time.Hour, GlitchRequests: 2}, false,
		ok, ok, ok, "401 401 200 200 200"},
	{"clock, no reason", fault{Offset: time.Hour, Challenges: authtest.WithoutReason}, true,
		ok, ok, ok, ok},
	{"learns skew", fault{LearnSkew: true}, true,
		ok, ok, ok, ok},
	{"cached Date", fault{CachedFor: time.Hour, ExpireAfter: 2}, false,
		ok, ok, ok, first},
	{"cached Date, clock off", fault{CachedFor: time.Hour, Offset: time.Hour}, true,
		never, ok, never, ok},
	{"cached for a moment, clock off", fault{
		CachedFor: 3 * time.Second, Offset: time.Hour}, true,
		ok, ok, ok, ok},
	{"no Age either", fault{CachedFor: time.Hour, NoAge: true, ExpireAfter: 2}, false,
		ok, ok, "200 401 200 200 401", first},
	{"in one line", fault{Challenges: authtest.AllInOneLine, ExpireAfter: 2}, false,
		ok, ok, ok, first},
	{"no reason", fault{Challenges: authtest.WithoutReason, ExpireAfter: 2}, false,
		ok, ok, ok, first},
	{"no challenge", fault{Challenges: authtest.WithoutAny, ExpireAfter: 2}, false,
		ok, ok, ok, first},
	{"the same again", fault{RepeatCredentials: true, ExpireAfter: 2}, false,
		first, first, ok, first},
	{"rewritten host", fault{Rewrite: func(r *http.Request) { r.Host = "inner" }}, false,
		never, ok, ok, ok},
	{"rewritten path", fault{Rewrite: func(r *http.Request) { r.URL.Path = "/v1" }}, false,
		never, ok, ok, ok},
	{"rewritten query", fault{Rewrite: func(r *http.Request) { r.URL.RawQuery = "q=2" }}, false,
		never, ok, ok, ok},
	{"429", fault{
		Requests: trouble{Times: 1, Status: 429, RetryAfter: time.Second}}, false,
		ok, ok, ok, "429 200 200 200 200"},
	{"503", fault{Requests: trouble{Times: 2, Status: 503}}, false,
		ok, ok, ok, "503 503 200 200 200"},
	{"request lost", fault{Requests: trouble{Times: 1, LoseRequest: true}}, false,
		ok, ok, ok, "error 200 200 200 200"},
	{"answer lost", fault{Requests: trouble{Times: 1, LoseAnswer: true}}, false,
		ok, ok, ok, "error 200 200 200 200"},
	{"slow", fault{Requests: trouble{Delay: time.Minute}}, false,
		ok, ok, ok, ok},
	{"dripping", fault{Requests: trouble{Drip: time.Second}}, false,
		ok, ok, ok, ok},
	{"early answer", fault{Requests: trouble{EarlyAnswer: true}}, false,
		ok, ok, ok, ok},
	{"provisioning fails", fault{ExpireAfter: 2,
		Provisioning: trouble{Times: 1, Status: 500}}, false,
		"200 401 200 200 200", "200 401 200 200 200", ok, first},
	{"provisioning busy", fault{ExpireAfter: 2,
		Provisioning: trouble{Times: 1, Status: 503, RetryAfter: 25 * time.Second}}, false,
		"200 401 401 401 200", "200 401 401 401 200", ok, first},
	{"provisioning down", fault{ExpireAfter: 2,
		Provisioning: trouble{LoseRequest: true}}, false,
		first, first, ok, first},
	{"provisioning lost", fault{Provisioning: trouble{Times: 1, LoseAnswer: true}}, true,
		ok, ok, ok, ok},
	{"provisioning drips", fault{ExpireAfter: 2,
		Provisioning: trouble{Drip: 10 * time.Millisecond}}, false,
		ok, ok, ok, first},
	{"provisioning creeps", fault{Provisioning: trouble{Drip: time.Minute}}, true,
		failed, failed, ok, never},
	{"provisioning slow", fault{ExpireAfter: 2,
		Provisioning: trouble{Delay: 4 * time.Second}}, false,
		ok, ok, ok, first},
}

// Our clients recover where they can. The table lists the other cases, and the plain client shows
// that each fault has an effect.
func TestFaults(t *testing.T) {
	for _, tt := range faults {
		for name, want := range map[string]string{
			"MAC": tt.mac, "token": tt.token, "JWT": tt.jwt, "plain": tt.plain,
		} {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := authtest.NewService(t)
					client := clients[name](s)
					if !tt.start && calls(client, 1) != "200" {
						t.Fatal("not even before the fault")
					}
					s.Set(tt.fault)
					if got := calls(client, 5); got != want {
						t.Errorf("got %q, want %q\n%v", got, want, s.Seen().Log)
					}
				})
			})
		}
	}
}
