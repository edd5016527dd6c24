package jwt_test

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	jwtlib "github.com/golang-jwt/jwt/v5"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/authtest/schemetest"
	"github.com/countersign-go/countersign/jwt"
	"github.com/countersign-go/countersign/transport"
)

// A mintService is a handler reached without a network, whose clock is off. It also works in a
// synctest bubble.
type mintService struct {
	handler http.Handler
	ahead   time.Duration // of its clock

	mu   sync.Mutex // guards sent
	sent []string   // the Authorization fields
}

func (s *mintService) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.sent = append(s.sent, req.Header.Get("Authorization"))
	s.mu.Unlock()
	received := req.Clone(req.Context())
	received.RequestURI = req.URL.RequestURI()
	if req.URL.Scheme == "https" {
		received.TLS = new(tls.ConnectionState)
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, received)
	resp := w.Result()
	resp.Header.Set("Date", time.Now().Add(s.ahead).UTC().Format(http.TimeFormat))
	resp.Request = req
	return resp, nil
}

// strict is a verifier built on the library itself, by the clock of the service. Like many, it
// refuses a token that was issued a moment ahead.
func (s *mintService) strict(challenge string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		parser := jwtlib.NewParser(
			jwtlib.WithValidMethods([]string{"HS256"}), jwtlib.WithIssuedAt(),
			jwtlib.WithExpirationRequired(),
			jwtlib.WithTimeFunc(func() time.Time { return time.Now().Add(s.ahead) }))
		field := req.Header.Get("Authorization")
		if len(field) > 7 {
			_, err := parser.Parse(field[7:], func(*jwtlib.Token) (any, error) {
				return []byte(mintSecret), nil
			})
			if err == nil {
				return
			}
		}
		w.Header().Set("WWW-Authenticate", challenge)
		w.WriteHeader(http.StatusUnauthorized)
	})
}

func fetched(t testing.TB, rt http.RoundTripper, url string) (int, []transport.Attempt) {
	t.Helper()
	resp, err := (&http.Client{Transport: rt}).Do(requestTo(t, url))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, transport.History(resp)
}

// A wrong clock costs one round trip, whichever reason the server gives. The tokens that follow are
// right at once.
func TestClockOff(t *testing.T) {
	for _, tt := range []struct {
		ahead     time.Duration
		challenge string
		first     int // round trips for the first request
	}{
		{24 * time.Hour, `Bearer error="invalid_token"`, 2},
		{-24 * time.Hour, `Bearer error="invalid_token"`, 2},
		{24 * time.Hour, `Bearer`, 2},
		{-24 * time.Hour, ``, 2},
		{-6 * time.Minute, `Bearer error="invalid_token"`, 2},
		{-7 * time.Second, `Bearer error="invalid_token"`, 2},
		{-4 * time.Second, `Bearer error="invalid_token"`, 1}, // too little to be corrected
		{4 * time.Second, `Bearer error="invalid_token"`, 1},
		{0, `Bearer`, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			j := &jwt.Signer{Key: mintSecret, Method: "HS256"}
			s := &mintService{ahead: tt.ahead}
			s.handler = s.strict(tt.challenge)
			rt := &transport.Transport{Signer: j, Base: s}
			status, history := fetched(t, rt, apiOrigin)
			if status != 200 || len(s.sent) != tt.first {
				t.Errorf("%+v: status %d after %d round trips: %v",
					tt, status, len(s.sent), history)
			}
			for range 10 {
				time.Sleep(time.Minute)
				if status, history := fetched(t, rt, apiOrigin); status != 200 || history != nil {
					t.Errorf("%+v: status %d: %v", tt, status, history)
				}
			}
			if want := tt.first + 10; len(s.sent) != want {
				t.Errorf("%+v: %d round trips, want %d", tt, len(s.sent), want)
			}
		})
	}
}

