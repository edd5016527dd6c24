package auth_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
)

// everFresh remembers no nonces, so that one request can be sent many times.
type everFresh struct{}

func (everFresh) Claim(context.Context, string, string, time.Time) (bool, error) {
	return true, nil
}

// A blank is a ResponseWriter that costs nothing.
type blank struct{ header http.Header }

func (b blank) Header() http.Header         { return b.header }
func (b blank) Write(p []byte) (int, error) { return len(p), nil }
func (b blank) WriteHeader(int)             {}

// BenchmarkGuard measures the cost that a stack of a MAC verifier and sessions adds to a request,
// for each kind of credentials.
func BenchmarkGuard(b *testing.B) {
	c := &mac.Credentials{ID: "h480djs93hd8", Key: creds.Secret("canary-489dc5")}
	key := &mac.Key{Secret: c.Key, Identity: auth.Identity{Subject: "ann"}}
	machines := &mac.Verifier{
		Keys:   func(context.Context, string) (*mac.Key, error) { return key, nil },
		Nonces: everFresh{}, Window: 24 * time.Hour,
	}
	people := sessions{"c0ffee": "ann"}
	page := auth.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
		machines, people)
	for _, tt := range []struct {
		name            string
		signed, session bool
	}{{"nothing", false, false}, {"signed", true, false}, {"session", false, true},
		{"both", true, true}} {
		b.Run(tt.name, func(b *testing.B) {
			req := httptest.NewRequest("GET", "/v1/items?limit=10", nil)
			if tt.session {
				req.AddCookie(&http.Cookie{Name: "session", Value: "c0ffee"})
			}
			if tt.signed {
				if err := (&mac.Signer{Source: c}).Sign(req, time.Now()); err != nil {
					b.Fatal(err)
				}
			}
			w := blank{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				page.ServeHTTP(w, req)
			}
		})
	}
}
