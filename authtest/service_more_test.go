package authtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign"
	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/authtest"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/transport"
)

// A service that has learned a skew refuses a corrected clock without giving the reason. Our client
// fetches a new id. If it moved its clock instead, it would be refused permanently.
func TestLearnSkew(t *testing.T) {
	for _, offset := range []time.Duration{-time.Hour, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			s := authtest.NewService(t)
			s.Set(fault{LearnSkew: true})
			clock, u := new(transport.Clock), &url.URL{Scheme: "https", Host: "api.example.com"}
			client := countersign.NewClient(countersign.Config{
				Signer: &mac.Signer{Source: s.Provisioner()}, Base: s, Clock: clock,
			})
			clock.Set(u, offset)
			if got := calls(client, 2); got != "200 200" {
				t.Error("with the clock off:", got)
			}
			clock.Set(u, 0)
			if got := calls(client, 1); got != "200" {
				t.Error("put right:", got)
			}
			seen := s.Seen()
			if seen.Refused["stale"] != 1 || seen.Issued != 2 {
				t.Errorf("refused %v, issued %d", seen.Refused, seen.Issued)
			}
			for i, off := range []time.Duration{28 * time.Second, 32 * time.Second} {
				clock.Set(u, off)
				if calls(client, 1); s.Seen().Refused["stale"] != i+1 {
					t.Errorf("off by %v from the first one: %v", off, s.Seen().Refused)
				}
			}
		})
	}
}

// Revoked credentials of any kind are refused, and later ones are accepted.
func TestRevoke(t *testing.T) {
	for name, client := range clients {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := authtest.NewService(t)
				c := client(s)
				calls(c, 2)
				s.Revoke()
				want := "200 200"
				if name == "plain" {
					want = "401 401"
				}
				if got := calls(c, 2); got != want || s.Seen().Refused["revoked"] == 0 {
					t.Errorf("got %s, want %s; refused %v", got, want, s.Seen().Refused)
				}
			})
		})
	}
}

// Credentials end after their Lifetime.
func TestLifetime(t *testing.T) {
	for name, client := range clients {
		synctest.Test(t, func(t *testing.T) {
			s := authtest.NewService(t)
			s.Lifetime = time.Minute
			if got := calls(client(s), 20); strings.Contains(got, "401") {
				t.Errorf("%s: %s", name, got)
			}
			if n := s.Seen().Issued; name != "JWT" && (n < 3 || n > 6) {
				t.Errorf("%s: %d were issued in 200 s", name, n)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		s := authtest.NewService(t)
		s.Lifetime = time.Minute
		old, _ := s.Provisioner().Credentials(t.Context())
		time.Sleep(time.Minute)
		get(signing(s, &mac.Signer{Source: old}))
		if s.Seen().Refused["expired"] != 1 {
			t.Errorf("refused %v", s.Seen().Refused)
		}
	})
}

// Each reason is counted under its name.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := authtest.NewService(t)
		good, err := s.Provisioner().Credentials(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		wrong := *good
		wrong.Key = creds.Secret("canary-0badcafe")
		now := time.Now()
		for want, header := range map[string]func(*http.Request){
			"none": func(*http.Request) {},
			"malformed": func(r *http.Request) {
				r.Header.Set("Authorization", `MAC id="a"`)
			},
			"stale": func(r *http.Request) {
				_ = (&mac.Signer{Source: good}).Sign(r, now.Add(61*time.Second))
			},
			"invalid": func(r *http.Request) { _ = (&mac.Signer{Source: &wrong}).Sign(r, now) },
			"nonce": func(r *http.Request) {
				_ = (&mac.Signer{Source: good}).Sign(r, now)
				resp, err := s.RoundTrip(r)
				if err != nil || resp.StatusCode != 200 {
					t.Error("the first time:", resp, err)
				}
			},
		} {
			req, _ := http.NewRequest("GET", page, nil)
			header(req)
			before := s.Seen()
			resp, err := s.RoundTrip(req)
			if err != nil || resp.StatusCode != 401 {
				t.Fatalf("%s: %v, %v", want, resp, err)
			}
			after := s.Seen()
			if after.Refused[want] != before.Refused[want]+1 {
				t.Errorf("%s: counted as %v", want, after.Refused)
			}
			if last := after.Log[len(after.Log)-1]; last.Refused != want || last.Status != 401 {
				t.Errorf("%s: logged as %v", want, last)
			}
		}
	})
}

