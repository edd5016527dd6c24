package issue_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/portal"
	"github.com/countersign-go/countersign/provision"
	"github.com/countersign-go/countersign/provision/issue"
)

// session is the application's own kind of login.
type session struct{ id auth.Identity }

func (s session) Authenticate(*http.Request) (*auth.Identity, error) { return &s.id, nil }

func (s session) Challenge(h http.Header, _ *http.Request, err error) {
	challenge := "Session"
	if !errors.Is(err, auth.ErrNone) {
		challenge += " of=" + err.Error() // only its own error
	}
	h.Add("WWW-Authenticate", challenge)
}

func logged(scheme string, at any) session {
	id := auth.Identity{Subject: "ann", Scheme: scheme}
	if at != nil {
		id.Claims = map[string]any{"auth_time": at}
	}
	return session{id}
}

func TestMaxLoginAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		ago := func(d time.Duration) int64 { return now.Add(-d).Unix() }
		digits := func(d time.Duration) string { return strconv.FormatInt(ago(d), 10) }
		number := func(d time.Duration) json.Number { return json.Number(digits(d)) }
		const (
			old    = "it was more than 1h0m0s ago"
			none   = `of scheme "Session", has no claim auth_time`
			notime = "auth_time is not a number of seconds"
			clocks = "in the future: compare the clocks"
		)
		for _, tt := range []struct {
			reason string
			login  session
			want   string // part of the error; if empty, no error
		}{
			{"just now", logged("Session", ago(0)), ""},
			{"as long ago as may be", logged("Session", ago(time.Hour)), ""},
			{"a second longer", logged("Session", ago(time.Hour+time.Second)), old},
			{"by a clock that is ahead", logged("Session", ago(-time.Minute)), ""},
			{"in the future", logged("Session", ago(-time.Minute-time.Second)), clocks},
			{"in the far future", logged("Session", int64(math.MaxInt64)), notime},
			{"before all times", logged("Session", int64(math.MinInt64)), notime},
			{"from a JWT", logged("Bearer", number(time.Minute)), ""},
			{"from an old JWT", logged("Bearer", number(2*time.Hour)), old},
			{"from another JSON reader", logged("Bearer", float64(ago(time.Minute))), ""},
			{"as a time", logged("Session", now.Add(-time.Minute)), ""},
			{"as an old time", logged("Session", now.Add(-2*time.Hour)), old},
			{"as an int", logged("Session", int(ago(time.Minute))), ""},
			{"as text", logged("Session", digits(0)), notime},
			{"as no number", logged("Session", math.NaN()), notime},
			{"as no finite number", logged("Session", math.Inf(1)), notime},
			{"as a negative one", logged("Session", -1.0), notime},
			{"as a broken one", logged("Session", json.Number("x")), notime},
			{"unknown", logged("Session", nil), none},
			{"with a password in the request", logged("Basic", nil), ""},
			{"with a password, long ago all the same", logged("Basic", ago(2*time.Hour)), old},
		} {
			var got []string
			h := &issue.Handler{
				Auth: tt.login, Issue: testIssuer().Issue, MaxLoginAge: time.Hour,
				Audit: audit(&got),
			}
			resp := post(t, h, "", "")
			body, _ := io.ReadAll(resp.Body)
			want, told := 200, "Audit: ann has some"
			if tt.want != "" {
				want, told = 401, "Audit: ann: "+issue.ErrLogin.Error()+": "
				line := "log in another way: the time of this login is not known\n"
				if tt.want == old {
					line = "log in again\n"
				}
				if resp.Header.Get("WWW-Authenticate") != "Session" || string(body) != line {
					t.Errorf("%s: %v %q", tt.reason, resp.Header, body)
				}
			}
			if resp.StatusCode != want || len(got) != 1 || !strings.HasPrefix(got[0], told) ||
				!strings.Contains(got[0], tt.want) {
				t.Errorf("%s: %d, %q", tt.reason, resp.StatusCode, got)
			}
		}
	})
}

