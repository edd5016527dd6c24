package jwt_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/jwt"
)

// A draft is a token before it is signed.
type draft struct {
	header, claims string // JSON
	sign           func(text string) []byte
	finish         func(token string) string // if nil, the token is not changed
}

func (d *draft) token(t *testing.T) string {
	t.Helper()
	text := part(t, d.header) + "." + part(t, d.claims)
	token := text + "." + base64.RawURLEncoding.EncodeToString(d.sign(text))
	if d.finish != nil {
		token = d.finish(token)
	}
	return token
}

// with returns a JSON object with member in front of the others.
func with(object, member string) string { return "{" + member + "," + object[1:] }

// instead replaces the value of a member of a JSON object. If value is "", it removes the member.
func instead(object, name, value string) string {
	m := must(decodeObject(object))
	delete(m, name)
	rest := string(must(json.Marshal(m)))
	if value == "" {
		return rest
	}
	return with(rest, fmt.Sprintf("%q:%s", name, value))
}

func decodeObject(object string) (m map[string]json.RawMessage, err error) {
	err = json.Unmarshal([]byte(object), &m)
	return m, err
}

func signWith(key *jwt.Key) func(string) []byte {
	return func(text string) []byte { return must(jwt.SignedBy(key, text)) }
}

// signHMAC signs like an attacker who believes they know the secret.
func signHMAC(secret []byte) func(string) []byte {
	return func(text string) []byte {
		h := hmac.New(sha256.New, secret)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
}

var (
	noSignature = func(string) []byte { return nil }
)

// bases returns accepted tokens, each with a key set that holds its key.
func bases() map[string]struct {
	keys jwt.KeySet
	draft
} {
	rs := &jwt.Key{Method: "RS256", Key: rsaKey()}
	es := &jwt.Key{Method: "ES256", Key: ecKey()}
	claims := fmt.Sprintf(`{"sub":"ann","iss":"https://issuer.example","aud":"api","exp":%d,`+
		`"nbf":1,"iat":1,"jti":"1","more":{"a":[1]}}`, time.Now().Add(time.Hour).Unix())
	type base = struct {
		keys jwt.KeySet
		draft
	}
	of := func(keys jwt.KeySet, header string, key *jwt.Key) base {
		return base{keys, draft{header: header, claims: claims, sign: signWith(key)}}
	}
	return map[string]base{
		"":    of(hmacKey, `{"alg":"HS256","typ":"JWT"}`, hmacKey),
		"rs":  of(rs, `{"alg":"RS256","typ":"JWT"}`, rs),
		"es":  of(es, `{"alg":"ES256","typ":"JWT"}`, es),
		"map": of(jwt.KeyMap{"k1": hmacKey}, `{"alg":"HS256","kid":"k1"}`, hmacKey),
	}
}

// forgeries each change one thing about an accepted token.
func forgeries() []struct {
	row, name, base string
	change          func(*draft)
	why             string // part of the error
} {
	type change = func(*draft)
	header := func(name, value string) change {
		return func(d *draft) { d.header = instead(d.header, name, value) }
	}
	claim := func(name, value string) change {
		return func(d *draft) { d.claims = instead(d.claims, name, value) }
	}
	moreHeader := func(member string) change {
		return func(d *draft) { d.header = with(d.header, member) }
	}
	moreClaims := func(member string) change {
		return func(d *draft) { d.claims = with(d.claims, member) }
	}
	unsigned := func(alg string) change {
		return func(d *draft) { d.header, d.sign = instead(d.header, "alg", alg), noSignature }
	}
	forged := func(alg string, sign func(string) []byte) change {
		return func(d *draft) { d.header, d.sign = instead(d.header, "alg", alg), sign }
	}
	foreignKey := func(kid string, secret string) change {
		return func(d *draft) {
			d.header, d.sign = instead(d.header, "kid", kid), signHMAC([]byte(secret))
		}
	}
	embedded := func(member string) change {
		return func(d *draft) {
			d.header = with(d.header, member)
			d.sign = signWith(&jwt.Key{Method: "ES256", Key: newEC()})
		}
	}
	finish := func(f func(string) string) change { return func(d *draft) { d.finish = f } }
	part := func(n int, f func(string) string) change {
		return finish(func(token string) string {
			parts := strings.Split(token, ".")
			parts[n] = f(parts[n])
			return strings.Join(parts, ".")
		})
	}
	spki := must(x509.MarshalPKIXPublicKey(&rsaKey().PublicKey))
	inPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
	pkcs1 := x509.MarshalPKCS1PublicKey(&rsaKey().PublicKey)
	asJWK := must(json.Marshal(rsaJWK("", nil)))
	attacker := string(must(json.Marshal(jwk(newEC(), "", nil))))
	ps := &jwt.Key{Method: "PS256", Key: rsaKey()}
	const (
		alg, kid, sig = "its alg is not the alg of the key", "its kid is over", "signature is wrong"
		unknown       = "no key of that id"
	)
	return []struct {
		row, name, base string
		change          func(*draft)
		why             string
	}{
		{"J1", "none, without signature", "", unsigned(`"none"`), alg},
		{"J1", "none, with the old signature", "", header("alg", `"none"`), alg},
		{"J1", "None", "", unsigned(`"None"`), alg},
		{"J1", "NONE", "", unsigned(`"NONE"`), alg},
		{"J1", "nOnE", "", unsigned(`"nOnE"`), alg},
		{"J1", "empty alg", "", unsigned(`""`), alg},
		{"J1", "no alg", "", unsigned(""), alg},
		{"J1", "alg null", "", unsigned(`null`), "has to be text"},
		{"J1", "alg a list", "", header("alg", `["HS256"]`), "has to be text"},
		{"J1", "alg in lower case", "", header("alg", `"hs256"`), alg},
		{"J1", "alg and a NUL", "", header("alg", `"HS256\u0000"`), alg},

		{"J2", "PEM as secret", "rs", forged(`"HS256"`, signHMAC(inPEM)), alg},
		{"J2", "DER as secret", "rs", forged(`"HS256"`, signHMAC(spki)), alg},
		{"J2", "PKCS #1 as secret", "rs", forged(`"HS256"`, signHMAC(pkcs1)), alg},
		{"J2", "JWK as secret", "rs", forged(`"HS256"`, signHMAC(asJWK)), alg},
		{"J2", "RS256 in name only", "rs", forged(`"RS256"`, signHMAC(inPEM)), sig},
		{"J2", "PS256 of the same key", "rs", forged(`"PS256"`, signWith(ps)), alg},
		{"J2", "HS512 of the same secret", "", forged(`"HS512"`, func(text string) []byte {
			h := hmac.New(sha512.New, []byte("0123456789abcdef0123456789abcdef"))
			h.Write([]byte(text))
			return h.Sum(nil)
		}), alg},
		{"J2", "ECDSA in ASN.1", "es", func(d *draft) {
			sign := d.sign
			d.sign = func(text string) []byte {
				raw := sign(text)
				r, s := new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])
				return must(asn1.Marshal(struct{ R, S *big.Int }{r, s}))
			}
		}, sig},
		{"J2", "ECDSA of zeros", "es", forged(`"ES256"`, func(string) []byte {
			return make([]byte, 64)
		}), sig},

		{"J3", "kid a path", "map", foreignKey(`"../../../dev/null"`, ""), unknown},
		{"J3", "kid SQL", "map", foreignKey(`"x' UNION SELECT 'a'--"`, "a"), unknown},
		{"J3", "kid a URL", "map", foreignKey(`"https://evil.example/k"`, "a"), unknown},
		{"J3", "kid of another case", "map", header("kid", `"K1"`), unknown},
		{"J3", "kid too long", "map", header("kid", `"`+strings.Repeat("k", 1025)+`"`), kid},
		{"J3", "kid not ASCII", "map", header("kid", `"k\u00e4"`), unknown},
		{"J3", "kid with a line break", "map", header("kid", `"k1\n"`), unknown},
		{"J3", "kid empty", "map", header("kid", `""`), unknown},
		{"J3", "kid a number", "map", header("kid", `1`), "has to be text"},
		{"J3", "jwk of the attacker", "es", embedded(`"jwk":` + attacker), sig},
		{"J3", "jku of the attacker", "es", embedded(`"jku":"https://evil.example/keys"`), sig},
		{"J3", "x5u of the attacker", "es", embedded(`"x5u":"https://evil.example/pem"`), sig},

		{"J4", "no exp", "", claim("exp", ""), "it has no exp"},
		{"J4", "exp null", "", claim("exp", "null"), "not a number of seconds"},
		{"J4", "exp text", "", claim("exp", `"9999999999"`), "not a number of seconds"},
		{"J4", "nbf a list", "", claim("nbf", "[1]"), "not a number of seconds"},
		{"J4", "iat true", "", claim("iat", "true"), "not a number of seconds"},
		{"J5", "exp twice", "", moreClaims(`"exp":1`), "occurs twice"},
		{"J5", "alg twice", "", moreHeader(`"alg":"none"`), "occurs twice"},
		{"J5", "twice below the top", "", claim("more", `{"a":1,"a":2}`), "occurs twice"},
		{"J6", "claim in upper case", "", moreClaims(`"EXP":1`), "only by case"},
		{"J6", "claim with a long s", "", moreClaims(`"\u017fub":"root"`), "only by case"},
		{"J6", "kid with a Kelvin sign", "", moreHeader(`"\u212aid":"k"`), "only by case"},
		{"J7", "exp at infinity", "", claim("exp", "1e400"), "not a number of seconds"},
		{"J7", "exp of 2^53", "", claim("exp", "9007199254740992"), "not a number of seconds"},
		{"J7", "nbf below zero", "", claim("nbf", "-1"), "not a number of seconds"},
		{"J8", "too long", "", claim("more", `"`+strings.Repeat("x", 6<<10)+`"`), "too long"},
		{"J8", "many dots", "", finish(func(s string) string {
			return s + strings.Repeat(".", 4000)
		}), "three parts"},
		{"J8", "deep", "", claim("more", strings.Repeat("[", 16)+strings.Repeat("]", 16)),
			"deeper"},
		{"J9", "crit", "", moreHeader(`"crit":["x"],"x":1`), "change its meaning"},
		{"J9", "b64 without crit", "", moreHeader(`"b64":false`), "change its meaning"},
		{"J10", "nested", "", moreHeader(`"cty":"application/jwt"`), "names another token"},
		{"J10", "another kind", "", header("typ", `"logout+jwt"`), "another kind"},
		{"J11", "aud with a number", "", claim("aud", `["api",1]`), "other services"},
		{"J11", "iss continued", "", claim("iss", `"https://issuer.example.evil"`), "iss is not"},
		{"J12", "padding", "", part(2, func(s string) string { return s + "=" }), "base64url"},
		{"J12", "line break", "", part(2, func(s string) string {
			return s[:9] + "\n" + s[9:]
		}), "base64url"},
		{"J12", "spare bits", "", part(2, func(s string) string {
			return s[:len(s)-1] + string(s[len(s)-1]+1)
		}), "base64url"},
		{"S10", "byte order mark", "", func(d *draft) { d.header = "\ufeff" + d.header },
			"not JSON"},
		{"S10", "trailing bytes", "", func(d *draft) { d.claims += "{}" }, "not JSON"},
	}
}

