package raven_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/raven"
	"github.com/countersign-go/countersign/raven/wls"
)

// success returns an answer that parses. Each call returns a new value.
func success() *raven.Response {
	return &raven.Response{
		Version: 3, Status: raven.StatusSuccess, Issue: time.Unix(1705311000, 0), ID: "1",
		URL: "https://app.example.org/", Principal: "abc12", Auth: "pwd", KeyID: "1",
	}
}

func sign(t testing.TB, v *vectors, r *raven.Response, key string) string {
	t.Helper()
	text, err := wls.Sign(r, v.private(t, key))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestKeyID_L1 puts invalid names into the map. Only numbers in the Keys of a Service are accepted.
func TestKeyID_L1(t *testing.T) {
	v := loadVectors(t)
	s := v.service(t, "1")
	good := s.Keys["1"]
	for kid, ok := range map[string]bool{
		"1": true, "12345678": true, "": false, "0": false, "01": false, "123456789": false,
		"-1": false, "1.": false, "x": false, "../1": false, "%31": false, "１": false,
	} {
		s.Keys = raven.Keys{kid: good}
		r := success()
		r.KeyID = kid
		got, err := s.Parse(sign(t, v, r, "1"))
		if (err == nil) != ok || (got != nil) != ok {
			t.Errorf("kid %q: %v", kid, err)
		}
	}
	s.Keys = raven.Keys{"1": nil}
	if _, err := s.Parse(sign(t, v, success(), "1")); !errors.Is(err, raven.ErrUnknownKey) {
		t.Errorf("nil key: %v", err)
	}
	if _, err := new(raven.Service).Parse(sign(t, v, success(), "1")); err == nil {
		t.Error("a Service without keys accepts")
	}
}

func TestVersion_L2(t *testing.T) {
	v := loadVectors(t)
	s := v.service(t, "1")
	good := strings.TrimPrefix(sign(t, v, &raven.Response{
		Status: raven.StatusCancelled, Version: 3, Issue: time.Unix(0, 0), ID: "1", URL: "u",
	}, "1"), "3")
	for _, version := range []string{
		" 3", "3 ", "+3", "-3", "03", "0", "4", "33", "", "３", "٣", "3.0", "3\x00", "x", "\xb3",
	} {
		if _, err := s.Parse(version + good); !errors.Is(err, raven.ErrMalformed) {
			t.Errorf("%q: %v", version, err)
		}
	}
	if _, err := s.Parse("3" + good); err != nil {
		t.Errorf("3: %v", err)
	}
}

func TestUnsignedSuccess_L3(t *testing.T) {
	v := loadVectors(t)
	s := v.service(t, "1")
	for version := 1; version <= 3; version++ {
		r := success()
		r.Version, r.KeyID = version, ""
		if _, err := s.Parse(sign(t, v, r, "1")); !errors.Is(err, raven.ErrUnsigned) {
			t.Errorf("version %d: %v, want ErrUnsigned", version, err)
		}
	}
}

// TestLegacy_L7 checks that only SHA-1 under a listed RSA key passes, and that smaller keys do not.
func TestLegacy_L7(t *testing.T) {
	v := loadVectors(t)
	text := sign(t, v, success(), "1")
	s := v.service(t, "1")
	small := &rsa.PublicKey{N: new(big.Int).Rsh(s.Keys["1"].N, 1025), E: 65537}
	for reason, key := range map[string]*rsa.PublicKey{
		"1023 bits": small, "no modulus": {E: 65537}, "even modulus": {N: big.NewInt(16), E: 65537},
	} {
		s.Keys["1"] = key
		if _, err := s.Parse(text); !errors.Is(err, raven.ErrSignature) {
			t.Errorf("%s: %v, want ErrSignature", reason, err)
		}
	}
}

func TestParseBounds(t *testing.T) {
	v := loadVectors(t)
	s := v.service(t, "1")
	parse := func(change func(*raven.Response)) error {
		r := success()
		change(r)
		_, err := s.Parse(sign(t, v, r, "1"))
		return err
	}
	room := 8<<10 - len(sign(t, v, success(), "1"))
	life := func(seconds int) func(*raven.Response) {
		return func(r *raven.Response) {
			r.Life, r.HasLife = time.Duration(seconds)*time.Second, true
		}
	}
	year := func(year int) func(*raven.Response) {
		return func(r *raven.Response) { r.Issue = time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC) }
	}
	for _, tt := range []struct {
		reason string
		change func(*raven.Response)
		ok     bool
	}{
		{"8 KiB", func(r *raven.Response) { r.Params = strings.Repeat("p", room) }, true},
		{"a byte more", func(r *raven.Response) { r.Params = strings.Repeat("p", room+1) }, false},
		{"line feed", func(r *raven.Response) { r.Msg = "two\nlines" }, false},
		{"NUL", func(r *raven.Response) { r.Principal = "abc12\x00" }, false},
		{"DEL", func(r *raven.Response) { r.Params = "\x7f" }, false},
		{"not UTF-8", func(r *raven.Response) { r.Principal = "abc\xff" }, false},
		{"outside ASCII", func(r *raven.Response) { r.Principal = "jörg" }, true},
		{"longest life", life(999999999), true},
		{"life of ten digits", life(1000000000), false},
		{"year 0", year(0), true},
		{"year 10000", year(10000), false},
		{"empty member in sso", func(r *raven.Response) { r.SSO = []string{"pwd", ""} }, false},
		{"unknown in sso", func(r *raven.Response) { r.SSO = []string{"x-card"} }, false},
		{"no such status", func(r *raven.Response) { r.Status = 201 }, false},
	} {
		if err := parse(tt.change); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.reason, err)
		}
	}
	text := sign(t, v, success(), "1")
	for _, bad := range []string{
		strings.Replace(text, "093000Z", "093000.5Z", 1), strings.Replace(text, "T", "t", 1),
	} {
		if _, err := s.Parse(bad); !errors.Is(err, raven.ErrSignature) {
			t.Errorf("%v: fields come before the signature", err)
		}
	}
	unsigned := "3!410!!20240115T093000.5Z!1!u!!!!!!!!"
	if _, err := s.Parse(unsigned); !errors.Is(err, raven.ErrMalformed) {
		t.Errorf("issue with a fraction: %v", err)
	}
}

