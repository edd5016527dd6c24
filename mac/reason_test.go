package mac_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
)

// TestLogReason checks that the log gets the whole reason, and the sender none of it.
func TestLogReason(t *testing.T) {
	why := errors.New("signed with another secret")
	leaky := func(context.Context, string) (*mac.Key, error) {
		return nil, errors.Join(mac.ErrUnknownID, why, auth.ErrNone)
	}
	v := &mac.Verifier{Keys: leaky}
	_, err := v.AuthenticateAt(signedAt(t, testCreds, "1336363200", "n"), testTime)
	if !errors.Is(err, mac.ErrInvalid) || errors.Is(err, auth.ErrNone) {
		t.Errorf("%v: want ErrInvalid, and nothing that lets an optional request pass", err)
	}
	for _, part := range []string{testCreds.ID, why.Error()} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q lacks %q", err, part)
		}
	}
}

// TestLogNamesClient checks that a service's records say which client was refused and by how much
// its clock is off, and hold no secret.
func TestLogNamesClient(t *testing.T) {
	key := &mac.Key{
		Secret:   creds.Secret("canary-5e1f2a"),
		Identity: auth.Identity{Subject: "ann"},
	}
	c := &mac.Credentials{ID: "sealed", Key: key.Secret}
	ended := *key
	ended.Identity.Expires = time.Unix(1, 0)
	claimed := nonceFunc(func(string, string, time.Time) (bool, error) { return false, nil })
	now := time.Now().Unix()
	for _, tt := range []struct {
		reason string
		key    *mac.Key
		ts     int64
		secret string
		nonces auth.Nonces
		want   []string
	}{
		{"a clock that is behind", key, now - 3600, string(c.Key), anyNonce{},
			[]string{"offset=-1h0m", `id \"sealed\", 1h0m`, "behind"}},
		{"a clock that is ahead", key, now + 7200, string(c.Key), anyNonce{},
			[]string{"offset=", "ahead"}},
		{"a timestamp beyond all clocks", key, 999_999_999_999_999, string(c.Key), anyNonce{},
			[]string{"offset=2562047h47m16s", "ahead"}},
		{"credentials that have ended", &ended, now, string(c.Key), anyNonce{},
			[]string{"subject=ann", `of \"ann\"`}},
		{"a wrong MAC", key, now, "another", anyNonce{}, []string{"subject=ann"}},
		{"a nonce for the second time", key, now, string(c.Key), claimed,
			[]string{"subject=ann"}},
	} {
		var logged strings.Builder
		guard := &auth.Guard{
			Logger: slog.New(slog.NewTextHandler(&logged, nil)),
			Stack: auth.Stack{&mac.Verifier{Nonces: tt.nonces,
				Keys: func(context.Context, string) (*mac.Key, error) { return tt.key, nil }}},
		}
		signer := &mac.Credentials{ID: c.ID, Key: creds.Secret(tt.secret)}
		req := signedAt(t, signer, strconv.FormatInt(tt.ts, 10), "n")
		guard.Handler(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), req)
		for _, want := range tt.want {
			if !strings.Contains(logged.String(), want) {
				t.Errorf("%s: want %s in %s", tt.reason, want, &logged)
			}
		}
	}
}

