package jwt_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/jwt"
)

const keysURL = "https://issuer.example/keys"

// An issuer publishes a key set, or any other response.
type issuer struct {
	calls atomic.Int32
	takes time.Duration // how long a response takes

	mu sync.Mutex // guards the fields below
	publication
}

// A publication is the response of an issuer.
type publication struct {
	status int
	set    string
	answer func(*http.Request) (*http.Response, error) // if nil, status and set
}

func (i *issuer) publish(p publication) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.publication = p
}

func (i *issuer) RoundTrip(req *http.Request) (*http.Response, error) {
	i.calls.Add(1)
	select {
	case <-time.After(i.takes):
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.answer != nil {
		return i.answer(req)
	}
	return response(req, i.status, strings.NewReader(i.set)), nil
}

func response(req *http.Request, status int, body io.Reader) *http.Response {
	return &http.Response{
		StatusCode: status, Header: make(http.Header), Body: io.NopCloser(body), Request: req,
	}
}

func newIssuer(set string) *issuer {
	return &issuer{publication: publication{status: 200, set: set}}
}

// keys returns a JWKS that fetches from i.
func (i *issuer) keys() *jwt.JWKS {
	return &jwt.JWKS{URL: keysURL, HTTP: &http.Client{Transport: i}}
}

// jwk returns the public half of an EC key as a JWK, with changes.
func jwk(key *ecdsa.PrivateKey, kid string, change map[string]any) map[string]any {
	size := (key.Curve.Params().BitSize + 7) / 8
	number := func(n *big.Int) string {
		return base64.RawURLEncoding.EncodeToString(n.FillBytes(make([]byte, size)))
	}
	point := must(key.PublicKey.Bytes())
	x, y := new(big.Int).SetBytes(point[1:1+size]), new(big.Int).SetBytes(point[1+size:])
	m := map[string]any{
		"kty": "EC", "crv": key.Curve.Params().Name, "x": number(x), "y": number(y),
	}
	if kid != "" {
		m["kid"] = kid
	}
	maps.Copy(m, change)
	return m
}

func rsaJWK(kid string, change map[string]any) map[string]any {
	n := rsaKey().N
	m := map[string]any{
		"kty": "RSA", "kid": kid, "n": base64.RawURLEncoding.EncodeToString(n.Bytes()), "e": "AQAB",
	}
	maps.Copy(m, change)
	return m
}

func setOf(keys ...map[string]any) string {
	if keys == nil {
		keys = []map[string]any{}
	}
	return string(must(json.Marshal(map[string]any{"keys": keys})))
}

func newEC() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

// tokenBy returns a token that is valid for an hour.
func tokenBy(t testing.TB, key any, method, kid string) string {
	t.Helper()
	header := map[string]any{"alg": method}
	if kid != "" {
		header["kid"] = kid
	}
	return mint(t, &jwt.Key{Method: method, Key: key}, header, claimsOf("1", time.Hour))
}

func verdict(keys jwt.KeySet, token string) error {
	_, err := (&jwt.Verifier{Keys: keys}).Authenticate(withToken(token))
	return err
}

// expect checks the error for a token, and the number of calls of the issuer so far.
func (i *issuer) expect(t *testing.T, what string, err, want error, calls int32) {
	t.Helper()
	if !errors.Is(err, want) || err != nil && errors.Is(err, auth.ErrUnavailable) &&
		!errors.Is(want, auth.ErrUnavailable) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
	if n := i.calls.Load(); n != calls {
		t.Errorf("%s: %d calls, want %d", what, n, calls)
	}
}

func TestJWKSRotation_J14(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, next := newEC(), newEC()
		i := newIssuer(setOf(jwk(old, "a", nil)))
		keys := i.keys()
		ofOld := func() string { return tokenBy(t, old, "ES256", "a") }
		ofNext := func() string { return tokenBy(t, next, "ES256", "b") }

		i.expect(t, "first", verdict(keys, ofOld()), nil, 1)
		i.expect(t, "from the copy", verdict(keys, ofOld()), nil, 1)
		i.publish(publication{status: 200, set: setOf(jwk(old, "a", nil), jwk(next, "b", nil))})
		i.expect(t, "new key, at once", verdict(keys, ofNext()), jwt.ErrRefused, 1)
		time.Sleep(time.Minute)
		i.expect(t, "new key, later", verdict(keys, ofNext()), nil, 2)
		i.expect(t, "old key", verdict(keys, ofOld()), nil, 2)

		i.publish(publication{status: 200, set: setOf(jwk(next, "b", nil))})
		time.Sleep(time.Hour - time.Nanosecond)
		i.expect(t, "taken back, and not noticed yet", verdict(keys, ofOld()), nil, 2)
		time.Sleep(time.Nanosecond)
		if err := verdict(keys, ofNext()); err != nil {
			t.Errorf("known key of an old copy: %v", err)
		}
		synctest.Wait() // until the fetch in the background ends
		i.expect(t, "taken back", verdict(keys, ofOld()), jwt.ErrRefused, 3)
		i.expect(t, "kept", verdict(keys, ofNext()), nil, 3)
	})
}

