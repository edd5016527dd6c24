package basic_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
)

var (
	_ auth.Authenticator = basic.Verifier{}
	_ auth.Challenger    = basic.Verifier{}
)

// A passwordChecker is the type of Users in a Verifier.
type passwordChecker interface {
	CheckPassword(ctx context.Context, user string, password creds.Secret) (string, error)
}

// A checker is a function that implements portal.Checker and fits a Verifier.
type checker func(context.Context, portal.Credentials) (string, error)

func (f checker) CheckPassword(
	ctx context.Context, user string, password creds.Secret) (string, error) {
	return f(ctx, portal.Password{User: user, Password: password})
}

func (f checker) Check(ctx context.Context, c portal.Credentials) (string, error) {
	return f(ctx, c)
}

var users = portal.Memory{
	"ann":    creds.Secret("a:b"),
	"Jürgen": creds.Secret("pässword"),
	"long":   creds.Secret(strings.Repeat("x", 1024)),
}

func encoded(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func request(fields ...string) *http.Request {
	req := httptest.NewRequest("GET", "/", nil)
	if len(fields) > 0 {
		req.Header["Authorization"] = fields
	}
	return req
}

func TestAuthenticate(t *testing.T) {
	for _, tt := range []struct{ reason, field, subject string }{
		{"right", "Basic " + encoded("ann:a:b"), "ann"},
		{"the scheme has no case, RFC 9110 section 11.1", "bAsIc " + encoded("ann:a:b"), "ann"},
		{"several spaces, RFC 9110 section 11.4", "Basic   " + encoded("ann:a:b"), "ann"},
		{"UTF-8", "Basic " + encoded("Jürgen:pässword"), "Jürgen"},
		{"the longest password", "Basic " + encoded("long:"+strings.Repeat("x", 1024)), "long"},
	} {
		id, err := basic.Verifier{Users: users}.Authenticate(request(tt.field))
		if err != nil || id.Subject != tt.subject || id.Scheme != "Basic" {
			t.Errorf("%s: %+v, %v", tt.reason, id, err)
		}
	}
}

func TestNone(t *testing.T) {
	for _, tt := range []struct {
		reason string
		fields []string
	}{
		{"no field", nil},
		{"an empty field", []string{""}},
		{"another scheme", []string{`MAC id="1"`}},
		{"a scheme that begins the same", []string{"Basics " + encoded("ann:a:b")}},
		{"a scheme that looks the same", []string{"Ba\u017fic " + encoded("ann:a:b")}},
		{"several of other schemes, which they have to judge", []string{"MAC x=1", "Bearer abc"}},
	} {
		// A Verifier without Users must not affect requests without Basic credentials.
		id, err := basic.Verifier{}.Authenticate(request(tt.fields...))
		if id != nil || err != auth.ErrNone {
			t.Errorf("%s: %v, %v; want ErrNone", tt.reason, id, err)
		}
	}
}

func TestMalformed_S11(t *testing.T) {
	right := "Basic " + encoded("ann:a:b")
	for _, tt := range []struct {
		reason string
		fields []string
	}{
		{"a second field, C15", []string{right, right}},
		{"a second field of another scheme, C15", []string{"MAC x=1", right}},
		{"only the scheme", []string{"Basic"}},
		{"only the scheme and a space", []string{"Basic "}},
		{"a colon behind the scheme", []string{"Basic: " + encoded("ann:a:b")}},
		{"a colon for the space", []string{"Basic:" + encoded("ann:a:b")}},
		{"no space", []string{"Basic" + encoded("ann:a:b")}},
		{"a tab for the space", []string{"Basic\t" + encoded("ann:a:b")}},
		{"parameters", []string{`Basic user="ann"`}},
		{"a list", []string{right + ", MAC x=1"}},
		{"a blank at the end", []string{right + " "}},
		{"no padding", []string{"Basic YW5uOmE6YmM"}},
		{"too much padding", []string{"Basic YW5uOmE6Yg==="}},
		{"spare bits, C17", []string{"Basic YW5uOmE6Yh=="}},
		{"a newline, which base64 skips, C17", []string{"Basic YW5u\nOmE6Yg=="}},
		{"a newline at the end, C17", []string{"Basic YW5uOmE6Yg==\r\n"}},
		{"the alphabet for URLs", []string{"Basic YW5uOj8_Pz8="}},
		{"no base64", []string{"Basic ann:a:b"}},
		{"no colon", []string{"Basic " + encoded("ann")}},
		{"a NUL in the name", []string{"Basic " + encoded("ann\x00:a:b")}},
		{"a NUL in the password", []string{"Basic " + encoded("ann:a:b\x00")}},
		{"a newline, which could forge a line of a log", []string{"Basic " + encoded("a\nnn:a:b")}},
		{"DEL", []string{"Basic " + encoded("ann:a:b\x7f")}},
		{"a control character above ASCII", []string{"Basic " + encoded("ann:a:b\u0085")}},
		{"Latin-1", []string{"Basic " + encoded("J\xfcrgen:x")}},
		{"UTF-8 with an overlong NUL", []string{"Basic " + encoded("ann:\xc0\x80")}},
		{"a password over 1 KiB", []string{"Basic " + encoded("long:"+strings.Repeat("x", 1025))}},
		{"a name over 255 bytes", []string{"Basic " + encoded(strings.Repeat("x", 256)+":x")}},
		{"a password of 1 MiB", []string{"Basic " + encoded("ann:"+strings.Repeat("x", 1<<20))}},
		{"a field over 8 KiB, S4",
			[]string{"Basic " + strings.Repeat(" ", 8<<10) + encoded("ann:a:b")}},
	} {
		never := func(context.Context, portal.Credentials) (string, error) {
			t.Errorf("%s: the Checker was asked", tt.reason)
			return "eve", nil
		}
		v := basic.Verifier{Users: checker(never)}
		id, err := v.Authenticate(request(tt.fields...))
		if id != nil || !errors.Is(err, basic.ErrRefused) {
			t.Errorf("%s: %v, %v; want ErrRefused", tt.reason, id, err)
		}
		if text := fmt.Sprint(err); strings.Contains(text, "ann") || strings.Contains(text, "a:b") {
			t.Errorf("%s: the error repeats the request: %v", tt.reason, err)
		}
	}
}

func TestVerdicts(t *testing.T) {
	broken := errors.New("test: connection reset")
	for _, tt := range []struct {
		reason  string
		subject string
		err     error
		want    []error
		never   error
	}{
		{"wrong", "", portal.ErrUnauthorized,
			[]error{basic.ErrRefused, portal.ErrUnauthorized}, auth.ErrUnavailable},
		{"wrong, and said in more words", "", fmt.Errorf("file: %w", portal.ErrUnauthorized),
			[]error{basic.ErrRefused, portal.ErrUnauthorized}, auth.ErrUnavailable},
		{"no Checker for passwords, S9", "", fmt.Errorf("%w: x", portal.ErrUnhandled),
			[]error{auth.ErrUnavailable, portal.ErrUnhandled}, basic.ErrRefused},
		{"an outage, S9", "", broken, []error{auth.ErrUnavailable, broken}, basic.ErrRefused},
		{"a Checker that is too slow, S9", "", context.DeadlineExceeded,
			[]error{auth.ErrUnavailable, context.DeadlineExceeded}, basic.ErrRefused},
		{"one store is down and another knows no such user", "",
			errors.Join(portal.ErrUnauthorized, auth.ErrUnavailable),
			[]error{auth.ErrUnavailable}, basic.ErrRefused},
		{"no absence, whatever the Checker says", "", auth.ErrNone,
			[]error{auth.ErrUnavailable}, basic.ErrRefused},
		{"a subject beside an error", "eve", portal.ErrUnauthorized,
			[]error{basic.ErrRefused}, auth.ErrUnavailable},
		{"neither subject nor error is a bug", "", nil,
			[]error{auth.ErrUnavailable}, basic.ErrRefused},
	} {
		says := func(context.Context, portal.Credentials) (string, error) {
			return tt.subject, tt.err
		}
		v := basic.Verifier{Users: checker(says)}
		id, err := v.Authenticate(request("Basic " + encoded("ann:a:b")))
		for _, want := range tt.want {
			if id != nil || !errors.Is(err, want) {
				t.Errorf("%s: %v, %v; want %v", tt.reason, id, err, want)
			}
		}
		if errors.Is(err, tt.never) {
			t.Errorf("%s: %v is also %v", tt.reason, err, tt.never)
		}
	}
	id, err := basic.Verifier{}.Authenticate(request("Basic " + encoded("ann:a:b")))
	if id != nil || !errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("no Users: %v, %v; want ErrUnavailable", id, err)
	}
}