// TestAdversarial_J1toJ12 presents 60 tokens that must be refused. Each has a twin without the one
// change, which the same Verifier accepts.
func TestAdversarial_J1toJ12(t *testing.T) {
	known := bases()
	all := forgeries()
	for _, f := range all {
		base := known[f.base]
		v := &jwt.Verifier{
			Keys: base.keys, Issuer: "https://issuer.example", Audience: []string{"api"},
		}
		bad := base.draft
		f.change(&bad)
		forged, twin := bad.token(t), base.token(t)
		if forged == twin {
			t.Errorf("%s %s: nothing was changed", f.row, f.name)
		}
		_, err := v.Verify(context.Background(), forged)
		if !errors.Is(err, jwt.ErrRefused) || errors.Is(err, auth.ErrUnavailable) ||
			!strings.Contains(fmt.Sprint(err), f.why) {
			t.Errorf("%s %s: %v, want %q", f.row, f.name, err, f.why)
		}
		if id, err := v.Authenticate(withToken(forged)); !errors.Is(err, jwt.ErrRefused) {
			t.Errorf("%s %s: authenticated as %v, %v", f.row, f.name, id, err)
		}
		if id, err := v.Authenticate(withToken(twin)); err != nil || id.Subject != "ann" {
			t.Errorf("%s %s: the twin is not accepted: %v", f.row, f.name, err)
		}
	}
	if len(all) != 60 {
		t.Errorf("%d tokens, want 60", len(all))
	}
}