// TestVerifierClockOff has our Verifier as the server. It uses the clock of the bubble, so here the
// clock of the client is off.
func TestVerifierClockOff(t *testing.T) {
	for _, off := range []time.Duration{24 * time.Hour, -24 * time.Hour, 10 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			j := &jwt.Signer{Key: mintSecret, Method: "HS256", TokenID: true,
				Claims: func(*http.Request) (map[string]any, error) {
					return map[string]any{"sub": "bob", "aud": apiOrigin}, nil
				}}
			s := &mintService{handler: auth.Require(http.NotFoundHandler(), &jwt.Verifier{
				Keys:     &jwt.Key{Method: "HS256", Key: mintSecret},
				Audience: []string{apiOrigin},
			})}
			clock := new(transport.Clock)
			rt := &transport.Transport{Signer: j, Base: s, Clock: clock}
			clock.Set(requestTo(t, apiOrigin).URL, off)
			status, history := fetched(t, rt, apiOrigin)
			if status != 404 || len(history) != 2 || history[0].Cause != transport.CauseCredential {
				t.Errorf("off by %v: status %d, %+v", off, status, history)
			}
			first := s.sent[1]
			if status, history := fetched(t, rt, apiOrigin); status != 404 || history != nil {
				t.Errorf("off by %v, the next: status %d, %+v", off, status, history)
			}
			if s.sent[2] != first {
				t.Error("the token that was accepted is not used again")
			}
			_, claims := opened(t, first[len("Bearer "):])
			iat, err := claims["iat"].(json.Number).Int64()
			if err != nil || time.Since(time.Unix(iat, 0)).Abs() > 6*time.Second {
				t.Errorf("off by %v: iat %v, %v", off, iat, err)
			}
		})
	}
}

// A server that always refuses costs at most one more send in a call, and few tokens.
func TestJWTAlwaysRefused(t *testing.T) {
	for _, challenge := range []string{"", "Bearer", `Bearer error="invalid_token"`} {
		synctest.Test(t, func(t *testing.T) {
			refuse := func(w http.ResponseWriter, _ *http.Request) {
				if challenge != "" {
					w.Header().Set("WWW-Authenticate", challenge)
				}
				w.WriteHeader(http.StatusUnauthorized)
			}
			s := &mintService{handler: http.HandlerFunc(refuse)}
			rt := &transport.Transport{Base: s, Signer: &jwt.Signer{
				Key: mintSecret, Method: "HS256", TokenID: true,
			}}
			if status, _ := fetched(t, rt, apiOrigin); status != 401 || len(s.sent) != 1 {
				t.Errorf("%q: status %d after %d sends, want 401 after 1",
					challenge, status, len(s.sent))
			}
			time.Sleep(time.Minute) // the token is no longer new
			if status, history := fetched(t, rt, apiOrigin); status != 401 || len(s.sent) != 3 ||
				history[1].Stop != transport.StopBudget {
				t.Errorf("%q: status %d after %d sends, want 401 after 3: %+v",
					challenge, status, len(s.sent), history)
			}
			for range 100 { // in one burst
				fetched(t, rt, apiOrigin)
			}
			seen := make(map[string]bool)
			for _, field := range s.sent {
				seen[field] = true
			}
			if len(s.sent) != 103 || len(seen) != 2 {
				t.Errorf("%q: %d sends and %d tokens, want 103 and 2",
					challenge, len(s.sent), len(seen))
			}
		})
	}
}

// A refusal that another token of the same Signer cannot fix is not tried again.
func TestNotWorthATry(t *testing.T) {
	for _, challenge := range []string{
		`Bearer error="insufficient_scope"`, `Negotiate`, `Bearer header="X-Token"`,
	} {
		synctest.Test(t, func(t *testing.T) {
			refuse := func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("WWW-Authenticate", challenge)
				w.WriteHeader(http.StatusUnauthorized)
			}
			s := &mintService{handler: http.HandlerFunc(refuse)}
			j := &jwt.Signer{Key: mintSecret, Method: "HS256"}
			rt := &transport.Transport{Signer: j, Base: s}
			signAt(t, j, apiOrigin, time.Now())
			time.Sleep(time.Minute)
			if status, _ := fetched(t, rt, apiOrigin); status != 401 || len(s.sent) != 1 {
				t.Errorf("%s: status %d after %d sends", challenge, status, len(s.sent))
			}
		})
	}
	resp := &http.Response{Header: http.Header{"Www-Authenticate": {"Bearer"}}}
	if r := new(jwt.Signer).Read(resp); r.Cause != "" {
		t.Errorf("a JWT without a key reads %q", r.Cause)
	}
}

