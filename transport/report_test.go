package transport_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/transport"
)

type requestID struct{}

// A journal is a slog.Handler that keeps one line for each record: level, message, attributes. It
// counts the records whose context does not come from a request.
type journal struct {
	mu      sync.Mutex
	text    bytes.Buffer
	strange int
	level   slog.Level
}

func (j *journal) Enabled(_ context.Context, level slog.Level) bool { return level >= j.level }

func (j *journal) Handle(ctx context.Context, r slog.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if ctx.Value(requestID{}) == nil {
		j.strange++
	}
	fmt.Fprintf(&j.text, "%s %s", r.Level, r.Message)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&j.text, " %s=%v", a.Key, a.Value)
		return true
	})
	j.text.WriteByte('\n')
	return nil
}

func (j *journal) WithAttrs([]slog.Attr) slog.Handler { return j }
func (j *journal) WithGroup(string) slog.Handler      { return j }

// take returns the lines since the last call, and checks the contexts.
func (j *journal) take(t *testing.T) string {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.strange > 0 {
		t.Errorf("%d records lack the context of the request", j.strange)
	}
	text := j.text.String()
	j.text.Reset()
	return text
}

func getWithID(t *testing.T, rt http.RoundTripper, url string) *http.Response {
	t.Helper()
	ctx := context.WithValue(t.Context(), requestID{}, "id")
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// A change of the clock is logged once, with the origin and the offset, however many requests were
// refused for the old offset. A recovery is logged at level Debug.
func TestLogOfClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &journal{level: slog.LevelInfo}
		server := &service{off: 20 * time.Minute}
		rt := &transport.Transport{Signer: &token{}, Base: base(
			func(req *http.Request) (*http.Response, error) {
				time.Sleep(time.Millisecond)
				return server.RoundTrip(req)
			}), Logger: slog.New(log)}
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { getWithID(t, rt, "https://a.example/") })
		}
		wg.Wait()
		const want = "INFO clock corrected origin=https://a.example offset=20m0.5s\n"
		if got := log.take(t); got != want || server.requests() != 100 {
			t.Errorf("%d requests:\n%s", server.requests(), got)
		}
		log.level = slog.LevelDebug
		server.off = 0
		getWithID(t, rt, "https://a.example/")
		if got := log.take(t); !strings.Contains(got, "DEBUG request recovered "+
			"origin=https://a.example status=200 cause=unknown attempts=2\n") ||
			!strings.Contains(got, "INFO clock corrected origin=https://a.example offset=") {
			t.Errorf("got\n%s", got)
		}
	})
}

// If the clock of this machine replaces an offset from an earlier process, that is logged as a
// change too.
func TestLogOfStoredOffset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, clock := &journal{}, new(transport.Clock)
		req, _ := http.NewRequest("GET", "https://a.example/", nil)
		clock.Set(req.URL, time.Hour)
		server := &service{hint: func(time.Time) []string { return nil }}
		rt := &transport.Transport{Signer: &token{}, Base: server, Clock: clock,
			Logger: slog.New(log)}
		getWithID(t, rt, "https://a.example/")
		if got := log.take(t); !strings.Contains(got, "INFO clock corrected "+
			"origin=https://a.example offset=0s\n") {
			t.Errorf("got\n%s", got)
		}
	})
}

// The record of a refusal that the caller gets has the reason, and has an error only if there was
// one.
func TestLogOfRefusal(t *testing.T) {
	refused := base(func(*http.Request) (*http.Response, error) {
		return answer(401, "WWW-Authenticate", "Token credential")
	})
	for _, test := range []struct {
		signer transport.Signer
		want   string
	}{
		{transport.SignerFunc((&token{}).Sign),
			"cause=unknown attempts=1 stop=no other credentials\n"},
		{&token{failing: errBroken},
			"cause=credential attempts=1 stop=no other credentials err=connection broken\n"},
		{&token{}, "cause=credential attempts=2 stop=budget\n"},
	} {
		log := &journal{}
		getWithID(t, &transport.Transport{Signer: test.signer, Base: refused,
			Logger: slog.New(log)}, "https://a.example/")
		want := "WARN request refused origin=https://a.example status=401 " + test.want
		if got := log.take(t); got != want {
			t.Errorf("got %s want %s", got, want)
		}
	}
}

