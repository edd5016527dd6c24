package jose_test

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
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"os"
	"strings"
	"testing"

	joselib "github.com/go-jose/go-jose/v4"

	"github.com/countersign-go/countersign/internal/jose"
)

func token(header, payload string) string {
	text := base64.RawURLEncoding.EncodeToString
	return text([]byte(header)) + "." + text([]byte(payload)) + ".c2ln"
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name, token string
		want        string // part of the error; "" for no error
	}{
		{"a token", token(`{"alg":"HS256","kid":"k","typ":"JWT"}`, "{}"), ""},
		{"no token", "", "three parts"},
		{"two parts", "e30.e30", "three parts"},
		{"four parts", "e30.e30.e30.e30", "three parts"},
		{"padding", "e30=.e30.e30", "base64url"},
		{"a line break", "e3\n0.e30.e30", "base64url"},
		{"spare bits", "e31.e30.e30", "base64url"},
		{"a header that is a list", token("[]", "{}"), "its header"},
		{"one name twice", token(`{"alg":"a","alg":"a"}`, "{}"), "its header"},
		{"a name almost known", token(`{"Alg":"a"}`, "{}"), "differs from a registered one"},
		{"crit", token(`{"crit":["exp"]}`, "{}"), "crit"},
		{"b64", token(`{"b64":true}`, "{}"), "b64"},
		{"a number for a name", token(`{"kid":1}`, "{}"), "has to be text"},
		{"a token inside", token(`{"cty":"application/JWT"}`, "{}"), "another token"},
		{"a long kid", token(`{"kid":"`+strings.Repeat("k", jose.MaxKeyID+1)+`"}`, ""), "its kid"},
		{"the longest kid", token(`{"kid":"`+strings.Repeat("k", jose.MaxKeyID)+`"}`, ""), ""},
		{"too long", strings.Repeat("x", jose.MaxToken+1), "too long"},
	} {
		read, err := jose.Parse(tt.token)
		if (err == nil) != (tt.want == "") ||
			err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if tt.name == "a token" && (read.Alg != "HS256" || read.KeyID != "k" ||
			read.Type != "JWT" || string(read.Payload) != "{}" || string(read.Signature) != "sig" ||
			read.Text+".c2ln" != tt.token) {
			t.Errorf("read as %+v", read)
		}
	}
}

func TestIsKind(t *testing.T) {
	for _, tt := range []struct {
		typ, want string
		is        bool
	}{
		{"", "", true}, {"jwt", "", true}, {"application/at+JWT", "", true}, {"JOSE", "", true},
		{"logout+jwt", "", false}, {"application/a/jwt", "", false},
		{"application/logout+jwt", "Logout+JWT", true}, {"", "JWT", false},
	} {
		if jose.IsKind(tt.typ, tt.want) != tt.is {
			t.Errorf("%q as %q is not %t", tt.typ, tt.want, tt.is)
		}
	}
}

func TestExpiry(t *testing.T) {
	for payload, want := range map[string]int64{
		`{"exp":1700000000}`: 1700000000, `{"exp":1.7e9}`: 1700000000, `{"exp":1.5}`: 1,
		`{"exp":253402300799}`: 253402300799, `{"exp":253402300801}`: 0, `{"exp":0}`: 0,
		`{"exp":-1}`: 0, `{"exp":"1"}`: 0, `{}`: 0, `{"exp":1,"exp":2}`: 0, `x`: 0,
	} {
		end, ok := jose.Expiry(token("", payload))
		if ok != (want != 0) || ok && end.Unix() != want {
			t.Errorf("%s: %v, %t", payload, end, ok)
		}
	}
	for _, text := range []string{"", "a.b", "a.=.b", "a.b.c.d"} {
		if end, ok := jose.Expiry(text); ok {
			t.Errorf("%q: %v", text, end)
		}
	}
}