// A token that was revoked is replaced.
func TestRevokedTokenIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deny := new(jwt.DenyList)
		v := &jwt.Verifier{Keys: &jwt.Key{Method: "HS256", Key: mintSecret},
			Revoked: deny.Revoked}
		var last *auth.Identity
		s := &mintService{handler: auth.Require(http.HandlerFunc(
			func(_ http.ResponseWriter, req *http.Request) {
				last, _ = auth.FromContext(req.Context())
			}), v)}
		rt := &transport.Transport{Base: s, Signer: &jwt.Signer{
			Key: mintSecret, Method: "HS256", TokenID: true,
			Claims: func(*http.Request) (map[string]any, error) {
				return map[string]any{"sub": "bob"}, nil
			},
		}}
		fetched(t, rt, apiOrigin)
		if err := deny.Revoke(last.Claims); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		status, history := fetched(t, rt, apiOrigin)
		if status != 200 || len(history) != 2 || history[0].Cause != transport.CauseCredential {
			t.Errorf("status %d, %+v", status, history)
		}
	})
}

// A redirect to another origin carries no token, in whatever place. One within the origin does.
func TestJWTRedirects_K1(t *testing.T) {
	for name, j := range map[string]*jwt.Signer{
		"authorization": {}, "field": {Header: "X-Token"}, "cookie": {Cookie: "session"},
	} {
		j.Key, j.Method = mintSecret, "HS256"
		for _, to := range []string{
			"https://evil.example/", "https://api.example.com:8443/",
			"https://sub.api.example.com/", "https://api.example.com/b",
		} {
			var fields []http.Header
			rt := &transport.Transport{Signer: j, Base: &mintService{handler: http.HandlerFunc(
				func(w http.ResponseWriter, req *http.Request) {
					fields = append(fields, req.Header)
					if req.URL.Path == "/a" {
						http.Redirect(w, req, to, http.StatusTemporaryRedirect)
					}
				})}}
			fetched(t, rt, apiOrigin+"/a")
			if len(fields) != 2 {
				t.Fatalf("%s: %d hops", name, len(fields))
			}
			carries := func(h http.Header) bool {
				return h.Get("Authorization")+h.Get("X-Token")+h.Get("Cookie") != ""
			}
			if !carries(fields[0]) || carries(fields[1]) != (to == apiOrigin+"/b") {
				t.Errorf("%s, to %s: %v", name, to, fields)
			}
		}
	}
}

// A service may send the token back in a cookie, like one with sliding sessions. The caller's
// cookie jar does not take it to another port.
func TestJWTReissuedCookie_K1(t *testing.T) {
	const elsewhere = apiOrigin + ":8443/"
	for _, status := range []int{200, 302, 401} {
		var got []string // the cookies that the other port received
		jar, _ := cookiejar.New(nil)
		client := &http.Client{Jar: jar, Transport: &transport.Transport{
			Signer: &jwt.Signer{Key: mintSecret, Method: "HS256", Cookie: "session"},
			Base: &mintService{handler: http.HandlerFunc(
				func(w http.ResponseWriter, req *http.Request) {
					if req.URL.Port() != "" {
						got = append(got, req.Header.Get("Cookie"))
						return
					}
					w.Header().Add("Set-Cookie", "session=reissued; Path=/")
					w.Header().Add("Set-Cookie", "other=mine; Path=/")
					w.Header().Set("Location", elsewhere)
					w.WriteHeader(status)
				})},
		}}
		resp, err := client.Do(requestTo(t, apiOrigin))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if status == 302 && (len(got) != 1 || got[0] != "other=mine") {
			t.Errorf("a redirect took along %q", got)
		}
		if cookies := jar.Cookies(requestTo(t, elsewhere).URL); len(cookies) != 1 {
			t.Errorf("status %d: the jar has %v", status, cookies)
		}
	}
}

