package bearer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/creds"
)

const password = "canary-p4ssw0rd"

// A view is a login page: the requests that it received, and its responses.
type view struct {
	status int
	fields []string
	body   string

	sent  []*http.Request
	forms []string
}

func (v *view) RoundTrip(req *http.Request) (*http.Response, error) {
	form, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	v.sent, v.forms = append(v.sent, req), append(v.forms, string(form))
	if v.status == 0 {
		v.status = 200
	}
	resp := answer(req, v.status, v.fields...)
	resp.Body = io.NopCloser(strings.NewReader(v.body))
	return resp, nil
}

func (v *view) login() *bearer.Login {
	return &bearer.Login{URL: "https://a.example/login?next=%2F", User: "ann",
		Password: creds.Secret(password), HTTP: &http.Client{Transport: v}}
}

func TestLoginRequest(t *testing.T) {
	for _, test := range []struct {
		name   string
		set    func(*bearer.Login)
		kind   string
		accept string
		want   string
	}{
		{"a form", func(*bearer.Login) {}, "application/x-www-form-urlencoded", "application/json",
			"password=" + password + "&username=ann"},
		{"other fields", func(l *bearer.Login) { l.UserField, l.PasswordField = "login", "pw" },
			"application/x-www-form-urlencoded", "application/json", "login=ann&pw=" + password},
		{"what needs to be encoded", func(l *bearer.Login) { l.User = "a&b=c d+é" },
			"application/x-www-form-urlencoded", "application/json",
			"password=" + password + "&username=a%26b%3Dc+d%2B%C3%A9"},
		{"JSON", func(l *bearer.Login) { l.JSON, l.User = true, `a"b` }, "application/json",
			"application/json", `{"password":"` + password + `","username":"a\"b"}`},
		{"for a cookie", func(l *bearer.Login) { l.Cookie = "session" },
			"application/x-www-form-urlencoded", "", "password=" + password + "&username=ann"},
	} {
		v := &view{body: `{"token":"a"}`, fields: []string{"Set-Cookie", "session=a"}}
		l := v.login()
		test.set(l)
		if token, err := l.Token(t.Context(), nil); err != nil || token.AccessToken != "a" {
			t.Errorf("%s: %v, %v", test.name, token, err)
			continue
		}
		req := v.sent[0]
		if req.Method != "POST" || req.URL.String() != l.URL || v.forms[0] != test.want ||
			req.Header.Get("Content-Type") != test.kind || req.Header.Get("Accept") != test.accept {
			t.Errorf("%s: it sent %s %s of %s, and another form than expected",
				test.name, req.Method, req.URL, req.Header)
		}
	}
}

