package raven_test

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/raven"
	"github.com/countersign-go/countersign/raven/wls"
)

// declining is a login service for tests that lets no user log in on Sundays.
func declining(sunday bool) *wls.Server {
	return &wls.Server{Decide: func(*http.Request, *wls.Request) *raven.Response {
		if sunday {
			return &raven.Response{Status: raven.StatusDeclined, Msg: "closed on Sundays"}
		}
		return &raven.Response{Status: raven.StatusSuccess, Principal: "abc12",
			PTags: []string{"current"}, Auth: raven.AuthPassword}
	}}
}

// visit opens a page of a site in a browser that follows all redirects, and prints the page.
func visit(login *raven.Login, service *wls.Server, page http.Handler) {
	send(http.MethodGet, "", login, service, login.Require(page))
}

// send sends a request to a site as a browser does, follows all redirects, and prints the last
// response. It sets the Service and the BaseURL of the login.
func send(
	method, form string, login *raven.Login, service *wls.Server, handler http.Handler,
) {
	logins := httptest.NewServer(service)
	defer logins.Close()
	site := httptest.NewUnstartedServer(nil)
	defer site.Close()
	var err error
	if login.Service, err = service.Service(logins.URL); err != nil {
		fmt.Println(err)
		return
	}
	login.BaseURL = "http://" + site.Listener.Addr().String()
	site.Config.Handler = handler
	site.Start()

	jar, err := cookiejar.New(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	browser := &http.Client{Jar: jar}
	req := httptest.NewRequest(method, login.BaseURL+"/page?a=1", strings.NewReader(form))
	req.RequestURI = ""
	req.Header.Set("Accept", "text/html")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := browser.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(resp.Status, resp.Request.URL.RequestURI())
	fmt.Println(string(body))
}

// A browser is sent to the service, logs in there, and comes back to the page that it asked for.
func ExampleLogin() {
	page := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		id, _ := auth.FromContext(req.Context())
		fmt.Fprintf(w, "Hello, %s (%s)", id.Subject, id.Scheme)
	})
	login := &raven.Login{Desc: "An example"} // visit sets the Service and the BaseURL
	visit(login, declining(false), page)
	// Output:
	// 200 OK /page?a=1
	// Hello, abc12 (Ucam-WebAuth)
}

// A site shows its own page to users who are refused.
func ExampleStatusError() {
	login := &raven.Login{Failed: func(w http.ResponseWriter, _ *http.Request, err error) {
		var status *raven.StatusError
		switch {
		case errors.As(err, &status):
			fmt.Fprintf(w, "%s They say: %s", status.Status.Description(), status.Msg)
		case errors.Is(err, raven.ErrForbidden):
			fmt.Fprint(w, "This page is not for you.")
		default:
			fmt.Fprint(w, "That did not work. Please open the page again.")
		}
	}}
	visit(login, declining(true), http.NotFoundHandler())
	// Output:
	// 401 Unauthorized /page?a=1
	// The login service declined to log you in this time. They say: closed on Sundays
}

// A user sends a form after their login has ended. The browser keeps the text in a cookie on its
// way to the service and back, and the page offers it again. The site stores nothing for a client
// that has not logged in, and the order is not executed before the user presses the button again.
func ExampleLogin_keepForm() {
	login := &raven.Login{} // send sets the Service and the BaseURL
	keep := func(w http.ResponseWriter, req *http.Request) {
		req.Body = http.MaxBytesReader(w, req.Body, 8<<10)
		if text := req.PostFormValue("text"); text != "" && len(text) < 1000 {
			http.SetCookie(w, &http.Cookie{ // with Secure, unless the site is http
				Name: "draft", Value: url.QueryEscape(text), Path: "/", MaxAge: 3600,
				HttpOnly: true, SameSite: http.SameSiteLaxMode,
			})
		}
		login.ServeHTTP(w, req)
	}
	page := func(w http.ResponseWriter, req *http.Request) {
		s, _ := raven.FromContext(req.Context())
		draft, err := req.Cookie("draft")
		if err != nil || !s.BodyLost {
			return
		}
		if text, err := url.QueryUnescape(draft.Value); err == nil {
			fmt.Fprintf(w, "Not sent yet: <textarea>%s</textarea>", html.EscapeString(text))
		}
	}
	guard := &auth.Guard{Stack: auth.Stack{login}, Denied: http.HandlerFunc(keep)}
	// Another site cannot make the browser keep a text.
	sameSite := http.NewCrossOriginProtection()
	site := sameSite.Handler(login.Answers(guard.Handler(http.HandlerFunc(page))))

	send(http.MethodPost, "text=Fish+%26+chips", login, declining(false), site)
	// Output:
	// 200 OK /page?a=1
	// Not sent yet: <textarea>Fish &amp; chips</textarea>
}

