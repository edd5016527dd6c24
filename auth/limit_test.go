package auth_test

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/auth"
)

func from(address string) *http.Request {
	req := httptest.NewRequest("GET", "/page", nil)
	req.RemoteAddr = address
	return req
}

const ann, bob = "192.0.2.1:1111", "192.0.2.2:2222"

func TestLimiter(t *testing.T) {
	type step struct {
		after  time.Duration // the previous step
		remote string
		status int
		retry  string
	}
	for _, tt := range []struct {
		reason  string
		limiter *auth.Limiter
		steps   []step
	}{
		{"a burst, then one for each Every", &auth.Limiter{Every: time.Minute, Burst: 2}, []step{
			{0, ann, 200, ""}, {0, ann, 200, ""}, {0, ann, 429, "60"},
			{30 * time.Second, ann, 429, "30"}, {29500 * time.Millisecond, ann, 429, "1"},
			{500 * time.Millisecond, ann, 200, ""}, {0, ann, 429, "60"},
		}},
		{"what is refused costs nothing", &auth.Limiter{Every: time.Minute, Burst: 1}, []step{
			{0, ann, 200, ""}, {0, ann, 429, "60"}, {0, ann, 429, "60"},
			{time.Minute, ann, 200, ""},
		}},
		{"time does not add up beyond Burst", &auth.Limiter{Every: time.Second, Burst: 2}, []step{
			{time.Hour, ann, 200, ""}, {time.Hour, ann, 200, ""}, {0, ann, 200, ""},
			{0, ann, 429, "1"},
		}},
		{"each for himself", &auth.Limiter{Burst: 1}, []step{
			{0, ann, 200, ""}, {0, bob, 200, ""}, {0, ann, 429, "1"}, {0, bob, 429, "1"},
		}},
		{"the zero value", new(auth.Limiter), []step{
			{0, ann, 200, ""}, {0, ann, 200, ""}, {0, ann, 200, ""}, {0, ann, 200, ""},
			{0, ann, 200, ""}, {0, ann, 200, ""}, {0, ann, 200, ""}, {0, ann, 200, ""},
			{0, ann, 200, ""}, {0, ann, 200, ""}, {0, ann, 429, "1"}, {time.Second, ann, 200, ""},
		}},
		{"negative is zero", &auth.Limiter{Every: -1, Burst: -1}, []step{
			{0, ann, 200, ""}, {0, ann, 200, ""},
		}},
		{"as long as can be", &auth.Limiter{Every: math.MaxInt64, Burst: math.MaxInt}, []step{
			{0, ann, 200, ""}, {0, ann, 429, "2305843010"}, {time.Hour, ann, 429, "2305839410"},
		}},
		{"as many as can be", &auth.Limiter{Every: time.Hour, Burst: math.MaxInt}, []step{
			{0, ann, 200, ""}, {0, ann, 200, ""},
		}},
		{"a Key of its own, also \"\"", &auth.Limiter{
			Burst: 1, Key: func(*http.Request) string { return "" },
		}, []step{{0, ann, 200, ""}, {0, bob, 429, "1"}}},
	} {
		synctest.Test(t, func(t *testing.T) {
			refused, want := 0, 0
			tt.limiter.Limited = func(*http.Request) { refused++ }
			h := tt.limiter.Handler(whoami)
			for i, s := range tt.steps {
				time.Sleep(s.after)
				w := serve(h, from(s.remote))
				if w.Code != s.status || w.Header().Get("Retry-After") != s.retry {
					t.Errorf("%s, step %d: %d, Retry-After %q; want %d, %q",
						tt.reason, i, w.Code, w.Header().Get("Retry-After"), s.status, s.retry)
				}
				if s.status != 429 {
					continue
				}
				want++
				if w.Body.String() != "too many requests\n" ||
					w.Header().Get("Cache-Control") != "no-store" {
					t.Errorf("%s, step %d: %v %q", tt.reason, i, w.Header(), w.Body)
				}
			}
			if refused != want {
				t.Errorf("%s: Limited was told %d times, want %d", tt.reason, refused, want)
			}
		})
	}
}

// Two addresses count together exactly if one sender can have both.
func TestLimiterAddress(t *testing.T) {
	for _, tt := range []struct {
		reason, one, other string
		same               bool
	}{
		{"a new connection", "192.0.2.1:1111", "192.0.2.1:2222", true},
		{"a neighbour", "192.0.2.1:1111", "192.0.2.2:1111", false},
		{"IPv4 on a socket for IPv6", "192.0.2.1:1111", "[::ffff:192.0.2.1]:1", true},
		{"two of those", "[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:1", false},
		{"one network", "[2001:db8::1]:1", "[2001:db8::ffff:ffff:ffff:ffff]:1", true},
		{"the next network", "[2001:db8::1]:1", "[2001:db8:0:1::1]:1", false},
		{"one link, by whatever interface", "[fe80::1%eth0]:1", "[fe80::2%eth1]:1", true},
		{"a Unix socket", "@", "@", true},
		{"a Unix socket and an address", "@", "192.0.2.1:1111", false},
		{"no address at all", "", "", true},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := (&auth.Limiter{Burst: 1}).Handler(whoami)
			first, second := serve(h, from(tt.one)).Code, serve(h, from(tt.other)).Code
			if first != 200 || (second == 429) != tt.same {
				t.Errorf("%s: %d, %d", tt.reason, first, second)
			}
		})
	}
}