// audit returns an Audit that appends each of its calls to got.
func audit(got *[]string) func(*http.Request, *auth.Identity, string, error) {
	return func(req *http.Request, id *auth.Identity, credential string, err error) {
		who := "somebody"
		if id != nil {
			who = id.Subject
		}
		switch {
		case req == nil, (credential == "") != (err != nil):
			*got = append(*got, "Audit was called wrongly")
		case err != nil:
			*got = append(*got, "Audit: "+who+": "+err.Error())
		default:
			*got = append(*got, "Audit: "+who+" has some")
		}
	}
}

// hidden hides the type of an Authenticator.
type hidden struct{ auth.Authenticator }

// A MAC credential gives no further ones, whatever wraps the verifier.
func TestMACGetsNoMore(t *testing.T) {
	issuer := testIssuer()
	c, err := issuer.Issue(t.Context(), subject("ann"))
	if err != nil {
		t.Fatal(err)
	}
	renamed := func(ctx context.Context, id string) (*mac.Key, error) {
		key, err := issuer.Key(ctx, id)
		if err == nil {
			key.Identity.Scheme = "machine"
		}
		return key, err
	}
	for _, tt := range []struct {
		reason string
		a      auth.Authenticator
	}{
		{"as it is", &mac.Verifier{Keys: issuer.Key}},
		{"with a scheme of the application's own", &mac.Verifier{Keys: renamed}},
		{"behind another type", hidden{&mac.Verifier{Keys: issuer.Key}}},
		{"in a stack", auth.Stack{users(), &mac.Verifier{Keys: renamed}}},
		{"with both, behind another type", hidden{&mac.Verifier{Keys: renamed}}},
		{"in a stack by pointer", &auth.Stack{&mac.Verifier{Keys: renamed}}},
		{"in a stack of stacks", auth.Stack{auth.Stack{&mac.Verifier{Keys: renamed}}, users()}},
	} {
		for _, allowed := range []bool{false, true} {
			var got []string
			var log bytes.Buffer
			h := &issue.Handler{
				Auth: tt.a, Issue: issuer.Issue, AllowMAC: allowed, Audit: audit(&got),
				Logger: slog.New(slog.NewTextHandler(&log, nil)),
			}
			req := httptest.NewRequestWithContext(t.Context(), "POST", "/", nil)
			if err := (&mac.Signer{Source: c}).Sign(req, time.Now()); err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, req)
			status, told := 403, "Audit: ann: "+issue.ErrScheme.Error()
			if allowed {
				status, told = 200, "Audit: ann has some"
			}
			if w.Code != status || len(got) != 1 || got[0] != told {
				t.Errorf("%s, allowed: %t: %d, %q", tt.reason, allowed, w.Code, got)
			}
			if !allowed && (w.Body.String() != "log in another way\n" ||
				strings.Contains(w.Header().Get("WWW-Authenticate"), "error") ||
				!strings.Contains(log.String(), "log in another way")) {
				t.Errorf("%s: %v %s; log %s", tt.reason, w.Header(), w.Body, log.String())
			}
		}
	}
}

// The Scheme of the identity counts, wherever in the request the credentials were.
func TestMACElsewhereGetsNoMore(t *testing.T) {
	h := &issue.Handler{Auth: logged("mac", nil), Issue: testIssuer().Issue}
	if resp := post(t, h, "", ""); resp.StatusCode != 403 {
		t.Errorf("%d, want 403", resp.StatusCode)
	}
}

// In the same stack, a password still gives credentials, and a wrong password is refused as usual.
func TestStackOfHandler(t *testing.T) {
	h := &issue.Handler{
		Auth:  auth.Stack{&mac.Verifier{Keys: testIssuer().Key}, users()},
		Issue: testIssuer().Issue,
	}
	if resp := post(t, h, "ann", password); resp.StatusCode != 200 {
		t.Errorf("%d", resp.StatusCode)
	}
	resp := post(t, h, "ann", "wrong")
	challenges := resp.Header.Values("WWW-Authenticate")
	if resp.StatusCode != 401 || len(challenges) != 2 || challenges[0] != "MAC" ||
		!strings.HasPrefix(challenges[1], "Basic ") {
		t.Errorf("%d, %q", resp.StatusCode, challenges)
	}
	for _, bad := range []auth.Authenticator{auth.Stack{nil}, nobody{}} {
		h := &issue.Handler{Auth: bad, Issue: testIssuer().Issue}
		if resp := post(t, h, "ann", password); resp.StatusCode != 503 {
			t.Errorf("%T: %d", bad, resp.StatusCode)
		}
	}
}

