package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/portal"
)

// The examples use one scheme and two users.
var people = basic.Verifier{Realm: "lab", Users: portal.Memory{
	"ann": creds.Secret("correct horse"),
	"bob": creds.Secret("battery staple"),
}}

// show prints the response of h to a user. If user is "", the request carries no credentials.
func show(h http.Handler, user, password string) {
	req := httptest.NewRequest("GET", "/", nil)
	if user != "" {
		req.SetBasicAuth(user, password)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	fmt.Print(w.Code, " ", w.Body)
}

func greet(w http.ResponseWriter, req *http.Request) {
	if id, ok := auth.FromContext(req.Context()); ok {
		fmt.Fprintln(w, "hello,", id.Subject)
		return
	}
	fmt.Fprintln(w, "hello, stranger")
}

// Behind Require, a handler always finds an identity.
func ExampleRequire() {
	page := auth.Require(http.HandlerFunc(greet), people)

	show(page, "ann", "correct horse")
	show(page, "ann", "wrong")
	show(page, "", "")
	// Output:
	// 200 hello, ann
	// 401 authentication required
	// 401 authentication required
}

// Behind Optional, a handler also gets anonymous requests, but no requests with wrong credentials.
func ExampleOptional() {
	page := auth.Optional(http.HandlerFunc(greet), people)

	show(page, "ann", "correct horse")
	show(page, "ann", "wrong")
	show(page, "", "")
	// Output:
	// 200 hello, ann
	// 401 authentication required
	// 200 hello, stranger
}

// The Guard identifies the user, and the handler decides what the user may do. 401 means "log in",
// and 403 means that another login would not help.
func ExampleFromContext() {
	admins := []string{"ann"}
	page := auth.Require(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		id, ok := auth.FromContext(req.Context())
		if !ok || !slices.Contains(admins, id.Subject) {
			http.Error(w, "for admins only", http.StatusForbidden)
			return
		}
		fmt.Fprintln(w, "the keys, please,", id.Subject)
	}), people)

	show(page, "ann", "correct horse")
	show(page, "bob", "battery staple")
	show(page, "", "")
	// Output:
	// 200 the keys, please, ann
	// 403 for admins only
	// 401 authentication required
}

// A Guard can have a page for people and a function for the audit. Programs get the challenges of
// all members.
func ExampleGuard() {
	g := auth.Guard{
		Stack: auth.Stack{people},
		Denied: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintln(w, `<a href="/login">Log in</a>`)
		}),
		Decided: func(_ *http.Request, by auth.Authenticator, id *auth.Identity, err error) {
			switch {
			case err == nil:
				fmt.Println("let in:", id.Subject, "by", id.Scheme)
			case by == nil:
				fmt.Println("no attempt was made")
			default:
				fmt.Println("kept out:", err)
			}
		},
	}
	page := g.Handler(http.HandlerFunc(greet))

	show(page, "ann", "correct horse")
	show(page, "ann", "wrong")
	show(page, "", "")
	// Output:
	// let in: ann by Basic
	// 200 hello, ann
	// kept out: basic: credentials refused: creds: wrong user or password
	// 401 <a href="/login">Log in</a>
	// no attempt was made
	// 401 <a href="/login">Log in</a>
}

// People get a page with a login link, and programs get a line of text. The status and the
// challenges are the same for both, so a wrong guess about the client does no harm.
func ExampleGuard_denied() {
	guard := &auth.Guard{
		Stack: auth.Stack{
			sessions{"c0ffee": "bob"},
			&mac.Verifier{Keys: noKeys},
		},
		Denied: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if !strings.Contains(req.Header.Get("Accept"), "text/html") {
				http.Error(w, "sign the request", http.StatusUnauthorized)
				return
			}
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprintln(w, `<a href="/login">Log in</a>`)
		}),
	}
	page := guard.Handler(http.HandlerFunc(greet))

	for _, accept := range []string{"text/html,*/*;q=0.8", "application/json"} {
		req := httptest.NewRequest("GET", "/", nil)
		req.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		page.ServeHTTP(w, req)
		fmt.Println(w.Code, w.Header().Get("Content-Type"), w.Header()["Www-Authenticate"])
		fmt.Print(w.Body)
	}
	// Output:
	// 401 text/html; charset=utf-8 [MAC]
	// <a href="/login">Log in</a>
	// 401 text/plain; charset=utf-8 [MAC]
	// sign the request
}

func noKeys(context.Context, string) (*mac.Key, error) { return nil, mac.ErrUnknownID }

// Wrong credentials of one scheme are refused even if another scheme has the right ones.
func ExampleStack() {
	session := sessions{"c0ffee": "bob"}
	page := auth.Require(http.HandlerFunc(greet), people, session)

	req := httptest.NewRequest("GET", "/", nil)
	req.AddCookie(&http.Cookie{Name: "session", Value: "c0ffee"})
	w := httptest.NewRecorder()
	page.ServeHTTP(w, req)
	fmt.Print(w.Code, " ", w.Body)

	req.SetBasicAuth("ann", "wrong")
	w = httptest.NewRecorder()
	page.ServeHTTP(w, req)
	fmt.Print(w.Code, " ", w.Body)
	// Output:
	// 200 hello, bob
	// 401 authentication required
}

// sessions is an application's own Authenticator. It maps the values of a cookie to user names.
type sessions map[string]string

func (s sessions) Authenticate(req *http.Request) (*auth.Identity, error) {
	cookie, err := req.Cookie("session")
	if err != nil || s[cookie.Value] == "" {
		return nil, auth.ErrNone
	}
	return &auth.Identity{Subject: s[cookie.Value], Scheme: "session"}, nil
}

// A full memory cannot distinguish a new nonce from a replay, so it returns an error.
func ExampleNonceMemory_Claim() {
	memory := &auth.NonceMemory{Max: 1}
	until := time.Now().Add(time.Minute)
	for _, nonce := range []string{"n1", "n1", "n2"} {
		fresh, err := memory.Claim(context.Background(), "h480djs93hd8", nonce, until)
		fmt.Println(fresh, err, errors.Is(err, auth.ErrUnavailable))
	}
	// Output:
	// true <nil> false
	// false <nil> false
	// false auth: the nonce memory is full true
}
