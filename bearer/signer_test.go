package bearer_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"

	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/transport"
)

// observe passes a response to o, which must not return an error.
func observe(t *testing.T, o transport.Observer, resp *http.Response, outcome transport.Outcome) {
	t.Helper()
	if err := o.Observe(resp, outcome); err != nil {
		t.Error(err)
	}
}

// A network is a RoundTripper in one function.
type network func(*http.Request) (*http.Response, error)

func (f network) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// answer returns a response with pairs of field names and values.
func answer(req *http.Request, status int, fields ...string) *http.Response {
	resp := &http.Response{
		StatusCode: status, Header: make(http.Header), Body: http.NoBody, Request: req,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	for i := 0; i < len(fields); i += 2 {
		resp.Header.Add(fields[i], fields[i+1])
	}
	return resp
}

func newRequest(t *testing.T, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func static(token string) creds.Source[*oauth2.Token] {
	return bearer.StaticToken(creds.Secret(token))
}

func TestSign(t *testing.T) {
	tests := []struct {
		name   string
		signer *bearer.Signer
		before string // the field before Sign
		field  string // the field after Sign
		want   string
	}{
		{"the common way", &bearer.Signer{}, "", "Authorization", "Bearer abc"},
		{"another word", &bearer.Signer{Scheme: "JWT"}, "", "Authorization", "JWT abc"},
		{"the word as it is", &bearer.Signer{Scheme: "token"}, "", "Authorization", "token abc"},
		{"another field", &bearer.Signer{Header: "X-Api-Key"}, "", "X-Api-Key", "abc"},
		{"which has no word", &bearer.Signer{Header: "x-api-key", Scheme: "JWT"}, "",
			"X-Api-Key", "abc"},
		{"the field by name", &bearer.Signer{Header: "authorization"}, "",
			"Authorization", "Bearer abc"},
		{"a field replaced", &bearer.Signer{Header: "X-Token"}, "x-token: old", "X-Token", "abc"},
		{"a cookie", &bearer.Signer{Cookie: "session"}, "", "Cookie", "session=abc"},
		{"beside others", &bearer.Signer{Cookie: "session"}, "Cookie: a=1; session=old; b=2",
			"Cookie", "a=1; b=2; session=abc"},
		{"of a similar name", &bearer.Signer{Cookie: "session"}, "Cookie: Session=1; sessions=2",
			"Cookie", "Session=1; sessions=2; session=abc"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := test.signer
			s.Source = static("abc")
			req := newRequest(t, "https://a.example/")
			if name, value, found := strings.Cut(test.before, ": "); found {
				req.Header[name] = []string{value}
			}
			if err := s.Sign(req, time.Now()); err != nil {
				t.Fatal(err)
			}
			if got := req.Header[test.field]; len(got) != 1 || got[0] != test.want {
				t.Errorf("%s: %q, want %q", test.field, got, test.want)
			}
			if len(req.Header) != 1 {
				t.Errorf("%d fields: %v", len(req.Header), req.Header)
			}
		})
	}
	var req http.Request
	if err := (&bearer.Signer{Source: static("abc")}).Sign(&req, time.Now()); err != nil {
		t.Errorf("a request without a header map: %v", err)
	}
}

// A token that cannot be sent is an error that says how to fix it, and the request is unchanged.
func TestSignErrors(t *testing.T) {
	const secret = "canary-t0k3n"
	long := strings.Repeat("x", 8<<10)
	typed := func(name string) creds.Source[*oauth2.Token] {
		return creds.Static[*oauth2.Token]{Value: &oauth2.Token{
			AccessToken: secret, TokenType: name,
		}}
	}
	tests := []struct {
		name   string
		signer *bearer.Signer
		say    string
	}{
		{"no source", &bearer.Signer{}, "no Source"},
		{"nil and no error", &bearer.Signer{Source: creds.Static[*oauth2.Token]{}}, "gave nil"},
		{"empty", &bearer.Signer{Source: static("")}, "is empty"},
		{"two places", &bearer.Signer{Source: static(secret), Cookie: "a", Header: "B"}, "choose"},
		{"two places", &bearer.Signer{Source: static(secret), Cookie: "a", Scheme: "B"}, "choose"},
		{"the Cookie", &bearer.Signer{Source: static(secret), Header: "cookie"}, "set Cookie"},
		{"a field of net/http", &bearer.Signer{Source: static(secret), Header: "host"},
			"choose another"},
		{"another one", &bearer.Signer{Source: static(secret), Header: "Content-Length"},
			"choose another"},
		{"no field", &bearer.Signer{Source: static(secret), Header: "a b"}, "not a token of RFC"},
		{"no scheme", &bearer.Signer{Source: static(secret), Scheme: "a:"}, "not a token of RFC"},
		{"no cookie", &bearer.Signer{Source: static(secret), Cookie: "a="}, "not a token of RFC"},
		{"a line feed", &bearer.Signer{Source: static(secret + "\n")},
			"the token ends in a line feed: trim it"},
		{"the scheme in front", &bearer.Signer{Source: static("Bearer " + secret)},
			"the token begins with the name of its scheme, Bearer"},
		{"another scheme in front", &bearer.Signer{Source: static("JWT " + secret), Scheme: "JWT"},
			"the token begins with the name of its scheme, JWT"},
		{"the scheme where none is sent", &bearer.Signer{Source: static("Bearer " + secret),
			Header: "X-Token"}, "the token begins with the name of its scheme, Bearer"},
		{"quotes around it", &bearer.Signer{Source: static("'" + secret + " '")},
			"the token stands between quotes"},
		{"a second cookie", &bearer.Signer{Source: static(secret + "; a=b"), Cookie: "c"},
			"cannot be sent"},
		{"a quote", &bearer.Signer{Source: static(secret + `"`), Header: "X-A"}, "cannot be sent"},
		{"beyond ASCII", &bearer.Signer{Source: static(secret + "é")}, "cannot be sent"},
		{"too long", &bearer.Signer{Source: static(secret + long)}, "over 8192 bytes"},
		{"MAC", &bearer.Signer{Source: typed("mac")}, "not of type Bearer but mac"},
		{"DPoP", &bearer.Signer{Source: typed("DPoP")}, "set the Scheme"},
		{"a strange type", &bearer.Signer{Source: typed("a b\n")}, "but another type"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			req := newRequest(t, "https://a.example/")
			err := test.signer.Sign(req, time.Now())
			if err == nil || !strings.Contains(err.Error(), test.say) ||
				!strings.HasPrefix(err.Error(), "bearer: ") {
				t.Errorf("got %v, want one that says %q", err, test.say)
			}
			if err != nil && strings.Contains(err.Error(), "t0k3n") {
				t.Error("the error shows the token")
			}
			if len(req.Header) > 0 {
				t.Error("something was set all the same")
			}
		})
	}
	for _, s := range []*bearer.Signer{
		{Source: typed("")}, {Source: typed("bearer")}, {Source: typed("BEARER")},
		{Source: typed("mac"), Scheme: "MAC"}, {Source: typed("mac"), Header: "X-A"},
		{Source: typed("mac"), Cookie: "a"},
	} {
		if err := s.Sign(newRequest(t, "https://a.example/"), time.Now()); err != nil {
			t.Errorf("%v: %v", s, err)
		}
	}
}

