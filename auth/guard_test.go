package auth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
)

const (
	body401 = "authentication required\n"
	body429 = "too many requests\n"
	body503 = "credentials cannot be checked now\n"
)

// whoami responds with the subject.
var whoami = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
	if id, ok := auth.FromContext(req.Context()); ok {
		io.WriteString(w, id.Subject)
		return
	}
	io.WriteString(w, "anonymous")
})

func serve(h http.Handler, req *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

func get(h http.Handler) *httptest.ResponseRecorder {
	return serve(h, httptest.NewRequest("GET", "/page", nil))
}

type retryError struct{ after time.Duration }

func (e retryError) Error() string             { return "test: store is full" }
func (e retryError) Unwrap() error             { return auth.ErrUnavailable }
func (e retryError) RetryAfter() time.Duration { return e.after }

func TestGuard(t *testing.T) {
	down := fmt.Errorf("test: store is down: %w", auth.ErrUnavailable)
	for _, tt := range []struct {
		reason             string
		member             *member
		required, optional int
		body               string // of the response behind Require
	}{
		{"known", accepts("ann"), 200, 200, "ann"},
		{"no credentials: anonymous where allowed", refuses(auth.ErrNone), 401, 200, body401},
		{"wrong credentials are never anonymous", refuses(errWrong), 401, 401, body401},
		{"an outage is neither 200 nor 401, S9", refuses(down), 503, 503, body503},
		{"a full store too", refuses(retryError{0}), 503, 503, body503},
		{"a caller who has gone says nothing about credentials",
			refuses(context.Canceled), 503, 503, body503},
		{"nor does a store that is too slow, S9",
			refuses(fmt.Errorf("x: %w", context.DeadlineExceeded)), 503, 503, body503},
		{"too many attempts, whatever they were", refuses(auth.ErrLimited), 429, 429, body429},
		{"too many attempts, while a store is down",
			refuses(errors.Join(down, auth.ErrLimited)), 429, 429, body429},
		{"a member with a bug lets nobody in", &member{}, 503, 503, body503},
	} {
		required := get(auth.Require(whoami, tt.member))
		if required.Code != tt.required || required.Body.String() != tt.body {
			t.Errorf("%s: Require: %d %q, want %d %q",
				tt.reason, required.Code, required.Body, tt.required, tt.body)
		}
		optional := get(auth.Optional(whoami, tt.member))
		if optional.Code != tt.optional {
			t.Errorf("%s: Optional: %d, want %d", tt.reason, optional.Code, tt.optional)
		}
		if required.Code != 200 {
			checkRefusal(t, tt.reason, required)
		}
	}
}

func checkRefusal(t *testing.T, reason string, w *httptest.ResponseRecorder) {
	t.Helper()
	for name, want := range map[string]string{
		"Content-Type":           "text/plain; charset=utf-8",
		"Cache-Control":          "no-store",
		"X-Content-Type-Options": "nosniff",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %s: %q, want %q", reason, name, got, want)
		}
	}
}

func TestOptionalIsAnonymous(t *testing.T) {
	if w := get(auth.Optional(whoami, refuses(auth.ErrNone))); w.Body.String() != "anonymous" {
		t.Errorf("the handler saw %q", w.Body)
	}
	if w := get(auth.Optional(whoami)); w.Code != 200 || w.Body.String() != "anonymous" {
		t.Errorf("no member to ask: %d %q", w.Code, w.Body)
	}
}

// Each member sends its own challenge in its own field line, and gets only its own error.
func TestChallenges(t *testing.T) {
	first, second, third := refuses(auth.ErrNone), refuses(errWrong), accepts("bob")
	first.challenge, second.challenge, third.challenge = "A", `B error="wrong", x="1"`, "C"
	silent := refuses(auth.ErrNone) // a Challenger that adds no fields
	mute := struct{ auth.Authenticator }{refuses(auth.ErrNone)}
	w := get(auth.Require(whoami, first, silent, mute, auth.Stack{second, auth.Stack{third}}))
	want := []string{"A", `B error="wrong", x="1"`, "C"}
	got := w.Header().Values("WWW-Authenticate")
	if w.Code != 401 || !reflect.DeepEqual(got, want) {
		t.Errorf("%d with %q, want 401 with %q", w.Code, got, want)
	}
	for i, tt := range []struct {
		m    *member
		want error
	}{{first, auth.ErrNone}, {second, errWrong}, {third, auth.ErrNone}, {silent, auth.ErrNone}} {
		if len(tt.m.heard) != 1 || tt.m.heard[0] != tt.want {
			t.Errorf("member %d heard %v, want %v once", i, tt.m.heard, tt.want)
		}
	}
}

// The same member twice in a Stack counts as two members. A member whose type is not comparable
// does not cause a panic.
type list []string

func (list) Authenticate(*http.Request) (*auth.Identity, error) { return nil, errWrong }
func (list) Challenge(h http.Header, _ *http.Request, err error) {
	h.Add("WWW-Authenticate", fmt.Sprintf("List none=%t", err == auth.ErrNone))
}

