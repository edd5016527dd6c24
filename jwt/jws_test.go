package jwt_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/jwt"
)

// TestHeader_J9 adds members to the header of a genuine token.
func TestHeader_J9(t *testing.T) {
	for _, c := range []struct {
		member string
		ok     bool
	}{
		{`"crit":["exp"]`, false}, {`"crit":[]`, false}, {`"crit":null`, false},
		{`"crit":"b64"`, false}, {`"b64":true`, false}, {`"b64":false`, false},
		{`"enc":"A128GCM"`, false}, {`"zip":"DEF"`, false}, {`"zip":null`, false},
		{`"cty":"JWT"`, false}, {`"cty":"jwt"`, false}, {`"cty":"application/JWT"`, false},
		{`"cty":1`, false}, {`"cty":"json"`, true}, {`"cty":""`, true},
		{`"typ":null`, false}, {`"typ":["JWT"]`, false}, {`"typ":""`, true},
		{`"typ":"JOSE"`, true}, {`"typ":"application/jose"`, true}, {`"typ":"jose+json"`, false},
		// A kid is any string (RFC 7515, section 4.1.4).
		{`"kid":null`, false}, {`"kid":"` + strings.Repeat("k", 1024) + `"`, true},
		{`"kid":"` + strings.Repeat("k", 1025) + `"`, false}, {`"kid":"\u007f"`, true},
		{`"kid":"a b"`, true}, {`"kid":"\u001f"`, true}, {`"kid":""`, true},
		{`"kid":"schl\u00fcssel"`, true}, {`"kid":1`, false},
		{`"ALG":"HS256"`, false}, {`"Crit":[]`, false}, {`"B64":true`, false},
		{`"Enc":1`, false}, {`"ZIP":1`, false}, {`"Kid":1`, false}, {`"TYP":1`, false},
		{`"jKu":1`, false}, {`"x5U":1`, false}, {`"X5C":1`, false},
		{`"JWK":1`, false}, {`"X5T#s256":"x"`, false}, {`"Cty":"x"`, false}, {`"x5T":"x"`, false},
		// A key in the header is ignored, whatever it is (J3).
		{`"jwk":1`, true}, {`"jku":{}`, true}, {`"x5c":[1]`, true}, {`"x5u":"\u0000"`, true},
		{`"x5t":null`, true}, {`"x":{"alg":"none"}`, true}, {`"b65":1,"B65":2`, true},
	} {
		header := `{"alg":"HS256",` + c.member + `}`
		token := mint(t, hmacKey, header, claimsOf("1", time.Hour))
		if err := verdict(hmacKey, token); (err == nil) != c.ok ||
			err != nil && !errors.Is(err, jwt.ErrRefused) {
			t.Errorf("%s: %v", c.member, err)
		}
	}
}

// TestHeaderValues limits the work that the header of a forged token causes. The header of a real
// token holds fewer values, even with a certificate chain.
func TestHeaderValues(t *testing.T) {
	var chain []string
	for range 50 {
		chain = append(chain, strings.Repeat("A", 50))
	}
	header := map[string]any{
		"alg": "HS256", "kid": "a", "typ": "JWT", "x5t": "x", "x5t#S256": "x", "jku": "x",
		"x5u": "x", "cty": "x", "iss": "x", "sub": "x", "aud": "x", "jwk": "x", "x5c": chain,
	}
	token := func() string { return mint(t, hmacKey, header, claimsOf("1", time.Hour)) }
	if err := verdict(hmacKey, token()); err != nil {
		t.Errorf("63 values: %v", err)
	}
	header["one"] = 1
	if err := verdict(hmacKey, token()); err != nil {
		t.Errorf("64 values: %v", err)
	}
	header["x5c"] = append(chain, "A")
	err := verdict(hmacKey, token())
	if !errors.Is(err, jwt.ErrRefused) || !strings.Contains(err.Error(), "64 values") {
		t.Errorf("65 values: %v", err)
	}
}

// TestSpelling_J12 signs misspelled parts, so that only the spelling is wrong. Then it misspells
// the signature, which is not signed.
func TestSpelling_J12(t *testing.T) {
	header := `{"alg":"HS256"} `                            // not a multiple of three bytes
	claims := `{"sub":"ann","exp":9999999999,"x":"???>>>"}` // with - or _ in base64url
	v := &jwt.Verifier{Keys: hmacKey}
	check := func(name, token string, want bool) {
		t.Helper()
		if _, err := v.Verify(context.Background(), token); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	part := func(s string) string { return base64url.EncodeToString([]byte(s)) }
	padded := func(s string) string { return base64.URLEncoding.EncodeToString([]byte(s)) }
	usual := func(s string) string { return base64.RawStdEncoding.EncodeToString([]byte(s)) }
	spare := func(s string) string { // the last character of two or three has bits to spare
		e := part(s)
		return e[:len(e)-1] + string(e[len(e)-1]+1)
	}
	if part(claims) == usual(claims) || part(header) == padded(header) {
		t.Fatal("the claims do not show what they should")
	}
	good := part(header) + "." + part(claims)
	check("as it should be", sign(t, hmacKey, good), true)
	check("padded header", sign(t, hmacKey, padded(header)+"."+part(claims)), false)
	check("spare bits in the header", sign(t, hmacKey, spare(header)+"."+part(claims)), false)
	check("usual alphabet", sign(t, hmacKey, part(header)+"."+usual(claims)), false)
	check("line break in the claims", sign(t, hmacKey, part(header)+".\n"+part(claims)), false)
	check("CR in the header", sign(t, hmacKey, part(header)+"\r."+part(claims)), false)
	check("a blank", sign(t, hmacKey, good+" "), false)
	check("fourth part in front", sign(t, hmacKey, "e30."+good), false)
	check("empty header", sign(t, hmacKey, "."+part(claims)), false)
	check("empty claims", sign(t, hmacKey, part(header)+"."), false)
	token := sign(t, hmacKey, good)
	for i := range 256 {
		check("another byte behind", token+string([]byte{byte(i)}), false)
		check("another byte in front", string([]byte{byte(i)})+token, false)
	}
	last := strings.LastIndexByte(token, '.')
	for i := range token[last+1:] {
		check("a line break", token[:last+1+i]+"\n"+token[last+1+i:], false)
	}
}

// TestTokenLength_J8 checks that 8 KiB are accepted, and one byte more is not.
func TestTokenLength_J8(t *testing.T) {
	v := &jwt.Verifier{Keys: hmacKey}
	of := func(filler int) string {
		claims := claimsOf("1", time.Hour)
		claims["x"] = strings.Repeat("x", filler)
		return mint(t, hmacKey, nil, claims)
	}
	n := (8<<10-len(of(0)))*3/4 - 4
	for len(of(n)) < 8<<10 {
		n++
	}
	for _, token := range []string{of(n), of(n + 1), of(n + 4)} {
		_, err := v.Verify(context.Background(), token)
		if (err == nil) != (len(token) <= 8<<10) {
			t.Errorf("%d bytes: %v", len(token), err)
		}
	}
}
