package raven_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/raven"
	"github.com/countersign-go/countersign/raven/wls"
)

const (
	site       = "https://app.example.org"
	secret     = site + "/secret"
	serviceURL = "https://login.example.test/auth/authenticate.html"
	logoutURL  = "https://login.example.test/auth/logout.html"
)

// A browser visits the pages of a site that has one Login or several.
type browser struct {
	t        testing.TB
	login    *raven.Login
	sessions *scs.SessionManager
	handler  http.Handler
	cookie   *http.Cookie // of the session; nil if none
	pending  *http.Cookie // of the pending login; nil if none
	accept   string
	fields   map[string]string // additional header fields
	logged   *bytes.Buffer

	opened int // counts calls of NewSession
	viewed int // counts requests that reached the page

	// The response to the last request.
	code    int
	header  http.Header
	body    string
	session *raven.Session
	id      *auth.Identity
}

// template is made here because its store has a goroutine, which must not belong to a synctest
// bubble.
var template = scs.New()

func newSessions() *scs.SessionManager {
	sessions := *template
	sessions.Store = memstore.NewWithCleanupInterval(0)
	sessions.Cookie.Name, sessions.Cookie.Secure = "__Host-session", true
	return &sessions
}

// newBrowser returns a browser without a session, for a site behind a Login. It sets the required
// fields that the Login lacks.
func newBrowser(t testing.TB, l *raven.Login) *browser {
	t.Helper()
	b := &browser{t: t, login: l, accept: "text/html,application/xhtml+xml,*/*;q=0.8",
		fields: map[string]string{}, logged: new(bytes.Buffer)}
	if b.sessions = l.Sessions; b.sessions == nil {
		b.sessions = newSessions()
		l.Sessions = b.sessions
	}
	if l.Logger == nil {
		l.Logger = slog.New(slog.NewTextHandler(b.logged, nil))
	}
	if l.NewSession == nil {
		l.NewSession = func(*http.Request, *raven.Session) { b.opened++ }
	}
	b.handler = l.Require(http.HandlerFunc(b.page))
	return b
}

// signingKey returns key 1 of the vectors.
var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	t := new(testing.T)
	return loadVectors(t).private(t, "1")
})

// newLogin returns a Login for a service that signs with key 1.
func newLogin(testing.TB) *raven.Login {
	return &raven.Login{BaseURL: site, Service: &raven.Service{
		LoginURL: serviceURL, LogoutURL: logoutURL,
		Keys:  raven.Keys{"1": &signingKey().PublicKey},
		PTags: []string{"current"},
	}}
}

func (b *browser) page(w http.ResponseWriter, req *http.Request) {
	b.viewed++
	b.session, _ = raven.FromContext(req.Context())
	b.id, _ = auth.FromContext(req.Context())
	fmt.Fprint(w, "the page")
}

func (b *browser) get(address string) { b.t.Helper(); b.send("GET", address) }

// send sends a request as a browser does, through a server's parser, and records the response.
func (b *browser) send(method, address string) {
	b.t.Helper()
	b.serve(b.request(method, address))
}

func (b *browser) request(method, address string) *http.Request {
	b.t.Helper()
	rest := strings.TrimPrefix(address, "https://")
	host, path, _ := strings.Cut(rest, "/")
	text := method + " /" + path + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n"
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		b.t.Fatal(err)
	}
	if b.accept != "" {
		req.Header.Set("Accept", b.accept)
	}
	for name, value := range b.fields {
		req.Header.Set(name, value)
	}
	for _, cookie := range []*http.Cookie{b.cookie, b.pending} {
		if cookie != nil {
			req.AddCookie(cookie)
		}
	}
	return req
}

func (b *browser) serve(req *http.Request) {
	b.t.Helper()
	w := httptest.NewRecorder()
	b.session, b.id = nil, nil
	b.handler.ServeHTTP(w, req)
	b.code, b.header, b.body = w.Code, w.Header(), w.Body.String()
	for _, c := range w.Result().Cookies() {
		kept := &b.cookie
		if strings.HasSuffix(c.Name, "-login") {
			kept = &b.pending
		}
		if *kept = c; c.MaxAge < 0 {
			*kept = nil
		}
	}
}

// is checks the last response: its status, and the beginning of its Location.
func (b *browser) is(code int, location string) {
	b.t.Helper()
	got := b.header.Get("Location")
	if b.code != code || !strings.HasPrefix(got, location) || (got == "") != (location == "") {
		b.t.Fatalf("%d to %q (%s), want %d to %q", b.code, got, b.body, code, location)
	}
}