// TestUnavailableWins_S9 has a KeyFunc whose error wraps both ErrUnknownID and auth.ErrUnavailable.
func TestUnavailableWins_S9(t *testing.T) {
	v := &mac.Verifier{Keys: func(context.Context, string) (*mac.Key, error) {
		return nil, errors.Join(mac.ErrUnknownID, auth.ErrUnavailable)
	}}
	_, err := v.AuthenticateAt(signedAt(t, testCreds, "1336363200", "n"), testTime)
	if !errors.Is(err, auth.ErrUnavailable) || errors.Is(err, mac.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

// TestMisspeltScheme_S5 sends credentials with a misspelt scheme. They must not pass for a request
// without credentials.
func TestMisspeltScheme_S5(t *testing.T) {
	for _, field := range []string{
		"MAC", "MAC,id=x", "MAC=x", "MAC;", "mac\tid=x", `MAC: id="x"`, `MACid="x"`, `MAC:id="x"`,
	} {
		req := received(newRequest(t, "GET", "http://example.com/"))
		req.Header.Set("Authorization", field)
		if err := authenticate(newVerifier(), req); !errors.Is(err, mac.ErrMalformed) {
			t.Errorf("%q: %v", field, err)
		}
	}
	for _, field := range []string{"Macaroon x", `MAC2 id="x"`, "Basic eDp5", `Digest mac="x"`} {
		req := received(newRequest(t, "GET", "http://example.com/"))
		req.Header.Set("Authorization", field)
		if err := authenticate(newVerifier(), req); !errors.Is(err, auth.ErrNone) {
			t.Errorf("%q is another scheme: %v", field, err)
		}
	}
}

// TestLongTarget_S3 sends targets that a client without a key could have copied and hashed.
func TestLongTarget_S3(t *testing.T) {
	for size, want := range map[int]error{64 << 10: nil, 64<<10 + 1: mac.ErrMalformed} {
		req := newRequest(t, "GET", "http://example.com/"+strings.Repeat("a", size-1))
		if err := (&mac.Signer{Source: testCreds}).Sign(req, testTime); err != nil {
			t.Fatal(err)
		}
		if err := authenticate(newVerifier(), received(req)); !errors.Is(err, want) {
			t.Errorf("%d bytes: %v, want %v", size, err, want)
		}
	}
}

// TestQuotaOfSubject_R6 has one user with many ids. They must not fill the memory for other users.
func TestQuotaOfSubject_R6(t *testing.T) {
	v := &mac.Verifier{
		Nonces: &auth.NonceMemory{MaxPerID: 5},
		Keys: func(_ context.Context, id string) (*mac.Key, error) {
			user, _, _ := strings.Cut(id, "-")
			return &mac.Key{Secret: testCreds.Key, Identity: auth.Identity{Subject: user}}, nil
		},
	}
	signed := func(id string) *http.Request {
		req := newRequest(t, "GET", "http://example.com/")
		signer := &mac.Signer{Source: &mac.Credentials{ID: id, Key: testCreds.Key}}
		if err := signer.Sign(req, time.Now()); err != nil {
			t.Fatal(err)
		}
		return received(req)
	}
	ask := func(req *http.Request) error {
		_, err := v.Authenticate(req)
		return err
	}
	for _, id := range []string{"mallory-a", "mallory-b", "mallory-c", "mallory-d", "mallory-e"} {
		if err := ask(signed(id)); err != nil {
			t.Fatal(err)
		}
	}
	if err := ask(signed("mallory-f")); !errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("the sixth request of one user: %v", err)
	}
	req := signed("alice-a")
	if err := ask(req); err != nil {
		t.Errorf("another user: %v", err)
	}
	// A captured request must not pass again under another id of the same user.
	field := strings.ReplaceAll(req.Header.Get("Authorization"), "alice-a", "alice-b")
	req.Header.Set("Authorization", field)
	if err := ask(req); !errors.Is(err, mac.ErrReplayed) {
		t.Errorf("the same request under another id: %v", err)
	}
}

// TestAbsoluteTarget_C9 reads targets whose scheme is not the server's.
func TestAbsoluteTarget_C9(t *testing.T) {
	for target, want := range map[string]error{
		"http://example.com/a": nil, "ftp://example.com:80/a": mac.ErrMalformed,
		"x://example.com:80/a": mac.ErrMalformed,
	} {
		req := received(newRequest(t, "GET", "http://example.com/a"))
		req.RequestURI = target
		text, err := mac.BaseString(req, mac.Draft01, "1336363200", "n", "")
		if (err == nil) != (want == nil) {
			t.Errorf("%s: %q, %v", target, text, err)
		}
	}
}

// TestDigestReadFull_C23 has a handler that reads exactly as many bytes as were announced.
func TestDigestReadFull_C23(t *testing.T) {
	v := newVerifier()
	v.BodyDigest = true
	body := bytes.Repeat([]byte("b"), 2*mib)
	req := postRequest(t, body)
	if err := digestSigner().Sign(req, testTime); err != nil {
		t.Fatal(err)
	}
	body[0] = 'x'
	got := received(req)
	got.Body, got.ContentLength = readCloser{bytes.NewReader(body), nil}, int64(len(body))
	if err := authenticate(v, got); err != nil {
		t.Fatal(err)
	}
	_, err := io.ReadFull(got.Body, make([]byte, len(body)))
	if err == nil {
		t.Error("a changed body was read whole, without an error")
	}
	if _, err := io.ReadAll(got.Body); !errors.Is(err, mac.ErrDigest) {
		t.Errorf("afterwards: %v", err)
	}
}

// TestUnreadableBody_B10 sends a body that ends too soon, or at a limit. The sender's credentials
// are not to blame.
func TestUnreadableBody_B10(t *testing.T) {
	v := newVerifier()
	v.BodyDigest = true
	req := postRequest(t, []byte("whole"))
	if err := digestSigner().Sign(req, testTime); err != nil {
		t.Fatal(err)
	}
	got := received(req)
	got.Body = http.MaxBytesReader(nil, io.NopCloser(strings.NewReader("whole")), 3)
	if err := authenticate(v, got); err != nil {
		t.Fatal(err)
	}
	read, err := io.ReadAll(got.Body)
	if _, limit := errors.AsType[*http.MaxBytesError](err); !limit || len(read) > 3 {
		t.Errorf("the handler reads %q, %v", read, err)
	}
}