func TestJWTKit(t *testing.T) {
	for name, places := range map[string][3]string{
		"bearer": {}, "other scheme": {"JWT"}, "other field": {"", "X-Token"},
		"cookie": {"", "", "session"},
	} {
		t.Run(name, func(t *testing.T) {
			schemetest.Run(t, schemetest.Pair{
				New: func(*testing.T) (transport.Signer, auth.Authenticator) {
					j := &jwt.Signer{
						Key: []byte(kitSecret), Method: "HS256",
						Scheme: places[0], Header: places[1], Cookie: places[2],
						Claims: func(*http.Request) (map[string]any, error) {
							return map[string]any{"sub": "alice"}, nil
						},
					}
					return j, &jwt.Verifier{
						Keys:   &jwt.Key{Method: "HS256", Key: []byte(kitSecret)},
						Scheme: places[0], Header: places[1], Cookie: places[2],
					}
				},
				Fixed: true, Secrets: []string{kitSecret},
			})
		})
	}
}

const kitSecret = "canary-31fd0a-canary-31fd0a-canary-31fd0a"

// Without a key, the first request fails and is not sent.
func TestNoKeyNothingSent(t *testing.T) {
	s := &mintService{handler: http.NotFoundHandler()}
	client := &http.Client{Transport: &transport.Transport{Signer: &jwt.Signer{}, Base: s}}
	_, err := client.Do(requestTo(t, apiOrigin))
	if !errors.Is(err, jwt.ErrKey) || len(s.sent) != 0 {
		t.Errorf("%v, and %d requests", err, len(s.sent))
	}
}

// A server whose clock is far ahead does not get tokens that another server would accept later. The
// claims of such a token must name this server alone.
func TestClockFarAhead_M3(t *testing.T) {
	const limit = 24 * time.Hour
	for _, tt := range []struct {
		name  string
		ahead time.Duration // of the server's clock
		aud   any
		ok    bool
	}{
		{"a day, for any server", limit, nil, true},
		{"over a day, for any server", limit + time.Minute, nil, false},
		{"a year, for any server", 365 * limit, nil, false},
		{"a year, for another server", 365 * limit, "https://b.example", false},
		{"a year, for this server by another name", 365 * limit, "api", false},
		{"a year, for this server", 365 * limit, apiOrigin, true},
		{"a year, for this server in a list", 365 * limit, []string{apiOrigin}, true},
		{"a year, for this server among others", 365 * limit, []string{"x", apiOrigin}, false},
		{"a year behind, for any server", -365 * limit, nil, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			j := &jwt.Signer{Key: mintSecret, Method: "HS256",
				Claims: func(*http.Request) (map[string]any, error) {
					claims := map[string]any{"sub": "bob"}
					if tt.aud != nil {
						claims["aud"] = tt.aud
					}
					return claims, nil
				}}
			s := &mintService{ahead: tt.ahead}
			s.handler = s.strict(`Bearer error="invalid_token"`)
			status, history := fetched(t, &transport.Transport{Signer: j, Base: s}, apiOrigin)
			if (status == 200) != tt.ok {
				t.Errorf("%s: status %d, %v", tt.name, status, history)
			}
			for _, field := range s.sent {
				_, claims := opened(t, field[len("Bearer "):])
				iat, _ := claims["iat"].(json.Number).Int64()
				if far := time.Unix(iat, 0).After(time.Now().Add(limit)); far && !tt.ok {
					t.Errorf("%s: a token of %v was sent", tt.name, time.Unix(iat, 0))
				}
			}
			err := j.Sign(requestTo(t, apiOrigin), time.Now().Add(tt.ahead))
			if (err == nil) != tt.ok || err != nil && !strings.Contains(err.Error(), apiOrigin) {
				t.Errorf("%s: Sign: %v", tt.name, err)
			}
		})
	}
}
