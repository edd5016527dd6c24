package jwt_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/jwt"
)

// TestClaims checks the claims of genuine tokens. The Verifier accepts each token with other
// claims.
func TestClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().Unix()
		def := func(*jwt.Verifier) {}
		leeway := func(v *jwt.Verifier) { v.Leeway = 5 * time.Minute }
		api := func(v *jwt.Verifier) { v.Audience = []string{"api", "www"} }
		anyExp := func(v *jwt.Verifier) { v.NoExpiry = true }
		issuerX := func(v *jwt.Verifier) { v.Issuer = "x" }
		claims := func(member string, args ...any) string {
			start := fmt.Sprintf(`{"sub":"ann","exp":%d,`, now+60)
			return start + fmt.Sprintf(member, args...) + "}"
		}
		exp := func(exp string) string { return fmt.Sprintf(`{"sub":"ann","exp":%s}`, exp) }
		for _, c := range []struct {
			name, claims string
			setup        func(*jwt.Verifier)
			want         error
		}{
			{"exp now", exp(fmt.Sprint(now)), def, jwt.ErrExpired},
			{"exp in a moment", exp(fmt.Sprintf("%d.001", now)), def, nil},
			{"exp as an exponent", exp("9.999999e9"), def, nil},
			{"exp as another exponent", exp("1.79e9"), def, nil},
			{"exp with decimals", exp("1790000000.25"), def, nil},
			{"exp of 2^31", exp("2147483648"), def, nil},
			{"exp of 2^32", exp("4294967296"), def, nil},
			{"exp in the year 9999", exp("253402300799"), def, nil},
			{"exp beyond 2^53", exp("1.7e26"), def, jwt.ErrRefused},
			{"exp a text", exp(`"2147483648"`), def, jwt.ErrRefused},
			{"exp null", exp("null"), def, jwt.ErrRefused},
			{"exp just below 2^53", exp("9007199254740991"), def, nil},
			{"exp of 0", exp("0"), def, jwt.ErrExpired},
			{"exp of minus 0", exp("-0"), def, jwt.ErrRefused},
			{"exp in leeway", exp(fmt.Sprint(now - 299)), leeway, nil},
			{"exp at the end of leeway", exp(fmt.Sprint(now - 300)), leeway, jwt.ErrExpired},
			{"exp of another case", `{"sub":"ann","Exp":9999999999}`, anyExp, jwt.ErrRefused},
			{"no exp", `{"sub":"ann"}`, def, jwt.ErrRefused},
			{"no exp, and allowed", `{"sub":"ann"}`, anyExp, nil},
			{"exp in the past, where none is needed", exp("1"), anyExp, jwt.ErrExpired},
			{"exp null, where none is needed", exp("null"), anyExp, jwt.ErrRefused},
			{"nbf now", claims(`"nbf":%d`, now), def, nil},
			{"nbf in a moment", claims(`"nbf":%d.001`, now), def, jwt.ErrRefused},
			{"nbf at the end of leeway", claims(`"nbf":%d`, now+300), leeway, nil},
			{"nbf beyond leeway", claims(`"nbf":%d`, now+301), leeway, jwt.ErrRefused},
			{"iat now", claims(`"iat":%d`, now), def, nil},
			{"iat ahead", claims(`"iat":%d`, now+1), def, jwt.ErrRefused},
			{"iat at the end of leeway", claims(`"iat":%d`, now+300), leeway, nil},

			{"aud, J11", claims(`"aud":"api"`), api, nil},
			{"second aud", claims(`"aud":["other","www"]`), api, nil},
			{"aud longer", claims(`"aud":"api2"`), api, jwt.ErrRefused},
			{"aud shorter", claims(`"aud":"ap"`), api, jwt.ErrRefused},
			{"aud of another case", claims(`"aud":"API"`), api, jwt.ErrRefused},
			{"aud in one text", claims(`"aud":"api www"`), api, jwt.ErrRefused},
			{"no aud", claims(`"x":1`), api, jwt.ErrRefused},
			{"aud null", claims(`"aud":null`), api, jwt.ErrRefused},
			{"aud null, none expected", claims(`"aud":null`), def, jwt.ErrRefused},
			{"aud with a list", claims(`"aud":["api",["www"]]`), api, jwt.ErrRefused},
			{"aud an empty text in a list", claims(`"aud":[""]`), def, jwt.ErrRefused},
			{"aud, none expected", claims(`"aud":"api"`), def, jwt.ErrRefused},
			{"aud empty, none expected", claims(`"aud":""`), def, nil},
			{"aud an empty list, none expected", claims(`"aud":[]`), def, nil},

			{"iss, not looked at", claims(`"iss":"x"`), def, nil},
			{"iss a number", claims(`"iss":1`), def, jwt.ErrRefused},
			{"iss", claims(`"iss":"x"`), issuerX, nil},
			{"no iss", claims(`"x":1`), issuerX, jwt.ErrRefused},
			{"jti a number", claims(`"jti":1`), def, jwt.ErrRefused},
			{"jti null", claims(`"jti":null`), def, jwt.ErrRefused},
		} {
			v := &jwt.Verifier{Keys: hmacKey}
			c.setup(v)
			_, err := v.Authenticate(withToken(mint(t, hmacKey, nil, c.claims)))
			if !errors.Is(err, c.want) || err != nil && !errors.Is(err, jwt.ErrRefused) ||
				errors.Is(err, jwt.ErrExpired) != (c.want == jwt.ErrExpired) {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
		}
	})
}