// With Decided, each row states the cost of a request with this outcome.
func TestBruteForce_S12(t *testing.T) {
	for _, tt := range []struct {
		reason string
		member *member
		costs  bool
	}{
		{"wrong credentials", refuses(errWrong), true},
		{"right ones", accepts("ann"), false},
		{"none at all", refuses(auth.ErrNone), false},
		{"an outage", refuses(retryError{}), false},
		{"not looked at, by another limit", refuses(auth.ErrLimited), false},
		{"an outage, joined with a refusal", refuses(errors.Join(errWrong, retryError{})), false},
	} {
		synctest.Test(t, func(t *testing.T) {
			limiter := &auth.Limiter{Every: time.Minute, Burst: 3}
			guard := &auth.Guard{Stack: auth.Stack{tt.member}, Decided: limiter.Decided}
			h := limiter.Handler(guard.Handler(whoami))
			for range 10 {
				serve(h, from(ann))
			}
			want := 10
			if tt.costs {
				want = 3
			}
			if asked := tt.member.asked; asked != want {
				t.Errorf("%s: %d of 10 reached the verifier, want %d", tt.reason, asked, want)
			}
		})
	}
}

// A user with right credentials who is refused is not guessing.
func TestRightAndRefusedIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, stack := range []auth.Stack{{accepts("ann")}, {accepts("ann"), accepts("bob")}} {
			limiter := &auth.Limiter{Every: time.Minute, Burst: 1}
			guard := &auth.Guard{Stack: stack, Decided: limiter.Decided,
				Admit: func(*http.Request, *auth.Identity) (*auth.Identity, error) {
					return nil, errWrong
				}}
			h := limiter.Handler(guard.Handler(whoami))
			for range 3 {
				if code := serve(h, from(ann)).Code; code != 401 && code != 400 {
					t.Errorf("%d members: %d", len(stack), code)
				}
			}
		}
	})
}

// Once all attempts are used up, the right password is refused too. Otherwise the 429 of a wrong
// password would reveal that it is wrong.
func TestRightAfterTooManyWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := refuses(errWrong)
		limiter := &auth.Limiter{Every: time.Minute, Burst: 3}
		guard := &auth.Guard{Stack: auth.Stack{m}, Decided: limiter.Decided}
		h := limiter.Handler(guard.Handler(whoami))
		for range 3 {
			serve(h, from(ann))
		}
		m.id, m.err = &auth.Identity{Subject: "ann"}, nil
		if code := serve(h, from(ann)).Code; code != 429 {
			t.Errorf("%d, want 429", code)
		}
		if code := serve(h, from(bob)).Code; code != 200 {
			t.Errorf("another address: %d, want 200", code)
		}
		time.Sleep(time.Minute)
		for range 5 {
			if code := serve(h, from(ann)).Code; code != 200 {
				t.Errorf("a minute later: %d, want 200", code)
			}
		}
	})
}

// slow is an Authenticator that waits until the test releases it.
type slow struct {
	asked   *atomic.Int64
	release chan struct{}
}

func (s slow) Authenticate(*http.Request) (*auth.Identity, error) {
	s.asked.Add(1)
	<-s.release
	return nil, errWrong
}

// An attacker gains nothing by guessing in parallel before the first guess is known to be wrong.
func TestParallelGuesses_S12(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := &auth.Limiter{Every: time.Minute, Burst: 7}
		s := slow{new(atomic.Int64), make(chan struct{})}
		guard := &auth.Guard{Stack: auth.Stack{s}, Decided: limiter.Decided}
		h := limiter.Handler(guard.Handler(whoami))
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { serve(h, from(ann)) })
		}
		synctest.Wait()
		close(s.release)
		wg.Wait()
		if n := s.asked.Load(); n != 7 {
			t.Errorf("%d guesses reached the verifier, want 7", n)
		}
	})
}

// The cost of a request is refunded once, by the Limiter that charged it.
func TestGivenBackOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outer, inner := &auth.Limiter{Burst: 5}, &auth.Limiter{Burst: 3}
		right := &auth.Guard{Stack: auth.Stack{accepts("ann")}, Decided: inner.Decided}
		h := outer.Handler(inner.Handler(right.Handler(right.Handler(whoami))))
		for i := range 5 {
			if code := serve(h, from(ann)).Code; code != 200 {
				t.Errorf("request %d: %d", i, code)
			}
		}
		if code := serve(h, from(ann)).Code; code != 429 {
			t.Error("the outer Limiter got back what the inner one took")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		limiter := &auth.Limiter{Burst: 3}
		right := &auth.Guard{Stack: auth.Stack{accepts("ann")}, Decided: limiter.Decided}
		h := limiter.Handler(right.Handler(right.Handler(whoami)))
		limiter.Allow("192.0.2.1")
		limiter.Allow("192.0.2.1")
		serve(h, from(ann))
		allowed := 0
		for range 10 {
			if _, ok := limiter.Allow("192.0.2.1"); ok {
				allowed++
			}
		}
		if allowed != 1 {
			t.Errorf("%d were allowed after one that two Guards let in, want 1", allowed)
		}
	})
}

