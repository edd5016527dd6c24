package jwt_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	jwtlib "github.com/golang-jwt/jwt/v5"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/jwt"
	"github.com/countersign-go/countersign/jwt/pyramid"
)

const apiOrigin = "https://api.example.com"

var (
	mintSecret = creds.Secret("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
	mintTime   = time.Unix(1705311000, 0)
)

func requestTo(t testing.TB, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// signAt returns the token that j puts on a request, in the Authorization field.
func signAt(t testing.TB, j *jwt.Signer, url string, now time.Time) string {
	t.Helper()
	req := requestTo(t, url)
	if err := j.Sign(req, now); err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
}

// opened returns the header and the claims of a token, with numbers as they are spelled. It does
// not check the signature.
func opened(t testing.TB, token string) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q has not three parts", token)
	}
	for i, m := range []*map[string]any{&header, &claims} {
		data, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		if err := d.Decode(m); err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// judge checks a signature with the library itself, not with the code under test.
func judge(t testing.TB, method, token string, key any) {
	t.Helper()
	parser := jwtlib.NewParser(jwtlib.WithValidMethods([]string{method}),
		jwtlib.WithoutClaimsValidation())
	_, err := parser.Parse(token, func(*jwtlib.Token) (any, error) { return key, nil })
	if err != nil {
		t.Errorf("%s: %v", method, err)
	}
}

func TestSignTimes(t *testing.T) {
	j := &jwt.Signer{Key: mintSecret, Method: "HS256", KeyID: "k1", Lifetime: time.Minute}
	for _, now := range []time.Time{
		mintTime, mintTime.Add(-48 * time.Hour), mintTime.Add(48*time.Hour + 999*time.Millisecond),
	} {
		token := signAt(t, j, apiOrigin, now)
		header, claims := opened(t, token)
		if got := asJSON(t, header); got != `{"alg":"HS256","kid":"k1","typ":"JWT"}` {
			t.Errorf("header %s", got)
		}
		issued := now.Unix() - 5
		want := fmt.Sprintf(`{"exp":%d,"iat":%d,"nbf":%d}`, issued+60, issued, issued)
		if got := asJSON(t, claims); got != want {
			t.Errorf("claims %s, want %s", got, want)
		}
		judge(t, "HS256", token, []byte(mintSecret))
	}
}

func TestSignClaims(t *testing.T) {
	claims := map[string]any{"sub": "bob", "exp": 1, "iat": 1, "nbf": 1, "jti": "mine",
		"big": json.Number("12345678901234567890123")}
	j := &jwt.Signer{Key: mintSecret, Method: "HS256", TokenID: true,
		Claims: func(*http.Request) (map[string]any, error) { return claims, nil }}
	_, got := opened(t, signAt(t, j, apiOrigin, mintTime))
	want := `{"big":12345678901234567890123,"exp":1705311295,"iat":1705310995,"jti":"mine",` +
		`"nbf":1705310995,"sub":"bob"}`
	if asJSON(t, got) != want {
		t.Errorf("claims %s, want %s", asJSON(t, got), want)
	}
	if claims["exp"] != 1 || len(claims) != 6 {
		t.Errorf("the claims of the caller were changed: %v", claims)
	}
}

func TestSignPlaces(t *testing.T) {
	for _, tt := range []struct {
		name string
		j    *jwt.Signer
		want string // TOKEN stands for the token
	}{
		{"default", &jwt.Signer{}, "map[Authorization:[Bearer TOKEN] Cookie:[a=1]]"},
		{"scheme", &jwt.Signer{Scheme: "JWT"}, "map[Authorization:[JWT TOKEN] Cookie:[a=1]]"},
		{"field", &jwt.Signer{Header: "x-token", Scheme: "JWT"},
			"map[Cookie:[a=1] X-Token:[TOKEN]]"},
		{"cookie", &jwt.Signer{Cookie: "session"}, "map[Cookie:[a=1; session=TOKEN]]"},
		{"cookie of a peer", &jwt.Signer{Cookie: "session", Encoding: pyramid.Cookie{}},
			"map[Cookie:[a=1; session=PYRAMID]]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.j.Key, tt.j.Method = mintSecret, "HS256"
			req := requestTo(t, apiOrigin)
			req.Header.Set("Cookie", "a=1")
			if err := tt.j.Sign(req, mintTime); err != nil {
				t.Fatal(err)
			}
			plain := &jwt.Signer{Key: mintSecret, Method: "HS256"}
			token := signAt(t, plain, apiOrigin, mintTime)
			want := strings.Replace(tt.want, "TOKEN", token, 1)
			want = strings.Replace(want, "PYRAMID",
				base64.URLEncoding.EncodeToString([]byte(`"`+token+`"`)), 1)
			if got := fmt.Sprint(req.Header); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// TestJWTSignErrors checks that mistakes in a Signer or a request are found at the first use.
func TestJWTSignErrors(t *testing.T) {
	rsaKey, _ := x509.MarshalPKIXPublicKey(&mintKeys.rsa.PublicKey)
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: rsaKey})
	broken := errors.New("broken")
	says := func(c map[string]any, err error) func(*http.Request) (map[string]any, error) {
		return func(*http.Request) (map[string]any, error) { return c, err }
	}
	for _, tt := range []struct {
		name string
		j    *jwt.Signer
		is   error  // if nil, any
		want string // part of the text
	}{
		{"nothing", &jwt.Signer{}, jwt.ErrKey, "Method"},
		{"J1 none", &jwt.Signer{Key: mintSecret, Method: "none"}, jwt.ErrKey, "Method"},
		{"J2 public key as a secret", &jwt.Signer{Key: public, Method: "HS256"},
			jwt.ErrKey, "key file"},
		{"J2 other family", &jwt.Signer{Key: mintKeys.rsa, Method: "ES256"}, jwt.ErrKey, "fit"},
		{"J13 empty", &jwt.Signer{Key: creds.Secret{}, Method: "HS256", Weak: true},
			jwt.ErrKey, "empty"},
		{"J13 short", &jwt.Signer{Key: mintSecret[:31], Method: "HS256"}, jwt.ErrKey, "Weak"},
		{"a public key", &jwt.Signer{Key: public, Method: "RS256"}, jwt.ErrKey, "sign"},
		{"two places", &jwt.Signer{Key: mintSecret, Method: "HS256", Header: "X", Cookie: "x"},
			nil, "choose one"},
		{"Claims fails", &jwt.Signer{Key: mintSecret, Method: "HS256", Claims: says(nil, broken)},
			broken, "broken"},
		{"claims that are no JSON", &jwt.Signer{Key: mintSecret, Method: "HS256",
			Claims: says(map[string]any{"f": func() {}}, nil)}, nil, "the claims of a token"},
		{"claims that are too long", &jwt.Signer{Key: mintSecret, Method: "HS256",
			Claims: says(map[string]any{"a": strings.Repeat("a", 8<<10)}, nil)}, nil, "fewer"},
		{"lifetime too short", &jwt.Signer{Key: mintSecret, Method: "HS256", Lifetime: 9999 *
			time.Millisecond}, nil, "under 10s"},
		{"lifetime negative", &jwt.Signer{Key: mintSecret, Method: "HS256", Lifetime: -1},
			nil, "under 10s"},
		{"lifetime too long", &jwt.Signer{Key: mintSecret, Method: "HS256",
			Lifetime: 24*time.Hour + 1}, nil, "aud"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := requestTo(t, apiOrigin)
			for range 2 { // the second error is the same as the first
				err := tt.j.Sign(req, mintTime)
				if err == nil || tt.is != nil && !errors.Is(err, tt.is) ||
					!strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, want %q", err, tt.want)
				}
			}
			if len(req.Header) > 0 {
				t.Errorf("the request has %v", req.Header)
			}
		})
	}
	j := &jwt.Signer{Key: mintSecret, Method: "HS256"}
	if err := j.Sign(new(http.Request), mintTime); err == nil {
		t.Error("signed a request without URL")
	}
}

// A long-lived token must be for one origin only.
func TestLongLifetime(t *testing.T) {
	for _, tt := range []struct {
		url string
		aud any
		ok  bool
	}{
		{"https://api.example.com/a", "https://api.example.com", true},
		{"https://API.example.com:443/", "https://api.example.com", true},
		{"http://[::1]:8080/", []string{"x", "http://[::1]:8080"}, true},
		{"http://localhost/", []any{1, "http://localhost"}, true},
		{"https://api.example.com", jwtlib.ClaimStrings{"https://api.example.com"}, true},
		{"https://api.example.com", "https://api.example.com/", false},
		{"https://api.example.com", "https://api.example.com:443", false},
		{"https://api.example.com", "http://api.example.com", false},
		{"https://api.example.com:8443", "https://api.example.com", false},
		{"https://api.example.com", []string{}, false},
		{"https://api.example.com", nil, false},
		{"https://api.example.com", 1, false},
	} {
		j := &jwt.Signer{Key: mintSecret, Method: "HS256", Lifetime: 30 * 24 * time.Hour,
			Claims: func(*http.Request) (map[string]any, error) {
				return map[string]any{"aud": tt.aud}, nil
			}}
		if err := j.Sign(requestTo(t, tt.url), mintTime); (err == nil) != tt.ok {
			t.Errorf("%s, aud %v: got %v", tt.url, tt.aud, err)
		}
	}
}

// mintKeys are made once, since an RSA key takes long.
var mintKeys = func() (k struct {
	rsa *rsa.PrivateKey
	ec  [3]*ecdsa.PrivateKey
	ed  ed25519.PrivateKey
}) {
	k.rsa, _ = rsa.GenerateKey(rand.Reader, 2048)
	for i, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		k.ec[i], _ = ecdsa.GenerateKey(curve, rand.Reader)
	}
	_, k.ed, _ = ed25519.GenerateKey(rand.Reader)
	return k
}()

