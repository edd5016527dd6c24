package jwt_test

import (
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/jwt"
)

// A wycheproofFile is a file of testdata/wycheproof.
type wycheproofFile struct {
	Source string `json:"_source"`
	Method string
	Count  int `json:"numberOfTests"`
	Groups []struct {
		Key   string         // in PEM
		JWK   map[string]any // of tokens
		Tests []wycheproofTest
	}
}

type wycheproofTest struct {
	ID              int `json:"tcId"`
	Comment, Result string
	Key, Msg, Sig   string // in hexadecimal
	JWS             string
}

func readWycheproof(t *testing.T, name string) *wycheproofFile {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "wycheproof", name+".json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	file := new(wycheproofFile)
	if err := json.NewDecoder(z).Decode(file); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(file.Source, fmt.Sprintf("All %d vectors", file.Count)) {
		t.Errorf("%s: %d vectors, and its source says %q", name, file.Count, file.Source)
	}
	return file
}

// exceptions has the reason for each vector that is not treated as its result says, and for each
// vector whose result leaves the choice. It begins with "+" if we accept, and with "-" if we
// refuse.
var exceptions = map[string]string{
	"rsa_signature_2048_sha256 8": "-the digest is not encoded in DER (RFC 8017, section 9.2)",
	"rsa_signature_4096_sha512 8": "-the digest is not encoded in DER (RFC 8017, section 9.2)",

	"json_web_signature 346": "-a key for PS256 does not verify PS384 (RFC 8725, section 3.1)",
	"json_web_signature 350": "-a key for PS256 does not verify PS384 (RFC 8725, section 3.1)",
	"json_web_signature 347": "-there is no alg of the name ES521",
	"json_web_signature 351": "-there is no alg of the name ES521",
	"json_web_signature 372": "-a character that is not of base64url (RFC 7515, section 2)",
	"json_web_signature 373": "-a character that is not of base64url (RFC 7515, section 2)",
	"json_web_signature 367": "+it is letter for letter number 357, which is valid",
	"json_web_signature 370": "+it is letter for letter number 357, which is valid",
}

// judge compares our decision with the result in the vector.
func (w *wycheproofTest) judge(t *testing.T, file string, accepted bool) {
	t.Helper()
	reason, listed := exceptions[fmt.Sprint(file, " ", w.ID)]
	want := w.Result == "valid"
	switch {
	case listed && w.Result != "acceptable" && want == (reason[0] == '+'):
		t.Errorf("%s %d: listed as an exception, and is none", file, w.ID)
	case listed:
		want = reason[0] == '+'
	case w.Result != "valid" && w.Result != "invalid":
		t.Errorf("%s %d: %s, and no decision", file, w.ID, w.Result)
	}
	if accepted != want {
		t.Errorf("%s %d (%s, %s): accepted is %t", file, w.ID, w.Comment, w.Result, accepted)
	}
}

// TestWycheproofSignatures verifies published signatures, good and bad, with each method.
func TestWycheproofSignatures(t *testing.T) {
	run, truncated := 0, 0
	for _, name := range []string{
		"hmac_sha256", "hmac_sha384", "hmac_sha512", "rsa_signature_2048_sha256",
		"rsa_signature_4096_sha512", "rsa_pss_2048_sha256_mgf1_32", "ecdsa_secp256r1_sha256_p1363",
		"ecdsa_secp384r1_sha384_p1363", "ecdsa_secp521r1_sha512_p1363", "ed25519",
	} {
		file := readWycheproof(t, name)
		n := 0
		for _, group := range file.Groups {
			key := &jwt.Key{Method: file.Method, Key: []byte(group.Key), Weak: true}
			for _, w := range group.Tests {
				n++
				sig := must(hex.DecodeString(w.Sig))
				if group.Key == "" {
					secret := must(hex.DecodeString(w.Key))
					key = &jwt.Key{Method: file.Method, Key: secret, Weak: true}
				}
				ok, err := jwt.VerifiedBy(key, string(must(hex.DecodeString(w.Msg))), sig)
				if err != nil {
					t.Fatalf("%s %d: %v", name, w.ID, err)
				}
				if len(sig)*2 == hmacSize[file.Method] && w.Result == "valid" {
					// In a token, the MAC has its full length (RFC 7518, section 3.2).
					truncated++
					w.Result = "invalid"
				}
				w.judge(t, name, ok)
			}
		}
		if n != file.Count {
			t.Errorf("%s: %d vectors run, want %d", name, n, file.Count)
		}
		run += n
	}
	if run != 2159 || truncated != 3*33 {
		t.Errorf("%d vectors run, of them %d with half a MAC", run, truncated)
	}
}

var hmacSize = map[string]int{"HS256": 32, "HS384": 48, "HS512": 64}

// TestWycheproofTokens checks whole tokens except their claims, since the payloads are not JSON.
// Public keys come from a JWKS.
func TestWycheproofTokens(t *testing.T) {
	const name = "json_web_signature"
	file := readWycheproof(t, name)
	run := 0
	byID := make(map[int]string)
	for _, group := range file.Groups {
		var keys jwt.KeySet = newIssuer(setOf(group.JWK)).keys()
		if k, ok := group.JWK["k"].(string); ok {
			keys = &jwt.Key{
				Method: group.JWK["alg"].(string),
				Key:    must(base64.RawURLEncoding.DecodeString(k)),
			}
		}
		v := &jwt.Verifier{Keys: keys}
		for _, w := range group.Tests {
			run++
			byID[w.ID] = w.JWS
			err := v.Genuine(context.Background(), w.JWS)
			w.judge(t, name, err == nil)
			if _, err := v.Verify(context.Background(), w.JWS); err == nil {
				t.Errorf("%d: claims that are no JSON are accepted", w.ID)
			} else if errors.Is(err, jwt.ErrExpired) {
				t.Errorf("%d: %v", w.ID, err)
			}
		}
	}
	if run != 401 || run != file.Count {
		t.Errorf("%d tokens run, want %d", run, file.Count)
	}
	for _, id := range []int{367, 370} {
		if byID[id] != byID[357] {
			t.Errorf("%d is not the same as 357", id)
		}
	}
}
