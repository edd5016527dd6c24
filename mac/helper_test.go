package mac_test

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/mac"
)

// load reads a file of testdata.
func load(t testing.TB, name string, into any) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// refusals is the complete list of rows that a peer accepts and this package refuses, with the rule
// for each.
type refusals struct {
	t      *testing.T
	listed map[string]string
	found  map[string]bool
}

func loadRefusals(t *testing.T, file string) *refusals {
	t.Helper()
	var all map[string]map[string]string
	load(t, "refused.json", &all)
	r := &refusals{t, all[file], map[string]bool{}}
	t.Cleanup(func() {
		for row, rule := range r.listed {
			if !r.found[row] {
				t.Errorf("%s lists %s (%s), which was not run", file, row, rule)
			}
		}
	})
	return r
}

// check checks whether row should have been refused. refused is the error, or nil.
func (r *refusals) check(row string, refused error) {
	r.t.Helper()
	r.found[row] = true
	rule, listed := r.listed[row]
	switch {
	case refused != nil && !listed:
		r.t.Errorf("%s: refused, and not in the list: %v", row, refused)
	case refused == nil && listed:
		r.t.Errorf("%s: accepted, but in the list: %s", row, rule)
	}
}

func newRequest(t testing.TB, method, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// received returns req as a server gets it from net/http.
func received(req *http.Request) *http.Request {
	got := req.Clone(context.Background())
	got.RequestURI = req.URL.RequestURI()
	if got.Host == "" {
		got.Host = req.URL.Host
	}
	if req.URL.Scheme == "https" {
		got.TLS = &tls.ConnectionState{}
	}
	got.URL.Scheme, got.URL.Host = "", ""
	if got.Body == nil {
		got.Body = http.NoBody
	}
	return got
}

// fromWire reads a request as net/http does on a server. Each character of target is one byte.
func fromWire(t testing.TB, method, scheme, target, host, authorization string) *http.Request {
	t.Helper()
	text := method + " " + latin1(target) + " HTTP/1.1\r\nHost: " + host + "\r\n"
	if authorization != "" {
		text += "Authorization: " + authorization + "\r\n"
	}
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text + "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	if scheme == "https" {
		req.TLS = &tls.ConnectionState{}
	}
	return req
}

func latin1(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteByte(byte(r))
	}
	return b.String()
}

// fixed returns an Ext function that always returns text.
func fixed(text string) func(*http.Request) (string, error) {
	return func(*http.Request) (string, error) { return text, nil }
}

// oneKey returns a KeyFunc that knows one identifier.
func oneKey(c *mac.Credentials) mac.KeyFunc {
	return func(_ context.Context, id string) (*mac.Key, error) {
		if id != c.ID {
			return nil, mac.ErrUnknownID
		}
		return &mac.Key{Secret: c.Key, Algorithm: c.Algorithm}, nil
	}
}

// expected returns the MAC as the standard library computes it.
func expected(a string, key, text string) string {
	newHash := sha256.New
	if a == mac.SHA1 {
		newHash = sha1.New
	}
	h := hmac.New(newHash, []byte(key))
	h.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func algorithm(hash string) string {
	if hash == "sha256" {
		return mac.SHA256
	}
	return mac.SHA1
}

// params returns the parameters of a well-formed header.
func params(t testing.TB, line string) map[string]string {
	t.Helper()
	_, p, err := mac.Reprint(line)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return p
}

func decode(t testing.TB, text string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
