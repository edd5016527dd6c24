package mac_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/mac"
)

var (
	_ auth.Authenticator = (*mac.Verifier)(nil)
	_ auth.Challenger    = (*mac.Verifier)(nil)
)

func TestIdentity(t *testing.T) {
	given := auth.Identity{Subject: "ann", Scheme: "Demo", Groups: []string{"g"},
		Claims: map[string]any{"c": 1}, Expires: testTime.Add(time.Second)}
	key := &mac.Key{Secret: testCreds.Key}
	v := &mac.Verifier{
		Keys:   func(context.Context, string) (*mac.Key, error) { return key, nil },
		Nonces: anyNonce{},
	}
	req := signed(t, newRequest(t, "GET", "http://example.com/"))
	got, err := v.AuthenticateAt(req, testTime)
	if err != nil || got.Subject != testCreds.ID || got.Scheme != "MAC" {
		t.Errorf("empty: %+v, %v", got, err)
	}
	key.Identity = given
	got, err = v.AuthenticateAt(req, testTime)
	if err != nil || got.Subject != "ann" || got.Scheme != "Demo" || len(got.Groups) != 1 ||
		len(got.Claims) != 1 || got.Expires != given.Expires {
		t.Errorf("full: %+v, %v", got, err)
	}
	if got == &key.Identity {
		t.Error("the identity is the key's own, not a copy")
	}
}

// TestWindow_R3_R4 checks timestamps around the edges, and timestamps that would overflow a
// Duration.
func TestWindow_R3_R4(t *testing.T) {
	const now = 1336363200
	century := 100 * 365 * 24 * time.Hour
	tests := []struct {
		window time.Duration
		ts     string
		ok     bool
	}{
		{0, "1336363140", true}, {0, "1336363139", false}, // 60 s by default
		{0, "1336363260", true}, {0, "1336363261", false},
		{time.Second, "1336363199", true}, {time.Second, "1336363198", false},
		{1500 * time.Millisecond, "1336363198", false}, // whole seconds
		{1, "1336363200", true}, {1, "1336363199", false}, {1, "1336363201", false},
		{0, "1", false}, {0, "999999999999999", false},
		{century, "1", true}, {century, "9999999999", false}, {century, "999999999999999", false},
		{math.MaxInt64, "9999999999", true}, {math.MaxInt64, "99999999999", false},
	}
	for _, test := range tests {
		for _, fraction := range []time.Duration{0, 1, time.Second - 1} {
			v := newVerifier()
			v.Window = test.window
			req := signedAt(t, testCreds, test.ts, "n")
			_, err := v.AuthenticateAt(req, time.Unix(now, 0).Add(fraction))
			if test.ok != (err == nil) || !test.ok && !errors.Is(err, mac.ErrStale) {
				t.Errorf("window %v, ts %s, now+%v: %v", test.window, test.ts, fraction, err)
			}
		}
	}
}

// TestOrder sends a request with every fault at once, and corrects them one by one. The first fault
// in the documented order decides, and neither Keys nor Nonces is called too early.
func TestOrder(t *testing.T) {
	var asked []string
	key := &mac.Key{Secret: testCreds.Key, Identity: auth.Identity{Expires: testTime}}
	known := false
	v := &mac.Verifier{
		BodyDigest: true,
		Keys: func(_ context.Context, id string) (*mac.Key, error) {
			asked = append(asked, "key")
			if !known {
				return nil, mac.ErrUnknownID
			}
			return key, nil
		},
		Nonces: nonceFunc(func(string, string, time.Time) (bool, error) {
			asked = append(asked, "nonce")
			return asked[0] == "fresh", nil
		}),
	}
	body := func(req *http.Request) *http.Request {
		req.Body = http.NoBody
		req.Body = readCloser{strings.NewReader("x"), nil}
		return req
	}
	header := signedAt(t, testCreds, "1336363200", "n").Header
	type r = *http.Request
	steps := []struct {
		mend  func(r)
		want  error
		asked string
	}{
		{func(r r) { r.Header.Set("Authorization", "MAC ts=0") }, mac.ErrMalformed, ""},
		{func(r r) { r.Header = signedAt(t, testCreds, "1", "n").Header }, mac.ErrStale, ""},
		{func(r r) { r.Header, r.RequestURI = header, "/\xff" }, mac.ErrMalformed, ""},
		{func(r r) { r.RequestURI = "/other" }, mac.ErrInvalid, "key"},
		{func(r) { known = true }, mac.ErrInvalid, "key"},
		{func(r r) { r.RequestURI = "/" }, mac.ErrExpired, "key"},
		{func(r) { key.Identity.Expires = testTime.Add(1) }, mac.ErrReplayed, "key nonce"},
		{func(r) { asked = []string{"fresh"} }, mac.ErrDigest, "fresh key nonce"},
	}
	req := body(newRequest(t, "GET", "http://example.com/"))
	req.RequestURI = "/"
	for i, step := range steps {
		asked = nil
		step.mend(req)
		_, err := v.AuthenticateAt(body(req), testTime)
		if !errors.Is(err, step.want) || strings.Join(asked, " ") != step.asked {
			t.Errorf("step %d: %v, asked %v; want %v, %s", i, err, asked, step.want, step.asked)
		}
	}
}

