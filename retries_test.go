package countersign_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/countersign-go/countersign"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/testkit"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/retry"
	"github.com/countersign-go/countersign/transport"
)

// retrying returns a client that signs with a key and has the given Retries.
func retrying(base http.RoundTripper, retries int) *http.Client {
	return countersign.NewClient(countersign.Config{
		Signer: &mac.Signer{
			Source: &mac.Credentials{ID: "id", Key: creds.Secret("canary-4e7213")},
		},
		Base: base, Retries: retries,
	})
}

// Each attempt has its own nonce and time.
func TestSignedAnew_R18(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &testkit.Stage{Plan: []testkit.Reply{{Status: 503, Header: "Retry-After: 7"}}}
		if _, _, err := testkit.Do(t, retrying(s, 4), testkit.Request(t, "GET", nil)); err != nil {
			t.Fatal(err)
		}
		signatures := make(map[string]bool)
		for i, req := range s.Sent {
			header := req.Header.Get("Authorization")
			signatures[header] = true
			ts := fmt.Sprintf(`ts="%d"`, s.Times[i].Unix())
			if !strings.Contains(header, ts) {
				t.Errorf("attempt %d is not signed with %s", i, ts)
			}
		}
		if len(s.Sent) != 5 || len(signatures) != 5 {
			t.Errorf("%d attempts with %d signatures, want 5", len(s.Sent), len(signatures))
		}
	})
}

// History has each attempt once, also if a client is wrapped twice or the request is not signed.
func TestRetryHistoryElsewhere(t *testing.T) {
	sign := transport.SignerFunc(func(*http.Request, time.Time) error { return nil })
	for name, wrap := range map[string]func(http.RoundTripper) *http.Client{
		"wrapped twice": func(base http.RoundTripper) *http.Client {
			inner := countersign.NewClient(countersign.Config{Signer: sign, Base: base})
			return countersign.Wrap(inner, countersign.Config{Signer: sign})
		},
		"unsigned": func(base http.RoundTripper) *http.Client {
			return countersign.NewClient(countersign.Config{Signer: sign, Base: base,
				Origins: []string{"https://other.example.com"}})
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			client := wrap(&testkit.Stage{Plan: testkit.Statuses(503, 502, 200)})
			_, history := fetch(t, client, origin)
			if got := fmt.Sprint(history); got != "[503 502 200]" {
				t.Errorf("%s: history %s", name, got)
			}
		})
	}
}

// Few stack frames of this module are between the client and the network.
func TestFrames(t *testing.T) {
	for retries, want := range map[int][]int{-1: {2}, 1: {4, 5}} {
		synctest.Test(t, func(t *testing.T) {
			var frames []int
			client := countersign.NewClient(countersign.Config{
				Signer:  transport.SignerFunc(func(*http.Request, time.Time) error { return nil }),
				Retries: retries,
				Base: testkit.RoundTripper(func(*http.Request) (*http.Response, error) {
					frames = append(frames, ownFrames())
					return &http.Response{StatusCode: 503}, nil
				}),
			})
			if _, _, err := testkit.Do(t, client, testkit.Request(t, "GET", nil)); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(frames, want) {
				t.Errorf("Retries %d: %v, want %v", retries, frames, want)
			}
		})
	}
}

func ownFrames() (own int) {
	pcs := make([]uintptr, 100)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs)])
	for {
		frame, more := frames.Next()
		if strings.HasPrefix(frame.Function, module) &&
			!strings.HasPrefix(frame.Function, module+"_test") &&
			!strings.HasPrefix(frame.Function, module+"/internal/testkit") {
			own++
		}
		if !more {
			return own
		}
	}
}

func TestRetryCloseIdleConnections(t *testing.T) {
	s := &testkit.Stage{Plan: testkit.Statuses(200)}
	retrying(s, 0).CloseIdleConnections()
	retrying(s, -1).CloseIdleConnections()
	if s.Closed != 2 {
		t.Errorf("%d of 2 reached the Base", s.Closed)
	}
}