// keys returns one key of each kind.
func keys(t *testing.T) map[string]crypto.Signer {
	t.Helper()
	all := make(map[string]crypto.Signer)
	var err error
	if all["RSA"], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	for name, curve := range map[string]elliptic.Curve{
		"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521(),
	} {
		if all[name], err = ecdsa.GenerateKey(curve, rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	if _, all["Ed25519"], err = ed25519.GenerateKey(rand.Reader); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestAlgorithmFits tries each algorithm with each key. A library verifies the signatures.
func TestAlgorithmFits(t *testing.T) {
	fits := map[string]string{
		"HS256": "", "HS384": "", "HS512": "", "none": "", "": "",
		"RS256": "RSA", "RS384": "RSA", "RS512": "RSA",
		"PS256": "RSA", "PS384": "RSA", "PS512": "RSA",
		"ES256": "P-256", "ES384": "P-384", "ES512": "P-521",
		"EdDSA": "Ed25519", "Ed25519": "Ed25519",
	}
	all := keys(t)
	for name, want := range fits {
		a, known := jose.ByName(name)
		if known != (name != "none" && name != "") ||
			a.Symmetric() != strings.HasPrefix(name, "HS") ||
			a.IsRSA() != (want == "RSA") {
			t.Errorf("%q: %+v", name, a)
		}
		for kind, key := range all {
			if err := a.Check(key.Public(), false); (err == nil) != (kind == want) {
				t.Errorf("%s with a key of %s: %v", name, kind, err)
			}
			if kind != want {
				continue
			}
			const head = `{"alg":"`
			alg := strings.Replace(name, "Ed25519", "EdDSA", 1)
			text := token(head+alg+`"}`, "payload")
			text = text[:strings.LastIndexByte(text, '.')]
			signature, err := a.Sign(key, text)
			if err != nil || len(signature) != a.Size(key.Public()) {
				t.Fatalf("%s: %d bytes, %v", name, len(signature), err)
			}
			text += "." + base64.RawURLEncoding.EncodeToString(signature)
			read, err := joselib.ParseSignedCompact(text, []joselib.SignatureAlgorithm{
				joselib.SignatureAlgorithm(alg)})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := read.Verify(key.Public()); err != nil || string(got) != "payload" {
				t.Errorf("%s: the library says %q, %v", name, got, err)
			}
		}
	}
	if jose.Same("EdDSA", "ES256") || !jose.Same("EdDSA", "Ed25519") || !jose.Same("a", "a") {
		t.Error("names of algorithms are compared wrongly")
	}
	for bits, want := range map[int]string{256: "ES256", 384: "ES384", 521: "ES512", 224: ""} {
		if got := jose.OfCurve(bits); got != want {
			t.Errorf("%d bits: %q", bits, got)
		}
	}
}

// A forger is a crypto.Signer that returns fixed bytes as its signature.
type forger struct {
	crypto.Signer

	signature []byte
	err       error
}

func (f forger) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return f.signature, f.err
}

func TestSignRefuses(t *testing.T) {
	a, _ := jose.ByName("ES256")
	down := errors.New("unplugged")
	for name, f := range map[string]forger{
		"not ASN.1": {signature: []byte("x")}, "an error": {err: down},
		"a number that is too long": {signature: append([]byte{0x30, 38, 2, 33, 1},
			append(make([]byte, 32), 2, 1, 1)...)},
		"more behind it": {signature: []byte{0x30, 6, 2, 1, 1, 2, 1, 1, 0}},
		"a negative one": {signature: []byte{0x30, 6, 2, 1, 0x81, 2, 1, 1}},
	} {
		if signature, err := a.Sign(f, "text"); err == nil {
			t.Errorf("%s: %x", name, signature)
		}
	}
	f := forger{signature: []byte{0x30, 6, 2, 1, 1, 2, 1, 2}}
	signature, err := a.Sign(f, "text")
	if err != nil || len(signature) != 64 || signature[31] != 1 || signature[63] != 2 {
		t.Errorf("%x, %v", signature, err)
	}
}

func TestCheckSizes(t *testing.T) {
	a, _ := jose.ByName("RS256")
	for _, tt := range []struct {
		bits uint
		weak bool
		ok   bool
	}{{1023, true, false}, {1024, true, true}, {1024, false, false}, {2048, false, true},
		{16384, false, true}, {16385, true, false}} {
		key := &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), tt.bits-1), E: 65537}
		if err := a.Check(key, tt.weak); (err == nil) != tt.ok {
			t.Errorf("%d bits, weak %t: %v", tt.bits, tt.weak, err)
		}
	}
	for _, key := range []any{(*rsa.PublicKey)(nil), &rsa.PublicKey{}, nil} {
		if err := a.Check(key, true); err == nil {
			t.Errorf("%#v is a key", key)
		}
	}
}

