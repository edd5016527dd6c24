package authtest_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/authtest"
	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/transport"
)

// Dumps of one request are equal, whatever the scheme's secrets and the time, and hold no
// credentials.
func TestDump(t *testing.T) {
	s := authtest.NewService(t)
	sum := sha256.Sum256([]byte("a body"))
	digest := base64.StdEncoding.EncodeToString(sum[:])
	const rest = "Content-Type: text/plain\nCookie: a=COOKIE; b=COOKIE\nX-Other: 1\n\na body"
	for name, tt := range map[string]struct {
		signer transport.Signer
		want   string
	}{
		"MAC": {
			&mac.Signer{Source: s.Provisioner(), BodyDigest: true},
			`MAC id="ID", ts="TS", nonce="NONCE", ext="sha-256=:` + digest + `:", mac="MAC"`,
		},
		"token": {s.JWT(), "Bearer CREDENTIALS"},
		"Basic": {
			&basic.Signer{User: "ann", Password: creds.Secret("canary-d0d0")}, "Basic CREDENTIALS",
		},
	} {
		for _, now := range []time.Time{time.Now(), time.Now().Add(time.Hour)} {
			req, err := http.NewRequest("POST", page, strings.NewReader("a body"))
			if err != nil {
				t.Fatal(err)
			}
			req.Header = http.Header{"X-Other": {"1"}, "Content-Type": {"text/plain"},
				"Cookie": {"a=canary-c00c1e; b=canary-c00c1e"}}
			if err := tt.signer.Sign(req, now); err != nil {
				t.Fatal(err)
			}
			got, err := authtest.Dump(req)
			want := "POST /items?q=1 HTTP/1.1\nHost: api.example.com\nAuthorization: " + tt.want +
				"\n" + rest
			if got != want || err != nil {
				t.Errorf("%s: got, %v,\n%s\nwant\n%s", name, err,
					strings.ReplaceAll(got, "canary-", "C-"), want)
			}
		}
	}
}

// A bare credential that looks like a token is not printed as a scheme, nor a cookie's value as its
// name.
func TestDumpBareCredentials(t *testing.T) {
	for _, tt := range []struct{ field, value, want string }{
		{"Authorization", "canary-0123456789", "CREDENTIALS"},
		{"Authorization", "canary-0123456789,x", "CREDENTIALS"},
		{"Authorization", "canary-a,x b", "CREDENTIALS"},
		{"Authorization", "canary-a=,b c", "CREDENTIALS"},
		{"Authorization", "Token\tcanary-a", "CREDENTIALS"},
		{"Authorization", " canary-a", "CREDENTIALS"},
		{"Authorization", "", "CREDENTIALS"},
		{"Authorization", "Token canary-a", "Token CREDENTIALS"},
		{"Proxy-Authorization", "canary-a", "CREDENTIALS"},
		{"Cookie", "canary-a", "COOKIE"},
		{"Cookie", "a=canary-a; canary-b", "a=COOKIE; COOKIE"},
	} {
		req, _ := http.NewRequest("GET", page, nil)
		req.Header.Set(tt.field, tt.value)
		got, err := authtest.Dump(req)
		want := tt.field + ": " + tt.want + "\n\n"
		if err != nil || !strings.HasSuffix(got, "\n"+want) {
			t.Errorf("got, %v, %s want %s", err, strings.ReplaceAll(got, "canary-", "C-"), want)
		}
	}
	if _, err := authtest.Dump(new(http.Request)); err == nil {
		t.Error("a request without a URL was dumped")
	}
}

// Dump returns the errors of GetBody.
func TestDumpBody(t *testing.T) {
	broken := errors.New("broken")
	req, _ := http.NewRequest("GET", page, nil)
	req.Method = ""
	if got, err := authtest.Dump(req); err != nil || !strings.HasPrefix(got, "GET /items?q=1 ") {
		t.Error(got, err)
	}
	for _, body := range []func() (io.ReadCloser, error){
		func() (io.ReadCloser, error) { return nil, broken },
		func() (io.ReadCloser, error) { return io.NopCloser(failing{broken}), nil },
	} {
		req.GetBody = body
		if _, err := authtest.Dump(req); !errors.Is(err, broken) {
			t.Error(err)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
