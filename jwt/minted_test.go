package jwt_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/jwt"
)

// counted returns a Signer whose tokens all differ.
func counted(lifetime time.Duration) *jwt.Signer {
	return &jwt.Signer{Key: mintSecret, Method: "HS256", TokenID: true, Lifetime: lifetime}
}

// A token is reused until min(60 s, 20 % of its lifetime) before its end.
func TestTokenIsKept(t *testing.T) {
	for _, tt := range []struct{ lifetime, used time.Duration }{
		{0, 235 * time.Second}, // 300 - 60 - the 5 that iat lies back
		{time.Minute, 43 * time.Second},
		{10 * time.Second, 3 * time.Second},
		{time.Hour, 3535 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			j := counted(tt.lifetime)
			time.Sleep(300 * time.Millisecond)
			start := time.Now().Truncate(time.Second)
			first := signAt(t, j, apiOrigin, time.Now())
			time.Sleep(time.Until(start.Add(tt.used - time.Nanosecond)))
			if signAt(t, j, apiOrigin, time.Now()) != first {
				t.Errorf("lifetime %v: replaced too early", tt.lifetime)
			}
			time.Sleep(time.Nanosecond)
			second := signAt(t, j, apiOrigin, time.Now())
			if second == first {
				t.Errorf("lifetime %v: replaced too late", tt.lifetime)
			}
			if signAt(t, j, apiOrigin, time.Now()) != second {
				t.Errorf("lifetime %v: replaced twice", tt.lifetime)
			}
		})
	}
}

// A token is replaced if it was made by a clock that turned out to be wrong.
func TestTokenFollowsClock(t *testing.T) {
	for _, tt := range []struct {
		passed, by time.Duration // here, and at the server
		kept       bool
	}{
		{10 * time.Second, 10 * time.Second, true},
		{10 * time.Second, 11 * time.Second, true},
		{10 * time.Second, 9 * time.Second, true},
		{10 * time.Second, 11*time.Second + 1, false},
		{10 * time.Second, 9*time.Second - 1, false},
		{0, 24 * time.Hour, false},
		{0, -24 * time.Hour, false},
		{0, -time.Minute, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			j := counted(0)
			start := time.Now()
			first := signAt(t, j, apiOrigin, start)
			time.Sleep(tt.passed)
			second := signAt(t, j, apiOrigin, start.Add(tt.by))
			if (first == second) != tt.kept {
				t.Errorf("%v here and %v there: kept %t", tt.passed, tt.by, first == second)
			}
		})
	}
}

// Each origin and each set of claims has its own token. Nothing else in a request matters.
func TestTokenPerPurpose(t *testing.T) {
	j := counted(0)
	j.Claims = func(req *http.Request) (map[string]any, error) {
		return map[string]any{"user": req.Header.Get("X-User"), "a": 1, "b": 2, "c": 3}, nil
	}
	tokens := make(map[string]string)
	for range 3 {
		for _, tt := range []struct{ url, user, same string }{
			{"https://api.example.com/a", "", "1"},
			{"https://API.example.com:443/b?c", "", "1"},
			{"https://api.example.com/a", "bob", "2"},
			{"https://api.example.com:8443/a", "", "3"},
			{"http://api.example.com/a", "", "4"},
			{"http://api.example.com:80/a", "", "4"},
			{"https://api.example.com./a", "", "5"},
			{"http://api.example.com:443/", "", "6"},
		} {
			req := requestTo(t, tt.url)
			req.Header.Set("X-User", tt.user)
			if err := j.Sign(req, mintTime); err != nil {
				t.Fatal(err)
			}
			token := req.Header.Get("Authorization")
			if tokens[tt.same] == "" {
				tokens[tt.same] = token
			}
			if token != tokens[tt.same] {
				t.Errorf("%s %s: another token", tt.url, tt.user)
			}
		}
	}
	seen := make(map[string]bool)
	for _, token := range tokens {
		seen[token] = true
	}
	if len(seen) != 6 {
		t.Errorf("%d tokens, want 6", len(seen))
	}
}

// A Signer keeps few tokens, however many origins there are. If there is room, it keeps those that
// are still valid.
func TestTokensAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := counted(0)
		host := func(i int) string { return fmt.Sprintf("https://host%d.example", i) }
		first := make(map[int]string)
		for i := range 40 { // these will have ended
			first[i] = signAt(t, j, host(i), time.Now())
		}
		time.Sleep(4 * time.Minute)
		for i := 40; i < 100; i++ {
			first[i] = signAt(t, j, host(i), time.Now())
		}
		for i := 40; i < 100; i++ {
			if signAt(t, j, host(i), time.Now()) != first[i] {
				t.Errorf("host %d: its token has gone, and it was not one that had ended", i)
			}
		}
		for i := range 1000 {
			first[i] = signAt(t, j, host(i), time.Now())
		}
		kept := 0
		for i := range 1000 {
			req := requestTo(t, host(i))
			req.Header.Set("Authorization", "Bearer "+first[i])
			if again, err := j.Refresh(&http.Response{Request: req}); err != nil {
				t.Fatal(err)
			} else if !again { // the token is kept, and new
				kept++
			}
		}
		if kept != 64 {
			t.Errorf("%d tokens are kept, want 64", kept)
		}
	})
}

func TestJWTRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := counted(0)
		refused := func(token string) bool {
			t.Helper()
			req := requestTo(t, apiOrigin)
			req.Header.Set("Authorization", "Bearer "+token)
			again, err := j.Refresh(&http.Response{Request: req})
			if err != nil {
				t.Fatal(err)
			}
			return again
		}
		first := signAt(t, j, apiOrigin, time.Now())
		if refused(first) {
			t.Error("a new token was refused, and another one would fare better")
		}
		if signAt(t, j, apiOrigin, time.Now()) != first {
			t.Error("a new token was replaced")
		}
		time.Sleep(5 * time.Second)
		if !refused(first) {
			t.Error("a token in use was refused, and it is not worth to make another")
		}
		second := signAt(t, j, apiOrigin, time.Now())
		if second == first {
			t.Error("the refused token is used again")
		}
		if !refused(first) {
			t.Error("a late refusal: there is another token, and it is not worth a try")
		}
		if signAt(t, j, apiOrigin, time.Now()) != second {
			t.Error("a late refusal has dropped a newer token")
		}
	})
	j := counted(0)
	for name, resp := range map[string]*http.Response{
		"no request": {}, "nothing": nil, "no token": {Request: requestTo(t, apiOrigin)},
	} {
		if again, err := j.Refresh(resp); again || err == nil {
			t.Errorf("%s: %t, %v", name, again, err)
		}
	}
	if _, err := new(jwt.Signer).Refresh(&http.Response{}); err == nil {
		t.Error("no key, and no error")
	}
}