// begin gives the browser a pending login with this token.
func (b *browser) begin(token string) {
	b.t.Helper()
	b.pending = b.login.PendingCookie(raven.Pending{Token: token})
}

// store gives the browser a session with this state.
func (b *browser) store(s *storedState) {
	b.t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, err := b.sessions.Load(context.Background(), "")
	if err != nil {
		b.t.Fatal(err)
	}
	b.sessions.Put(ctx, raven.StateKey, string(text))
	token, _, err := b.sessions.Commit(ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	b.cookie = &http.Cookie{Name: b.sessions.Cookie.Name, Value: token}
}

// change changes the state in the browser's session, and keeps the session's other values.
func (b *browser) change(by func(s *storedState)) {
	b.t.Helper()
	s := b.stored()
	by(s)
	text, err := json.Marshal(s)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, err := b.sessions.Load(context.Background(), b.cookie.Value)
	if err != nil {
		b.t.Fatal(err)
	}
	b.sessions.Put(ctx, raven.StateKey, string(text))
	if _, _, err := b.sessions.Commit(ctx); err != nil {
		b.t.Fatal(err)
	}
}

// stored returns the state in the browser's session.
func (b *browser) stored() *storedState {
	b.t.Helper()
	s := new(storedState)
	if b.cookie == nil {
		return s
	}
	ctx, err := b.sessions.Load(context.Background(), b.cookie.Value)
	if err != nil {
		b.t.Fatal(err)
	}
	if text := b.sessions.GetString(ctx, raven.StateKey); text != "" {
		if err := json.Unmarshal([]byte(text), s); err != nil {
			b.t.Fatal(err)
		}
	}
	return s
}

// waiting returns the browser's pending login.
func (b *browser) waiting() raven.Pending {
	b.t.Helper()
	if b.pending == nil {
		return raven.Pending{}
	}
	p, ok := b.login.ReadPending(b.pending)
	if !ok {
		b.t.Fatal("the pending login cannot be read")
	}
	return p
}

// asked returns the request that the browser takes to the service.
func (b *browser) asked() url.Values {
	b.t.Helper()
	b.is(303, serviceURL+"?")
	u, err := url.Parse(b.header.Get("Location"))
	if err != nil {
		b.t.Fatal(err)
	}
	return u.Query()
}

// An answer holds the fields of a service's answer that tests change.
type answer struct {
	version          int          // if zero, 3
	status           raven.Status // if zero, success
	msg              string
	age              time.Duration
	id               string // if empty, a new one each time
	url, params      string // if empty, as in the request
	principal, ptags string // if empty, abc12 and current
	auth, sso        string // if both are empty, auth is pwd
	life             time.Duration
	unsigned         bool
}

// write returns the URL to which the service sends the browser with an answer.
func (a answer) write(t testing.TB, asked url.Values) string {
	t.Helper()
	r := &raven.Response{
		Version: cmp.Or(a.version, 3), Status: cmp.Or(a.status, raven.StatusSuccess), Msg: a.msg,
		Issue: time.Now().Add(-a.age), ID: cmp.Or(a.id, rand.Text()),
		URL: cmp.Or(a.url, asked.Get("url")), Params: cmp.Or(a.params, asked.Get("params")),
	}
	if r.Status == raven.StatusSuccess {
		r.Principal = cmp.Or(a.principal, "abc12")
		r.PTags = strings.Split(cmp.Or(a.ptags, "current"), ",")
		r.Life, r.HasLife = a.life, a.life != 0
		if r.Auth = a.auth; a.sso != "" {
			r.SSO = []string{a.sso}
		} else if a.auth == "" {
			r.Auth = "pwd"
		}
	}
	if !a.unsigned {
		r.KeyID = "1"
	}
	text, err := wls.Sign(r, signingKey())
	if err != nil {
		t.Fatal(err)
	}
	separator := "?"
	if strings.Contains(r.URL, "?") {
		separator = "&"
	}
	return r.URL + separator + "WLS-Response=" + url.QueryEscape(text)
}

// logIn visits a page, and returns from the service with an answer.
func (b *browser) logIn(address string, a answer) {
	b.t.Helper()
	b.get(address)
	back := a.write(b.t, b.asked())
	b.get(back)
	b.is(303, site)
}