// The reasons for refusing bearer tokens are named, too.
func TestRefusedTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := authtest.NewService(t)
		slow, early := s.JWT(), s.JWT()
		for want, header := range map[string]func(*http.Request){
			"expired": func(r *http.Request) { _ = slow.Sign(r, time.Now().Add(-time.Hour)) },
			"stale":   func(r *http.Request) { _ = early.Sign(r, time.Now().Add(time.Hour)) },
			"invalid": func(r *http.Request) {
				_ = s.JWT().Sign(r, time.Now())
				token := r.Header.Get("Authorization")
				r.Header.Set("Authorization", token[:len(token)-4]+"AAAA")
			},
		} {
			req, _ := http.NewRequest("GET", page, nil)
			header(req)
			if _, err := s.RoundTrip(req); err != nil || s.Seen().Refused[want] != 1 {
				t.Errorf("%s: counted as %v, %v", want, s.Seen().Refused, err)
			}
		}
	})
}

// Credentials are issued only to clients that send the password in a POST.
func TestProvisioning(t *testing.T) {
	s := authtest.NewService(t)
	s.User, s.Password = "bob", creds.Secret("canary-b0b")
	ask := func(method, path, body, password string) int {
		req, _ := http.NewRequest(method, "https://any.example"+path, strings.NewReader(body))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if password != "" {
			req.SetBasicAuth("bob", password)
		}
		resp, err := s.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode
	}
	form := "client_id=bob&client_secret=canary-b0b"
	for _, tt := range []struct {
		method, path, body, password string
		want                         int
	}{
		{"POST", "/provision", "", "canary-b0b", 200},
		{"POST", "/provision", "", "canary-a11ce", 401},
		{"POST", "/provision", form, "", 401},
		{"GET", "/provision", "", "canary-b0b", 405},
		{"POST", "/token", "", "canary-b0b", 200},
		{"POST", "/token", form, "", 200},
		{"POST", "/token", form + "x", "", 401},
		{"POST", "/token", "", "", 401},
	} {
		if got := ask(tt.method, tt.path, tt.body, tt.password); got != tt.want {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.path, got, tt.want)
		}
	}
	if seen := s.Seen(); seen.Provisioned != 8 || seen.Issued != 3 || seen.Requests != 0 {
		t.Errorf("seen %+v", seen)
	}
}

// The handler gets the client's identity and the whole body, and Seen reports how much of the body
// was read.
func TestHandlerOfService(t *testing.T) {
	s := authtest.NewService(t)
	s.Dialect = mac.WebOb
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		id, _ := auth.FromContext(req.Context())
		body, _ := io.ReadAll(req.Body)
		w.Header().Set("X-From", id.Subject+" by "+id.Scheme)
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(body)
	})
	client := signing(s, &mac.Signer{Source: s.Provisioner(), Dialect: mac.WebOb})
	resp, err := client.Post("https://api.example.com/caf%C3%A9", "text/plain",
		strings.NewReader("a body"))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 201 || string(body) != "a body" ||
		resp.Header.Get("X-From") != "alice by MAC" {
		t.Errorf("%d %q %v", resp.StatusCode, body, resp.Header)
	}
	log := s.Seen().Log
	want := "POST api.example.com:443/café: 201"
	if got := log[len(log)-1]; got.Body != 6 || got.String() != want {
		t.Errorf("logged as %v with %d bytes", got, got.Body)
	}
}

// The answer to HEAD has the header of a GET, and no body.
func TestHead(t *testing.T) {
	s := authtest.NewService(t)
	resp, err := signing(s, s.JWT()).Head(page)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode != 200 || len(body) > 0 || err != nil || resp.Header.Get("Date") == "" {
		t.Errorf("%d %q %v %v", resp.StatusCode, body, err, resp.Header)
	}
}

// A client that gives up does not wait for the rest.
func TestContext(t *testing.T) {
	for name, f := range map[string]fault{
		"delay": {Requests: trouble{Delay: time.Hour}},
		"drip":  {Requests: trouble{Drip: time.Hour}},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := authtest.NewService(t)
			client := signing(s, s.JWT())
			s.Set(f)
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			req, _ := http.NewRequestWithContext(ctx, "GET", page, nil)
			resp, err := client.Do(req)
			if err == nil {
				_, err = io.ReadAll(resp.Body)
			}
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
				t.Errorf("%s: %v after %v", name, err, time.Since(began))
			}
		})
	}
}

// Many goroutines, a wrong clock and a revocation: all calls succeed, and one fetch of credentials
// serves all goroutines.
func TestConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := authtest.NewService(t)
		client := clients["MAC"](s)
		calls(client, 1)
		s.Set(fault{Offset: time.Hour, Requests: trouble{Delay: 50 * time.Millisecond}})
		s.Revoke()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if got := get(client); got != "200" {
					t.Error(got)
				}
				s.Seen()
			})
		}
		wg.Wait()
		if seen := s.Seen(); seen.Issued != 2 || seen.Accepted != 101 {
			t.Errorf("issued %d, accepted %d", seen.Issued, seen.Accepted)
		}
	})
}

