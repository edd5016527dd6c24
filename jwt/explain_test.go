package jwt_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	jwtlib "github.com/golang-jwt/jwt/v5"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/jwt"
)

func fields(name, value string) http.Header { return http.Header{name: {value}} }

// TestExplainer checks that a Verifier is an auth.Explainer.
func TestExplainer(t *testing.T) {
	v := &jwt.Verifier{Keys: hmacKey}
	for _, field := range []string{"", "Bearer x"} {
		req := &http.Request{Header: http.Header{"Authorization": {field}}}
		text, err := v.Explain(req)
		if want := jwt.Explain(req, v); text != want || text == "" || err != nil {
			t.Errorf("%q: %q, %v; want %q", field, text, err, want)
		}
	}
}

// TestExplain has one row for each common mistake with tokens.
func TestExplain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		claims := func(name string, value any) map[string]any {
			c := map[string]any{"sub": "ann", "exp": now.Add(time.Hour).Unix()}
			if c[name] = value; value == nil {
				delete(c, name)
			}
			return c
		}
		good := mint(t, hmacKey, nil, claims("x", 1))
		text := "0123456789abcdef0123456789abcdef" // of hmacKey
		with := func(secret []byte) string {
			key := &jwt.Key{Method: "HS256", Key: secret, Weak: true}
			return mint(t, key, nil, claims("x", 1))
		}
		public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY",
			Bytes: must(x509.MarshalPKIXPublicKey(rsaKey().Public()))})
		confused := func() string {
			m := jwtlib.NewWithClaims(jwtlib.SigningMethodHS256, jwtlib.MapClaims(claims("x", 1)))
			return must(m.SignedString(public))
		}
		cut := func(key *jwt.Key) string {
			token := mint(t, key, nil, claims("x", 1))
			return token[:strings.LastIndexByte(token, '.')+1+16] // whole groups of base64
		}
		rsaPublic := &jwt.Key{Method: "RS256", Key: rsaKey()}
		ec := &jwt.Key{Method: "ES256", Key: ecKey()}
		ed := &jwt.Key{Method: "EdDSA", Key: edKey()}
		other := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		short := strings.Split(good, ".")
		padded := short[0] + "." + short[1] + "." + short[2] + "="
		for _, tt := range []struct {
			reason   string
			header   http.Header
			verifier *jwt.Verifier // if its Keys are nil, hmacKey
			text     string
		}{
			{"good", nil, &jwt.Verifier{}, "the token is accepted"},
			{"no token", fields("X", "y"), nil, "there is no token in the request"},
			{"two tokens", http.Header{"Authorization": {"Bearer " + good, "Bearer " + good}}, nil,
				"more than one token"},
			{"a Verifier without keys", nil, &jwt.Verifier{Keys: jwt.KeyMap(nil), Leeway: -1},
				"the Leeway"},
			{"expired", bearing(mint(t, hmacKey, nil, claims("exp", now.Unix()-300))), nil,
				"the token expired 5m0s ago, and the Leeway is 0s"},
			{"no end", bearing(mint(t, hmacKey, nil, claims("exp", nil))), nil, "set NoExpiry"},
			{"not yet", bearing(mint(t, hmacKey, nil, claims("nbf", now.Unix()+90))), nil,
				"begins in 1m30s, by its nbf: compare the clocks"},
			{"from ahead", bearing(mint(t, hmacKey, nil, claims("iat", now.Unix()+90))), nil,
				"from 1m30s ahead"},
			{"another audience", bearing(mint(t, hmacKey, nil, claims("aud", "other"))),
				&jwt.Verifier{Audience: []string{"us"}},
				`for "other" and this service is ["us"]`},
			{"no audience", nil, &jwt.Verifier{Audience: []string{"us"}}, "set Audience"},
			{"another issuer", bearing(mint(t, hmacKey, nil, claims("iss", "https://a/"))),
				&jwt.Verifier{Issuer: "https://a"},
				`from "https://a/" and not from "https://a"`},
			{"another kind", bearing(mint(t, hmacKey, map[string]string{"alg": "HS256",
				"typ": "logout+jwt"}, claims("x", 1))), nil, "typ"},
			{"nobody", bearing(mint(t, hmacKey, nil, claims("sub", ""))), nil,
				"is empty or is not"},
			{"revoked", nil, &jwt.Verifier{
				Revoked: func(context.Context, map[string]any) (bool, error) { return true, nil },
			}, "revoked"},
			{"claims that are none", bearing(mint(t, hmacKey, nil, "[]")), nil, "its claims"},
			{"another method", bearing(mint(t, ec, nil, claims("x", 1))), nil,
				`signed by "ES256" and the key is for HS256: set the Method`},
			{"a public key as a secret", bearing(confused()), &jwt.Verifier{Keys: rsaPublic},
				"the public key as a secret"},
			{"unknown id", bearing(mint(t, hmacKey, map[string]string{"alg": "HS256", "kid": "b"},
				claims("x", 1))), &jwt.Verifier{Keys: jwt.KeyMap{"a": hmacKey, "n": nil}},
				`no key of the id "b" here: compare the kid of the token with the ids in Keys; ` +
					`that of "a" has signed it`},
			{"unknown id of another", nil, &jwt.Verifier{Keys: jwt.KeyMap{"a": ec}},
				`no key of the id ""`},
			{"key decoded", bearing(with(must(base64std.DecodeString(text)))), nil,
				"would match with the key decoded from base64"},
			{"key encoded", bearing(with([]byte(base64std.EncodeToString([]byte(text))))), nil,
				"would match with the key encoded in base64"},
			{"key from hexadecimal", bearing(with(must(hex.DecodeString(text)))), nil,
				"would match with the key decoded from hexadecimal"},
			{"a line feed", bearing(with([]byte(text + "\n"))), nil, "a line feed at the end"},
			{"another key", bearing(with([]byte("other"))), nil, "no known distortion"},
			{"another EC key", bearing(mint(t, ec, nil, claims("x", 1))), &jwt.Verifier{
				Keys: &jwt.Key{Method: "ES256", Key: other}}, "no known distortion"},
			{"cut off", bearing(cut(hmacKey)), nil, "the signature has 12 bytes"},
			{"an RSA token cut off", bearing(cut(rsaPublic)), &jwt.Verifier{Keys: rsaPublic},
				"one of RS256 has 256"},
			{"an EC token cut off", bearing(cut(ec)), &jwt.Verifier{Keys: ec}, "ES256 has 64"},
			{"an Ed token cut off", bearing(cut(ed)), &jwt.Verifier{Keys: ed}, "EdDSA has 64"},
			{"cut within a group", bearing(good[:len(good)-1]), nil, "cut off"},
			{"cut in the claims", bearing(good[:50]), nil, "it was cut off"},
			{"opaque", bearing("abc123"), nil, "something opaque"},
			{"encrypted", bearing("ey.a.b.c.d"), nil, "it is encrypted"},
			{"another word", fields("Authorization", "JWT "+good), nil,
				`in the field "Authorization" behind the word "JWT"`},
			{"no word", fields("Authorization", good), nil, `no "Bearer" in front`},
			{"two words", fields("Authorization", "Bearer Bearer "+good), nil,
				"without a second word in front, and then: the token is accepted"},
			{"another field", fields("X-Token", good), nil, `in the field "X-Token": set Header`},
			{"another field and a word", fields("X-Token", "Bearer "+good), nil, `behind the word`},
			{"another field and no word", fields("X-Token", `a:"b" `+good), nil,
				"there is no token in the request"},
			{"a cookie", fields("Cookie", "a=b; session="+good), nil, `the cookie "session": set`},
			{"a cookie between quotes", fields("Cookie", `session="`+good+`"`), nil,
				`the cookie "session": set`},
			{"a cookie of pyramid_jwt", fields("Cookie", "session="+pyramidCookie(good)), nil,
				"pyramid.Cookie"},
			{"a cookie that is read", fields("Cookie", `a=b; session="`+good),
				&jwt.Verifier{Cookie: "session"}, "without the quotes"},
			{"a cookie of pyramid_jwt that is read", fields("Cookie", "s="+pyramidCookie(good)),
				&jwt.Verifier{Cookie: "s"}, "pyramid_jwt"},
			{"a broken cookie", fields("Cookie", `s="`), &jwt.Verifier{Cookie: "s"}, "opaque"},
			{"no value", fields("Authorization", "Bearer"), nil, "opaque"},
			{"quotes", bearing(`"` + good + `"`), nil, "without the quotes"},
			{"bytes of Python", bearing("b'" + good + "'"), nil, "b'' of Python"},
			{"percent encoding", bearing(strings.ReplaceAll(good, ".", "%2E")), nil,
				"percent encoding"},
			{"a percent that is none", bearing("a%zz"), nil, "opaque"},
			{"padding", bearing(padded), nil, "without padding, and then: the token is accepted"},
			{"a blank behind it", bearing(good + " "), nil, "without the blanks"},
			{"too long", bearing(strings.Repeat("a", 9000)), nil, "over 8192 bytes"},
		} {
			v := tt.verifier
			if v == nil {
				v = new(jwt.Verifier)
			}
			if v.Keys == nil {
				v.Keys = hmacKey
			}
			if tt.header == nil {
				tt.header = bearing(good)
			}
			req := (&http.Request{Header: tt.header}).WithContext(t.Context())
			got := jwt.Explain(req, v)
			if !strings.Contains(got, tt.text) {
				t.Errorf("%s: %s; want %s", tt.reason, got, tt.text)
			}
			_, err := v.Authenticate(req)
			if (err == nil) != strings.HasPrefix(got, "the token is accepted") {
				t.Errorf("%s: %s, and the Verifier says %v", tt.reason, got, err)
			}
			if strings.Contains(got, text) || strings.Contains(got, good[len(good)-20:]) {
				t.Errorf("%s: the key or the token is told", tt.reason)
			}
		}
	})
}