// TestLoginAnswer labels all responses as a web page, as scripts do that set no content type.
func TestLoginAnswer(t *testing.T) {
	exp := func(after time.Duration) string {
		return unsignedJWT(fmt.Sprintf(`{"exp":%d}`, time.Now().Add(after).Unix()))
	}
	const ever = -1
	for _, test := range []struct {
		name  string
		body  func() string
		field string
		want  string
		left  time.Duration
	}{
		{"the name of RFC 6749", func() string { return `{"access_token":"a","token":"b"}` }, "",
			"a", ever},
		{"the seed's name", func() string { return `{"result":"ok","token":"b"}` }, "", "b", ever},
		{"a name of its own", func() string { return `{"access_token":"a","jwt":"c"}` }, "jwt",
			"c", ever},
		{"seconds", func() string { return `{"token":"a","expires_in":60}` }, "", "a", time.Minute},
		{"seconds as text", func() string { return `{"token":"a","expires_in":"60"}` }, "", "a",
			time.Minute},
		{"with decimals", func() string { return `{"token":"a","expires_in":60.7}` }, "", "a",
			time.Minute},
		{"for ever", func() string { return `{"token":"a","expires_in":1e300}` }, "", "a",
			100 * 366 * 24 * time.Hour},
		{"null seconds", func() string { return `{"token":"a","expires_in":null}` }, "", "a", ever},
		{"zero seconds", func() string { return `{"token":"a","expires_in":0}` }, "", "a", ever},
		{"no seconds", func() string { return `{"token":"a","expires_in":""}` }, "", "a", ever},
		{"negative seconds", func() string { return `{"token":"a","expires_in":-1}` }, "", "a",
			ever}, // some services write it for a token that does not end
		{"negative seconds as text", func() string { return `{"token":"a","expires_in":"-1"}` }, "",
			"a", ever},
		{"no seconds, and a JWT", func() string {
			return `{"token":"` + exp(time.Minute) + `","expires_in":-1}`
		}, "", "ey", time.Minute},
		{"a byte order mark", func() string { return "\ufeff" + `{"token":"a"}` }, "", "a", ever},
		{"a JWT", func() string { return `{"token":"` + exp(time.Minute) + `"}` }, "", "ey",
			time.Minute},
		{"seconds count more", func() string {
			return `{"expires_in":30,"token":"` + exp(time.Minute) + `"}`
		}, "", "ey", 30 * time.Second},
		{"a wrong hint", func() string { return `{"token":"` + exp(-time.Minute) + `"}` }, "",
			"ey", ever},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := &view{body: test.body(), fields: []string{"Content-Type", "text/html"}}
				l := v.login()
				l.TokenField = test.field
				token, err := l.Token(t.Context(), nil)
				if err != nil || !strings.HasPrefix(token.AccessToken, test.want) {
					t.Fatalf("%v, %v", token, err)
				}
				left := time.Until(token.Expiry)
				if token.Expiry.IsZero() {
					left = ever
				}
				if left != test.left {
					t.Errorf("it lasts %v, want %v", left, test.left)
				}
			})
		})
	}
	token, err := (&view{body: `{"token":"a","refresh_token":"r"}`}).login().Token(t.Context(), nil)
	if err != nil || token.RefreshToken != "r" {
		t.Errorf("%v, %v", token, err)
	}
}

// A cookie is read from a 2xx or 3xx response. The page behind a redirect is not fetched.
func TestLoginCookie(t *testing.T) {
	for _, status := range []int{200, 204, 302, 303, 307} {
		v := &view{status: status, body: "<html>", fields: []string{"Content-Type", "text/html",
			"Location", "https://b.example/", "Set-Cookie", "session=a; Max-Age=60",
			"Set-Cookie", "other=b"}}
		l := v.login()
		l.Cookie = "session"
		jar, _ := cookiejar.New(nil)
		l.HTTP.Jar = jar
		token, err := l.Token(t.Context(), nil)
		if err != nil || token.AccessToken != "a" || len(v.sent) != 1 ||
			time.Until(token.Expiry) < 50*time.Second {
			t.Errorf("%d: %v, %v after %d requests", status, token, err, len(v.sent))
		}
		if got := fmt.Sprint(jar.Cookies(v.sent[0].URL)); got != "[other=b]" {
			t.Errorf("%d: the jar has %s", status, got)
		}
	}
}

