package creds_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/creds"
)

// unlucky has methods that panic.
type unlucky struct{ pauseError }

func (unlucky) RetryAfter() time.Duration { panic("in RetryAfter: " + keyText) }

func TestPanic_F16(t *testing.T) {
	give := func(context.Context) (*key, error) { return &key{id: keyText}, nil }
	var nobody *key
	for name, row := range map[string]struct {
		c    *creds.Cache[*key]
		text string
	}{
		"Fetch, text": {&creds.Cache[*key]{Fetch: func(context.Context) (*key, error) {
			panic("the key is " + keyText)
		}}, "with a string"},
		"Fetch, error": {&creds.Cache[*key]{Fetch: func(context.Context) (*key, error) {
			panic(errors.New("the key is " + keyText))
		}}, "with a *errors.errorString"},
		"Fetch, nil pointer": {&creds.Cache[*key]{Fetch: func(context.Context) (*key, error) {
			return &key{id: nobody.id}, nil
		}}, "nil pointer dereference"},
		"Fetch, Goexit": {&creds.Cache[*key]{Fetch: func(context.Context) (*key, error) {
			runtime.Goexit()
			return nil, nil
		}}, "Goexit"},
		"Fetch, its error": {&creds.Cache[*key]{Fetch: func(context.Context) (*key, error) {
			return nil, unlucky{}
		}}, "with a string"},
		"Expires": {&creds.Cache[*key]{Fetch: give, Expires: func(k *key) time.Time {
			panic(k)
		}}, "with a *creds_test.key"},
		"ID": {&creds.Cache[*key]{Fetch: give, ID: func(k *key) string {
			panic(k.id)
		}}, "with a string"},
		"Fetched": {&creds.Cache[*key]{Fetch: give, Fetched: func(k *key) {
			panic(k.id)
		}}, "with a string"},
		"Fetched, Goexit": {&creds.Cache[*key]{Fetch: give, Fetched: func(*key) {
			runtime.Goexit()
		}}, "Goexit"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				errs, took := crowd(row.c, 100)
				if took != 0 {
					t.Errorf("the callers were back after %v, want at once", took)
				}
				for _, err := range errs {
					if err == nil || !strings.Contains(err.Error(), row.text) {
						t.Fatalf("got the error %v, want one with %q", err, row.text)
					}
				}
				text := errs[0].Error()
				if trace := leak(text + fmt.Sprintf("%+v", errs[0])); trace != "" {
					t.Errorf("the error shows %q: %s", trace, text)
				}
				if row.text != "Goexit" && !strings.Contains(text, "creds_test.") {
					t.Errorf("the error does not say where it happened: %s", text)
				}
				row.c.Fetch = func(context.Context) (*key, error) { return &key{id: "good"}, nil }
				row.c.Expires, row.c.ID, row.c.Fetched = nil, nil, nil
				time.Sleep(time.Minute)
				want(t, row.c, "good")
			})
		})
	}
}

func TestRecursion_F17(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c creds.Cache[*key]
		other := creds.Cache[*key]{Fetch: c.Credentials}
		signing := roundTrip(func(req *http.Request) (*http.Response, error) {
			_, err := c.Credentials(req.Context())
			return nil, err
		})
		client := &http.Client{Transport: signing}
		for name, fetch := range map[string]func(context.Context) (*key, error){
			"directly": c.Credentials,
			"by a client": func(ctx context.Context) (*key, error) {
				req, err := http.NewRequestWithContext(ctx, "POST", "http://127.0.0.1/", nil)
				if err != nil {
					return nil, err
				}
				_, err = client.Do(req)
				return nil, err
			},
			"by another cache": other.Credentials,
		} {
			c.Fetch = fetch
			start := time.Now()
			_, err := c.Credentials(t.Context())
			if took := time.Since(start); took != 0 || !errors.Is(err, creds.ErrRecursive) {
				t.Errorf("%s: got %v after %v, want ErrRecursive at once", name, err, took)
			}
			time.Sleep(time.Minute)
		}

		// Without the context, the Cache cannot see the recursion, but gives the fetch up.
		c.Fetch = func(context.Context) (*key, error) {
			another := context.Background()
			return c.Credentials(another)
		}
		if _, err := c.Credentials(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want a deadline error", err)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// A context may outlive its fetch, and is then usable for another fetch.
func TestContextOutlivesFetch_F17(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{lifetime: time.Minute}
		c := e.cache()
		var kept context.Context
		c.Fetch = func(ctx context.Context) (*key, error) {
			kept = context.WithoutCancel(ctx)
			return e.fetch(ctx)
		}
		want(t, c, "key 1")
		time.Sleep(time.Minute)
		if k, err := c.Credentials(kept); err != nil || k.id != "key 2" {
			t.Errorf("got %v, %v; want key 2", k, err)
		}
	})
}

// reentrant is a Context that a user implements.
type reentrant struct {
	context.Context
	enter func()
}

func (r reentrant) Value(k any) any { r.enter(); return r.Context.Value(k) }
func (r reentrant) Err() error      { r.enter(); return r.Context.Err() }

// busy is an error with methods that a user implements.
type busy struct{ enter func() }

func (b busy) Error() string             { b.enter(); return "busy" }
func (b busy) Is(error) bool             { b.enter(); return false }
func (b busy) As(any) bool               { b.enter(); return false }
func (b busy) RetryAfter() time.Duration { b.enter(); return 0 }
func (b busy) Final() bool               { b.enter(); return false }

// All functions of a user may use the Cache. Under a lock, they would hang.
func TestUserCodeUnderLock_X5(t *testing.T) {
	var c creds.Cache[*key]
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	no := func(*key) bool { return false }
	var entered sync.Map // by name; the goroutines of a caller and of a fetch enter
	enter := func(from string) {
		entered.Store(from, true)
		_ = c.Err() // always takes the lock
		c.Reject(no, nil)
		c.Confirm(no)
		_, _ = c.Credentials(gone)
	}
	var fails error
	c.Fetch = func(context.Context) (*key, error) {
		enter("Fetch")
		return &key{id: fmt.Sprint(time.Now())}, fails
	}
	c.Expires = func(*key) time.Time { enter("Expires"); return time.Time{} }
	c.ID = func(k *key) string { enter("ID"); return k.id }
	c.Fetched = func(*key) { enter("Fetched") }
	done := make(chan struct{})
	go func() {
		defer close(done)
		ctx := reentrant{t.Context(), func() { enter("Context") }}
		_, _ = c.Credentials(ctx)
		c.Confirm(func(*key) bool { enter("good"); return true })
		c.Reject(func(*key) bool { enter("bad"); return true }, nil)
		fails = busy{func() { enter("error") }}
		_, err := c.Credentials(ctx)
		_ = fmt.Sprint(err)
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("user code was called under a lock")
	}
	for _, from := range []string{
		"Fetch", "Expires", "ID", "Fetched", "Context", "good", "bad", "error",
	} {
		if _, ok := entered.Load(from); !ok {
			t.Errorf("%s was not called", from)
		}
	}
}
