package countersign_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign"
	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/portal"
	"github.com/countersign-go/countersign/provision"
	"github.com/countersign-go/countersign/provision/issue"
	"github.com/countersign-go/countersign/transport"
	"github.com/jarcoal/httpmock"
)

const (
	origin   = "https://api.example.com"
	password = "canary-0a11ce"
)

// A service is the real server side without a network. It issues MAC credentials to clients that
// authenticate with Basic, and verifies the requests that clients sign with them. It is a
// RoundTripper, so it also works in a synctest bubble.
type service struct {
	handler     http.Handler
	issuer      atomic.Pointer[issue.Issuer]
	requests    atomic.Int32 // to all paths but /provision
	provisioned atomic.Int32
	delay       time.Duration // of each answer
	noDate      bool
	mute        bool // challenges hold only "MAC", as some servers' do
}

func newService(lifetime time.Duration) *service {
	s := new(service)
	s.rotate("canary-5ec2e7-00000000", lifetime)
	issuer := func() *issue.Issuer { return s.issuer.Load() }
	verifier := &mac.Verifier{Keys: func(ctx context.Context, id string) (*mac.Key, error) {
		return issuer().Key(ctx, id)
	}}
	mux := http.NewServeMux()
	mux.Handle("/provision", &issue.Handler{
		Auth: &basic.Verifier{Users: portal.Memory{"alice": creds.Secret(password)}},
		Issue: func(ctx context.Context, id *auth.Identity) (*mac.Credentials, error) {
			s.provisioned.Add(1)
			return issuer().Issue(ctx, id)
		},
	})
	mux.Handle("/", auth.Require(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		id, _ := auth.FromContext(req.Context())
		_, _ = io.WriteString(w, "hello "+id.Subject)
	}), verifier))
	mux.HandleFunc("/forbidden", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", "MAC")
		w.WriteHeader(http.StatusUnauthorized)
	})
	s.handler = mux
	return s
}

// rotate replaces the secret from which all keys are derived, so that every client must get a new
// key.
func (s *service) rotate(secret string, lifetime time.Duration) {
	s.issuer.Store(&issue.Issuer{
		Secrets: []creds.Secret{creds.Secret(secret)}, Lifetime: lifetime,
	})
}

func (s *service) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Path != "/provision" {
		s.requests.Add(1)
	}
	received := req.Clone(req.Context())
	received.RequestURI = req.URL.RequestURI()
	if received.Host == "" {
		received.Host = req.URL.Host
	}
	if received.Body == nil {
		received.Body = http.NoBody
	}
	defer received.Body.Close()
	if req.URL.Scheme == "https" {
		received.TLS = new(tls.ConnectionState)
	}
	time.Sleep(s.delay)
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, received)
	if !s.noDate {
		w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	if s.mute && w.Header().Get("WWW-Authenticate") != "" {
		w.Header().Set("WWW-Authenticate", "MAC")
	}
	resp := w.Result()
	resp.Request = req
	return resp, nil
}

// client returns a client that gets its own credentials, its source of credentials and its Clock.
func (s *service) client() (*http.Client, *provision.Client, *transport.Clock) {
	clock := new(transport.Clock)
	source := &provision.Client{
		URL:    origin + "/provision",
		Signer: &basic.Signer{User: "alice", Password: creds.Secret(password)},
		HTTP:   &http.Client{Transport: s},
		Clock:  clock,
	}
	return countersign.NewClient(countersign.Config{
		Signer: &mac.Signer{Source: source}, Base: s, Clock: clock,
	}), source, clock
}

// fetch sends a GET request and returns the status and the attempts.
func fetch(t *testing.T, client *http.Client, url string) (int, []transport.Attempt) {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Error(err)
		return 0, nil
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode, transport.History(resp)
}

func setClock(clock *transport.Clock, off time.Duration) {
	u, _ := url.Parse(origin)
	clock.Set(u, off)
}

// A wrong clock costs one more round trip and no provisioning, whatever time the service states.
func TestClockOff(t *testing.T) {
	for _, off := range []time.Duration{24 * time.Hour, -24 * time.Hour, 365 * 24 * time.Hour,
		-365 * 24 * time.Hour} {
		for _, tells := range []string{"Date only", "ts only", "both"} {
			t.Run(off.String()+" "+tells, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newService(time.Hour)
					s.noDate = tells == "ts only"
					s.mute = tells == "Date only"
					client, source, clock := s.client()
					if _, err := source.Credentials(t.Context()); err != nil {
						t.Fatal(err)
					}
					setClock(clock, off)
					for i, sends := range []int32{2, 3, 4} {
						if status, history := fetch(t, client, origin+"/"); status != 200 {
							t.Fatalf("status %d, %v", status, history)
						}
						if got := s.requests.Load(); got != sends {
							t.Errorf("call %d: %d requests so far, want %d", i, got, sends)
						}
					}
					if got := s.provisioned.Load(); got != 1 {
						t.Errorf("provisioned %d times, want once", got)
					}
				})
			})
		}
	}
}