// The Checker gets the credentials unchanged, with the request's context. It decides which subject
// they name.
func TestCheckerIsAsked_S9(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	ask := func(ctx context.Context, c portal.Credentials) (string, error) {
		p, ok := c.(portal.Password)
		if !ok || p.User != "ann" || string(p.Password) != "a:b" {
			t.Errorf("asked about %#v", c)
		}
		cancel()
		if ctx.Err() == nil {
			t.Error("the context is not the one of the request")
		}
		return "Ann", nil
	}
	v := basic.Verifier{Users: checker(ask)}
	id, err := v.Authenticate(request("Basic " + encoded("ann:a:b")).WithContext(ctx))
	if err != nil || id.Subject != "Ann" {
		t.Errorf("%v, %v", id, err)
	}
}

func TestChallenge(t *testing.T) {
	for _, tt := range []struct{ reason, realm, want string }{
		{"the default", "", `Basic realm="restricted", charset="UTF-8"`},
		{"as it is", "the lab", `Basic realm="the lab", charset="UTF-8"`},
		{"quoted", `a "b" \ c`, `Basic realm="a \"b\" \\ c", charset="UTF-8"`},
		{"nothing gets out of the quotes", "a\r\nX: y", `Basic realm="a  X: y", charset="UTF-8"`},
	} {
		h := http.Header{}
		basic.Verifier{Realm: tt.realm}.Challenge(h, request(), auth.ErrNone)
		got := h.Get("WWW-Authenticate")
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.reason, got, tt.want)
		}
	}
}