func bearing(token string) http.Header { return fields("Authorization", "Bearer "+token) }

// TestExplainSecrets_K6 checks that no explanation holds a key or a token.
func TestExplainSecrets_K6(t *testing.T) {
	const planted = "canary-8d41b6-0123456789-0123456789"
	key := &jwt.Key{Method: "HS256", Key: creds.Secret(planted)}
	token := mint(t, key, nil, map[string]any{"sub": "canary-0c55aa", "exp": 1})
	v := &jwt.Verifier{Keys: key}
	for _, header := range []http.Header{
		bearing(token), bearing(token[:len(token)-4]), bearing("canary-0c55aa"),
		bearing("canary-0c55aa canary-0c55aa"), fields("Authorization", "canary-0c55aa"),
		fields("X-Token", token), fields("Cookie", "a=canary-0c55aa"), bearing(planted),
	} {
		for _, v := range []*jwt.Verifier{v, {Keys: hmacKey}} {
			got := jwt.Explain((&http.Request{Header: header}).WithContext(t.Context()), v)
			if strings.Contains(got, "canary") || strings.Contains(got, token[:20]) {
				t.Errorf("a secret of %d characters is told", len(got))
			}
		}
	}
}

func FuzzExplain(f *testing.F) {
	good := mint(f, hmacKey, nil, map[string]any{"sub": "ann", "exp": int64(1) << 40})
	for _, line := range []string{
		"Bearer " + good, "JWT " + good, good, `Bearer "` + good + `"`, "Bearer a%2e", "Bearer",
		"Bearer " + good[:40], "Bearer " + good + "=", "Bearer b'" + good + "'",
	} {
		f.Add("Authorization", line)
	}
	f.Add("Cookie", "a=b; c="+good)
	f.Add("X-Token", good)
	v := &jwt.Verifier{Keys: hmacKey}
	f.Fuzz(func(t *testing.T, name, line string) {
		req := (&http.Request{Header: fields(name, line)}).WithContext(t.Context())
		got := jwt.Explain(req, v)
		_, err := v.Authenticate(req)
		if (err == nil) != strings.HasPrefix(got, "the token is accepted") || len(got) > 2000 {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// The issuer signed with the decoded bytes of a base64 secret, and the service uses the text.
func ExampleExplain() {
	secret := "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	bytes, err := base64std.DecodeString(secret)
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &jwt.Signer{Key: bytes, Method: "HS256"}
	token, err := client.Token("ann", nil, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	req, err := http.NewRequest("GET", "https://api.example.com/", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	req.Header.Set("Authorization", "Bearer "+token)
	verifier := &jwt.Verifier{Keys: &jwt.Key{Method: "HS256", Key: creds.Secret(secret)}}
	fmt.Println(strings.ReplaceAll(jwt.Explain(req, verifier), ": ", ":\n"))
	// Output:
	// the signature would match with the key decoded from base64:
	// one side converts the key, and both have to use it as it is
}

func TestExplainWithoutAVerifier(t *testing.T) {
	token := mint(t, hmacKey, nil, map[string]any{"exp": time.Now().Add(time.Hour).Unix()})
	for _, header := range []http.Header{nil, fields("Authorization", "Bearer "+token)} {
		req := &http.Request{Header: header}
		got := jwt.Explain(req, nil)
		if want := jwt.Explain(req, new(jwt.Verifier)); got != want || got == "" {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