// Many calls at once recover from a wrong clock together with credentials that the service has
// forgotten.
func TestClockAndCredentialAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(time.Hour)
		s.delay = 50 * time.Millisecond
		client, source, clock := s.client()
		if _, err := source.Credentials(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second) // the credentials are not new any longer
		moved := 0
		clock.Moved = func(*url.URL, time.Duration) { moved++ }
		setClock(clock, -time.Hour)
		s.rotate("canary-5ec2e7-11111111", time.Hour)
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				status, history := fetch(t, client, origin+"/")
				if status != 200 || len(history) != 3 {
					t.Errorf("status %d, %v", status, history)
				}
			})
		}
		wg.Wait()
		if s.provisioned.Load() != 2 || moved != 1 {
			t.Errorf("provisioned %d times, want 2; moved %d times, want 1",
				s.provisioned.Load(), moved)
		}
	})
}

// One fetch replaces expired credentials, however many calls wait for it.
func TestExpiry_F3(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(time.Minute)
		s.delay = 200 * time.Millisecond
		client, _, _ := s.client()
		fetch(t, client, origin+"/")
		time.Sleep(2 * time.Minute)
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				status, history := fetch(t, client, origin+"/")
				if status != 200 || history != nil {
					t.Errorf("status %d, %v", status, history)
				}
			})
		}
		wg.Wait()
		if got := s.provisioned.Load(); got != 2 {
			t.Errorf("provisioned %d times in all, want 2", got)
		}
	})
}

// A page that always refuses causes few provisioning calls, and other pages keep their credentials.
func TestForbiddenPage_F1(t *testing.T) {
	for _, pause := range []time.Duration{0, 10 * time.Millisecond, 100 * time.Millisecond} {
		t.Run(pause.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService(24 * time.Hour)
				client, _, _ := s.client()
				fetch(t, client, origin+"/")
				before := s.provisioned.Load()
				for range 1000 {
					status, history := fetch(t, client, origin+"/forbidden")
					if status != 401 || history == nil {
						t.Fatalf("status %d, %v", status, history)
					}
					status, history = fetch(t, client, origin+"/")
					if status != 200 || history != nil {
						t.Fatalf("the other page: status %d, %v", status, history)
					}
					time.Sleep(pause)
				}
				if got := s.provisioned.Load() - before; got > 10 {
					t.Errorf("provisioned %d times, want at most 10", got)
				}
			})
		})
	}
}

// The same holds for many goroutines.
func TestForbiddenPageConcurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(24 * time.Hour)
		s.delay = 20 * time.Millisecond
		client, _, _ := s.client()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				for range 10 {
					if status, _ := fetch(t, client, origin+"/forbidden"); status != 401 {
						t.Errorf("status %d", status)
					}
					if status, history := fetch(t, client, origin+"/"); status != 200 {
						t.Errorf("the other page: status %d, %v", status, history)
					}
				}
			})
		}
		wg.Wait()
		if got := s.provisioned.Load(); got > 10 {
			t.Errorf("provisioned %d times, want at most 10", got)
		}
	})
}

// A late refusal of credentials that were replaced in the meantime does not drop the new
// credentials. New credentials that are revoked at once are replaced again.
func TestLateRefusal_F12(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(time.Hour)
		client, source, _ := s.client()
		fetch(t, client, origin+"/")
		s.rotate("canary-5ec2e7-22222222", time.Hour)
		var wg sync.WaitGroup
		for i := range 100 { // signed at the same moment, refused one by one over five seconds
			wg.Go(func() {
				late := &lateRefusals{service: s, delay: time.Duration(i) * 50 * time.Millisecond}
				c := countersign.NewClient(countersign.Config{
					Signer: &mac.Signer{Source: source}, Base: late,
				})
				if status, history := fetch(t, c, origin+"/"); status != 200 {
					t.Errorf("status %d, %v", status, history)
				}
			})
		}
		wg.Wait()
		if got := s.provisioned.Load(); got != 2 {
			t.Errorf("provisioned %d times, want 2", got)
		}
		for i := range 3 {
			s.rotate("canary-5ec2e7-3333333"+string(rune('0'+i)), time.Hour)
			if status, history := fetch(t, client, origin+"/"); status != 200 {
				t.Errorf("revoked again: status %d, %v", status, history)
			}
		}
	})
}

type lateRefusals struct {
	*service
	delay time.Duration
}

func (l *lateRefusals) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := l.service.RoundTrip(req)
	if err == nil && resp.StatusCode == 401 {
		time.Sleep(l.delay)
	}
	return resp, err
}

