package issue_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision"
	"github.com/countersign-go/countersign/provision/issue"
	"github.com/countersign-go/countersign/transport"
)

// A rotating service has an Issuer that is replaced while requests are served.
type rotating struct {
	current atomic.Pointer[issue.Issuer]
	refused atomic.Int64
	issued  atomic.Int64
}

func (r *rotating) set(secrets ...string) {
	i := &issue.Issuer{Lifetime: 2 * time.Second}
	for _, secret := range secrets {
		i.Secrets = append(i.Secrets, creds.Secret(secret))
	}
	r.current.Store(i)
}

func (r *rotating) handler() http.Handler {
	guard := &auth.Guard{
		Stack: auth.Stack{&mac.Verifier{
			Keys: func(ctx context.Context, id string) (*mac.Key, error) {
				return r.current.Load().Key(ctx, id)
			},
		}},
		Decided: func(_ *http.Request, _ auth.Authenticator, _ *auth.Identity, err error) {
			if errors.Is(err, mac.ErrInvalid) { // and not because they have expired
				r.refused.Add(1)
			}
		},
	}
	mux := http.NewServeMux()
	mux.Handle("/", guard.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	mux.Handle("/provision", &issue.Handler{
		Auth: users(),
		Issue: func(ctx context.Context, id *auth.Identity) (*mac.Credentials, error) {
			r.issued.Add(1)
			return r.current.Load().Issue(ctx, id)
		},
	})
	return mux
}

// Fifty requests a second, with keys that last two seconds, while the master secret is replaced.
func TestRotationUnderLoad(t *testing.T) {
	const old, next = "the master secret of this month", "the master secret of next month"
	for _, tt := range []struct {
		reason string
		rotate func(*rotating)
		mended bool // some requests are refused at first
	}{
		{"in steps", func(r *rotating) {
			r.set(old, next)
			time.Sleep(3 * time.Second)
			r.set(next, old)
			time.Sleep(3 * time.Second)
			r.set(next)
		}, false},
		{"at once, as after a leak", func(r *rotating) { r.set(next) }, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			service := new(rotating)
			service.set(old)
			network := direct{service.handler()}
			client := &http.Client{Transport: &transport.Transport{
				Signer: &mac.Signer{Source: &provision.Client{
					URL:    "https://api.example/provision",
					Signer: basic.Signer{User: "ann", Password: creds.Secret(password)},
					HTTP:   &http.Client{Transport: network},
				}},
				Base: network,
			}}
			var wg sync.WaitGroup
			wg.Go(func() {
				time.Sleep(5 * time.Second)
				tt.rotate(service)
			})
			var failed atomic.Int64
			for range 20 * 50 {
				wg.Go(func() {
					resp, err := client.Get("https://api.example/")
					if err != nil || resp.StatusCode != 200 {
						failed.Add(1)
						return
					}
					resp.Body.Close()
				})
				time.Sleep(20 * time.Millisecond)
			}
			wg.Wait()
			if failed.Load() != 0 || service.refused.Load() > 0 != tt.mended {
				t.Errorf("%s: %d failed, %d refused at first", tt.reason,
					failed.Load(), service.refused.Load())
			}
			if n := service.issued.Load(); n < 9 || n > 15 {
				t.Errorf("%s: %d issued", tt.reason, n)
			}
		})
	}
}