// A decision about a request that the Limiter has not charged refunds nothing.
func TestDecidedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := &auth.Limiter{Burst: 1}
		limiter.Decided(from(ann), nil, nil, nil)
		limiter.Allow("192.0.2.1")
		limiter.Decided(from(ann), nil, nil, nil)
		if _, ok := limiter.Allow("192.0.2.1"); ok {
			t.Error("given back what was never taken")
		}
	})
}

func TestNilLimiter(t *testing.T) {
	var limiter *auth.Limiter
	limiter.Decided(from(ann), nil, nil, errWrong)
	if wait, ok := limiter.Allow("ann"); wait != 0 || !ok {
		t.Errorf("%v, %t", wait, ok)
	}
	done, err := limiter.Attempt("ann")
	if err != nil {
		t.Fatal(err)
	}
	done(errWrong)
	if w := serve(limiter.Handler(whoami), from(ann)); w.Code != 200 {
		t.Errorf("%d", w.Code)
	}
}

// Requests from any number of other senders neither grow the memory nor free a limited sender.
func TestFlood_S3(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := &auth.Limiter{Every: time.Hour, Burst: 5}
		for range 5 {
			limiter.Allow("guesser")
		}
		before := heap()
		for i := range 200_000 {
			limiter.Allow(strconv.Itoa(i))
			if i%10_000 != 0 {
				continue
			}
			if _, ok := limiter.Allow("guesser"); ok {
				t.Fatalf("the guesser was forgotten after %d strangers", i)
			}
		}
		if grown := int64(heap()) - int64(before); grown > 1<<16 {
			t.Errorf("%d bytes more after the flood", grown)
		}
		time.Sleep(5 * time.Hour)
		if wait, ok := limiter.Allow("newcomer"); !ok {
			t.Errorf("a flood that is over: wait %v", wait)
		}
	})
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A hundred senders at their limit do not slow down other senders. The chance that this test fails
// is about 1e-7.
func TestNeighbours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := &auth.Limiter{Burst: 5}
		for i := range 100 {
			for range 10 {
				limiter.Allow(strconv.Itoa(i))
			}
		}
		for i := range 500 {
			if _, ok := limiter.Allow("newcomer " + strconv.Itoa(i)); !ok {
				t.Error("a newcomer is limited")
			}
		}
	})
}

func TestLimiterConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := &auth.Limiter{Burst: 500}
		var allowed atomic.Int64
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for range 100 {
					if _, ok := limiter.Allow("ann"); ok {
						allowed.Add(1)
					}
				}
			})
		}
		wg.Wait()
		if n := allowed.Load(); n != 500 {
			t.Errorf("%d were allowed, want 500", n)
		}
	})
}

// An attacker can try only three wrong passwords at once, then one a minute. A user who knows the
// password is not limited.
func ExampleLimiter() {
	limiter := &auth.Limiter{Every: time.Minute, Burst: 3}
	guard := &auth.Guard{Stack: auth.Stack{people}, Decided: limiter.Decided}
	page := limiter.Handler(guard.Handler(http.HandlerFunc(greet)))

	for range 5 {
		show(page, "ann", "correct horse")
	}
	for _, guess := range []string{"123456", "password", "qwerty", "letmein"} {
		show(page, "ann", guess)
	}
	// Output:
	// 200 hello, ann
	// 200 hello, ann
	// 200 hello, ann
	// 200 hello, ann
	// 200 hello, ann
	// 401 authentication required
	// 401 authentication required
	// 401 authentication required
	// 429 too many requests
}

// Requests per user are limited behind the Guard, where the user is known.
func ExampleLimiter_perUser() {
	limiter := &auth.Limiter{Every: time.Hour, Burst: 2, Key: func(req *http.Request) string {
		id, _ := auth.FromContext(req.Context())
		return id.Subject
	}}
	page := auth.Require(limiter.Handler(http.HandlerFunc(greet)), people)

	for range 3 {
		show(page, "ann", "correct horse")
	}
	show(page, "bob", "battery staple")
	// Output:
	// 200 hello, ann
	// 200 hello, ann
	// 429 too many requests
	// 200 hello, bob
}

// Allow is for requests that do not come over HTTP.
func ExampleLimiter_Allow() {
	limiter := &auth.Limiter{Every: time.Minute, Burst: 1}
	for range 2 {
		if wait, ok := limiter.Allow("ann"); !ok {
			fmt.Println("ask again in", wait.Round(time.Minute))
			return
		}
		fmt.Println("welcome")
	}
	// Output:
	// welcome
	// ask again in 1m0s
}

func BenchmarkLimiter(b *testing.B) {
	limiter := &auth.Limiter{Every: time.Nanosecond}
	b.ReportAllocs()
	for b.Loop() {
		limiter.Allow("192.0.2.1")
	}
}
