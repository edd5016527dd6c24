package provision_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision"
	"github.com/countersign-go/countersign/provision/issue"
	"github.com/countersign-go/countersign/transport"
)

const endpoint = "https://user.example/provision"

func ann() transport.Signer { return basic.Signer{User: "ann", Password: creds.Secret(password)} }

func TestClientAndHandler(t *testing.T) {
	for _, algorithm := range []string{mac.SHA256, mac.SHA1} {
		synctest.Test(t, func(t *testing.T) {
			i := testIssuer()
			i.Algorithm = algorithm
			net := direct{&issue.Handler{Auth: users(), Issue: i.Issue}}
			c := &provision.Client{URL: endpoint, Signer: ann(), HTTP: &http.Client{Transport: net}}
			got, err := c.Credentials(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			left := time.Until(got.Expires)
			if left != 5*time.Minute || got.Algorithm != algorithm {
				t.Errorf("%v for %v", got.Algorithm, left)
			}
			key, err := i.Key(t.Context(), got.ID)
			if err != nil || key.Identity.Subject != "ann" ||
				string(key.Secret) != string(got.Key) {
				t.Errorf("%v, %v", key, err)
			}
			if again, err := c.Credentials(t.Context()); again != got || err != nil {
				t.Errorf("a second call fetched anew: %v", err)
			}
		})
	}
}

// service has one handler for provisioning, and one page for clients that sign with the provisioned
// credentials.
func service(i *issue.Issuer, fetched *atomic.Int32) direct {
	h := &issue.Handler{Auth: users(), Issue: i.Issue}
	v := &mac.Verifier{Keys: i.Key}
	return direct{http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/provision" {
			fetched.Add(1)
			h.ServeHTTP(w, req)
			return
		}
		id, err := v.Authenticate(req)
		if err != nil {
			v.Challenge(w.Header(), req, err)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, id.Subject)
	})}
}

// With keys that last two seconds, less than the Client assumes, no call fails.
func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := testIssuer()
		i.Lifetime = 2 * time.Second
		var fetched atomic.Int32
		net := service(i, &fetched)
		source := &provision.Client{
			URL: endpoint, Signer: ann(), HTTP: &http.Client{Transport: net},
		}
		client := &http.Client{Transport: &transport.Transport{
			Signer: &mac.Signer{Source: source}, Base: net,
		}}
		for n := range 60 {
			resp, err := client.Get("https://user.example/")
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != 200 {
				t.Fatalf("call %d: %d, %v", n, resp.StatusCode, transport.History(resp))
			}
			resp.Body.Close()
			time.Sleep(time.Second)
		}
		if n := fetched.Load(); n < 20 || n > 31 {
			t.Errorf("%d fetches for 30 lifetimes", n)
		}
	})
}

func TestClientConcurrently_F3(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fetched atomic.Int32
		c := &provision.Client{URL: endpoint, Signer: ann(),
			HTTP: &http.Client{Transport: service(testIssuer(), &fetched)}}
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				if _, err := c.Credentials(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := fetched.Load(); n != 1 {
			t.Errorf("%d fetches", n)
		}
	})
}

// The request is a plain POST, which every endpoint takes.
func TestClientRequest(t *testing.T) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(endpoint)
	jar.SetCookies(u, []*http.Cookie{{Name: "session", Value: "1"}})
	httpClient := handlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		if req.Method != "POST" || len(body) != 0 || req.URL.RawQuery != "site=7" ||
			req.Header.Get("Accept") != "application/json" ||
			req.Header.Get("Cookie") != "session=1" || req.Header.Get("Authorization") != "" {
			t.Errorf("got %s %s %v %q", req.Method, req.URL, req.Header, body)
		}
		_, _ = io.WriteString(w, `{"id":"a","key":"k"}`)
	})
	httpClient.Jar = jar
	c := &provision.Client{URL: endpoint + "?site=7", HTTP: httpClient}
	got, err := c.Credentials(t.Context())
	if err != nil || !same(got, &mac.Credentials{ID: "a", Key: []byte("k"), Algorithm: mac.SHA1}) {
		t.Errorf("%v, %v", got, err)
	}
	if _, ok := httpClient.Transport.(direct); !ok || httpClient.CheckRedirect != nil {
		t.Error("the caller's http.Client was changed")
	}
}

// The clock of a Signer that signs by it is corrected: provisioning works with a wrong clock.
func TestWrongClock(t *testing.T) {
	const day = 24 * time.Hour
	for _, offset := range []time.Duration{-365 * day, -day, day, 365 * day} {
		synctest.Test(t, func(t *testing.T) {
			sent := 0
			clock := new(transport.Clock)
			c := &provision.Client{URL: endpoint, Clock: clock,
				Signer: transport.SignerFunc(func(req *http.Request, now time.Time) error {
					req.Header.Set("Authorization", "Test "+now.UTC().Format(time.RFC3339))
					return nil
				}),
				HTTP: handlerFunc(func(w http.ResponseWriter, req *http.Request) {
					sent++
					there := time.Now().Add(offset)
					w.Header().Set("Date", there.UTC().Format(http.TimeFormat))
					signed, err := time.Parse("Test "+time.RFC3339, req.Header.Get("Authorization"))
					if err != nil || there.Sub(signed).Abs() > 5*time.Second {
						w.WriteHeader(401)
						return
					}
					fmt.Fprintf(w, `{"id":"a","key":"k","expires":%d}`, there.Unix()+60)
				})}
			got, err := c.Credentials(t.Context())
			if err != nil {
				t.Fatal(offset, err)
			}
			left := time.Until(got.Expires)
			if left < 59*time.Second || left > time.Minute || sent != 2 {
				t.Errorf("%v: ends in %v, after %d requests", offset, left, sent)
			}
			u, _ := url.Parse(endpoint)
			if off := time.Until(clock.Now(u)) - offset; off.Abs() > time.Second {
				t.Errorf("%v: the clock is off by %v", offset, off)
			}
		})
	}
}

// Credentials with another key are not the same: a new key for an old id is a replacement.
func TestNewKeyForOldID(t *testing.T) {
	sent := 0
	c := &provision.Client{URL: endpoint, HTTP: handlerFunc(
		func(w http.ResponseWriter, _ *http.Request) {
			sent++
			fmt.Fprintf(w, `{"id":"a","key":"k%d"}`, sent)
		})}
	for n := 1; n <= 3; n++ {
		got, err := c.Credentials(t.Context())
		if err != nil || string(got.Key) != fmt.Sprint("k", n) {
			t.Fatal(got, err)
		}
		isCurrent := func(m *mac.Credentials) bool { return m == got }
		c.Confirm(isCurrent)
		c.Reject(isCurrent, nil)
	}
}
