package bearer_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"

	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/transport"
)

// unsignedJWT returns a text in the form of a JWT with these claims.
func unsignedJWT(claims string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"HS256"}`)) + "." + encode([]byte(claims)) + ".c2ln"
}

// inCookie encodes a token as pyramid_jwt does in a cookie.
func inCookie(token string) string {
	return base64.URLEncoding.EncodeToString([]byte(`"` + token + `"`))
}

// observed passes a Signer a response with these fields to a request with "first". It returns the
// Signer's source and the response.
func observed(t *testing.T, fields ...string) (*endpoint, *bearer.Tokens, *http.Response) {
	t.Helper()
	e := &endpoint{}
	first := &oauth2.Token{AccessToken: "first", Expiry: time.Now().Add(time.Hour)}
	tokens := &bearer.Tokens{Token: first, Fetch: e.fetch}
	s := &bearer.Signer{Source: tokens, Cookie: "session"}
	req := newRequest(t, "https://a.example/")
	if err := s.Sign(req, time.Now()); err != nil {
		t.Fatal(err)
	}
	resp := answer(req, 200, fields...)
	observe(t, s, resp, transport.OutcomeAccepted)
	synctest.Wait()
	return e, tokens, resp
}

func TestReissuedCookie(t *testing.T) {
	exp := func(after time.Duration) string {
		return unsignedJWT(fmt.Sprintf(`{"sub":"ann","exp":%d}`, time.Now().Add(after).Unix()))
	}
	date := func(after time.Duration) string {
		return time.Now().Add(after).UTC().Format(http.TimeFormat)
	}
	const ever = -1 // the token does not end
	for _, test := range []struct {
		name   string
		fields func() []string
		want   string
		left   time.Duration
	}{
		{"a new value", func() []string { return []string{"session=next; Path=/"} }, "next", ever},
		{"for so long", func() []string { return []string{"session=next; Max-Age=60"} }, "next",
			time.Minute},
		{"until then", func() []string {
			return []string{"session=next; Expires=" + date(time.Minute)}
		}, "next", time.Minute},
		{"Max-Age counts more", func() []string {
			return []string{"session=next; Max-Age=60; Expires=" + date(-time.Hour)}
		}, "next", time.Minute},
		{"by the clock of the server", func() []string {
			return []string{"session=next; Expires=" + date(25*time.Hour),
				"Date: " + date(24*time.Hour)}
		}, "next", time.Hour - time.Second/2},
		{"a JWT", func() []string { return []string{"session=" + exp(time.Minute)} }, "ey",
			time.Minute},
		{"a JWT by the clock of the server", func() []string {
			return []string{"session=" + exp(25*time.Hour), "Date: " + date(24*time.Hour)}
		}, "ey", time.Hour - time.Second/2},
		{"a cookie of pyramid_jwt", func() []string {
			return []string{"session=" + inCookie(exp(time.Minute))}
		}, inCookie("ey")[:3], time.Minute},
		{"the last of several", func() []string {
			return []string{"session=one", "session=two", "other=three"}
		}, "two", ever},
		{"in quotes", func() []string { return []string{`session="next"`} }, "next", ever},
		{"whatever the domain", func() []string {
			return []string{"session=next; Domain=b.example; Path=/b; Secure; SameSite=Strict"}
		}, "next", ever},
		{"another cookie", func() []string { return []string{"Session=next"} }, "first", time.Hour},
		{"none", func() []string { return nil }, "first", time.Hour},
		{"a value that cannot be sent", func() []string { return []string{`session="a b"`} },
			"first", time.Hour},
		{"one too long", func() []string {
			return []string{"session=" + strings.Repeat("a", 8129)}
		}, "first", time.Hour},
		{"a JWT that has ended", func() []string { return []string{"session=" + exp(-time.Hour)} },
			"first", time.Hour},
		{"cleared", func() []string { return []string{"session=; Max-Age=0"} }, "token1", ever},
		{"cleared by its end", func() []string {
			return []string{"session=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT"}
		}, "token1", ever},
		{"cleared by its age", func() []string { return []string{"session=x; Max-Age=-1"} },
			"token1", ever},
		{"cleared by its value", func() []string { return []string{"session="} }, "token1", ever},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var fields []string
				for _, line := range test.fields() {
					name, value := "Set-Cookie", line
					if date, ok := strings.CutPrefix(line, "Date: "); ok {
						name, value = "Date", date
					}
					fields = append(fields, name, value)
				}
				_, tokens, resp := observed(t, fields...)
				got, err := tokens.Credentials(t.Context())
				if err != nil || !strings.HasPrefix(got.AccessToken, test.want) {
					t.Fatalf("got %v, %v; want %s", got.AccessToken, err, test.want)
				}
				left := time.Until(got.Expiry)
				if got.Expiry.IsZero() {
					left = ever
				}
				if left != test.left {
					t.Errorf("it lasts %v, want %v", left, test.left)
				}
				for _, line := range resp.Header["Set-Cookie"] {
					if strings.HasPrefix(line, "session=") {
						t.Errorf("the answer still has %q", line)
					}
				}
			})
		})
	}
}

// A response to a request with an old token, or with a foreign one, changes nothing.
func TestReissuedLate_F12(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, line := range []string{"session=late", "session=; Max-Age=0"} {
			e := &endpoint{}
			tokens := &bearer.Tokens{Fetch: e.fetch}
			s := &bearer.Signer{Source: tokens, Cookie: "session"}
			wantToken(t, tokens, "token1")
			for _, sent := range []string{"session=old", "", "other=token1"} {
				req := newRequest(t, "https://a.example/")
				req.Header.Set("Cookie", sent)
				observe(t, s, answer(req, 200, "Set-Cookie", line), transport.OutcomeAccepted)
				synctest.Wait()
				wantToken(t, tokens, "token1")
			}
			e.wantCalls(t, 1, "in all")
		}
	})
}

// Responses may share their fields, so those are never changed in place.
func TestReissuedSharedHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := http.Header{"Set-Cookie": {"a=1", "session=next", "b=2"}}
		rt := &transport.Transport{
			Signer: &bearer.Signer{Source: static("abc"), Cookie: "session"},
			Base: network(func(req *http.Request) (*http.Response, error) {
				resp := answer(req, 200)
				resp.Header = shared
				return resp, nil
			}),
		}
		resp, err := rt.RoundTrip(newRequest(t, "https://a.example/"))
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.Header["Set-Cookie"]; fmt.Sprint(got) != "[a=1 b=2]" {
			t.Errorf("the answer has %q", got)
		}
		if got := shared["Set-Cookie"]; fmt.Sprint(got) != "[a=1 session=next b=2]" {
			t.Errorf("the shared fields became %q", got)
		}
	})
}

// A refusal that brings the next cookie is repaired with that cookie, without a login.
func TestReissuedWithRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		rt := &transport.Transport{
			Signer: &bearer.Signer{Source: &bearer.Tokens{Fetch: e.fetch}, Cookie: "session"},
			Base: network(func(req *http.Request) (*http.Response, error) {
				if req.Header.Get("Cookie") == "session=next" {
					return answer(req, 200), nil
				}
				return answer(req, 401, "Set-Cookie", "session=next"), nil
			}),
		}
		resp, err := rt.RoundTrip(newRequest(t, "https://a.example/"))
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("%v, %v", resp, err)
		}
		e.wantCalls(t, 1, "in all")
	})
}

// Observe does not wait for Fetched.
func TestReissuedFetchedSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens := &bearer.Tokens{Token: &oauth2.Token{AccessToken: "first"}}
		wantToken(t, tokens, "first")
		tokens.Fetched = func(*oauth2.Token) { time.Sleep(10 * time.Second) }
		s := &bearer.Signer{Source: tokens, Cookie: "session"}
		req := newRequest(t, "https://a.example/")
		if err := s.Sign(req, time.Now()); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		observe(t, s, answer(req, 200, "Set-Cookie", "session=next"), transport.OutcomeAccepted)
		wantToken(t, tokens, "first")
		if time.Since(start) != 0 {
			t.Error("it waited")
		}
		time.Sleep(11 * time.Second)
		wantToken(t, tokens, "next")
	})
}

// A service may set a cookie for a second with each response. That neither repeats a login that was
// refused for each response, nor one that works.
func TestReissuedForASecond_F14(t *testing.T) {
	works := func() *view { return &view{fields: []string{"Set-Cookie", "session=new; Max-Age=1"}} }
	for name, test := range map[string]struct {
		view   *view
		every  time.Duration
		logins int
	}{
		"works":   {works(), time.Second, 0}, // a token is used for at least 5 s
		"refused": {&view{status: 401}, 4900 * time.Millisecond, 1},
		"asked to wait": {&view{status: 503, fields: []string{"Retry-After", "300"}},
			4900 * time.Millisecond, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			login := test.view.login()
			login.Cookie = "session"
			n := 0
			rt := &transport.Transport{
				Signer: &bearer.Signer{Cookie: "session", Source: &bearer.Tokens{
					Token: &oauth2.Token{
						AccessToken: "s0", Expiry: time.Now().Add(5 * time.Second)},
					Fetch: login.Token,
				}},
				Base: network(func(req *http.Request) (*http.Response, error) {
					n++
					time.Sleep(time.Millisecond) // so that a login that it started has ended
					return answer(req, 200, "Set-Cookie", fmt.Sprintf("session=n%d; Max-Age=1", n)),
						nil
				}),
			}
			for start := time.Now(); time.Since(start) < 270*time.Second; {
				if resp, err := rt.RoundTrip(newRequest(t, "https://a.example/")); err == nil {
					_ = resp.Body.Close()
				}
				time.Sleep(test.every)
			}
			if got := len(test.view.sent); got != test.logins {
				t.Errorf("%s: %d logins, want %d", name, got, test.logins)
			}
		})
	}
}

// The exp in a token is a hint only, whatever the token looks like.
func FuzzExpiryInside(f *testing.F) {
	for _, claims := range []string{
		`{"exp":1e9}`, `{"exp":1.5}`, `{"exp":"1"}`, `{"exp":-1}`, `{"exp":1e400}`, `{}`, `[]`,
		`{"exp":null}`,
		`{"exp":1,"exp":2}`, `{"exp":9999999999999}`, `{"exp":253402300799}`,
	} {
		f.Add(unsignedJWT(claims))
		f.Add(inCookie(unsignedJWT(claims)))
	}
	f.Add("a.b.c")
	f.Add("..")
	f.Fuzz(func(t *testing.T, text string) {
		login := &bearer.Login{URL: "https://a.example/", Cookie: "session",
			HTTP: &http.Client{Transport: network(func(req *http.Request) (*http.Response, error) {
				return answer(req, 200, "Set-Cookie", "session="+text), nil
			})}}
		token, err := login.Token(context.Background(), nil)
		if err != nil {
			return
		}
		end := token.Expiry
		if !end.IsZero() && (end.Before(time.Now()) || end.Year() > 9999) {
			t.Errorf("%q ends at %v", text, end)
		}
	})
}