// sealed signs, and exposes nothing else of its key.
type sealed struct{ inside crypto.Signer }

func (h sealed) Public() crypto.PublicKey { return h.inside.Public() }

func (h sealed) Sign(random io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	return h.inside.Sign(random, digest, o)
}

// TestJWTMethods signs with each method: with keys of the standard library, the same keys in PEM,
// and the same behind an interface, like hardware keys.
func TestJWTMethods(t *testing.T) {
	signers := map[string]crypto.Signer{
		"RS256": mintKeys.rsa, "RS384": mintKeys.rsa, "RS512": mintKeys.rsa,
		"PS256": mintKeys.rsa, "PS384": mintKeys.rsa, "PS512": mintKeys.rsa,
		"ES256": mintKeys.ec[0], "ES384": mintKeys.ec[1], "ES512": mintKeys.ec[2],
		"EdDSA": mintKeys.ed,
	}
	for method, signer := range signers {
		der, err := x509.MarshalPKCS8PrivateKey(signer)
		if err != nil {
			t.Fatal(err)
		}
		file := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		for form, key := range map[string]any{
			"plain": signer, "PEM": file, "PEM as Secret": creds.Secret(file),
			"hardware": sealed{signer},
		} {
			t.Run(method+" "+form, func(t *testing.T) {
				j := &jwt.Signer{Key: key, Method: method}
				judge(t, method, signAt(t, j, apiOrigin, mintTime), signer.Public())
				token, err := j.Token("bob", nil, 0)
				if err != nil {
					t.Fatal(err)
				}
				judge(t, method, token, signer.Public())
			})
		}
	}
	for _, method := range []string{"HS256", "HS384", "HS512"} {
		for _, key := range []any{mintSecret, []byte(mintSecret)} {
			j := &jwt.Signer{Key: key, Method: method}
			judge(t, method, signAt(t, j, apiOrigin, mintTime), []byte(mintSecret))
		}
	}
}

