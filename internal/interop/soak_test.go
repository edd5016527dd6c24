package interop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign-go/countersign"
	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/portal"
	"github.com/countersign-go/countersign/provision/issue"
	"github.com/countersign-go/countersign/transport"
)

const (
	soakRate    = 50 // requests a second
	soakWorkers = 8  // goroutines that send them
	soakLeast   = 6 * time.Second

	// shortLife is how long keys are valid here. A provision.Client assumes that every key is valid
	// for at least 5 s, so each one is used until the service refuses it.
	shortLife = 2 * time.Second

	// rotateEvery is the time between two steps of a rotation. Before a secret is dropped, the last
	// keys that were derived from it must have ended.
	rotateEvery = shortLife + 500*time.Millisecond
)

func soakTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("COUNTERSIGN_SOAK")
	if text == "" {
		return soakLeast
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < soakLeast {
		t.Fatalf("COUNTERSIGN_SOAK is %q, want a duration of %v or more", text, soakLeast)
	}
	return d
}

// All calls succeed, though the key has just ended at about every hundredth request.
func TestShortLivedKeysOfRealServer(t *testing.T) {
	t.Parallel()
	services := startServices(t, fmt.Sprint(shortLife.Seconds()))
	for _, algorithm := range algorithms {
		t.Run(string(algorithm), func(t *testing.T) {
			t.Parallel()
			soak(t, services[algorithm])
		})
	}
}

// The same with our issuer, whose master secret is replaced again and again. That must not cause
// any further refusal.
func TestShortLivedKeysWhileSecretRotates(t *testing.T) {
	t.Parallel()
	issuing := new(rotating)
	issuing.set(0)
	server := httptest.NewServer(issuing.handler())
	t.Cleanup(server.Close)
	s := newService(t, server.URL)

	ctx, stop := context.WithCancel(t.Context())
	var rotation sync.WaitGroup
	rotation.Go(func() { issuing.rotate(ctx) })
	soak(t, s)
	stop()
	rotation.Wait()
	t.Logf("%d master secrets were replaced", issuing.dropped.Load())
	if issuing.dropped.Load() == 0 {
		t.Error("no master secret was replaced")
	}
	if n := issuing.unknown.Load(); n != 0 {
		t.Errorf("%d requests were refused for another reason than that the key has ended", n)
	}
}

// A rotating service has an Issuer that is replaced while requests are served.
type rotating struct {
	current atomic.Pointer[issue.Issuer]
	dropped atomic.Int32 // master secrets
	unknown atomic.Int32 // requests refused for another reason than the end of their key
}

// set makes an Issuer of the secrets with the given numbers.
func (r *rotating) set(numbers ...int) {
	issuer := &issue.Issuer{Lifetime: shortLife}
	for _, n := range numbers {
		issuer.Secrets = append(issuer.Secrets, creds.Secret(fmt.Sprint(secret, " ", n)))
	}
	r.current.Store(issuer)
}