// A request that is not signed leaves a record with the reason, and one warning for each origin
// that then asks for the credentials of the Signer.
func TestLogOfUnsigned_U4(t *testing.T) {
	const notListed = "reason=its origin is not one of Origins, or has no Signer in ByOrigin\n"
	const redirected = "reason=another origin has redirected to it\n"
	const debug = "DEBUG request not signed origin=https://b.example "
	const warn = "WARN request not signed, and refused for that origin=https://b.example " +
		"status=401 "
	challenge := func(lines ...string) base {
		return func(req *http.Request) (*http.Response, error) {
			if req.URL.Host == "a.example" {
				return answer(200)
			}
			resp, err := answer(401)
			resp.Header["Www-Authenticate"] = lines
			return resp, err
		}
	}
	for _, test := range []struct {
		name     string
		signer   transport.Signer
		origins  []string
		redirect bool
		answer   base
		reason   string
		warns    bool
	}{
		{"for us", &token{}, []string{"https://a.example"}, false,
			challenge("Token credential"), notListed, true},
		{"several origins", transport.ByOrigin{"https://a.example": &token{}}, nil, false,
			challenge("Token credential"), notListed, true},
		{"for others", &token{}, []string{"https://a.example"}, false,
			challenge("Negotiate"), notListed, false},
		{"no challenge", &token{}, []string{"https://a.example"}, false,
			challenge(), notListed, false},
		{"no refusal", &token{}, []string{"https://a.example"}, false,
			func(*http.Request) (*http.Response, error) { return answer(200) }, notListed, false},
		{"without a Reader", transport.SignerFunc((&token{}).Sign),
			[]string{"https://a.example"}, false, challenge(`Basic realm="x", Token`), notListed,
			true},
		{"without a Reader, for others", transport.SignerFunc((&token{}).Sign),
			[]string{"https://a.example"}, false, challenge("Basic"), notListed, false},
		{"after a redirect", &token{}, nil, true, challenge("Token"), redirected, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			log := &journal{level: slog.LevelDebug}
			rt := &transport.Transport{Signer: test.signer, Origins: test.origins,
				Base: test.answer, Logger: slog.New(log)}
			getWithID(t, rt, "https://a.example/")
			if got := log.take(t); got != "" {
				t.Errorf("of a signed request: %s", got)
			}
			for i := range 3 {
				ctx := context.WithValue(t.Context(), requestID{}, "id")
				req, _ := http.NewRequestWithContext(ctx, "GET", "https://b.example/", nil)
				if test.redirect {
					from, _ := http.NewRequest("GET", "https://a.example/", nil)
					req.Response = &http.Response{Request: from}
				}
				if _, err := rt.RoundTrip(req); err != nil {
					t.Fatal(err)
				}
				want := debug + test.reason
				if test.warns && i == 0 {
					want += warn + test.reason
				}
				if got := log.take(t); got != want {
					t.Errorf("got\n%swant\n%s", got, want)
				}
			}
		})
	}
}

// An inner may change the request, as a user's own RoundTripper may.
type inner struct {
	header map[string]string
	next   http.RoundTripper
}

func (i inner) RoundTrip(req *http.Request) (*http.Response, error) {
	clone := req.Clone(req.Context())
	for name, value := range i.header {
		if clone.Header.Del(name); value != "" {
			clone.Header.Set(name, value)
		}
	}
	resp, err := i.next.RoundTrip(clone)
	if resp != nil {
		resp.Request = clone
	}
	return resp, err
}

// A warning is logged if a Base replaces the Signer's credentials. The server's answer is then
// about other credentials: the Signer fetches nothing, and none of its credentials count as
// accepted.
func TestReplacedCredentials(t *testing.T) {
	for _, test := range []struct {
		name     string
		header   map[string]string
		replaced bool
	}{
		{"others", map[string]string{"Authorization": "Bearer other"}, true},
		{"others in another field", map[string]string{"X-Nonce": "other"}, true},
		{"none", map[string]string{"Authorization": ""}, false}, // maybe removed only from the copy
		{"something else", map[string]string{"User-Agent": "x", "Expect": "x"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			log, signer, status := &journal{}, &token{}, 401
			rt := &transport.Transport{Signer: signer, Logger: slog.New(log),
				Base: inner{test.header, base(func(*http.Request) (*http.Response, error) {
					return answer(status, "WWW-Authenticate", "Token credential")
				})}}
			resp := getWithID(t, rt, "https://a.example/")
			h := transport.History(resp)
			last, text := h[len(h)-1], log.take(t)
			if replaced := last.Stop == transport.StopReplaced; replaced != test.replaced ||
				replaced != (len(h) == 1) || replaced != (signer.refreshes == 0) ||
				replaced != strings.Contains(text, "oauth2.Transport") {
				t.Errorf("%v, %d refreshes\n%s", h, signer.refreshes, text)
			}
			if test.replaced && signer.outcome() != transport.OutcomeNone {
				t.Errorf("outcome %v", signer.outcome())
			}
			status = 200
			for _, first := range []bool{true, false} {
				getWithID(t, rt, "https://a.example/")
				text = log.take(t)
				if told := strings.Contains(text, "oauth2.Transport"); told !=
					(first && test.replaced) {
					t.Errorf("%s", text)
				}
			}
			if accepted := signer.outcome() != transport.OutcomeNone; accepted == test.replaced {
				t.Errorf("outcome %v", signer.outcome())
			}
		})
	}
}

// A field that the Base adds to is not replaced: the Base may add cookies to the Cookie field of
// the Signer.
func TestAddedCookies(t *testing.T) {
	rt := &transport.Transport{Signer: &cookie{}, Base: inner{
		map[string]string{"Cookie": "theirs=1; session=1"}, &service{}}}
	resp, err := get(rt, "https://a.example/")
	if err != nil {
		t.Fatal(err)
	}
	if h := transport.History(resp); len(h) != 2 || h[1].Stop != transport.StopBudget {
		t.Errorf("%v", h)
	}
}