// unplugged is a hardware key that was removed.
type unplugged struct{ crypto.Signer }

func (unplugged) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, io.ErrClosedPipe
}

func TestHardwareFails(t *testing.T) {
	j := &jwt.Signer{Key: unplugged{mintKeys.ec[0]}, Method: "ES256"}
	if err := j.Sign(requestTo(t, apiOrigin), mintTime); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v", err)
	}
	if _, err := j.Token("bob", nil, 0); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v", err)
	}
}

func TestTokenID(t *testing.T) {
	j := &jwt.Signer{Key: mintSecret, Method: "HS256", TokenID: true}
	seen := make(map[any]bool)
	for range 100 {
		token, err := j.Token("bob", nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, claims := opened(t, token)
		id, _ := claims["jti"].(string)
		if len(id) < 26 { // of 32 characters each
			t.Fatalf("jti %q", id)
		}
		seen[id] = true
	}
	if len(seen) != 100 {
		t.Errorf("%d ids of 100 tokens", len(seen))
	}
}

func TestTokenErrors(t *testing.T) {
	j := &jwt.Signer{Key: mintSecret, Method: "HS256"}
	for name, claims := range map[string]map[string]any{
		"no claims": nil, "no sub": {"a": 1}, "empty sub": {"sub": ""}, "null": {"sub": nil},
	} {
		if token, err := j.Token("", claims, 0); err == nil {
			t.Errorf("%s: a token of nobody: %s", name, token)
		}
	}
	if _, err := j.Token("bob", map[string]any{"f": func() {}}, 0); err == nil {
		t.Error("a function is a claim")
	}
	if _, err := new(jwt.Signer).Token("bob", nil, 0); !errors.Is(err, jwt.ErrKey) {
		t.Errorf("without a key: %v", err)
	}
}

func TestTokenLifetimes(t *testing.T) {
	for _, tt := range []struct {
		name     string
		of, call time.Duration
		noExpiry bool
		want     string // exp - iat, "" for no exp
	}{
		{"default", 0, 0, false, "300"},
		{"own", time.Hour, 0, false, "3600"},
		{"own, although it may be without", time.Hour, 0, true, "3600"},
		{"the call's", time.Hour, time.Minute, false, "60"},
		{"the call's, although it may be without", 0, time.Minute, true, "60"},
		{"over a day", 0, 48 * time.Hour, false, "172800"},
		{"part of a second", 0, time.Millisecond, false, "1"},
		{"ended", 0, -time.Minute, false, "-60"},
		{"none", 0, 0, true, ""},
	} {
		j := &jwt.Signer{Key: mintSecret, Method: "HS256", Lifetime: tt.of, NoExpiry: tt.noExpiry}
		token, err := j.Token("bob", nil, tt.call)
		if err != nil {
			t.Fatal(err)
		}
		_, claims := opened(t, token)
		got := ""
		if exp, ok := claims["exp"].(json.Number); ok {
			end, _ := exp.Int64()
			start, _ := claims["iat"].(json.Number).Int64()
			got = fmt.Sprint(end - start)
		}
		if got != tt.want {
			t.Errorf("%s: lifetime %q, want %q", tt.name, got, tt.want)
		}
	}
}

// Concurrent first uses share the prepared key.
func TestJWTConcurrent(t *testing.T) {
	j := &jwt.Signer{Key: mintSecret, Method: "HS256", TokenID: true,
		Claims: func(req *http.Request) (map[string]any, error) {
			return map[string]any{"path": req.URL.Path}, nil
		}}
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			req := requestTo(t, fmt.Sprintf("https://host%d.example/%d", i%70, i%3))
			if err := j.Sign(req, time.Now()); err != nil {
				t.Error(err)
			}
			if _, err := j.Refresh(&http.Response{Request: req}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// TestJWTRedaction_K6 prints a Signer, after use, in all ways, and looks for its key.
func TestJWTRedaction_K6(t *testing.T) {
	const planted = "canary-9d41f0-canary-9d41f0-canary-9d41f0"
	var output bytes.Buffer
	handlers := []slog.Handler{slog.NewTextHandler(&output, nil), slog.NewJSONHandler(&output, nil)}
	for _, key := range []any{[]byte(planted), creds.Secret(planted)} {
		j := &jwt.Signer{Key: key, Method: "HS256", KeyID: "k"}
		signAt(t, j, apiOrigin, mintTime)
		s := &jwt.Session{Signer: j}
		if err := s.Set(httptest.NewRecorder(), "bob", nil); err != nil {
			t.Fatal(err)
		}
		for _, value := range []any{j, []*jwt.Signer{j}, struct{ J *jwt.Signer }{j},
			map[string]any{"j": j}, s, []*jwt.Session{s}} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
				fmt.Fprintf(&output, verb+"\n", value)
			}
			if text, err := json.Marshal(value); err == nil {
				output.Write(text)
			}
			for _, h := range handlers {
				slog.New(h).Info("value", "value", value)
			}
		}
		short := &jwt.Signer{Key: []byte(planted), Method: "HS512"}
		fmt.Fprintln(&output, short.Sign(requestTo(t, apiOrigin), mintTime))
	}
	raw := []byte(planted)
	for name, form := range map[string]string{
		"text": planted, "hex": hex.EncodeToString(raw), "HEX": fmt.Sprintf("%X", raw),
		"base64":  base64.RawStdEncoding.EncodeToString(raw),
		"numbers": strings.Trim(fmt.Sprint(raw), "[]"),
		"go":      strings.Trim(strings.TrimPrefix(fmt.Sprintf("%#v", raw), "[]byte"), "{}"),
	} {
		if strings.Contains(output.String(), form) {
			t.Errorf("the key is printed as %s", name)
		}
	}
	if !strings.Contains(output.String(), `{Method:"HS256" KeyID:"k"}`) {
		t.Error("what is no secret is not printed")
	}
}

// A token is not backdated by the time that Claims takes.
func TestSignAddsItsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &jwt.Signer{Key: mintSecret, Method: "HS256",
			Claims: func(*http.Request) (map[string]any, error) {
				time.Sleep(time.Minute)
				return map[string]any{}, nil
			}}
		start := time.Now()
		_, claims := opened(t, signAt(t, j, apiOrigin, start))
		if want := fmt.Sprint(start.Unix() + 60 - 5); fmt.Sprint(claims["iat"]) != want {
			t.Errorf("iat %v, want %s", claims["iat"], want)
		}
	})
}