// An error of a login does not repeat the response, the query or the password.
func TestLoginErrors_F7_K7(t *testing.T) {
	for _, test := range []struct {
		name   string
		view   view
		cookie string
		say    string
		final  bool
	}{
		{"wrong password", view{status: 401, body: "canary-b0dy"}, "",
			"status 401 (Unauthorized): check user and password", true},
		{"forbidden", view{status: 403}, "session", "check user and password", true},
		{"the seed's way", view{body: `{"result":"error","canary-n4me":"canary-v4lue"}`}, "",
			"status 200 with an answer that holds no token: check user and password", true},
		{"no text", view{body: `{"token":{"canary-a":1}}`}, "", "holds no token", true},
		{"an empty token", view{body: `{"token":""}`}, "", "holds no token", true},
		{"no object", view{body: `["canary-a"]`}, "", "not a JSON object", true},
		{"twice", view{body: `{"token":"canary-a","token":"canary-b"}`}, "", "occurs twice", true},
		{"something behind it", view{body: `{"token":"canary-a"} x`}, "", "not JSON", true},
		{"a page", view{body: `<html>`, fields: []string{"Content-Type", "text/html"}}, "",
			"a web page instead of JSON", true},
		{"a large answer", view{body: `{"token":"` + strings.Repeat("a", 64<<10) + `"}`}, "",
			"more than 64 KiB", true},
		{"odd seconds", view{body: `{"token":"canary-a","expires_in":"canary-b"}`}, "",
			"not a number of seconds", true},
		{"no number", view{body: `{"token":"canary-a","expires_in":"NaN"}`}, "",
			"not a number of seconds", true},
		{"down", view{status: 503}, "", "status 503 (Service Unavailable)", false},
		{"a redirect", view{status: 303, fields: []string{"Location", "/canary-l0c"}}, "",
			"a redirect that would change the request", true},
		{"a redirect elsewhere", view{status: 307, fields: []string{"Location",
			"https://b.example/canary-l0c"}}, "", "a redirect to another origin", true},
		{"no cookie", view{status: 303, fields: []string{"Location", "/",
			"Set-Cookie", "other=canary-a"}}, "session", "does not set the cookie", true},
		{"a cleared cookie", view{fields: []string{"Set-Cookie", "session=; Max-Age=0"}}, "session",
			"clears the cookie", true},
		{"a cookie with an error", view{status: 500, fields: []string{"Set-Cookie",
			"session=canary-a"}}, "session", "status 500", false},
	} {
		l := test.view.login()
		l.Cookie = test.cookie
		token, err := l.Token(t.Context(), nil)
		if token != nil || err == nil || !strings.Contains(err.Error(), test.say) ||
			!strings.HasPrefix(err.Error(), "bearer: no token: ") {
			t.Errorf("%s: the error does not say %q", test.name, test.say)
			continue
		}
		if strings.Contains(fmt.Sprintf("%+v %#v", err, err), "canary") {
			t.Errorf("%s: the error shows too much", test.name)
		}
		var e *bearer.Error
		if !errors.As(err, &e) || e.Final() != test.final ||
			e.Status != max(test.view.status, 200) && e.Status != 0 {
			t.Errorf("%s: %+v", test.name, e)
		}
		if len(test.view.sent) != 1 {
			t.Errorf("%s: %d requests", test.name, len(test.view.sent))
		}
	}
}

// The password is sent over TLS or within this machine, and nowhere else.
func TestLoginAddress_K4(t *testing.T) {
	for url, say := range map[string]string{
		"https://a.example/":                       "",
		"HTTPS://A.EXAMPLE/":                       "",
		"http://localhost:8080/login":              "",
		"http://LOCALHOST/":                        "",
		"http://127.0.0.1/":                        "",
		"http://[::1]:1/":                          "",
		"http://a.example/":                        "plain http",
		"http://localhost.a.example/":              "plain http",
		"http://127.0.0.1.a.example/":              "plain http",
		"http://0.0.0.0/":                          "plain http",
		"http://10.0.0.1/":                         "plain http",
		"https://ann:" + password + "@a.example/":  "holds a user or password",
		"ftp://a.example/":                         "not an address",
		"a.example":                                "not an address",
		"":                                         "not an address",
		"https://":                                 "not an address",
		"https://ann:" + password + "@a.example:x": "not an address",
	} {
		v := &view{body: `{"token":"a"}`}
		l := v.login()
		l.URL = url
		_, err := l.Token(t.Context(), nil)
		if (say == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), say) {
			t.Errorf("an address is treated otherwise than with %q", say)
		}
		if err != nil && (strings.Contains(err.Error(), "canary") || len(v.sent) > 0) {
			t.Errorf("the password gets out where it should say %q", say)
		}
	}
}