// An old session beside the password does not refuse the password; another user's session does.
func TestSessionBesidePassword(t *testing.T) {
	old := logged("Session", time.Now().Add(-2*time.Hour))
	elses := session{auth.Identity{Subject: "bob", Scheme: "Session"}}
	var got []string
	for _, tt := range []struct {
		reason string
		stack  auth.Stack
		status int
		told   string
	}{
		{"her own", auth.Stack{users(), old}, 200, "Audit: ann has some"},
		{"somebody else's", auth.Stack{users(), elses}, 400, "Audit: bob: " +
			auth.ErrConflict.Error() + `: "ann" by Basic and "bob" by Session`},
	} {
		got = nil
		h := &issue.Handler{Auth: tt.stack, Issue: testIssuer().Issue,
			MaxLoginAge: time.Hour, Audit: audit(&got)}
		resp := post(t, h, "ann", password)
		if resp.StatusCode != tt.status || len(got) != 1 || got[0] != tt.told {
			t.Errorf("%s: %d, %q", tt.reason, resp.StatusCode, got)
		}
	}
}

// A nobody is an Authenticator with a bug.
type nobody struct{}

func (nobody) Authenticate(*http.Request) (*auth.Identity, error) { return nil, nil }

// Machines may renew their credentials without the password, if the login is not too old.
func TestRenewalEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := &issue.Registry{
			Lifetime: 2 * time.Hour,
			Terms: func(_ context.Context, id *auth.Identity) (issue.Terms, error) {
				at, ok := id.Claims["auth_time"]
				if !ok {
					at = time.Now().Unix()
				}
				return issue.Terms{Claims: map[string]any{"auth_time": at}}, nil
			},
		}
		h := &issue.Handler{
			Auth:  auth.Stack{users(), &mac.Verifier{Keys: registry.Key}},
			Issue: registry.Issue, AllowMAC: true, MaxLoginAge: 3 * time.Hour,
		}
		resp := post(t, h, "ann", password)
		for hours := range 5 {
			body, err := io.ReadAll(resp.Body)
			if want := map[bool]int{true: 200, false: 401}[hours <= 3]; resp.StatusCode != want {
				t.Fatalf("after %d hours: %d, want %d, %v", hours, resp.StatusCode, want, err)
			}
			if resp.StatusCode != 200 {
				return
			}
			c, err := provision.Unmarshal(body)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			req := httptest.NewRequestWithContext(t.Context(), "POST", "/", nil)
			if err := (&mac.Signer{Source: c}).Sign(req, time.Now()); err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, req)
			resp = w.Result()
		}
	})
}

// The limit for wrong passwords is by address, the limit for credentials by subject.
func TestHandlerLimits_S12(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limited := 0
		var got []string
		h := &issue.Handler{
			Auth: basic.Verifier{Users: portal.Memory{
				"ann": creds.Secret(password), "bob": creds.Secret(password),
			}},
			Issue: testIssuer().Issue,
			PerAddress: &auth.Limiter{
				Every: time.Minute, Burst: 3, Limited: func(*http.Request) { limited++ },
			},
			PerSubject: &auth.Limiter{Every: time.Hour, Burst: 2},
			Audit:      audit(&got),
		}
		try := func(user, pass string, status int, body, retry string) {
			t.Helper()
			resp := post(t, h, user, pass)
			text, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != status || resp.Header.Get("Retry-After") != retry ||
				body != "" && string(text) != body+"\n" ||
				resp.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %d %q, Retry-After %q; want %d %q", user, resp.StatusCode, text,
					resp.Header.Get("Retry-After"), status, retry)
			}
		}
		for range 20 { // requests without a password are not counted
			try("", "", 401, "", "")
		}
		try("ann", password, 200, "", "")
		try("ann", password, 200, "", "")
		try("ann", password, 429, "too many requests", "3600")
		try("ann", password, 429, "too many requests", "3600")
		try("bob", password, 200, "", "")
		got = nil
		try("bob", "wrong", 401, "", "")
		try("ann", "wrong", 401, "", "")
		try("eve", "wrong", 401, "", "")
		try("eve", "wrong", 429, "too many requests", "60")
		try("bob", password, 429, "too many requests", "60")
		if limited != 2 || len(got) != 3 {
			t.Errorf("Limited was told %d times, Audit: %q", limited, got)
		}
		time.Sleep(time.Minute)
		try("bob", password, 200, "", "")
		try("bob", password, 429, "too many requests", "3540")
		if last := got[len(got)-1]; last != "Audit: bob: "+issue.ErrLimit.Error() {
			t.Errorf("Audit: %q", last)
		}
	})
}