// TestJWKSBackground_J14 checks that an old copy answers at once while a new one is fetched.
func TestJWKSBackground_J14(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newEC()
		i := newIssuer(setOf(jwk(key, "a", nil)))
		i.takes = time.Second
		keys := i.keys()
		verdict(keys, tokenBy(t, key, "ES256", "a"))
		time.Sleep(2 * time.Hour)
		start := time.Now()
		if err := verdict(keys, tokenBy(t, key, "ES256", "a")); err != nil {
			t.Errorf("old copy: %v", err)
		}
		if time.Since(start) != 0 {
			t.Error("a known key had to wait for a fetch")
		}
		// A caller with an unknown key waits for the running fetch.
		err := verdict(keys, tokenBy(t, key, "ES256", "b"))
		i.expect(t, "unknown", err, jwt.ErrRefused, 2)
		if time.Since(start) != time.Second {
			t.Errorf("waited %v, want 1 s", time.Since(start))
		}
	})
}

// TestJWKSFailure_J14 lets the fetch fail in many ways. The old copy serves for 24 hours, with one
// call a minute, and a fetch that succeeds replaces it.
func TestJWKSFailure_J14(t *testing.T) {
	key := newEC()
	good := setOf(jwk(key, "a", nil))
	read := 0
	for name, bad := range map[string]publication{
		"down": {status: 503},
		"no connection": {answer: func(*http.Request) (*http.Response, error) {
			return nil, io.EOF
		}},
		"gone":           {status: 404, set: good},
		"garbage":        {status: 200, set: "garbage"},
		"cut":            {status: 200, set: good[:len(good)-1]},
		"doubled":        {status: 200, set: good + good},
		"name twice":     {status: 200, set: `{"keys":[],` + good[1:]},
		"other case":     {status: 200, set: strings.Replace(good, "keys", "KEYS", 1)},
		"empty":          {status: 200, set: setOf()},
		"no list":        {status: 200, set: `{"keys":{}}`},
		"list of texts":  {status: 200, set: `{"keys":["a"]}`},
		"nothing usable": {status: 200, set: setOf(jwk(key, "a", map[string]any{"use": "enc"}))},
		"1 MiB and more": {status: 200, set: good + strings.Repeat(" ", 1<<20)},
		"1 GiB": {answer: func(req *http.Request) (*http.Response, error) {
			return response(req, 200, io.LimitReader(blanks{&read}, 1<<30)), nil
		}},
		"slow drip": {answer: func(req *http.Request) (*http.Response, error) {
			return response(req, 200, drip{}), nil
		}},
		"elsewhere": {answer: func(req *http.Request) (*http.Response, error) {
			if req.URL.Host != "issuer.example" {
				return response(req, 200, strings.NewReader(good)), nil
			}
			resp := response(req, 307, strings.NewReader(""))
			resp.Header.Set("Location", "https://evil.example/keys")
			return resp, nil
		}},
		"panic": {answer: func(*http.Request) (*http.Response, error) { panic("oops") }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := newIssuer(good)
				keys := i.keys()
				token := func() string { return tokenBy(t, key, "ES256", "a") }
				i.expect(t, "first", verdict(keys, token()), nil, 1)
				start := time.Now()
				i.publish(bad)
				for time.Since(start) < 2*time.Hour {
					time.Sleep(20 * time.Second)
					if k, err := keys.VerificationKey(t.Context(), "a"); k == nil {
						t.Fatalf("after %v: %v", time.Since(start), err)
					}
				}
				if n := i.calls.Load(); n < 60 || n > 62 {
					t.Errorf("%d calls, want 1, and then one a minute for an hour", n)
				}
				time.Sleep(time.Until(start.Add(24*time.Hour - time.Second)))
				if err := verdict(keys, token()); err != nil {
					t.Errorf("on the last second of the copy: %v", err)
				}
				synctest.Wait()
				// A key that is not in the copy may be a new one.
				before := i.calls.Load()
				err := verdict(keys, tokenBy(t, key, "ES256", "b"))
				i.expect(t, "unknown", err, auth.ErrUnavailable, before)
				if keys.Err() == nil {
					t.Error("Err tells nothing")
				}
				time.Sleep(time.Until(start.Add(24 * time.Hour)))
				err = verdict(keys, token())
				i.expect(t, "too old", err, auth.ErrUnavailable, before)
				var later interface{ RetryAfter() time.Duration }
				if !errors.As(err, &later) || later.RetryAfter() <= 0 ||
					later.RetryAfter() > time.Minute {
					t.Errorf("no time to ask again in %v", err)
				}
				i.publish(publication{status: 200, set: good})
				time.Sleep(time.Minute)
				i.expect(t, "healed", verdict(keys, token()), nil, before+1)
				if keys.Err() != nil {
					t.Errorf("healed, and Err says %v", keys.Err())
				}
			})
		})
	}
	if calls := 65; read > calls*2<<20 {
		t.Errorf("%d MiB read of an endless answer", read>>20)
	}
}