type nonceFunc func(id, nonce string, until time.Time) (bool, error)

func (f nonceFunc) Claim(_ context.Context, id, nonce string, until time.Time) (bool, error) {
	return f(id, nonce, until)
}

// TestNonceAfterMAC_R8_S3 sends requests from clients without a key. The Verifier must store
// nothing.
func TestNonceAfterMAC_R8_S3(t *testing.T) {
	v := &mac.Verifier{Keys: oneKey(testCreds),
		Nonces: nonceFunc(func(id, nonce string, _ time.Time) (bool, error) {
			t.Errorf("the nonce %q of %q is claimed", nonce, id)
			return true, nil
		})}
	req := signedAt(t, testCreds, "1336363200", "n")
	line := req.Header.Get("Authorization")
	for _, bad := range []string{
		strings.Replace(line, "h480", "h481", 1), // an unknown id
		strings.Replace(line, `"n"`, `"m"`, 1),   // a wrong MAC
		strings.Replace(line, "1336363200", "1336363500", 1),
	} {
		for range 1000 {
			req.Header.Set("Authorization", bad)
			if _, err := v.AuthenticateAt(req, testTime); err == nil {
				t.Fatalf("%s passes", bad)
			}
		}
	}
}

// TestUnknownID_S2 compares the responses to an unknown id and to a wrong MAC.
func TestUnknownID_S2(t *testing.T) {
	wrapped := func(context.Context, string) (*mac.Key, error) {
		return nil, errors.Join(errors.New("no row"), mac.ErrUnknownID)
	}
	none := func(context.Context, string) (*mac.Key, error) { return nil, nil }
	other := oneKey(&mac.Credentials{ID: testCreds.ID, Key: []byte("another key")})
	for _, a := range []string{mac.SHA256, mac.SHA1} {
		c := &mac.Credentials{ID: testCreds.ID, Key: testCreds.Key, Algorithm: a}
		unknown := oneKey(&mac.Credentials{ID: "x"})
		for _, keys := range []mac.KeyFunc{unknown, wrapped, none, other} {
			v := &mac.Verifier{Keys: keys}
			_, err := v.AuthenticateAt(signedAt(t, c, "1336363200", "n"), testTime)
			if !errors.Is(err, mac.ErrInvalid) || errors.Is(err, mac.ErrUnknownID) {
				t.Errorf("%v, want ErrInvalid and no more", err)
			}
			if got := challenge(v, err); got != `MAC error="invalid"` {
				t.Errorf("challenge %s", got)
			}
		}
	}
	// A MAC made with another algorithm is wrong, even if it is correct for that algorithm.
	sha1 := &mac.Credentials{ID: testCreds.ID, Key: testCreds.Key, Algorithm: mac.SHA1}
	_, err := newVerifier().AuthenticateAt(signedAt(t, sha1, "1336363200", "n"), testTime)
	if !errors.Is(err, mac.ErrInvalid) {
		t.Errorf("another algorithm: %v", err)
	}
}

// TestUnknownKeyMatchesNothing signs with the key that a Verifier uses for unknown ids.
func TestUnknownKeyMatchesNothing(t *testing.T) {
	c := &mac.Credentials{ID: "nobody", Key: []byte(mac.UnknownKey)}
	err := authenticate(newVerifier(), signedAt(t, c, "1336363200", "n"))
	if !errors.Is(err, mac.ErrInvalid) {
		t.Errorf("%v, want ErrInvalid", err)
	}
}

// TestOutage_S9 has stores that fail, and Verifiers that cannot work. The answer is neither 200 nor
// 401.
func TestOutage_S9(t *testing.T) {
	down := errors.New("connection refused")
	failing := func(context.Context, string) (*mac.Key, error) { return nil, down }
	give := func(k mac.Key) mac.KeyFunc {
		return func(context.Context, string) (*mac.Key, error) { return &k, nil }
	}
	nonces := nonceFunc(func(string, string, time.Time) (bool, error) { return true, down })
	keys := oneKey(testCreds)
	odd := mac.Key{Secret: []byte("k"), Algorithm: "hmac-md5"}
	tests := []struct {
		name  string
		v     *mac.Verifier
		cause error
	}{
		{"Keys fails", &mac.Verifier{Keys: failing}, down},
		{"Nonces fails", &mac.Verifier{Keys: keys, Nonces: nonces}, down},
		{"no Keys", &mac.Verifier{}, nil},
		{"an empty Secret", &mac.Verifier{Keys: give(mac.Key{})}, nil},
		{"an unknown Algorithm", &mac.Verifier{Keys: give(odd)}, nil},
		{"a negative Window", &mac.Verifier{Keys: keys, Window: -1}, nil},
		{"the Django dialect", &mac.Verifier{Keys: keys, Dialect: mac.Django}, nil},
		{"no dialect", &mac.Verifier{Keys: keys, Dialect: 7}, nil},
		{"no host", &mac.Verifier{Keys: keys, PublicURL: &url.URL{Scheme: "http"}}, nil},
		{"no scheme", &mac.Verifier{Keys: keys, PublicURL: &url.URL{Host: "h"}}, nil},
	}
	for _, test := range tests {
		_, err := test.v.AuthenticateAt(signedAt(t, testCreds, "1336363200", "n"), testTime)
		if !errors.Is(err, auth.ErrUnavailable) {
			t.Errorf("%s: %v, want ErrUnavailable", test.name, err)
		}
		if test.cause != nil && !errors.Is(err, test.cause) {
			t.Errorf("%s: %v, want the cause too", test.name, err)
		}
		if !strings.HasPrefix(err.Error(), "mac: ") {
			t.Errorf("%s: the text %q does not say whose it is", test.name, err)
		}
		if err := authenticate(test.v, newRequest(t, "GET", "/")); !errors.Is(err, auth.ErrNone) {
			t.Errorf("%s, no header: %v, want ErrNone", test.name, err)
		}
	}
}

