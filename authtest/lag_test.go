package authtest_test

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"

	"github.com/countersign-go/countersign"
	"github.com/countersign-go/countersign/authtest"
	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/creds/file"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/transport"
)

// renewing are the Signers whose credentials are fetched from a service.
var renewing = map[string]func(*authtest.Service) transport.Signer{
	"MAC": func(s *authtest.Service) transport.Signer {
		return &mac.Signer{Source: s.Provisioner()}
	},
	"bearer": func(s *authtest.Service) transport.Signer {
		return &bearer.Signer{Source: s.Tokens()}
	},
}

// A stubborn source keeps its credentials, even if a server refuses them.
type stubborn struct{ creds.Source[*oauth2.Token] }

func (s stubborn) Credentials(ctx context.Context) (*oauth2.Token, error) {
	return s.Source.Credentials(ctx)
}

// outage makes a call each 0.5 s for 60 s, and returns how many have failed.
func outage(t *testing.T, service *authtest.Service, signer transport.Signer) (failed int) {
	t.Helper()
	client := countersign.NewClient(countersign.Config{Signer: signer, Base: service})
	for start := time.Now(); time.Since(start) < time.Minute; time.Sleep(500 * time.Millisecond) {
		if status(t, client) != http.StatusOK {
			failed++
		}
	}
	return failed
}

// status makes a call and returns its status.
func status(t *testing.T, client *http.Client) int {
	t.Helper()
	resp, err := client.Get("https://api.example/")
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	return resp.StatusCode
}

// A client must keep credentials that a replica does not know yet.
func TestLag(t *testing.T) {
	for _, lag := range []time.Duration{
		time.Second / 5, time.Second, 2 * time.Second, 3 * time.Second,
		5 * time.Second, 10 * time.Second, 30 * time.Second,
	} {
		most, issued := 0, 1
		if lag > 3*time.Second {
			synctest.Test(t, func(t *testing.T) {
				service := authtest.NewService(t)
				service.Set(authtest.Faults{Lag: lag})
				most = 1 + outage(t, service, &bearer.Signer{Source: stubborn{service.Tokens()}})
			})
			issued = 2
		}
		for name, signer := range renewing {
			t.Run(fmt.Sprint(name, " ", lag), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					service := authtest.NewService(t)
					service.Set(authtest.Faults{Lag: lag})
					failed := outage(t, service, signer(service))
					if seen := service.Seen(); failed > most || seen.Issued > issued {
						t.Errorf("%d calls failed, and %d credentials were issued; want %d and %d",
							failed, seen.Issued, most, issued)
					}
				})
			})
		}
	}
}

// The lag of a replica after a revocation does not make a call fail either.
func TestLagAfterRevocation(t *testing.T) {
	for name, signer := range renewing {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				service := authtest.NewService(t)
				client := countersign.NewClient(countersign.Config{
					Signer: signer(service), Base: service,
				})
				for range 3 {
					if got := status(t, client); got != http.StatusOK {
						t.Errorf("status %d", got)
					}
					service.Revoke()
					service.Set(authtest.Faults{Lag: 3 * time.Second})
				}
				if seen := service.Seen(); seen.Issued != 3 {
					t.Errorf("%d credentials were issued, want 3", seen.Issued)
				}
			})
		})
	}
}

// If one page always answers 401, a script is delayed once, by 3 s at most. Other pages of the site
// accept the credentials or need none.
func TestAlwaysRefusedDelay(t *testing.T) {
	for name, signer := range renewing {
		for _, beside := range []string{"alone", "beside another page, first", "beside it, last"} {
			t.Run(name+" "+beside, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					service := authtest.NewService(t)
					base := network(func(req *http.Request) (*http.Response, error) {
						if req.URL.Path == "/never" {
							req = req.Clone(req.Context())
							req.Header.Set("Authorization", "Bearer none")
						}
						return service.RoundTrip(req)
					})
					client := countersign.NewClient(countersign.Config{
						Signer: signer(service), Base: base,
					})
					paths, issued := []string{"never"}, 2
					switch beside {
					case "beside another page, first":
						paths = []string{"never", "page"}
					case "beside it, last":
						paths = []string{"page", "never"}
						issued = 5 // in 13 s: at once, and after shields of 1, 2 and 4 s
					}
					start := time.Now()
					const rounds = 100
					for range rounds {
						for _, path := range paths {
							resp, err := client.Get("https://api.example/" + path)
							if err != nil {
								t.Fatal(err)
							}
							_ = resp.Body.Close()
							if (resp.StatusCode == http.StatusOK) != (path == "page") {
								t.Errorf("%s: status %d", path, resp.StatusCode)
							}
						}
						time.Sleep(time.Second / 10)
					}
					delay := time.Since(start) - rounds*time.Second/10
					if delay > 3*time.Second {
						t.Errorf("delayed by %v", delay)
					}
					if seen := service.Seen(); seen.Issued > issued {
						t.Errorf("%d credentials were issued", seen.Issued)
					}
				})
			})
		}
	}
}

// Stored credentials keep the age that their record states, in every process.
func TestAgeOfStored(t *testing.T) {
	stored := map[string]func(*authtest.Service, creds.Store) transport.Signer{
		"MAC": func(s *authtest.Service, store creds.Store) transport.Signer {
			source := s.Provisioner()
			source.Store = store
			return &mac.Signer{Source: source}
		},
		"bearer": func(s *authtest.Service, store creds.Store) transport.Signer {
			source := s.Tokens()
			source.Store, source.Name = store, "alice"
			return &bearer.Signer{Source: source}
		},
	}
	for name, signer := range stored {
		for age, delay := range map[time.Duration]time.Duration{
			0: 3 * time.Second, 10 * time.Second: 0,
		} {
			t.Run(fmt.Sprint(name, " ", age), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					service := authtest.NewService(t)
					store := &file.Dir{Path: filepath.Join(t.TempDir(), "store")}
					for process := range 2 {
						client := countersign.NewClient(countersign.Config{
							Signer: signer(service, store), Base: service,
						})
						start := time.Now()
						if got := status(t, client); got != http.StatusOK {
							t.Errorf("process %d: status %d", process, got)
						}
						took := time.Since(start).Round(time.Second)
						if process == 1 && took != delay {
							t.Errorf("took %v, want %v", took, delay)
						}
						time.Sleep(age)
						service.Revoke()
					}
				})
			})
		}
	}
}

// A network is a function that acts as a RoundTripper.
type network func(*http.Request) (*http.Response, error)

func (f network) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