// TestSubject checks the subject of a token, and the error of Verify.
func TestSubject(t *testing.T) {
	for _, c := range []struct {
		sub, want string // "" if it is refused
		genuine   bool
	}{
		{`"ann"`, "ann", true},
		{`"15"`, "15", true},
		{`15`, "15", true},
		{`0`, "0", true},
		{`123456789012345678901234567890`, "123456789012345678901234567890", true},
		{`""`, "", true},
		{`null`, "", true},
		{`1.0`, "", true},
		{`1e3`, "", true},
		{`-1`, "", true},
		{`true`, "", false},
		{`["ann"]`, "", false},
		{`{"a":1}`, "", false},
	} {
		v := &jwt.Verifier{Keys: hmacKey, NoExpiry: true}
		token := mint(t, hmacKey, nil, `{"sub":`+c.sub+`}`)
		if _, err := v.Verify(context.Background(), token); (err == nil) != c.genuine {
			t.Errorf("%s: Verify: %v", c.sub, err)
		}
		id, err := v.Authenticate(withToken(token))
		switch {
		case c.want == "" && kindOf(err) != "refused":
			t.Errorf("%s: %v", c.sub, err)
		case c.want != "" && (err != nil || id.Subject != c.want || !id.Expires.IsZero()):
			t.Errorf("%s: %+v, %v, want %s", c.sub, id, err, c.want)
		}
	}
}

// TestType_J10 checks the comparison of typ.
func TestType_J10(t *testing.T) {
	for _, c := range []struct {
		want, typ string // if typ is "", it is absent
		ok        bool
	}{
		{"", "", true}, {"", "JWT", true}, {"", "jwt", true}, {"", "at+jwt", true},
		{"", "application/AT+JWT", true}, {"", "logout+jwt", false}, {"", "JOSE", true},
		{"", "application/jose", true}, {"", "JOSE+JSON", false}, {"", "application/x/jwt", false},
		{"secevent+jwt", "secevent+jwt", true}, {"secevent+jwt", "application/secevent+JWT", true},
		{"application/secevent+jwt", "SECEVENT+jwt", true}, {"secevent+jwt", "", false},
		{"secevent+jwt", "JWT", false}, {"JWT", "", false}, {"JWT", "JWT", true},
		{"JWT", "at+jwt", false}, {"JWT", "JOSE", false}, {"JOSE", "JOSE", true},
	} {
		header := map[string]string{"alg": "HS256"}
		if c.typ != "" {
			header["typ"] = c.typ
		}
		v := &jwt.Verifier{Keys: hmacKey, Type: c.want}
		_, err := v.Authenticate(withToken(mint(t, hmacKey, header, claimsOf("1", time.Hour))))
		if (err == nil) != c.ok || err != nil && kindOf(err) != "refused" {
			t.Errorf("Type %q, typ %q: %v", c.want, c.typ, err)
		}
	}
}