// A client with valid credentials that are not sufficient is not guessing.
func TestRightAndRefusedIsFree(t *testing.T) {
	h := &issue.Handler{
		Auth: logged("Session", nil), Issue: testIssuer().Issue, MaxLoginAge: time.Hour,
		PerAddress: &auth.Limiter{Every: time.Hour, Burst: 1},
	}
	for range 3 {
		if resp := post(t, h, "", ""); resp.StatusCode != 401 {
			t.Errorf("%d, want 401", resp.StatusCode)
		}
	}
}

// No site can use up the tries of its visitors.
func TestOtherSiteIsFree(t *testing.T) {
	var got []string
	h := &issue.Handler{
		Auth: users(), Issue: testIssuer().Issue, Audit: audit(&got),
		PerAddress: &auth.Limiter{Every: time.Hour, Burst: 1},
	}
	for range 3 {
		req := httptest.NewRequestWithContext(t.Context(), "POST", "http://example.com/", nil)
		req.Header.Set("Origin", "https://evil.example")
		req.SetBasicAuth("ann", "wrong")
		h.ServeHTTP(httptest.NewRecorder(), req)
	}
	if resp := post(t, h, "ann", password); resp.StatusCode != 200 {
		t.Errorf("%d", resp.StatusCode)
	}
	if len(got) != 4 || !strings.HasPrefix(got[0], "Audit: somebody: ") {
		t.Errorf("%q", got)
	}
}

func TestHandlerQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		var log bytes.Buffer
		registry := &issue.Registry{Quota: 1, Lifetime: time.Hour}
		h := &issue.Handler{
			Auth: users(), Issue: registry.Issue, Audit: audit(&got),
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
		}
		if resp := post(t, h, "ann", password); resp.StatusCode != 200 {
			t.Fatal(resp.StatusCode)
		}
		resp := post(t, h, "ann", password)
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "3600" ||
			string(body) != "too many credentials: revoke some\n" {
			t.Errorf("%d, Retry-After %q: %s", resp.StatusCode,
				resp.Header.Get("Retry-After"), body)
		}
		if len(got) != 2 || got[1] != "Audit: ann: "+issue.ErrQuota.Error() ||
			!strings.Contains(log.String(), "level=WARN") {
			t.Errorf("%q, log %s", got, log.String())
		}
	})
}

// If the store is down, the client gets 503, and the reason stays on the server.
func TestHandlerStoreDown_S9(t *testing.T) {
	var got []string
	registry := &issue.Registry{Store: &mapStore{fails: failingAt(1, false, true)}}
	h := &issue.Handler{Auth: users(), Issue: registry.Issue, Audit: audit(&got)}
	resp := post(t, h, "ann", password)
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "1" ||
		strings.Contains(string(body), "detail") || len(got) != 1 ||
		!strings.Contains(got[0], "some detail of the store") {
		t.Errorf("%d %s, %q", resp.StatusCode, body, got)
	}
}

// The audit comes first: if it fails, no credentials are given out.
func TestAuditBeforeAnswer(t *testing.T) {
	w := httptest.NewRecorder()
	h := &issue.Handler{
		Auth: users(), Issue: testIssuer().Issue,
		Audit: func(*http.Request, *auth.Identity, string, error) { panic("the disk is full") },
	}
	defer func() {
		if p := recover(); p == nil || w.Body.Len() > 0 {
			t.Errorf("panic %v, answered %q", p, w.Body)
		}
	}()
	req := httptest.NewRequestWithContext(t.Context(), "POST", "/", nil)
	req.SetBasicAuth("ann", password)
	h.ServeHTTP(w, req)
}