// TestErrorsTellNothing searches the errors about an answer for its contents.
func TestErrorsTellNothing(t *testing.T) {
	v := loadVectors(t)
	for _, c := range v.ResponseCases {
		_, err := v.service(t, c.Kids...).Parse(c.Raw)
		for _, part := range []string{"abc12", "dG9rZW4", "app.example.org", "1705311000"} {
			if err != nil && strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v", c.Name, err)
			}
		}
	}
	for _, bad := range []string{
		"https://user:sesame@app.example.org/", "https://app.example.org:sesame/", "sesame:x",
	} {
		_, err := (&raven.Request{URL: bad}).Query()
		if err == nil || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestRequestBounds(t *testing.T) {
	const at = "https://app.example.org/"
	long := len("ver=3&url=&params=" + url.QueryEscape(at))
	for _, tt := range []struct {
		reason string
		r      raven.Request
		ok     bool
	}{
		{"6 KiB", raven.Request{Params: strings.Repeat("p", 6<<10-long)}, true},
		{"a byte more", raven.Request{Params: strings.Repeat("p", 6<<10-long+1)}, false},
		{"comma in a type", raven.Request{AAuth: []string{"pwd,x-card"}}, false},
		{"empty type", raven.Request{AAuth: []string{"pwd", ""}}, false},
		{"type outside ASCII", raven.Request{AAuth: []string{"pẃd"}}, false},
		{"DEL in a description", raven.Request{Desc: "a\x7f"}, false},
		{"description that is not UTF-8", raven.Request{Desc: "\xff"}, false},
		{"message that is not UTF-8", raven.Request{Msg: "\xff"}, false},
		{"params that are not UTF-8", raven.Request{Params: "\xff"}, false},
		{"year 10000", raven.Request{Date: time.Date(1e4, 1, 1, 0, 0, 0, 0, time.UTC)}, false},
		{"no such interaction", raven.Request{IAct: -1}, false},
		{"blank in the url", raven.Request{URL: at + "a b"}, false},
		{"user in the url", raven.Request{URL: "https://u@app.example.org/"}, false},
		{"empty fragment", raven.Request{URL: at + "#"}, false},
		{"no host", raven.Request{URL: "https:///x"}, false},
		{"port alone", raven.Request{URL: "https://:443/x"}, false},
		{"opaque", raven.Request{URL: "https:app.example.org"}, false},
		{"no scheme", raven.Request{URL: "//app.example.org/"}, false},
		{"line feed in the url", raven.Request{URL: at + "\n"}, false},
	} {
		if tt.r.URL == "" {
			tt.r.URL = at
		}
		text, err := tt.r.Query()
		if (err == nil) != tt.ok || !tt.ok && (!errors.Is(err, raven.ErrRequest) || text != "") {
			t.Errorf("%s: %q, %v", tt.reason, text, err)
		}
	}
	if _, err := new(raven.Request).Query(); !errors.Is(err, raven.ErrRequest) {
		t.Errorf("no url: %v", err)
	}
	// The answer to the longest request still parses.
	v := loadVectors(t)
	r := success()
	r.URL, r.Params = at, strings.Repeat("!", (6<<10-long)/3)
	if _, err := (&raven.Request{URL: r.URL, Params: r.Params}).Query(); err != nil {
		t.Error(err)
	}
	if _, err := v.service(t, "1").Parse(sign(t, v, r, "1")); err != nil {
		t.Error(err)
	}
}

func TestRequestDate(t *testing.T) {
	r := &raven.Request{
		URL:  "https://a/",
		Date: time.Date(2024, 1, 15, 18, 30, 0, 999, time.FixedZone("", 9*60*60)),
	}
	got, err := r.Query()
	if want := "ver=3&url=https%3A%2F%2Fa%2F&date=20240115T093000Z"; got != want || err != nil {
		t.Errorf("%s, %v\nwant %s", got, err, want)
	}
}

// TestPTagsAreCopied lets a caller change the slice that Parse returned.
func TestPTagsAreCopied(t *testing.T) {
	v := loadVectors(t)
	s := v.service(t, "1")
	old := success()
	old.Version = 2
	text := sign(t, v, old, "1")
	for range 2 {
		r, err := s.Parse(text)
		if err != nil || len(r.PTags) != 1 || r.PTags[0] != "current" {
			t.Fatalf("%+v, %v", r, err)
		}
		r.PTags[0] = "changed"
	}
}

func TestSatisfiesFailsClosed(t *testing.T) {
	r := success()
	r.SSO = []string{"pwd"}
	if r.Satisfies(raven.AsNeeded, []string{}) || r.Satisfies(raven.Interaction(7), nil) {
		t.Error("an empty list of types or an unknown interaction is satisfied")
	}
	failed := &raven.Response{Status: raven.StatusCancelled}
	for _, iact := range []raven.Interaction{raven.AsNeeded, raven.Must, raven.MustNot} {
		if failed.Satisfies(iact, nil) {
			t.Errorf("a failure satisfies %d", iact)
		}
	}
}

func TestStatus(t *testing.T) {
	for number := range raven.Status(1000) {
		if known := number.Description() != ""; known == (number.String()[0] <= '9') {
			t.Errorf("%d: %q, %q", int(number), number, number.Description())
		}
	}
	if got := raven.Status(201).String(); got != "201" {
		t.Errorf("201: %s", got)
	}
}

func TestParseKey(t *testing.T) {
	v := loadVectors(t)
	for kid, texts := range v.Keys {
		one, err := raven.ParseKey([]byte(texts.PKCS1))
		if err != nil {
			t.Fatalf("key %s: %v", kid, err)
		}
		if texts.SPKI == "" {
			continue
		}
		other, err := raven.ParseKey([]byte("some words\n" + texts.SPKI + "\n"))
		if err != nil || !one.Equal(other) || raven.Fingerprint(one) != raven.Fingerprint(other) {
			t.Errorf("key %s: %v, or the two forms differ", kid, err)
		}
	}
	elliptic, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	big1 := new(big.Int).Lsh(big.NewInt(1), 8192)
	one := v.Keys["1"]
	junk := &pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")}
	for reason, text := range map[string]string{
		"nothing":     "",
		"not PEM":     "ssh-rsa AAAA",
		"two keys":    one.PKCS1 + one.PKCS1,
		"private key": one.Private,
		"not a key":   string(pem.EncodeToMemory(junk)),
		"not PKCS #1": string(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY"})),
		"elliptic":    pemOf(t, &elliptic.PublicKey),
		"8193 bits":   pemOf(t, &rsa.PublicKey{N: big1.SetBit(big1, 0, 1), E: 65537}),
		"512 bits": pemOf(t, &rsa.PublicKey{
			N: new(big.Int).Lsh(big.NewInt(1), 511), E: 65537}),
	} {
		if key, err := raven.ParseKey([]byte(text)); !errors.Is(err, raven.ErrKey) || key != nil {
			t.Errorf("%s: %v", reason, err)
		}
	}
	if raven.Fingerprint(nil) != "" || raven.Fingerprint(new(rsa.PublicKey)) != "" {
		t.Error("no key has a fingerprint")
	}
}

func pemOf(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// TestDemo parses the three answers of the real service with Demo.
func TestDemo(t *testing.T) {
	s := raven.Demo()
	if got := raven.Fingerprint(s.Keys["901"]); got !=
		"d61f4109c85e19bf58a4e7efaf822a4cf1b97a1dd25dcdd363b6d2386ec41a77" {
		t.Errorf("fingerprint %q", got)
	}
	rows := 0
	for _, c := range loadVectors(t).ResponseCases {
		if !strings.HasPrefix(c.Name, "real demo login service answer") {
			continue
		}
		rows++
		if r, err := s.Parse(c.Raw); err != nil || r.KeyID != "901" {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
	if rows != 3 {
		t.Errorf("%d answers of the real service, want 3", rows)
	}
	s.Keys["901"], s.PTags[0] = nil, "changed"
	if other := raven.Demo(); other.Keys["901"] == nil || other.PTags[0] != "current" {
		t.Error("two demo services share what can be changed")
	}
}

func TestLive(t *testing.T) {
	v := loadVectors(t)
	for reason, text := range map[string]string{
		"another key": v.Keys["2"].PKCS1, "the demo key": v.Keys["901"].PKCS1, "no key": "",
	} {
		if s, err := raven.Live([]byte(text)); !errors.Is(err, raven.ErrKey) || s != nil {
			t.Errorf("%s: %v", reason, err)
		}
	}
}