// If no other credentials can be fetched, the caller gets the refusal, and the history has the
// reason.
func TestProvisioningDown_F13(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(time.Hour)
		client, source, _ := s.client()
		fetch(t, client, origin+"/")
		s.rotate("canary-5ec2e7-44444444", time.Hour)
		s.handler = failing{s.handler, "/provision"}
		status, history := fetch(t, client, origin+"/")
		if status != 401 || history[len(history)-1].Stop != transport.StopNoCredential {
			t.Errorf("status %d, %v: want the refusal", status, history)
		}
		err := history[len(history)-1].Err
		if err == nil || strings.Contains(err.Error(), "canary-") {
			t.Errorf("the failure of the fetch is told as %v", err)
		}
		if _, err := source.Credentials(t.Context()); err != nil {
			t.Errorf("credentials that may still serve elsewhere are gone: %v", err)
		}
	})
}

// failing breaks one path of a handler.
type failing struct {
	http.Handler
	path string
}

func (f failing) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path == f.path {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	f.Handler.ServeHTTP(w, req)
}

// Wrap copies a client and does not change the original.
func TestWrap(t *testing.T) {
	jar, _ := cookiejar.New(nil)
	base := httpmock.NewMockTransport()
	base.RegisterResponder("GET", origin+"/", signedResponder)
	base.RegisterResponder("GET", origin+"/away", httpmock.NewStringResponder(302, "").
		HeaderSet(http.Header{"Location": {"/"}}))
	plain := &http.Client{
		Transport: base, Jar: jar, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
	config := countersign.Config{Signer: &mac.Signer{
		Source: &mac.Credentials{ID: "id", Key: creds.Secret("canary-aaaaaa")}}}
	client := countersign.Wrap(plain, config)
	if plain.Transport != base {
		t.Error("the client that was wrapped was changed")
	}
	if client.Jar != jar || client.Timeout != time.Minute || client.CheckRedirect == nil {
		t.Error("Jar, Timeout or CheckRedirect is lost")
	}
	for path, want := range map[string]int{"/": 200, "/away": 302} {
		if status, _ := fetch(t, client, origin+path); status != want {
			t.Errorf("%s: status %d, want %d", path, status, want)
		}
	}
	other := httpmock.NewMockTransport()
	other.RegisterResponder("GET", origin+"/", httpmock.NewStringResponder(204, ""))
	config.Base = other
	if status, _ := fetch(t, countersign.Wrap(plain, config), origin+"/"); status != 204 {
		t.Errorf("Base was not preferred: status %d", status)
	}
}

// signedResponder answers 200 to requests that carry a MAC.
func signedResponder(req *http.Request) (*http.Response, error) {
	if !strings.HasPrefix(req.Header.Get("Authorization"), `MAC id="id", ts="`) {
		return httpmock.NewStringResponse(401, ""), nil
	}
	return httpmock.NewStringResponse(200, ""), nil
}

// A client without a Base looks up the default transport for each request, so that a test which
// replaces it for a whole program sees signed requests.
func TestGlobalMock(t *testing.T) {
	client := countersign.NewClient(countersign.Config{Signer: &mac.Signer{
		Source: &mac.Credentials{ID: "id", Key: creds.Secret("canary-aaaaaa")}}})
	httpmock.Activate(t)
	httpmock.RegisterResponder("GET", origin+"/", signedResponder)
	if status, _ := fetch(t, client, origin+"/"); status != 200 {
		t.Errorf("status %d", status)
	}
}

// With a mistake in the Config, every request fails with a ConfigError before anything is sent.
func TestConfigError(t *testing.T) {
	signer := &mac.Signer{Source: &mac.Credentials{ID: "id", Key: creds.Secret("canary-aaaaaa")}}
	for name, c := range map[string]countersign.Config{
		"Signer":  {},
		"Origins": {Signer: signer, Origins: []string{"api.example.com"}},
	} {
		mock := httpmock.NewMockTransport()
		c.Base = mock
		_, err := countersign.NewClient(c).Get(origin)
		var config *countersign.ConfigError
		if !errors.As(err, &config) || config.Field != name || mock.GetTotalCallCount() != 0 {
			t.Errorf("%s: %v, %d requests sent", name, err, mock.GetTotalCallCount())
		}
	}
}

// Refusals are logged without secrets.
func TestLogger_K7(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := newService(time.Hour)
		_, source, _ := s.client()
		client := countersign.NewClient(countersign.Config{
			Signer: &mac.Signer{Source: source}, Base: s,
			Logger: slog.New(slog.NewTextHandler(&log,
				&slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		fetch(t, client, origin+"/?query=canary-9999")
		s.rotate("canary-5ec2e7-55555555", time.Hour)
		fetch(t, client, origin+"/?query=canary-9999")
		fetch(t, client, origin+"/forbidden?query=canary-9999")
		text := log.String()
		if !strings.Contains(text, "recovered") || !strings.Contains(text, "refused") {
			t.Errorf("logged:\n%s", text)
		}
		if strings.Contains(text, "canary-") {
			t.Errorf("a secret or a query is logged:\n%s",
				strings.ReplaceAll(text, "canary-", "C-"))
		}
	})
}