// If a client is wrapped twice, only one Transport repeats requests, and both sign each attempt
// again.
func TestRetryWrappedTwice_B5(t *testing.T) {
	for _, tt := range []struct{ inner, outer, sends int }{
		{0, 0, 3}, {1, 0, 2}, {1, 3, 4}, {-1, 0, 3}, {1, -1, 2}, {-1, -1, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &testkit.Stage{Plan: testkit.Statuses(503)}
			inner := retrying(s, tt.inner)
			outer := countersign.Wrap(inner, countersign.Config{Retries: tt.outer,
				Signer: transport.SignerFunc(func(req *http.Request, _ time.Time) error {
					req.Header.Set("X-Number", strconv.Itoa(len(s.Sent)))
					return nil
				})})
			status, _, err := testkit.Do(t, outer, testkit.Request(t, "GET", nil))
			if status != 503 || err != nil || len(s.Sent) != tt.sends {
				t.Fatalf("%+v: status %d, %v after %d attempts", tt, status, err, len(s.Sent))
			}
			seen := map[string]bool{}
			for i, req := range s.Sent {
				seen[req.Header.Get("Authorization")] = true
				if n := req.Header.Get("X-Number"); tt.outer >= 0 && n != strconv.Itoa(i) {
					t.Errorf("%+v: attempt %d is signed as %s", tt, i, n)
				}
			}
			if len(seen) != tt.sends {
				t.Errorf("%+v: of %d attempts, %d are signed anew", tt, tt.sends, len(seen))
			}
		})
	}
}

// Retry is used in place of Retries. It is not changed, and the Config's Base and Logger are used
// if it has none.
func TestConfigRetry(t *testing.T) {
	never := func(context.Context, *http.Response, error) (bool, error) { return false, nil }
	for _, tt := range []struct {
		name    string
		retries int
		retry   *retry.Transport
		sends   int
	}{
		{"none", 1, nil, 2},
		{"zero", 5, &retry.Transport{}, 3},
		{"Max", 1, &retry.Transport{Max: 4}, 5},
		{"no repetitions", 1, &retry.Transport{Max: -1}, 1},
		{"Check", 1, &retry.Transport{Check: never}, 1},
	} {
		for _, own := range []bool{false, true} {
			if own && tt.retry == nil {
				continue
			}
			synctest.Test(t, func(t *testing.T) {
				var log, ownLog strings.Builder
				s, unused := &testkit.Stage{Plan: testkit.Statuses(503)}, &testkit.Stage{}
				c := countersign.Config{
					Signer: transport.SignerFunc(func(req *http.Request, _ time.Time) error {
						req.Header.Set("X-Signed", "yes")
						return nil
					}),
					Base: s, Retries: tt.retries, Retry: tt.retry,
					Logger: slog.New(slog.NewTextHandler(&log, nil)),
				}
				if own {
					r := *tt.retry
					r.Base, r.Logger = s, slog.New(slog.NewTextHandler(&ownLog, nil))
					c.Base, c.Retry = unused, &r
				}
				before := fmt.Sprint(c.Retry)
				status, _, err := testkit.Do(t, countersign.NewClient(c),
					testkit.Request(t, "GET", nil))
				if status != 503 || err != nil || len(s.Sent) != tt.sends ||
					s.Sent[len(s.Sent)-1].Header.Get("X-Signed") == "" {
					t.Errorf("%s: status %d, %v after %d attempts", tt.name, status, err,
						len(s.Sent))
				}
				logged, other := log.String(), ownLog.String()
				if own {
					logged, other = other, logged
				}
				if (logged != "") != (tt.sends > 1) || other != "" {
					t.Errorf("%s: logged %q, and elsewhere %q", tt.name, logged, other)
				}
				if fmt.Sprint(c.Retry) != before {
					t.Errorf("%s: the Retry was changed to %v", tt.name, c.Retry)
				}
			})
		}
	}
}

// A wrapped client keeps its settings for repeating requests, unless the Config has other settings.
func TestRetryIsInherited(t *testing.T) {
	sign := transport.SignerFunc(func(*http.Request, time.Time) error { return nil })
	inner := &retry.Transport{Max: 3, Check: retryablehttp.DefaultRetryPolicy}
	for _, tt := range []struct {
		outer countersign.Config
		sends int
	}{
		{countersign.Config{}, 4},
		{countersign.Config{Retries: 1}, 2},
		{countersign.Config{Retry: &retry.Transport{}}, 1}, // it does not repeat after status 500
	} {
		synctest.Test(t, func(t *testing.T) {
			var log strings.Builder
			s := &testkit.Stage{Plan: testkit.Statuses(500)}
			client := countersign.NewClient(countersign.Config{Signer: sign, Base: s, Retry: inner,
				Logger: slog.New(slog.NewTextHandler(&log, nil))})
			tt.outer.Signer = sign
			status, _, err := testkit.Do(t, countersign.Wrap(client, tt.outer),
				testkit.Request(t, "GET", nil))
			if status != 500 || err != nil || len(s.Sent) != tt.sends {
				t.Errorf("%v: status %d, %v after %d attempts", tt.outer, status, err, len(s.Sent))
			}
			if (log.Len() > 0) != (tt.sends > 1) {
				t.Errorf("%v: logged %q", tt.outer, log.String())
			}
		})
	}
}