// failing is a Source without a token.
type failing struct{ err error }

func (f failing) Credentials(context.Context) (*oauth2.Token, error) { return nil, f.err }

// The error of a Source reaches the caller unchanged.
func TestSignSourceError(t *testing.T) {
	cause := errors.New("the disk is full")
	s := &bearer.Signer{Source: failing{cause}}
	if err := s.Sign(newRequest(t, "https://a.example/"), time.Now()); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}

// many returns n parameters, each behind a comma.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ", p%d=1", i)
	}
	return b.String()
}

func TestRead(t *testing.T) {
	header, other := &bearer.Signer{}, &bearer.Signer{Header: "X-Token"}
	jwt, cookie := &bearer.Signer{Scheme: "JWT"}, &bearer.Signer{Cookie: "session"}
	tests := []struct {
		name      string
		signer    *bearer.Signer
		challenge string
		want      transport.Cause
	}{
		{"none at all", header, "", transport.CauseUnknown},
		{"no reason", header, "Bearer", transport.CauseUnknown},
		{"a realm", header, `Bearer realm="a"`, transport.CauseUnknown},
		{"expired, say", header, `Bearer error="invalid_token"`, transport.CauseCredential},
		{"in any case", header, `bEARER Error=invalid_token`, transport.CauseCredential},
		{"with an explanation", header,
			`Bearer realm="a", error="invalid_token", error_description="it, expired"`,
			transport.CauseCredential},
		{"not worth a fetch", header, `Bearer error="insufficient_scope", scope="a"`, ""},
		{"nor this", header, `Bearer error="invalid_request"`, ""},
		{"the user must come", header, `Bearer error="insufficient_user_authentication"`, ""},
		{"of its own", header, `Bearer error="unheard_of"`, transport.CauseUnknown},
		{"the case counts", header, `Bearer error="Invalid_Token"`, transport.CauseUnknown},
		{"foreign", header, `Negotiate`, ""},
		{"a proxy's", header, `Basic realm="proxy"`, ""},
		{"among others", header, `Basic realm="a", Bearer error="invalid_token"`,
			transport.CauseCredential},
		{"behind one with a list", header, `DPoP algs="ES256", Bearer error="invalid_token"`,
			transport.CauseCredential},
		{"behind one with a comma in quotes", header,
			`Digest param=",f ", Bearer error="invalid_token"`, transport.CauseCredential},
		{"the first that says why", header,
			`Bearer, Bearer error="insufficient_scope", Bearer error="invalid_token"`, ""},
		{"another word is foreign", header, `JWT error="invalid_token"`, ""},
		{"but for who sends it", jwt, `JWT error="invalid_token"`, transport.CauseCredential},
		{"who is told of Bearer too", jwt, `Bearer error="invalid_token"`,
			transport.CauseCredential},
		{"in another field", other, `Bearer header="x-token", error="invalid_token"`,
			transport.CauseCredential},
		{"which need not be named", other, `Bearer error="invalid_token"`,
			transport.CauseCredential},
		{"a token elsewhere", header, `Bearer header="X-Token", error="invalid_token"`, ""},
		{"and the other way round", other, `Bearer header="X-Other", error="invalid_token"`, ""},
		{"a cookie", cookie, `Cookie cookie-name="session", error="invalid_token"`,
			transport.CauseCredential},
		{"of no name", cookie, `Cookie realm="a"`, transport.CauseUnknown},
		{"another cookie", cookie, `Cookie cookie-name="other", error="invalid_token"`, ""},
		{"a cookie asked of others", header, `Cookie error="invalid_token"`, ""},
		{"Bearer for a cookie", cookie, `Bearer error="invalid_token"`, transport.CauseCredential},
		{"malformed", header, `Bearer error="invalid_token`, transport.CauseUnknown},
		{"a comma forgotten", header, `Bearer realm="a" error="invalid_token"`,
			transport.CauseUnknown},
		{"and in another word", jwt, `jwt realm="a" error="invalid_token"`, transport.CauseUnknown},
		{"and for a cookie", cookie, `Cookie realm="a" error="b"`, transport.CauseUnknown},
		{"and for a cookie of others", header, `Cookie realm="a" error="b"`, ""},
		{"and in a foreign one", header, `Bearers realm="a" error="invalid_token"`, ""},
		{"malformed later", header, `Bearer error="invalid_token", Basic realm="`,
			transport.CauseCredential},
		{"malformed and foreign", header, `=`, ""},
		{"malformed behind a foreign one", header,
			`Basic realm="x", Bearer error="invalid_token" error_description="no comma"`,
			transport.CauseUnknown},
		{"quotes within quotes", header,
			`Bearer error="invalid_token", error_description="The token "abc" is over"`,
			transport.CauseUnknown},
		{"a semicolon for a comma", header, `Bearer realm="x"; error="invalid_token"`,
			transport.CauseUnknown},
		{"a parameter twice", header, `Bearer realm="a", realm="b", error="invalid_token"`,
			transport.CauseUnknown},
		{"too many parameters", header, "Bearer a=1" + many(18), transport.CauseUnknown},
		{"a colon", header, `Bearer: error="invalid_token"`, transport.CauseUnknown},
		{"no space", header, `Bearererror="invalid_token"`, transport.CauseUnknown},
	}
	for _, test := range tests {
		for _, status := range []int{401, 403} {
			resp := answer(nil, status)
			if test.challenge != "" {
				resp.Header.Set("WWW-Authenticate", test.challenge)
			}
			got := test.signer.Read(resp)
			if got.Cause != test.want || !got.ServerTime.IsZero() {
				t.Errorf("%s: %d %s: got %q at %v, want %q",
					test.name, status, test.challenge, got.Cause, got.ServerTime, test.want)
			}
			// Challenges of other schemes beside it change nothing.
			resp.Header["Www-Authenticate"] = append([]string{`Basic realm="x"`, "Negotiate"},
				resp.Header["Www-Authenticate"]...)
			beside := test.signer.Read(resp)
			if test.challenge != "" && beside.Cause != test.want {
				t.Errorf("%s, beside others: got %q, want %q", test.name, beside.Cause, test.want)
			}
		}
	}
	wrong := &bearer.Signer{Cookie: "a", Header: "B"}
	if got := wrong.Read(answer(nil, 401)); got.Cause != "" {
		t.Errorf("a Signer that sends nothing reads %q", got.Cause)
	}
}

// A token does not depend on the time. If the server's clock is off, a token that is always refused
// is not sent again. One that can be replaced is replaced once, and sent again while it is new.
func TestAlwaysRefusedByOtherClock_F1(t *testing.T) {
	e := &endpoint{}
	for name, test := range map[string]struct {
		signer transport.Signer
		want   []string
	}{
		"static": {&bearer.Signer{Source: static("abc")}, []string{"Bearer abc"}},
		"fetched": {&bearer.Signer{Source: &bearer.Tokens{Fetch: e.fetch}},
			[]string{"Bearer token1", "Bearer token1", "Bearer token1", "Bearer token2"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			var sent []string
			rt := &transport.Transport{Signer: test.signer, Base: network(
				func(req *http.Request) (*http.Response, error) {
					sent = append(sent, req.Header.Get("Authorization"))
					return answer(req, 401, "WWW-Authenticate", `Bearer error="invalid_token"`,
						"Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)), nil
				})}
			resp, err := rt.RoundTrip(newRequest(t, "https://a.example/"))
			if err != nil || resp.StatusCode != 401 || !slices.Equal(sent, test.want) {
				t.Errorf("%s: %v, %v, sent %q", name, resp, err, sent)
			}
		})
	}
}