func TestMembersAreToldApart(t *testing.T) {
	w := get(auth.Require(whoami, list{}, list{}))
	want := []string{"List none=false", "List none=true"}
	if got := w.Header().Values("WWW-Authenticate"); !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestEmptyStack(t *testing.T) {
	var logged bytes.Buffer
	g := auth.Guard{Logger: slog.New(slog.NewTextHandler(&logged, nil))}
	if w := get(g.Handler(whoami)); w.Code != 401 || w.Body.String() != body401 {
		t.Errorf("%d %q, want the 401", w.Code, w.Body)
	}
	text := logged.String()
	if !strings.Contains(text, "ERROR") || !strings.Contains(text, "challenge") {
		t.Errorf("no error in the log: %s", text)
	}
}

func TestRetryAfter(t *testing.T) {
	for _, tt := range []struct {
		reason string
		err    error
		want   string
	}{
		{"unknown", auth.ErrUnavailable, "1"},
		{"at least one second", retryError{0}, "1"},
		{"never negative", retryError{-time.Hour}, "1"},
		{"rounded up, so that nobody comes too early", retryError{1001 * time.Millisecond}, "2"},
		{"whole seconds", retryError{time.Minute}, "60"},
		{"found below a wrapper", fmt.Errorf("x: %w", retryError{time.Minute}), "60"},
		{"a length that nothing overflows", retryError{1<<63 - 1}, "9223372037"},
	} {
		w := get(auth.Require(whoami, refuses(tt.err)))
		if got := w.Header().Get("Retry-After"); w.Code != 503 || got != tt.want {
			t.Errorf("%s: %d, Retry-After %q, want 503, %q", tt.reason, w.Code, got, tt.want)
		}
		w = get(auth.Require(whoami, refuses(errors.Join(auth.ErrLimited, tt.err))))
		if got := w.Header().Get("Retry-After"); w.Code != 429 || got != tt.want {
			t.Errorf("%s: %d, Retry-After %q, want 429, %q", tt.reason, w.Code, got, tt.want)
		}
	}
}

func TestDecided(t *testing.T) {
	type decision struct {
		by      auth.Authenticator
		subject string
		err     error
	}
	first, second := refuses(auth.ErrNone), accepts("ann")
	for _, tt := range []struct {
		reason string
		err    error // of the second member
		want   decision
		status int
	}{
		{"accepted", nil, decision{second, "ann", nil}, 200},
		{"refused", errWrong, decision{second, "", errWrong}, 401},
		{"unknown", auth.ErrUnavailable, decision{second, "", auth.ErrUnavailable}, 503},
		{"anonymous", auth.ErrNone, decision{nil, "", auth.ErrNone}, 200},
	} {
		second.err = tt.err
		var told []decision
		g := auth.Guard{
			Stack:    auth.Stack{first, auth.Stack{second}},
			Optional: true,
			Decided: func(_ *http.Request, by auth.Authenticator, id *auth.Identity, err error) {
				d := decision{by: by, err: err}
				if id != nil {
					d.subject = id.Subject
				}
				told = append(told, d)
			},
		}
		w := get(g.Handler(whoami))
		if len(told) != 1 || told[0] != tt.want || w.Code != tt.status {
			t.Errorf("%s: told %v, status %d; want %v, %d",
				tt.reason, told, w.Code, tt.want, tt.status)
		}
	}
}

// Changing a field while requests are served has no effect.
func TestFieldsAreRead(t *testing.T) {
	g := auth.Guard{Stack: auth.Stack{refuses(errWrong)}}
	h := g.Handler(whoami)
	g.Stack[0] = accepts("eve")
	g.Stack = nil
	g.Optional = true
	if w := get(h); w.Code != 401 {
		t.Errorf("%d after a change, want 401", w.Code)
	}
}

type panics struct{}

func (panics) Authenticate(*http.Request) (*auth.Identity, error) { panic("a bug") }

func TestPanicIsNotSwallowed(t *testing.T) {
	defer func() {
		if p := recover(); p != "a bug" {
			t.Errorf("recovered %v", p)
		}
	}()
	w := get(auth.Optional(whoami, panics{}))
	t.Errorf("answered with %d", w.Code)
}

type newBody struct{}

func (newBody) Authenticate(req *http.Request) (*auth.Identity, error) {
	req.Body = io.NopCloser(strings.NewReader("checked"))
	return &auth.Identity{Subject: "ann"}, nil
}

// A body that an Authenticator replaces reaches the handler, but not the caller of the Guard.
func TestReplacedBody(t *testing.T) {
	echo := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		io.Copy(w, req.Body)
	})
	req := httptest.NewRequest("POST", "/", strings.NewReader("as sent"))
	body := req.Body
	if w := serve(auth.Require(echo, newBody{}), req); w.Body.String() != "checked" {
		t.Errorf("the handler read %q", w.Body)
	}
	if req.Body != body {
		t.Error("the caller's request was changed")
	}
}

func TestFromContext(t *testing.T) {
	if id, ok := auth.FromContext(context.Background()); id != nil || ok {
		t.Errorf("nothing there: %v, %t", id, ok)
	}
	if id, ok := auth.FromContext(auth.NewContext(context.Background(), nil)); id != nil || ok {
		t.Errorf("a nil identity: %v, %t", id, ok)
	}
	want := &auth.Identity{Subject: "ann"}
	if id, ok := auth.FromContext(auth.NewContext(context.Background(), want)); id != want || !ok {
		t.Errorf("%v, %t, want %v", id, ok, want)
	}
}

// net/http removes the temporary files of an upload. It looks for them in the request that it made
// itself.
func TestMultipartFormReachesServer(t *testing.T) {
	var parsed *multipart.Form
	h := auth.Optional(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		if err := req.ParseMultipartForm(1); err != nil {
			t.Error(err)
		}
		parsed = req.MultipartForm
	}))
	body := "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\ntext\r\n--b--\r\n"
	req := httptest.NewRequest("POST", "/", strings.NewReader(body))
	req.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	h.ServeHTTP(httptest.NewRecorder(), req)
	if parsed == nil || req.MultipartForm != parsed {
		t.Errorf("the server sees %v, the handler %v", req.MultipartForm, parsed)
	}
}