type blanks struct{ read *int }

func (b blanks) Read(p []byte) (int, error) {
	*b.read += len(p)
	return copy(p, bytes.Repeat([]byte(" "), len(p))), nil
}

// drip is a body that delivers a byte every 5 seconds.
type drip struct{}

func (drip) Read(p []byte) (int, error) {
	time.Sleep(5 * time.Second)
	p[0] = ' '
	return 1, nil
}

// TestJWKSFlood_J14 asks for 10,000 unknown keys at once, for some minutes.
func TestJWKSFlood_J14(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newEC()
		i := newIssuer(setOf(jwk(key, "a", nil)))
		i.takes = 3 * time.Second
		keys := i.keys()
		for minute := range int32(3) {
			var flood sync.WaitGroup
			for n := range 10_000 {
				flood.Go(func() {
					_, err := keys.VerificationKey(t.Context(), fmt.Sprint("unknown-", n))
					if !errors.Is(err, jwt.ErrUnknownKey) {
						t.Errorf("unknown key: %v", err)
					}
				})
			}
			flood.Go(func() {
				k, err := keys.VerificationKey(t.Context(), "a")
				if k == nil || err != nil {
					t.Errorf("known key: %v", err)
				}
			})
			flood.Wait()
			if n := i.calls.Load(); n != minute+1 {
				t.Errorf("%d calls in minute %d", n, minute)
			}
			time.Sleep(57 * time.Second)
		}
	})
}

// TestJWKSWaiters_X6 checks that a caller stops waiting when its context ends, and the other
// callers get their keys.
func TestJWKSWaiters_X6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newEC()
		i := newIssuer(setOf(jwk(key, "a", nil)))
		i.takes = 5 * time.Second
		keys := i.keys()
		first, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		var others sync.WaitGroup
		others.Go(func() {
			_, err := keys.VerificationKey(first, "a")
			if !errors.Is(err, auth.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the first: %v", err)
			}
			if time.Since(start) != time.Second {
				t.Errorf("the first waited for %v", time.Since(start))
			}
		})
		synctest.Wait()
		for range 99 {
			others.Go(func() {
				if k, err := keys.VerificationKey(t.Context(), "a"); k == nil || err != nil {
					t.Errorf("another: %v", err)
				}
			})
		}
		others.Wait()
		i.expect(t, "all", nil, nil, 1)
	})
}

// TestJWKSHangs_F5 checks that a fetch ends after 10 s.
func TestJWKSHangs_F5(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{takes: time.Hour}
		keys := i.keys()
		start := time.Now()
		_, err := keys.VerificationKey(t.Context(), "a")
		if !errors.Is(err, auth.ErrUnavailable) || time.Since(start) != 10*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		_, err = keys.VerificationKey(t.Context(), "a")
		i.expect(t, "at once", err, auth.ErrUnavailable, 1)
		if time.Since(start) != 10*time.Second {
			t.Error("a failure was waited for again")
		}
	})
}

// TestJWKSAsPublished fetches sets from servers that redirect, send no content type, or begin with
// a byte order mark.
func TestJWKSAsPublished(t *testing.T) {
	key := newEC()
	set := setOf(jwk(key, "a", nil))
	page := func(req *http.Request, body string) *http.Response {
		resp := response(req, 200, strings.NewReader(body))
		resp.Header.Set("Content-Type", "text/html; charset=UTF-8")
		return resp
	}
	for name, tt := range map[string]struct {
		answer func(*http.Request) *http.Response
		want   string // in the error; "" if the set is accepted
	}{
		"a slash is added": {func(req *http.Request) *http.Response {
			if req.URL.Path == "/keys/" {
				return response(req, 200, strings.NewReader(set))
			}
			resp := response(req, 301, strings.NewReader(""))
			resp.Header.Set("Location", "/keys/")
			return resp
		}, ""},
		"redirected elsewhere": {func(req *http.Request) *http.Response {
			resp := response(req, 301, strings.NewReader(""))
			resp.Header.Set("Location", "https://other.example/keys")
			return resp
		}, "a redirect to another origin"},
		"JSON as a page": {func(req *http.Request) *http.Response { return page(req, set) }, ""},
		"a byte order mark": {func(req *http.Request) *http.Response {
			return page(req, "\ufeff"+set)
		}, ""},
		"a page": {func(req *http.Request) *http.Response {
			return page(req, "<html>"+set)
		}, "a web page instead of JSON"},
	} {
		i := newIssuer("")
		i.answer = func(req *http.Request) (*http.Response, error) { return tt.answer(req), nil }
		err := verdict(i.keys(), tokenBy(t, key, "ES256", "a"))
		if (err == nil) != (tt.want == "") || !strings.Contains(fmt.Sprint(err), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}