// TestJWK checks that NewJWK writes the keys in testdata/jwk.json as they are there, after a
// library has read them.
func TestJWK(t *testing.T) {
	data, err := os.ReadFile("testdata/jwk.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	for _, text := range file.Keys {
		var read joselib.JSONWebKey
		if err := read.UnmarshalJSON(text); err != nil {
			t.Fatal(err)
		}
		written, err := jose.NewJWK(read.Key)
		if err != nil {
			t.Fatal(err)
		}
		var want, got map[string]string
		again, err := json.Marshal(written)
		err = errors.Join(err, json.Unmarshal(text, &want), json.Unmarshal(again, &got))
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Errorf("%s is written as %s", text, again)
		}
		for name, value := range want {
			if got[name] != value {
				t.Errorf("%s is %q, want %q", name, got[name], value)
			}
		}
	}
	if len(file.Keys) != 3 {
		t.Errorf("%d keys, want 3", len(file.Keys))
	}
	if jwk, err := jose.NewJWK("text"); err == nil {
		t.Errorf("%+v", jwk)
	}
}

func TestParseKey(t *testing.T) {
	all := keys(t)
	private, err := x509.MarshalPKCS8PrivateKey(all["P-256"])
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(all["P-256"].Public())
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	for name, text := range map[string][]byte{
		"private": block("PRIVATE KEY", private), "public": block("PUBLIC KEY", public),
		"behind parameters": append(block("EC PARAMETERS", []byte{6, 1, 1}),
			block("PRIVATE KEY", private)...),
	} {
		key, err := jose.ParseKey(text)
		s, _ := key.(interface{ Public() crypto.PublicKey })
		if s != nil {
			key = s.Public()
		}
		if err != nil || !all["P-256"].Public().(*ecdsa.PublicKey).Equal(key) {
			t.Errorf("%s: %T, %v", name, key, err)
		}
	}
	text := block("PRIVATE KEY", private)
	for want, key := range map[string]any{
		"it is nil": nil, "it is empty": []byte{}, "is not PEM: set the Key": []byte("secret"),
		"more than one block":         append(bytes.Clone(text), text...),
		"no key behind":               block("EC PARAMETERS", []byte{6, 1, 1}),
		"not a plain public or":       block("CERTIFICATE", public),
		"its end is missing":          text[:len(text)/2],
		`the two characters \n`:       bytes.ReplaceAll(text, []byte("\n"), []byte(`\n`)),
		"blanks in place of line":     bytes.ReplaceAll(text, []byte("\n"), []byte(" ")),
		"it has no line breaks":       bytes.ReplaceAll(text, []byte("\n"), nil),
		"something in it was changed": bytes.Replace(text, []byte("M"), []byte("*"), 1),
		"an Ed25519 key of the wrong": ed25519.PublicKey("short"),
	} {
		if key, err := jose.ParseKey(key); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%T, %v, want %q", key, err, want)
		}
	}
	if key, err := jose.ParseKey(all["Ed25519"]); err != nil || key == nil {
		t.Error(err)
	}
}

func TestIsKeyFile(t *testing.T) {
	der, err := x509.MarshalPKIXPublicKey(keys(t)["P-256"].Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"PEM": "\n-----BEGIN PUBLIC KEY-----", "SSH": "ssh-ed25519 AAAA", "a JWK": `{"kty":"oct"}`,
		"DER": string(der), "base64": base64.StdEncoding.EncodeToString(der),
	} {
		if !jose.IsKeyFile([]byte(text)) {
			t.Errorf("%s passes for a secret", name)
		}
	}
	if jose.IsKeyFile([]byte("an ordinary secret of 32 bytes..")) {
		t.Error("a secret passes for a key file")
	}
}

// FuzzParse checks that a token that Parse accepts has only one spelling.
func FuzzParse(f *testing.F) {
	f.Add(token(`{"alg":"HS256"}`, `{"sub":"ann"}`))
	f.Add("e30.e30.")
	f.Fuzz(func(t *testing.T, text string) {
		read, err := jose.Parse(text)
		if err != nil {
			return
		}
		signature := base64.RawURLEncoding.EncodeToString(read.Signature)
		_, payload, _ := strings.Cut(read.Text, ".")
		if read.Text+"."+signature != text ||
			base64.RawURLEncoding.EncodeToString(read.Payload) != payload {
			t.Errorf("%q is also written otherwise", text)
		}
	})
}