// A page shows how long its user stays logged in.
func ExampleFromContext() {
	page := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		s, _ := raven.FromContext(req.Context())
		fmt.Fprintln(w, s.Principal, s.PTags, s.Auth)
		for _, limit := range s.Limits {
			fmt.Fprintln(w, limit.Reason, limit.At.Sub(s.Issue).Round(time.Minute))
		}
	})
	login := &raven.Login{MaxLife: 8 * time.Hour, InactiveTimeout: 20 * time.Minute}
	visit(login, declining(false), page)
	// Output:
	// 200 OK /page?a=1
	// abc12 [current] pwd
	// config max life 8h0m0s
	// inactive 20m0s
}

func ExampleSession_Expires() {
	issue := time.Date(2024, 1, 15, 9, 30, 0, 0, time.UTC)
	s := &raven.Session{Principal: "abc12", Limits: []raven.Limit{
		{Reason: raven.LimitMaxLife, At: issue.Add(2 * time.Hour)},
		{Reason: raven.LimitWLSLife, At: issue.Add(time.Hour)},
	}}
	fmt.Println(s.Expires().Format(time.Kitchen))
	// Output: 10:30AM
}

// People log in, and programs sign: one page serves both. A program that does neither learns from
// the challenges how it can authenticate.
func ExampleLogin_Require() {
	login := &raven.Login{Service: raven.Demo(), BaseURL: "https://app.example.org"}
	programs := &mac.Verifier{Keys: func(context.Context, string) (*mac.Key, error) {
		return nil, mac.ErrUnknownID // no client has credentials yet
	}}
	site := login.Require(http.NotFoundHandler(), programs)

	w := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	site.ServeHTTP(w, req)
	fmt.Println(w.Code)
	for _, challenge := range w.Header().Values("WWW-Authenticate") {
		fmt.Println(challenge)
	}

	w = httptest.NewRecorder()
	req.Header.Set("Accept", "text/html")
	site.ServeHTTP(w, req)
	where, _, _ := strings.Cut(w.Header().Get("Location"), "?")
	fmt.Println(w.Code, where)
	// Output:
	// 401
	// MAC
	// Ucam-WebAuth realm="https://app.example.org"
	// 303 https://demo.raven.cam.ac.uk/auth/authenticate.html
}

// A public page greets users who have logged in, and is open to all others. A user who follows its
// link to /login comes back to it.
func ExampleLogin_ServeHTTP() {
	login := &raven.Login{Service: raven.Demo(), BaseURL: "https://app.example.org"}
	public := &auth.Guard{Stack: auth.Stack{login}, Denied: login, Optional: true}
	page := func(w http.ResponseWriter, req *http.Request) {
		if id, ok := auth.FromContext(req.Context()); ok {
			fmt.Fprintf(w, "Hello, %s", id.Subject)
		} else {
			fmt.Fprint(w, `<a href="/login">Log in</a>`)
		}
	}
	mux := http.NewServeMux()
	mux.Handle("/", login.Answers(public.Handler(http.HandlerFunc(page))))
	mux.Handle("/login", login.Require(http.RedirectHandler("/", http.StatusSeeOther)))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(w.Code, w.Body)
	fmt.Println(w.Header().Get("Vary"), w.Header().Get("Cache-Control"))
	// Output:
	// 200 <a href="/login">Log in</a>
	// Cookie private
}

// A Limiter counts requests with wrong credentials. The answers of the service do not reach it, so
// users who log in do not count.
func ExampleLogin_Answers() {
	login := &raven.Login{Service: raven.Demo(), BaseURL: "https://app.example.org"}
	limiter := &auth.Limiter{Every: time.Minute, Burst: 1}
	guard := &auth.Guard{Stack: auth.Stack{login}, Denied: login, Decided: limiter.Decided}
	site := login.Answers(limiter.Handler(guard.Handler(http.NotFoundHandler())))

	for range 3 {
		w := httptest.NewRecorder()
		site.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/?WLS-Response=x", nil))
		fmt.Println(w.Code) // 403 for lack of a session, not from the Limiter
	}
	// Output:
	// 403
	// 403
	// 403
}

func ExampleLogin_Logout() {
	login := &raven.Login{Service: raven.Demo(), BaseURL: "https://app.example.org"}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		w := httptest.NewRecorder()
		login.Logout(w, httptest.NewRequest(method, "/logout", nil))
		fmt.Printf("%s %d %q\n", method, w.Code, w.Header().Get("Location"))
	}
	// Output:
	// GET 405 ""
	// POST 303 "https://demo.raven.cam.ac.uk/auth/logout.html"
}

// A program detects a wrong setup when it starts, before users log in.
func ExampleLogin_Check() {
	login := &raven.Login{Service: raven.Demo(), BaseURL: "http://app.example.org"}
	fmt.Println(login.Check())
	// Output: raven: the BaseURL of the Login is neither https nor on a loopback host
}