// TestVerifierCheck checks the errors that a program gets when it starts.
func TestVerifierCheck(t *testing.T) {
	keys := oneKey(testCreds)
	for _, v := range []*mac.Verifier{
		{}, {Keys: keys, Window: -1}, {Keys: keys, Dialect: mac.Django}, {Keys: keys, Dialect: 7},
		{Keys: keys, PublicURL: &url.URL{Scheme: "http"}},
	} {
		err := v.Check()
		if err == nil || errors.Is(err, auth.ErrUnavailable) {
			t.Errorf("%+v: %v, want an error that is not an outage", v, err)
		}
	}
	if err := (&mac.Verifier{Keys: keys, Dialect: mac.WebOb}).Check(); err != nil {
		t.Error(err)
	}
}

func TestKeysGetTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	v := &mac.Verifier{Keys: func(ctx context.Context, _ string) (*mac.Key, error) {
		return nil, ctx.Err()
	}}
	_, err := v.AuthenticateAt(signedAt(t, testCreds, "1336363200", "n").WithContext(ctx), testTime)
	if !errors.Is(err, context.Canceled) || !errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("%v, want Canceled and ErrUnavailable", err)
	}
}

// challenge returns the WWW-Authenticate field that answers err.
func challenge(c auth.Challenger, err error) string {
	h := http.Header{}
	c.Challenge(h, httptest.NewRequest("GET", "/", nil), err)
	return h.Get("WWW-Authenticate")
}

func TestChallenge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tests := []struct { // the time is 2000-01-01
			err  error
			want string
		}{
			{nil, `MAC`},
			{auth.ErrNone, `MAC`},
			{mac.ErrStale, `MAC error="stale", ts="946684800"`},
			{mac.ErrReplayed, `MAC error="nonce"`},
			{mac.ErrExpired, `MAC error="expired"`},
			{mac.ErrInvalid, `MAC error="invalid"`},
			{mac.ErrMalformed, `MAC error="invalid"`},
			{mac.ErrDigest, `MAC error="invalid"`},
			{errors.New("anything"), `MAC error="invalid"`},
			{errors.Join(errors.New("wrapped"), mac.ErrStale), `MAC error="stale", ts="946684800"`},
			{fmt.Errorf("wrapped: %w", &auth.ScopeError{Scope: "write"}), "MAC"},
		}
		for _, test := range tests {
			if got := challenge(new(mac.Verifier), test.err); got != test.want {
				t.Errorf("%v: %s, want %s", test.err, got, test.want)
			}
		}
	})
}

// TestStaleIsMended has a client that signs again at once with the time it is told. The Verifier
// accepts it.
func TestStaleIsMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, notBefore := range []time.Time{{}, time.Now().Add(-time.Second)} {
			v := &mac.Verifier{Keys: oneKey(testCreds), NotBefore: notBefore}
			s := &mac.Signer{Source: testCreds}
			req := newRequest(t, "GET", "http://example.com/")
			for _, now := range []time.Time{
				time.Unix(1, 0), time.Now().AddDate(-1, 0, 0), time.Now().AddDate(0, 0, 1),
			} {
				if err := s.Sign(req, now); err != nil {
					t.Fatal(err)
				}
				_, err := v.Authenticate(received(req))
				if !errors.Is(err, mac.ErrStale) {
					t.Fatalf("%v, want ErrStale", err)
				}
				refusal := s.Read(&http.Response{
					Header: http.Header{"Www-Authenticate": {challenge(v, err)}}})
				if refusal.Cause != "stale" {
					t.Fatalf("read as %+v", refusal)
				}
				if err := s.Sign(req, refusal.ServerTime); err != nil {
					t.Fatal(err)
				}
				if _, err := v.Authenticate(received(req)); err != nil {
					t.Errorf("NotBefore %v: the second try is refused: %v", notBefore, err)
				}
			}
		}
	})
}
