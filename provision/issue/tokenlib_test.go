package issue_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision/issue"
)

type vector struct {
	Name, Secret, Hashmod, Token, Parse string

	Now           float64
	Parsed        map[string]any
	DerivedSecret string `json:"derived_secret"`
	// Of the valid ones:
	PayloadJSON string `json:"payload_json"`
	SigningKey  string `json:"signing_key_hex"`
	Signature   string `json:"signature_hex"`
}

func load(t testing.TB, file string, v any) {
	t.Helper()
	data, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		t.Fatal(file, err)
	}
}

func vectors(t testing.TB) (valid, all []vector) {
	t.Helper()
	var file struct {
		Count          int
		Valid, Invalid []vector
	}
	load(t, "tokenlib.json", &file)
	all = slices.Concat(file.Valid, file.Invalid)
	if len(file.Valid) != 31 || len(file.Invalid) != 55 || len(all) != file.Count {
		t.Fatalf("%d valid rows, %d invalid ones", len(file.Valid), len(file.Invalid))
	}
	return file.Valid, all
}

// Each row has the result of tokenlib, unless testdata/refused.json has the rule for the
// difference.
func TestTokenlibVectors(t *testing.T) {
	var refused map[string]string
	load(t, "refused.json", &refused)
	_, all := vectors(t)
	var ran, accepted int
	for _, v := range all {
		ran++
		i := &issue.Issuer{Secrets: []creds.Secret{creds.Secret(v.Secret)}, Hash: v.Hashmod}
		key, err := i.Key(t.Context(), v.Token)
		rule, ours := refused[v.Name]
		delete(refused, v.Name)
		genuine := v.Parse == "ok" || v.Parse == "ExpiredTokenError"
		if ours && !genuine {
			t.Errorf("%s: listed as refused by us alone, but its parse is %s", v.Name, v.Parse)
		}
		if ours || !genuine {
			if err == nil || !errors.Is(err, mac.ErrUnknownID) && v.Secret != "" {
				t.Errorf("%s: %v, want a refusal (%s)", v.Name, err, rule)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		accepted++
		v.check(t, key)
	}
	if ran != 86 || accepted != 32 || len(refused) != 0 {
		t.Errorf("%d rows, %d accepted, not met: %v", ran, accepted, refused)
	}
}

func (v vector) check(t *testing.T, key *mac.Key) {
	t.Helper()
	if string(key.Secret) != v.DerivedSecret || key.Algorithm != mac.SHA256 {
		t.Errorf("%s: key or algorithm %s differs", v.Name, key.Algorithm)
	}
	now := time.UnixMicro(int64(v.Now * 1e6))
	if expired := !now.Before(key.Identity.Expires); expired != (v.Parse != "ok") {
		t.Errorf("%s: Expires = %v at %v", v.Name, key.Identity.Expires, now)
	}
	if v.Parsed == nil {
		return
	}
	want := v.Parsed
	for _, name := range []string{"username", "userid", "uid", "email"} {
		if subject, ok := want[name]; ok {
			if n, ok := subject.(json.Number); ok {
				subject = n.String()
			}
			if key.Identity.Subject != subject {
				t.Errorf("%s: Subject = %q", v.Name, key.Identity.Subject)
			}
			delete(want, name)
			break
		}
	}
	delete(want, "salt")
	delete(want, "expires")
	if len(want) == 0 {
		want = nil
	}
	if !reflect.DeepEqual(key.Identity.Claims, want) {
		t.Errorf("%s: Claims = %v, want %v", v.Name, key.Identity.Claims, want)
	}
}

// The tests' own sign agrees with tokenlib, so the ids that it makes below are genuine.
func TestSignVectors(t *testing.T) {
	valid, _ := vectors(t)
	for _, v := range valid {
		if got := hex.EncodeToString(signingKey(t, v.Secret, v.Hashmod)); got != v.SigningKey {
			t.Errorf("%s: signing key %s", v.Name, got)
		}
		if got := sign(t, v.Secret, v.Hashmod, []byte(v.PayloadJSON)); got != v.Token {
			t.Errorf("%s: token %s", v.Name, got)
		}
	}
}

const master = "a master secret for tests only"

func testIssuer() *issue.Issuer {
	return &issue.Issuer{Secrets: []creds.Secret{creds.Secret(master)}}
}

// Whatever is wrong with a payload, an id without a genuine tag is refused for its tag.
func TestTagBeforePayload_S10(t *testing.T) {
	payloads := []string{
		`{"userid":"u","salt":"aa","expires":1400000300}`,
		strings.Repeat(`[`, 2500),
		strings.Repeat(`{"a":`, 500),
		`{"userid":"u","userid":"v"}`, `null`, `NaN`, ``, "\xff", `{"salt":5}`,
	}
	for _, payload := range payloads {
		id := sign(t, "another master secret", "", []byte(payload))
		_, err := testIssuer().Key(t.Context(), id)
		if !errors.Is(err, mac.ErrUnknownID) || !strings.Contains(text(err), "not signed") {
			t.Errorf("%.40s: %v", payload, err)
		}
	}
}

func TestPayload_S10(t *testing.T) {
	const (
		salt    = `"salt":"aa",`
		expires = `"expires":1400000300`
	)
	brackets := strings.Repeat("[", 1000) + strings.Repeat("]", 1000)
	deep := `{"a":` + brackets + `,` + salt + expires + `}`
	tests := []struct{ payload, subject, reason string }{
		{`{"userid":"u",` + salt + expires + `}`, "u", ""},
		{`{"email":"e","uid":7,"userid":"i","username":"n",` + salt + expires + `}`, "n", ""},
		{`{"email":"e","uid":7,"userid":"i",` + salt + expires + `}`, "i", ""},
		{`{"email":"e","uid":7,` + salt + expires + `}`, "7", ""},
		{`{"email":"e",` + salt + expires + `}`, "e", ""},
		{`{"uid":-7,` + salt + expires + `}`, "-7", ""},
		{`{"uid":123456789012345678901234567890,` + salt + expires + `}`,
			"123456789012345678901234567890", ""},
		{`{"userid":"u","salt":"",` + expires + `}`, "u", ""},
		{`{"uid":7.0,` + salt + expires + `}`, "", "uid is neither text nor an integer"},
		{`{"uid":7e0,` + salt + expires + `}`, "", "uid is neither text nor an integer"},
		{`{"uid":-0,` + salt + expires + `}`, "", "uid is neither text nor an integer"},
		{`{"uid":true,` + salt + expires + `}`, "", "uid is neither text nor an integer"},
		{`{"userid":"",` + salt + expires + `}`, "", "userid is neither text nor an integer"},
		{`{"username":null,"userid":"u",` + salt + expires + `}`, "",
			"username is neither text nor an integer"},
		{`{"Userid":"u",` + salt + expires + `}`, "", "no username, userid, uid or email"},
		{`{"userid":"u","userid":"u",` + salt + expires + `}`, "", "a name occurs twice"},
		{`{"userid":"u","\u0075serid":"v",` + salt + expires + `}`, "", "a name occurs twice"},
		{`{"userid":"\ud800",` + salt + expires + `}`, "", "half a surrogate pair"},
		{`{"userid":"u",` + expires + `}`, "", "no salt in ASCII"},
		{`{"userid":"u","salt":"é",` + expires + `}`, "", "no salt in ASCII"},
		{`{"userid":"u","salt":7,` + expires + `}`, "", "no salt in ASCII"},
		{`{"userid":"u","salt":"aa"}`, "", "no expires"},
		{`{"userid":"u",` + salt + `"expires":"1400000300"}`, "", "expires is not a number"},
		{`{"userid":"u",` + salt + `"expires":null}`, "", "expires is not a number"},
		{`{"userid":"u",` + salt + `"expires":-1}`, "", "expires is negative"},
		{`{"userid":"u",` + salt + `"expires":-0.0}`, "", "expires is negative"},
		{`{"userid":"u",` + salt + `"expires":1e400}`, "", "expires is out of range"},
		{`{"userid":"u",` + salt + `"expires":NaN}`, "", "not JSON"},
		{`[` + salt + `]`, "", "not a JSON object"},
		{`["salt"]`, "", "not a JSON object"},
		{deep, "", "nested deeper"},
	}
	for _, tt := range tests {
		key, err := testIssuer().Key(t.Context(), sign(t, master, "", []byte(tt.payload)))
		switch {
		case tt.reason == "" && (err != nil || key.Identity.Subject != tt.subject):
			t.Errorf("%.80s: %v, %v", tt.payload, key, err)
		case tt.reason != "" && (!errors.Is(err, mac.ErrUnknownID) || key != nil ||
			!strings.Contains(text(err), tt.reason)):
			t.Errorf("%.80s: %v, want %q", tt.payload, err, tt.reason)
		}
	}
}

// Each id has one spelling: each change or addition of one character is refused.
func TestOneSpelling(t *testing.T) {
	for _, tail := range []string{"", "x", "xx"} { // so that all three paddings occur
		id := sign(t, master, "", []byte(`{"userid":"u`+tail+`","salt":"aa","expires":1400000300}`))
		if _, err := testIssuer().Key(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		for i := range len(id) + 1 {
			for _, c := range "Aa0-_=+/!\r\n \x00é" {
				added := id[:i] + string(c) + id[i:]
				changed := added
				if i < len(id) {
					changed = id[:i] + string(c) + id[i+1:]
				}
				for _, other := range []string{added, changed} {
					if _, err := testIssuer().Key(t.Context(), other); err == nil && other != id {
						t.Errorf("%q was accepted for %q", other, id)
					}
				}
			}
		}
	}
}

// An id that is shorter than a tag, as long, or a little longer is refused, as any text without a
// genuine tag is.
func TestShortID(t *testing.T) {
	for hash, size := range map[string]int{"sha1": 20, "sha256": 32, "sha512": 64} {
		i := &issue.Issuer{Secrets: []creds.Secret{creds.Secret(master)}, Hash: hash}
		for _, n := range []int{0, 1, size - 1, size, size + 1} {
			id := base64.URLEncoding.EncodeToString(make([]byte, n))
			key, err := i.Key(t.Context(), id)
			if key != nil || !errors.Is(err, mac.ErrUnknownID) {
				t.Errorf("%s, %d bytes: %v, %v", hash, n, key, err)
			}
		}
		if _, err := i.Key(t.Context(), sign(t, master, hash, nil)); !errors.Is(err,
			mac.ErrUnknownID) {
			t.Errorf("%s: a genuine tag of nothing: %v", hash, err)
		}
	}
}

func TestLongID(t *testing.T) {
	payload := `{"userid":"` + strings.Repeat("u", 4000) + `","salt":"aa","expires":1400000300}`
	_, err := testIssuer().Key(t.Context(), sign(t, master, "", []byte(payload)))
	if !errors.Is(err, mac.ErrUnknownID) || !strings.Contains(text(err), "longer than 4096 bytes") {
		t.Errorf("got %v", err)
	}
}

// A holder of the secret may sign any payload: Key neither panics nor returns half an identity.
// Without the secret, no id is accepted.
func FuzzTokenlib(f *testing.F) {
	_, all := vectors(f)
	for _, v := range all {
		f.Add([]byte(v.PayloadJSON), v.Token)
	}
	f.Add([]byte(`{"uid":9007199254740993,"salt":"","expires":1e22,"a":{"b":[null]}}`), "")
	issuer := testIssuer()
	f.Fuzz(func(t *testing.T, payload []byte, foreign string) {
		if _, err := issuer.Key(t.Context(), foreign); !errors.Is(err, mac.ErrUnknownID) {
			t.Fatalf("%q: %v", foreign, err)
		}
		key, err := issuer.Key(t.Context(), sign(t, master, "", payload))
		if err != nil {
			if !errors.Is(err, mac.ErrUnknownID) {
				t.Fatal(err)
			}
			return
		}
		id := key.Identity
		if id.Subject == "" || !utf8.ValidString(id.Subject) || !utf8.Valid(payload) {
			t.Fatalf("%q: Subject = %q", payload, id.Subject)
		}
		if id.Expires.Unix() < 0 || id.Expires.Year() > 9999 {
			t.Fatalf("%q: Expires = %v", payload, id.Expires)
		}
		if len(key.Secret) != 44 {
			t.Fatalf("%q: a key of %d bytes", payload, len(key.Secret))
		}
	})
}
