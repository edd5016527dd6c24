package basic_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/transport"
)

func newRequest(t *testing.T) *http.Request {
	t.Helper()
	req, err := http.NewRequest("GET", "https://api.example.com/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestSign(t *testing.T) {
	for _, tt := range []struct {
		reason         string
		user, password string
		want           string
	}{
		{"RFC 7617, section 2", "Aladdin", "open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
		{"RFC 7617, section 2.1", "test", "123£", "Basic dGVzdDoxMjPCow=="},
		{"a colon in the password", "ann", "a:b", "Basic YW5uOmE6Yg=="},
		{"a key in place of the user", "key", "", "Basic a2V5Og=="},
		{"a key in place of the password", "", "key", "Basic OmtleQ=="},
		{"the longest field", "u", strings.Repeat("x", 6136),
			"Basic dTp4" + strings.Repeat("eHh4", 2045)},
	} {
		req := newRequest(t)
		s := basic.Signer{User: tt.user, Password: creds.Secret(tt.password)}
		if err := errors.Join(s.Check(), s.Sign(req, time.Now())); err != nil {
			t.Errorf("%s: %v", tt.reason, err)
			continue
		}
		if got := req.Header.Get("Authorization"); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.reason, got, tt.want)
		}
		user, password, ok := req.BasicAuth()
		if !ok || user != tt.user || password != tt.password {
			t.Errorf("%s: net/http reads %q, %q, %t", tt.reason, user, password, ok)
		}
	}
}

// An error before anything is sent names the problem, but does not contain the password.
func TestSignRefuses_C19(t *testing.T) {
	for _, tt := range []struct {
		reason         string
		user, password string
		want           string
	}{
		{"nothing at all: a setting was forgotten", "", "", "the User and the Password are empty"},
		{"a colon in the name ends it", "a:b", "hunter2", "a colon in the user name"},
		{"a newline in the name", "a\nb", "hunter2", "the User has several lines"},
		{"a password read from a file", "ann", "hunter2\n",
			"the Password ends in a line feed: trim it"},
		{"by an editor of Windows", "ann", "hunter2\r\n", "ends in a line feed: trim it"},
		{"a name read from a file", "ann\n", "hunter2",
			"the User ends in a line feed: trim it"},
		{"a newline in the password", "ann", "hun\nter2", "the Password has several lines"},
		{"a NUL", "ann", "hunter2\x00", "a control character"},
		{"a control character above ASCII", "ann", "hunter2\u0081", "a control character"},
		{"Latin-1 in the name", "J\xfcrgen", "hunter2", "not UTF-8"},
		{"Latin-1 in the password", "ann", "hunter2\xfc", "not UTF-8"},
		{"more than a server reads", "u", strings.Repeat("hunter2", 877), "over 8192 bytes"},
	} {
		req := newRequest(t)
		s := basic.Signer{User: tt.user, Password: creds.Secret(tt.password)}
		err := s.Sign(req, time.Now())
		text := fmt.Sprint(err)
		if checked := s.Check(); fmt.Sprint(checked) != text {
			t.Errorf("%s: Check says %v, and Sign %v", tt.reason, checked, err)
		}
		if !strings.HasPrefix(text, "basic: ") || !strings.Contains(text, tt.want) {
			t.Errorf("%s: error %v, want %q in it", tt.reason, err, tt.want)
		}
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s: the error holds the password: %v", tt.reason, err)
		}
		if len(req.Header) > 0 {
			t.Errorf("%s: the header was changed to %v", tt.reason, req.Header)
		}
	}
}

func TestOtherSpellings_C15(t *testing.T) {
	req := newRequest(t)
	req.Header["authorization"] = []string{"MAC id=1"}
	req.Header["AUTHORIZATION"] = []string{"MAC id=2"}
	req.Header["Authorization"] = []string{"MAC id=3", "MAC id=4"}
	req.Header["Proxy-Authorization"] = []string{"another field"}
	if err := (basic.Signer{User: "ann"}).Sign(req, time.Now()); err != nil {
		t.Fatal(err)
	}
	if len(req.Header) != 2 || len(req.Header["Authorization"]) != 1 {
		t.Errorf("the header is %v", req.Header)
	}
}

// A refusal whose Date is far from the client's clock must not look as if a corrected clock would
// help. The same password would be sent again, and count as one more failed login.
func TestRead(t *testing.T) {
	for _, lines := range [][]string{nil, {`Basic realm="x"`}, {"Negotiate"}, {"MAC"}} {
		resp := &http.Response{StatusCode: 401, Header: http.Header{
			"Www-Authenticate": lines, "Date": {"Tue, 15 Nov 1994 08:12:31 GMT"},
		}}
		if got := (basic.Signer{}).Read(resp); got != (transport.Refusal{}) {
			t.Errorf("%q: %+v", lines, got)
		}
	}
	sent := 0
	rt := &transport.Transport{
		Signer: basic.Signer{User: "alice", Password: creds.Secret("canary-badbad")},
		Base: httpFunc(func(*http.Request) (*http.Response, error) {
			sent++
			return &http.Response{StatusCode: 401, Header: http.Header{
				"Date": {"Tue, 15 Nov 1994 08:12:31 GMT"}}}, nil
		}),
	}
	req, err := http.NewRequest("GET", "https://api.example.com/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := rt.RoundTrip(req)
	if err != nil || resp.StatusCode != 401 || sent != 1 {
		t.Errorf("%v, %v after %d requests, want the 401 after one", resp, err, sent)
	}
}

type httpFunc func(*http.Request) (*http.Response, error)

func (f httpFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// Sending the same password again only adds a failed login to the account.
func TestNoRefresher(t *testing.T) {
	if _, ok := any(basic.Signer{}).(transport.Refresher); ok {
		t.Error("a Signer can refresh")
	}
}