// An unknown user and a wrong password get byte-identical responses.
func TestNoEnumeration_S2(t *testing.T) {
	h := auth.Require(http.NotFoundHandler(), basic.Verifier{Users: users})
	answer := func(field string) string {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, request(field))
		return fmt.Sprint(w.Code, w.Header(), w.Body)
	}
	wrong := answer("Basic " + encoded("ann:wrong"))
	if !strings.HasPrefix(wrong, "401 ") {
		t.Errorf("a wrong password: %s", wrong)
	}
	for _, field := range []string{
		"Basic " + encoded("bob:wrong"), "Basic " + encoded("ann\x00:x"), "Basic ?",
	} {
		if got := answer(field); got != wrong {
			t.Errorf("%q:\n%s\nwant\n%s", field, got, wrong)
		}
	}
}

func TestBothDirections(t *testing.T) {
	req := request()
	s := basic.Signer{User: "Jürgen", Password: creds.Secret("pässword")}
	if err := s.Sign(req, time.Now()); err != nil {
		t.Fatal(err)
	}
	id, err := basic.Verifier{Users: users}.Authenticate(req)
	if err != nil || id.Subject != "Jürgen" {
		t.Errorf("%v, %v", id, err)
	}
}

// A Checker's error that also wraps ErrNone must not turn a wrong password into an anonymous
// request.
func TestCheckerSaysTooMuch_S5(t *testing.T) {
	v := basic.Verifier{Users: checkFunc(func() error {
		return errors.Join(portal.ErrUnauthorized, auth.ErrNone)
	})}
	req := newRequest(t)
	signer := basic.Signer{User: "ann", Password: creds.Secret("x")}
	if err := signer.Sign(req, time.Time{}); err != nil {
		t.Fatal(err)
	}
	_, err := v.Authenticate(req)
	if !errors.Is(err, basic.ErrRefused) || errors.Is(err, auth.ErrNone) {
		t.Errorf("got %v", err)
	}
}

type checkFunc func() error

func (f checkFunc) Check(context.Context, portal.Credentials) (string, error) { return "", f() }

func (f checkFunc) CheckPassword(context.Context, string, creds.Secret) (string, error) {
	return "", f()
}

// A second Authorization field is refused, whether it comes before or after the one with Basic.
func TestSecondField_C15(t *testing.T) {
	for _, fields := range [][]string{{"Basic YTpi", "Bearer x"}, {"Bearer x", "Basic YTpi"}} {
		req := newRequest(t)
		req.Header["Authorization"] = fields
		_, err := basic.Verifier{Users: portal.Memory{"a": creds.Secret("b")}}.Authenticate(req)
		if !errors.Is(err, basic.ErrRefused) {
			t.Errorf("%q: %v", fields, err)
		}
	}
}

// A login that cannot wait for a hash gets Retry-After, and does not count as a wrong password.
func TestBusyChecker(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, []byte("ann:x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	entered, leave := make(chan bool), make(chan bool)
	users := &portal.File{Path: path, Hashing: 1, Wait: -1,
		Verify: func(string, creds.Secret, string) bool {
			entered <- true
			<-leave
			return true
		}}
	limiter := &auth.Limiter{Burst: 1, Every: time.Hour}
	handler := auth.Require(http.NotFoundHandler(), basic.Verifier{Users: users,
		Attempt: func(_ *http.Request, user string) (func(error), error) {
			return limiter.Attempt(user)
		}})
	field := "Basic " + encoded("ann:x")
	first := httptest.NewRecorder()
	done := make(chan bool)
	go func() {
		defer close(done)
		handler.ServeHTTP(first, request("Basic "+encoded("bob:x")))
	}()
	<-entered
	for range 3 {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, request(field))
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" {
			t.Errorf("busy: %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
		}
	}
	leave <- true
	<-done
	go func() { <-entered; leave <- true }()
	w := httptest.NewRecorder()
	if handler.ServeHTTP(w, request(field)); w.Code != http.StatusNotFound {
		t.Errorf("afterwards: %d", w.Code)
	}
}

// A program learns when it starts that a Verifier cannot let any user in.
func TestVerifierCheck(t *testing.T) {
	for _, tt := range []struct {
		reason  string
		checker passwordChecker
		want    string // "" for no error
	}{
		{"good", users, ""},
		{"a function", checker(nil), ""},
		{"none", nil, "no Users"},
		{"one that does not load", portal.Checkers{users, &portal.File{Path: t.TempDir()}},
			"not a regular file"},
	} {
		v := basic.Verifier{Users: tt.checker}
		for name, err := range map[string]error{
			"Check": v.Check(), "Stack": auth.Stack{v}.Check(),
		} {
			if (err == nil) != (tt.want == "") ||
				err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %s: %v, want %q", tt.reason, name, err, tt.want)
			}
		}
	}
}