// rotate replaces the secret until ctx ends, in the steps that Issuer.Secrets describes.
func (r *rotating) rotate(ctx context.Context) {
	ticks := time.NewTicker(rotateEvery)
	defer ticks.Stop()
	next := func() bool {
		// Reset it for each step: a late step must not shorten the time to the next one.
		ticks.Reset(rotateEvery)
		select {
		case <-ticks.C:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for n := 1; next(); n++ {
		r.set(n, n-1)
		if !next() {
			return
		}
		r.set(n)
		r.dropped.Add(1)
	}
}

func (r *rotating) handler() http.Handler {
	guard := &auth.Guard{
		Stack: auth.Stack{&mac.Verifier{
			Dialect: mac.WebOb,
			Keys: func(ctx context.Context, id string) (*mac.Key, error) {
				return r.current.Load().Key(ctx, id)
			},
		}},
		Decided: func(_ *http.Request, _ auth.Authenticator, _ *auth.Identity, err error) {
			if err != nil && !errors.Is(err, mac.ErrExpired) {
				r.unknown.Add(1)
			}
		},
	}
	users := portal.Memory{user: creds.Secret(password)}
	mux := http.NewServeMux()
	mux.Handle("/", guard.Handler(http.HandlerFunc(repeat)))
	mux.Handle("POST /provision", &issue.Handler{
		Auth: &basic.Verifier{Realm: "provision", Users: users},
		Issue: func(ctx context.Context, id *auth.Identity) (*mac.Credentials, error) {
			return r.current.Load().Issue(ctx, id)
		},
	})
	return mux
}

// soak sends soakRate requests a second to s, for the duration that soakTime returns, and checks
// the results.
func soak(t *testing.T, s *service) {
	t.Helper()
	duration := soakTime(t)
	source, calls := s.source()
	wire := &counter{base: s.base}
	client := countersign.NewClient(countersign.Config{
		Signer: &mac.Signer{Source: source, Dialect: mac.WebOb}, Base: wire})
	client.Timeout = 30 * time.Second

	var went tally
	work := make(chan int)
	var workers sync.WaitGroup
	for range soakWorkers {
		workers.Go(func() {
			for n := range work {
				began := time.Now()
				err := ask(t.Context(), client, s.url.String(), n)
				went.add(t, n, time.Since(began), err)
			}
		})
	}
	began := time.Now()
	total := pace(duration, work)
	workers.Wait()
	took := time.Since(began)

	t.Logf("%d requests in %v, %d sent, %d refused, %d provisioning calls, %d failed; "+
		"the slowest took %v", total, took.Round(time.Millisecond), wire.n.Load(),
		wire.refused.Load(), calls.n.Load(), went.failed, went.slowest.Round(time.Millisecond))
	if took > duration+duration/4 {
		t.Errorf("%d requests took %v, which is no %d a second", total, took, soakRate)
	}
	// No key is replaced before its end, nor long after it.
	n := time.Duration(calls.n.Load())
	if least, most := took/(shortLife+time.Second), took/shortLife+1; n < least || n > most {
		t.Errorf("%d provisioning calls, want %d to %d", n, least, most)
	}
	// Only a refusal tells the client that a key has ended.
	if refused := wire.refused.Load(); refused < calls.n.Load()-1 {
		t.Errorf("%d refusals but %d provisioning calls", refused, calls.n.Load())
	}
}

// A tally is the result of the calls of a soak. It may be read once all of them have ended.
type tally struct {
	mu      sync.Mutex // guards all below
	failed  int
	slowest time.Duration
}

// add records one call. It logs only the first failures in detail.
func (c *tally) add(t *testing.T, n int, took time.Duration, err error) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slowest = max(c.slowest, took)
	if err == nil {
		return
	}
	t.Fail()
	if c.failed++; c.failed <= 10 {
		t.Logf("request %d: %v", n, err)
	}
}

// pace sends the numbers of the requests to work when they are due, closes work at the end, and
// returns how many there were. If all workers were busy for a time, it then catches up.
func pace(duration time.Duration, work chan<- int) int {
	defer close(work)
	total := int(duration * soakRate / time.Second)
	ticks := time.NewTicker(time.Second / soakRate)
	defer ticks.Stop()
	began, sent := time.Now(), 0
	for sent < total {
		now := <-ticks.C
		for due := int(now.Sub(began) * soakRate / time.Second); sent < min(due, total); sent++ {
			work <- sent
		}
	}
	return total
}

// ask makes one call; every other call has a body. The error describes the mistake in the answer.
func ask(ctx context.Context, client *http.Client, base string, n int) error {
	method, body := "GET", ""
	if n%2 == 1 {
		method, body = "POST", fmt.Sprint("body ", n)
	}
	target := fmt.Sprintf("/a?n=%d", n)
	req, err := http.NewRequestWithContext(ctx, method, base+target, strings.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d; history %v, challenge %q", resp.StatusCode,
			transport.History(resp), resp.Header.Values("WWW-Authenticate"))
	}
	who, seen := resp.Header.Get("X-User"), resp.Header.Get("X-Seen")
	if who != user || seen != method+" "+target || string(got) != body {
		return fmt.Errorf("the server knows %q, saw %q, and repeats %q", who, seen, got)
	}
	return nil
}
