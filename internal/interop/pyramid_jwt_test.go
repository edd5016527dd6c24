package interop

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/countersign-go/countersign"
	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/jwt"
	"github.com/countersign-go/countersign/jwt/pyramid"
	"github.com/countersign-go/countersign/transport"
)

const (
	jwtSecret = "not a secret: sixty-four letters are what HS512 asks for, at least"
	jwtMethod = "HS512" // pyramid_jwt's default
)

// jwtServices are the URLs of testdata/jwt_server.py.
type jwtServices struct{ Header, Bearer, Field, Cookie string }

func startJWTServices(t *testing.T, expiration, reissue int) jwtServices {
	t.Helper()
	var s jwtServices
	startPeer(t, "jwt_server.py", jwtSecret, user, password,
		strconv.Itoa(expiration), strconv.Itoa(reissue)).read(t, &s)
	return s
}

// A place is the part of a request in which one of the services expects the token.
type place struct{ name, url, scheme, header, cookie string }

func (s jwtServices) places() []place {
	return []place{
		{"JWT", s.Header, "JWT", "", ""},
		{"Bearer", s.Bearer, "", "", ""},
		{"X-Token", s.Field, "", "X-Token", ""},
		{"cookie", s.Cookie, "", "", "Authorization"},
	}
}

// encoding returns the encoding of the token in that place.
func (p place) encoding() jwt.Encoding {
	if p.cookie == "" {
		return nil
	}
	return pyramid.Cookie{}
}

// login returns a source that logs in at the service as a person does.
func (p place) login(calls *counter) *bearer.Tokens {
	login := &bearer.Login{
		URL: p.url + "/login", UserField: "login", User: user, Password: creds.Secret(password),
		TokenField: "token", Cookie: p.cookie, HTTP: &http.Client{Transport: calls},
	}
	return &bearer.Tokens{Fetch: login.Token}
}

func (p place) client(source creds.Source[*oauth2.Token], base http.RoundTripper) *http.Client {
	signer := &bearer.Signer{
		Source: source, Scheme: p.scheme, Header: p.header, Cookie: p.cookie,
	}
	return countersign.NewClient(countersign.Config{Signer: signer, Base: base})
}

// me is the service's description of the client that asks.
type me struct {
	User       string
	Claims     map[string]any
	Principals []string
}