// A login at a service that drips ends, and the error names a service that cannot be reached.
func TestLoginHangs_F5(t *testing.T) {
	for _, cookie := range []string{"", "session"} {
		synctest.Test(t, func(t *testing.T) {
			l := &bearer.Login{URL: "https://a.example/?canary-qu3ry", Cookie: cookie,
				HTTP: &http.Client{Transport: network(
					func(req *http.Request) (*http.Response, error) {
						<-req.Context().Done()
						return nil, req.Context().Err()
					})}}
			start := time.Now()
			_, err := l.Token(context.Background(), nil)
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 30*time.Second ||
				strings.Contains(err.Error(), "canary") {
				t.Errorf("after %v: want that it was not in time after 30s", time.Since(start))
			}
		})
	}
	l := &bearer.Login{URL: "https://a.example/", HTTP: &http.Client{Transport: network(
		func(*http.Request) (*http.Response, error) {
			return nil, errors.New("connection refused")
		})}}
	_, err := l.Token(t.Context(), nil)
	if err == nil || err.Error() != "bearer: no token: no answer: connection refused" {
		t.Errorf("got %v", err)
	}
}

// A wrong password is tried once, however many callers there are, and however the service refuses
// it.
func TestLoginNoLockout_F14(t *testing.T) {
	for name, v := range map[string]*view{
		"object":   {body: `{"result":"error"}`},
		"page":     {body: "<html>", fields: []string{"Content-Type", "text/html"}},
		"text":     {body: "wrong password"},
		"redirect": {status: 302, fields: []string{"Location", "/login?failed"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			tokens := &bearer.Tokens{Fetch: v.login().Token}
			for range 299 {
				_ = crowd(tokens, 10)
				time.Sleep(time.Second)
			}
			if len(v.sent) != 1 {
				t.Errorf("%s: %d tries in 5 min", name, len(v.sent))
			}
		})
	}
}

// A response that broke off says nothing about the password.
func TestLoginBroken(t *testing.T) {
	l := &bearer.Login{URL: "https://a.example/", HTTP: &http.Client{Transport: network(
		func(req *http.Request) (*http.Response, error) {
			resp := answer(req, 200)
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"tok`),
				iotest.ErrReader(io.ErrUnexpectedEOF)))
			return resp, nil
		})}}
	_, err := l.Token(t.Context(), nil)
	var e *bearer.Error
	if !errors.As(err, &e) || e.Status != 200 || e.Final() {
		t.Errorf("got %v", err)
	}
}

// JSON would change a password that is not UTF-8.
func TestLoginNotUTF8(t *testing.T) {
	for _, set := range []func(*bearer.Login){
		func(l *bearer.Login) { l.User = "ann\xff" },
		func(l *bearer.Login) { l.Password = creds.Secret(password + "\xff") },
	} {
		v := &view{body: `{"token":"a"}`}
		l := v.login()
		set(l)
		if _, err := l.Token(t.Context(), nil); err != nil {
			t.Errorf("in a form: %v", err)
		}
		l.JSON = true
		_, err := l.Token(t.Context(), nil)
		if err == nil || !strings.Contains(err.Error(), "unset JSON") || len(v.sent) != 1 ||
			strings.Contains(err.Error(), "canary") {
			t.Errorf("after %d requests, the error does not tell", len(v.sent))
		}
	}
}

// A Login that is printed by value shows no more than a pointer to it.
func TestLoginPrintsByValue_K6(t *testing.T) {
	l := bearer.Login{URL: "https://ann:canary-u5er@a.example/login?canary-qu3ry", User: "ann",
		Password: creds.Secret(password)}
	text, err := json.Marshal(struct{ L bearer.Login }{l})
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		text = append(text, fmt.Sprintf(verb, l)...)
	}
	if strings.Contains(string(text), "canary") ||
		strings.Count(string(text), "https://a.example/login") != 8 {
		t.Error("it shows too much, or nothing")
	}
}
