package bearer_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/creds"
)

// sourceFunc is an oauth2.TokenSource in one function.
type sourceFunc func() (*oauth2.Token, error)

func (f sourceFunc) Token() (*oauth2.Token, error) { return f() }

func TestStaticToken(t *testing.T) {
	s := static("abc")
	wantToken(t, s, "abc")
	if _, ok := s.(creds.Rejecter[*oauth2.Token]); ok {
		t.Error("there is nothing to replace it with, so it cannot be rejected")
	}
	secret := creds.Secret("abc")
	s = bearer.StaticToken(secret)
	secret[0] = 'x'
	wantToken(t, s, "abc")
}

// A source without a context has the deadlines and the waiting callers of a Cache too.
func TestFromTokenSourceHangs_F4_F5(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var calls, running atomic.Int32
		s := bearer.FromTokenSource(sourceFunc(func() (*oauth2.Token, error) {
			calls.Add(1)
			running.Add(1)
			defer running.Add(-1)
			<-release
			return &oauth2.Token{AccessToken: "late"}, nil
		}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := s.Credentials(ctx); !errors.Is(err, context.DeadlineExceeded) ||
			time.Since(start) != time.Second {
			t.Errorf("a caller in a hurry: %v after %v", err, time.Since(start))
		}
		if _, err := s.Credentials(t.Context()); err == nil ||
			!strings.Contains(err.Error(), "did not return in time") ||
			time.Since(start) != 30*time.Second {
			t.Errorf("%v after %v, want an error after 30s", err, time.Since(start))
		}
		for range 100 {
			time.Sleep(time.Minute)
			_, _ = s.Credentials(t.Context())
		}
		if calls.Load() != 1 || running.Load() != 1 {
			t.Errorf("%d calls, %d of them hang: want one", calls.Load(), running.Load())
		}
		close(release)
		time.Sleep(10 * time.Minute)
		wantToken(t, s, "late")
	})
}

// The result of a call that returns late is used only if it is still valid.
func TestFromTokenSourceLate(t *testing.T) {
	for name, late := range map[string]struct {
		token *oauth2.Token
		err   error
	}{
		"an error": {nil, errors.New("it was down then")},
		"expired":  {&oauth2.Token{AccessToken: "a", Expiry: time.Unix(1, 0)}, nil},
		"nil":      {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				s := bearer.FromTokenSource(sourceFunc(func() (*oauth2.Token, error) {
					if calls++; calls == 1 {
						time.Sleep(time.Minute)
						return late.token, late.err
					}
					return &oauth2.Token{AccessToken: "new"}, nil
				}))
				_, _ = s.Credentials(t.Context())
				time.Sleep(time.Minute)
				wantToken(t, s, "new")
			})
		})
	}
}

// If the source panics or ends its goroutine, the program goes on, and the waiting callers return.
func TestFromTokenSourcePanics_F16(t *testing.T) {
	for _, test := range []struct {
		name string
		call func() (*oauth2.Token, error)
		say  string
	}{
		{"a panic", func() (*oauth2.Token, error) { panic("canary-p4n1c") }, "with a string"},
		{"Goexit", func() (*oauth2.Token, error) { runtime.Goexit(); return nil, nil }, "Goexit"},
		{"nil", func() (*oauth2.Token, error) { return nil, nil }, "returned nil"},
	} {
		_, err := bearer.FromTokenSource(sourceFunc(test.call)).Credentials(t.Context())
		if err == nil || !strings.Contains(err.Error(), test.say) {
			t.Errorf("%s: the error is another one than %q", test.name, test.say)
		}
		if err != nil && strings.Contains(err.Error(), "p4n1c") {
			t.Errorf("%s: the error shows what was in the panic", test.name)
		}
	}
	if _, err := bearer.FromTokenSource(nil).Credentials(t.Context()); err == nil {
		t.Error("nil is no error")
	}
}

// A source that keeps its token cannot replace a refused one, and the error says so.
func TestFromTokenSourceReuses_F2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		reusing := oauth2.ReuseTokenSource(nil, sourceFunc(func() (*oauth2.Token, error) {
			calls++
			return &oauth2.Token{AccessToken: fmt.Sprint("token", calls)}, nil
		}))
		s := bearer.FromTokenSource(reusing)
		signer := &bearer.Signer{Source: s}
		req := newRequest(t, "https://a.example/")
		if err := signer.Sign(req, time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second) // the token is no longer new
		again, err := signer.Refresh(answer(req, 401))
		if again || !errors.Is(err, creds.ErrSame) {
			t.Errorf("got %v, %v", again, err)
		}
	})
}

// down is a token endpoint that fails. It counts its calls.
func down(calls *atomic.Int32, latency time.Duration) context.Context {
	client := &http.Client{Transport: network(func(req *http.Request) (*http.Response, error) {
		calls.Add(1)
		time.Sleep(latency)
		return answer(req, 503), nil
	})}
	return context.WithValue(context.Background(), oauth2.HTTPClient, client)
}

// A thousand callers while the endpoint fails cause one call per step of the back-off, and two
// repetitions of the first. The source of package oauth2 alone makes one call for each caller.
func TestThousandCallersEndpointDown_F14(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conf := &clientcredentials.Config{ClientID: "id", ClientSecret: "secret",
			TokenURL: "https://a.example/token", AuthStyle: oauth2.AuthStyleInParams}
		var ours, theirs atomic.Int32

		alone := conf.TokenSource(down(&theirs, 0))
		asking := make(chan struct{})
		for range 1000 {
			go func() {
				defer func() { asking <- struct{}{} }()
				if _, err := alone.Token(); err == nil {
					t.Error("it is not down")
				}
			}()
		}
		for range 1000 {
			<-asking
		}
		if theirs.Load() != 1000 {
			t.Errorf("x/oauth2 alone: %d calls", theirs.Load())
		}

		ctx := down(&ours, time.Second)
		s := bearer.FromTokenSource(sourceFunc(func() (*oauth2.Token, error) {
			return conf.Token(ctx)
		}))
		for _, err := range crowd(s, 1000) {
			if err == nil {
				t.Error("it is not down")
			}
		}
		if ours.Load() != 3 {
			t.Errorf("%d calls for 1000 callers at once, want 3", ours.Load())
		}
		// This is an hour with 1000 callers a minute. The steps are up to 1, 2, 4, ... 256, 300 s
		// long.
		for range 60 {
			time.Sleep(time.Minute)
			for range 1000 {
				_, _ = s.Credentials(t.Context())
			}
		}
		if got := ours.Load(); got < 14 || got > 63 {
			t.Errorf("%d calls in an hour for 61,000 callers", got)
		}
	})
}