func whoAmI(t *testing.T, client *http.Client, service string) me {
	t.Helper()
	resp, body := do(t, client, newRequest(t, http.MethodGet, service+"/me"))
	wantStatus(t, resp, http.StatusOK)
	var m me
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

func newRequest(t *testing.T, method, target string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// TestLoginAtPyramidJWT logs in once and uses the token, in each place that pyramid_jwt knows.
func TestLoginAtPyramidJWT(t *testing.T) {
	principals := []string{user, "role:reports", "system.Authenticated", "system.Everyone"}
	for _, p := range startJWTServices(t, 3600, 3600).places() {
		t.Run(p.name, func(t *testing.T) {
			logins := &counter{base: http.DefaultTransport}
			client := p.client(p.login(logins), nil)
			for range 3 {
				m := whoAmI(t, client, p.url)
				if m.User != user || !reflect.DeepEqual(m.Principals, principals) {
					t.Errorf("the service knows us as %+v", m)
				}
			}
			wantCalls(t, logins, 1)
		})
	}
}

// TestPyramidJWTTokenEnds continues beyond the lifetime of a token, which is 7 s at that service.
func TestPyramidJWTTokenEnds(t *testing.T) {
	p := startJWTServices(t, 7, 3600).places()[0]
	logins := &counter{base: http.DefaultTransport}
	wire := &counter{base: http.DefaultTransport}
	client := p.client(p.login(logins), wire)
	began := time.Now()
	for time.Since(began) < 10*time.Second {
		whoAmI(t, client, p.url)
		time.Sleep(100 * time.Millisecond)
	}
	if n := logins.n.Load(); n < 2 || n > 4 {
		t.Errorf("%d logins in 10 s, want one for each 7 s or a little less", n)
	}
	if n := wire.refused.Load(); n != 0 {
		t.Errorf("%d requests were refused: the token was not renewed in time", n)
	}
}

// TestPyramidJWTReissue keeps a session alive for longer than its cookie lives, with one login.
func TestPyramidJWTReissue(t *testing.T) {
	p := startJWTServices(t, 6, 1).places()[3]
	logins := &counter{base: http.DefaultTransport}
	wire := &counter{base: http.DefaultTransport}
	client := p.client(p.login(logins), wire)
	first, last := whoAmI(t, client, p.url), me{}
	for began := time.Now(); time.Since(began) < 10*time.Second; {
		last = whoAmI(t, client, p.url)
		time.Sleep(100 * time.Millisecond)
	}
	if reflect.DeepEqual(first.Claims["iat"], last.Claims["iat"]) {
		t.Error("no reissued cookie was taken up")
	}
	if n := logins.n.Load(); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
	if n := wire.refused.Load(); n != 0 {
		t.Errorf("%d requests were refused", n)
	}
	if last.Claims["big"] != json.Number("12345678901234567890") {
		t.Errorf("a number has become %v", last.Claims["big"])
	}
}

// TestPyramidJWTTakesOurTokens sends tokens that our signer has made, without a login.
func TestPyramidJWTTakesOurTokens(t *testing.T) {
	for _, p := range startJWTServices(t, 3600, 3600).places() {
		t.Run(p.name, func(t *testing.T) {
			claims := func(*http.Request) (map[string]any, error) {
				return map[string]any{"sub": user, "roles": []string{"admin"}}, nil
			}
			client := func(key string) *http.Client {
				return countersign.NewClient(countersign.Config{Signer: &jwt.Signer{
					Key: creds.Secret(key), Method: jwtMethod, Claims: claims,
					Scheme: p.scheme, Header: p.header,
					Cookie: p.cookie, Encoding: p.encoding(),
				}})
			}
			m := whoAmI(t, client(jwtSecret), p.url)
			if m.User != user || m.Principals[1] != "role:admin" {
				t.Errorf("the service knows us as %+v", m)
			}
			if p.cookie != "" {
				return // a wrong cookie makes the service fail
			}
			resp, _ := do(t, client(changed(jwtSecret)), newRequest(t, "GET", p.url+"/me"))
			wantStatus(t, resp, http.StatusUnauthorized)
			if h := transport.History(resp); len(h) > 2 {
				t.Errorf("%d requests were sent: %v", len(h), h)
			}
		})
	}
}

// TestOurVerifierTakesTokensOfPyramidJWT has our verifier take the place of the service, with
// tokens that the service has issued.
func TestOurVerifierTakesTokensOfPyramidJWT(t *testing.T) {
	for _, p := range startJWTServices(t, 3600, 3600).places() {
		t.Run(p.name, func(t *testing.T) {
			token, err := p.login(&counter{base: http.DefaultTransport}).Credentials(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			req := httptest.NewRequest(http.MethodGet, "https://api.example/", http.NoBody)
			signer := &bearer.Signer{Source: creds.Static[*oauth2.Token]{Value: token},
				Scheme: p.scheme, Header: p.header, Cookie: p.cookie}
			if err := signer.Sign(req, time.Now()); err != nil {
				t.Fatal(err)
			}
			verifier := &jwt.Verifier{
				Keys:   &jwt.Key{Method: jwtMethod, Key: creds.Secret(jwtSecret)},
				Scheme: p.scheme, Header: p.header, Cookie: p.cookie, Encoding: p.encoding(),
			}
			id, err := verifier.Authenticate(req)
			if err != nil || id.Subject != user ||
				id.Claims["big"] != json.Number("12345678901234567890") {
				t.Errorf("%+v, %v", id, err)
			}
		})
	}
}

// TestPyramidJWTReadsOurSession sends the cookie that our own service sets to the real service.
func TestPyramidJWTReadsOurSession(t *testing.T) {
	p := startJWTServices(t, 3600, 3600).places()[3]
	session, err := pyramid.FromSettings(map[string]string{"jwt.private_key": jwtSecret})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if err := session.Set(w, user, map[string]any{"roles": []string{"reports"}}); err != nil {
		t.Fatal(err)
	}
	service, err := url.Parse(p.url)
	if err != nil {
		t.Fatal(err)
	}
	req := newRequest(t, http.MethodGet, service.JoinPath("me").String())
	req.AddCookie(w.Result().Cookies()[0])
	resp, body := do(t, http.DefaultClient, req)
	wantStatus(t, resp, http.StatusOK)
	if !strings.Contains(body, `"user": "`+user+`"`) {
		t.Errorf("the service says %s", body)
	}
}
