package authtest_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"

	"github.com/countersign-go/countersign"
	"github.com/countersign-go/countersign/authtest"
	"github.com/countersign-go/countersign/bearer"
)

// A journal is a log that several goroutines write to.
type journal struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

// count returns how many records contain text.
func (j *journal) count(text string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.text.String(), text)
}

// The client tries to get its first credentials for as long as it would try to get the answer they
// are for.
func TestPatientProvisioning(t *testing.T) {
	for name, signer := range renewing {
		for trouble, tt := range map[string]struct {
			trouble authtest.Trouble
			least   time.Duration
		}{
			"503": {authtest.Trouble{Status: 503}, 0},
			"502": {authtest.Trouble{Status: 502}, 0},
			"504": {authtest.Trouble{Status: 504}, 0},
			"429 for a while": {authtest.Trouble{Status: 429, RetryAfter: 9 * time.Second},
				9 * time.Second},
			"503 for a while": {authtest.Trouble{Status: 503, RetryAfter: time.Second},
				time.Second},
			"lost on its way": {authtest.Trouble{LoseRequest: true}, 0},
			"an answer lost":  {authtest.Trouble{LoseAnswer: true}, 0},
		} {
			t.Run(name+" "+trouble, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					service := authtest.NewService(t)
					tt.trouble.Times = 1
					service.Set(authtest.Faults{Provisioning: tt.trouble})
					log := new(journal)
					client := countersign.NewClient(countersign.Config{
						Signer: signer(service), Base: service,
						Logger: slog.New(slog.NewTextHandler(log, nil)),
					})
					start := time.Now()
					if got := status(t, client); got != http.StatusOK {
						t.Errorf("status %d", got)
					}
					if took := time.Since(start); took < tt.least || took > tt.least+3*time.Second {
						t.Errorf("took %v, want %v or a bit more", took, tt.least)
					}
					if n := log.count("level=WARN"); n != 0 {
						t.Errorf("%d warnings about a fetch that has succeeded", n)
					}
				})
			})
		}
	}
}

// The client logs an outage of the endpoint: each failed fetch, and the end of the outage.
func TestOutageIsLogged(t *testing.T) {
	for name, signer := range renewing {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				service := authtest.NewService(t)
				service.Lifetime = 10 * time.Second
				log := new(journal)
				client := countersign.NewClient(countersign.Config{
					Signer: signer(service), Base: service,
					Logger: slog.New(slog.NewTextHandler(log, nil)),
				})
				status(t, client)
				fetched := service.Seen().Provisioned
				service.Set(authtest.Faults{Provisioning: authtest.Trouble{Status: 503}})
				for start := time.Now(); time.Since(start) < 20*time.Second; {
					if resp, err := client.Get("https://api.example/"); err == nil {
						_ = resp.Body.Close()
					}
					time.Sleep(time.Second / 10)
				}
				time.Sleep(10 * time.Second)
				failed := service.Seen().Provisioned - fetched
				for _, part := range []string{
					"level=WARN msg=\"creds: fetch failed\"", "status 503", "next=",
				} {
					if n := log.count(part); n != failed {
						t.Errorf("%d records with %s for %d fetches that failed\n%s",
							n, part, failed, &log.text)
					}
				}
				if log.count("ends=") == 0 {
					t.Error("nothing says when the present credentials end")
				}
				service.Set(authtest.Faults{})
				time.Sleep(5 * time.Minute)
				status(t, client)
				synctest.Wait()
				if n := log.count("level=INFO msg=\"creds: fetch succeeded again\""); n != 1 {
					t.Errorf("the end of the outage is told %d times\n%s", n, &log.text)
				}
			})
		})
	}
}

// A refresh token must not be sent twice in a row if the endpoint may have accepted it the first
// time.
func TestRefreshTokenIsSpentOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		trouble authtest.Trouble
		calls   int
	}{
		"503":            {authtest.Trouble{Status: 503}, 3},
		"429":            {authtest.Trouble{Status: 429}, 3},
		"502":            {authtest.Trouble{Status: 502}, 1},
		"504":            {authtest.Trouble{Status: 504}, 1},
		"an answer lost": {authtest.Trouble{LoseAnswer: true}, 1},
	} {
		for _, refresh := range []string{"", "refresh"} {
			synctest.Test(t, func(t *testing.T) {
				service := authtest.NewService(t)
				service.Set(authtest.Faults{Provisioning: tt.trouble})
				tokens, want := service.Tokens(), 3
				if refresh != "" {
					tokens.Token, want = &oauth2.Token{RefreshToken: refresh}, tt.calls
				}
				client := countersign.NewClient(countersign.Config{
					Signer: &bearer.Signer{Source: tokens}, Base: service,
				})
				if resp, err := client.Get("https://api.example/"); err == nil {
					_ = resp.Body.Close()
					t.Errorf("%s: no error", name)
				}
				if got := service.Seen().Provisioned; got != want {
					t.Errorf("%s: %d calls with refresh token %q, want %d",
						name, got, refresh, want)
				}
			})
		}
	}
}