// Over a socket the faults are the same: the clock, a lost connection, and a body that drips.
func TestServer(t *testing.T) {
	s := authtest.NewService(t)
	server := s.Server()
	client := countersign.NewClient(countersign.Config{
		Signer: &mac.Signer{Source: s.Provisioner()},
	})
	s.Set(fault{Offset: time.Hour, Requests: trouble{Times: 1, LoseRequest: true}})
	resp, err := client.Get(server.URL + "/a?b=c")
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	history := transport.History(resp)
	if len(history) != 3 || history[0].Err == nil || history[1].Cause != transport.CauseStale {
		t.Error(history)
	}
	_ = resp.Body.Close()
	s.Set(fault{Offset: time.Hour, Requests: trouble{Drip: time.Microsecond}})
	if resp, err = client.Get(server.URL); err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if string(body) != "hello alice\n" || err != nil || resp.ContentLength != -1 {
		t.Errorf("%q, %v, %d", body, err, resp.ContentLength)
	}
	s.Set(fault{Provisioning: trouble{LoseAnswer: true}})
	req, err := http.NewRequest("POST", server.URL+"/provision", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(s.User, string(s.Password))
	if resp, err := http.DefaultClient.Do(req); err == nil {
		_ = resp.Body.Close()
		t.Error("the answer was not lost")
	}
	if s.Seen().Issued != 2 {
		t.Error("nothing was done before the answer was lost:", s.Seen().Log)
	}
}

// Each form of a challenge, with and without a reason to give.
func TestChallenges(t *testing.T) {
	for kind, want := range map[authtest.Challenges][2][]string{
		authtest.EachInALine: {{"MAC", "Bearer"},
			{`MAC error="invalid"`, "Bearer"}},
		authtest.AllInOneLine: {{"Negotiate, MAC, Bearer"},
			{`Negotiate, MAC error="invalid", Bearer`}},
		authtest.WithoutReason: {{"MAC", "Bearer"}, {"MAC", "Bearer"}},
		authtest.WithoutAny:    {nil, nil},
	} {
		s := authtest.NewService(t)
		s.Set(fault{Challenges: kind})
		stranger := &mac.Signer{Source: &mac.Credentials{ID: "a", Key: creds.Secret("canary-0a")}}
		for i, sign := range []func(*http.Request, time.Time) error{
			func(*http.Request, time.Time) error { return nil }, stranger.Sign,
		} {
			req, _ := http.NewRequest("GET", page, nil)
			if err := sign(req, time.Now()); err != nil {
				t.Fatal(err)
			}
			resp, err := s.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			if got := resp.Header["Www-Authenticate"]; !slices.Equal(got, want[i]) {
				t.Errorf("%d: asked by %q, want %q", kind, got, want[i])
			}
		}
	}
}

// RoundTrip always closes the body, even on errors, and does not change the request.
func TestRoundTripperContract(t *testing.T) {
	s := authtest.NewService(t)
	for _, f := range []fault{
		{}, {Requests: trouble{LoseRequest: true}}, {Requests: trouble{Status: 503}},
		{Rewrite: func(r *http.Request) { r.URL.Path, r.Host = "/x", "x"; r.Header.Set("A", "b") }},
	} {
		s.Set(f)
		body := &closing{Reader: strings.NewReader("a body")}
		u, _ := url.Parse(page)
		req := &http.Request{URL: u, Body: body} // the least that net/http allows
		_, _ = s.RoundTrip(req)
		if !body.closed || *req.URL != *u || req.Header != nil || req.Host != "" {
			t.Errorf("closed: %v; %+v", body.closed, req)
		}
	}
	if got := s.Seen().Log[0].String(); got != "GET api.example.com/items: 401 none" {
		t.Error(got)
	}
}

type closing struct {
	io.Reader

	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }

// An invalid request leads to an error, not to a panic.
func TestNoURL(t *testing.T) {
	if _, err := authtest.NewService(t).RoundTrip(new(http.Request)); err == nil {
		t.Error("a request without a URL was answered")
	}
}

// A Service does not print its secrets, neither before nor after use.
func TestServicePrintsNoSecret_K6(t *testing.T) {
	s := authtest.NewService(t)
	s.Password = creds.Secret("canary-b0b")
	get(clients["token"](s))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, value := range []any{s, []any{s}, s.Seen()} {
			text := fmt.Sprintf(verb, value)
			if strings.Contains(text, "canary-") || strings.Contains(text, fmt.Sprintf("%x",
				"canary-b0b")) || strings.Contains(text, "secret") {
				t.Errorf("%s of %T shows a secret", verb, value)
			}
		}
	}
	if got := fmt.Sprint(s); got != `{User:"alice"}` {
		t.Error(got)
	}
}
