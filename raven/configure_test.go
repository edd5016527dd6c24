package raven_test

import (
	"crypto/rsa"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/raven"
)

// TestCheck checks that Check names each mistake, before a user can log in.
func TestCheck(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(l *raven.Login)
		want   string // part of the error; if "", there is no error
	}{
		"nothing":        {func(*raven.Login) {}, ""},
		"own sessions":   {func(l *raven.Login) { l.Sessions = nil }, ""},
		"a path":         {func(l *raven.Login) { l.BaseURL = site + "/app/" }, ""},
		"loopback":       {func(l *raven.Login) { l.BaseURL = "http://[::1]:8080" }, ""},
		"no logout":      {func(l *raven.Login) { l.Service.LogoutURL = "" }, ""},
		"no BaseURL":     {func(l *raven.Login) { l.BaseURL = "" }, "no BaseURL"},
		"no scheme":      {func(l *raven.Login) { l.BaseURL = "app.example.org" }, "BaseURL"},
		"not a URL":      {func(l *raven.Login) { l.BaseURL = "https://a b" }, "BaseURL"},
		"a query":        {func(l *raven.Login) { l.BaseURL = site + "/?a" }, "BaseURL"},
		"an empty query": {func(l *raven.Login) { l.BaseURL = site + "?" }, "BaseURL"},
		"a fragment":     {func(l *raven.Login) { l.BaseURL = site + "#a" }, "BaseURL"},
		"a user":         {func(l *raven.Login) { l.BaseURL = "https://u@a.example" }, "BaseURL"},
		"plain http":     {func(l *raven.Login) { l.BaseURL = "http://app.example.org" }, "https"},
		"another scheme": {func(l *raven.Login) { l.BaseURL = "ftp://localhost" }, "https"},
		"a host like it": {func(l *raven.Login) { l.BaseURL = "http://localhost.ex" }, "https"},
		"no Service":     {func(l *raven.Login) { l.Service = nil }, "no Service"},
		"no keys":        {func(l *raven.Login) { l.Service.Keys = nil }, "no Keys"},
		"a nil key":      {func(l *raven.Login) { l.Service.Keys["2"] = nil }, `no key "2"`},
		"a name of a key": {func(l *raven.Login) {
			l.Service.Keys = raven.Keys{"pubkey2": l.Service.Keys["1"]}
		}, `"pubkey2"`},
		"a kid with zeros": {func(l *raven.Login) {
			l.Service.Keys = raven.Keys{"02": l.Service.Keys["1"]}
		}, `"02"`},
		"an empty key": {func(l *raven.Login) { l.Service.Keys["2"] = new(rsa.PublicKey) },
			`no key "2"`},
		"a tiny key": {func(l *raven.Login) {
			l.Service.Keys["2"] = &rsa.PublicKey{N: big.NewInt(35), E: 5}
		}, `key "2"`},
		"no such type":    {func(l *raven.Login) { l.AAuth = []string{"x-card"} }, "AAuth"},
		"one such type":   {func(l *raven.Login) { l.AAuth = []string{"x-card", "pwd"} }, ""},
		"no Store":        {func(l *raven.Login) { l.Sessions.Store = nil }, "Store"},
		"no Codec":        {func(l *raven.Login) { l.Sessions.Codec = nil }, "Codec"},
		"no Lifetime":     {func(l *raven.Login) { l.Sessions.Lifetime = 0 }, "Lifetime"},
		"a bad port":      {func(l *raven.Login) { l.BaseURL = site + ":99999" }, "BaseURL"},
		"no port":         {func(l *raven.Login) { l.BaseURL = site + ":" }, "BaseURL"},
		"a port":          {func(l *raven.Login) { l.BaseURL = site + ":8443" }, ""},
		"two hosts":       {func(l *raven.Login) { l.BaseURL = site + ",evil" }, "BaseURL"},
		"no LoginURL":     {func(l *raven.Login) { l.Service.LoginURL = "" }, "LoginURL"},
		"plain LoginURL":  {func(l *raven.Login) { l.Service.LoginURL = "http://a" }, "LoginURL"},
		"plain LogoutURL": {func(l *raven.Login) { l.Service.LogoutURL = "http://a" }, "LogoutURL"},
		"negative timeout": {func(l *raven.Login) { l.InactiveTimeout = -time.Second },
			"InactiveTimeout"},
		"no life": {func(l *raven.Login) { l.MaxLife = time.Millisecond }, "MaxLife"},
		"no activity": {func(l *raven.Login) { l.InactiveTimeout = time.Millisecond },
			"InactiveTimeout"},
		"two wishes": {func(l *raven.Login) { l.AnyPTags, l.RequirePTags = true, []string{} },
			"AnyPTags"},
		"no types": {func(l *raven.Login) { l.AAuth = []string{} }, "aauth"},
		"no text":  {func(l *raven.Login) { l.Desc = "a\x00" }, "desc"},
		"no iact":  {func(l *raven.Login) { l.IAct = 9 }, "iact"},
		"in clear": {func(l *raven.Login) { l.Sessions.Cookie.Secure = false }, "not Secure"},
		"scripts":  {func(l *raven.Login) { l.Sessions.Cookie.HttpOnly = false }, "not HttpOnly"},
		"strict": {func(l *raven.Login) {
			l.Sessions.Cookie.SameSite = http.SameSiteStrictMode
		}, "Lax"},
		"any site": {func(l *raven.Login) {
			l.Sessions.Cookie.SameSite = http.SameSiteNoneMode
		}, "Lax"},
		"no Path":   {func(l *raven.Login) { l.Sessions.Cookie.Path = "" }, "Path"},
		"Host path": {func(l *raven.Login) { l.Sessions.Cookie.Path = "/a" }, "__Host-"},
		"Host domain": {func(l *raven.Login) {
			l.Sessions.Cookie.Name, l.Sessions.Cookie.Domain = "__host-a", "example.org"
		}, "__Host-"},
		"Secure on http": {func(l *raven.Login) {
			l.BaseURL = "http://localhost"
			l.Sessions.Cookie.Name, l.Sessions.Cookie.Secure = "__Secure-a", false
		}, "__Secure-"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLogin(t)
			l.Sessions = newSessions()
			tt.change(l)
			err := l.Check()
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) ||
				!strings.HasPrefix(err.Error(), "raven: ") {
				t.Fatalf("%v, want %q", err, tt.want)
			}
			var logged strings.Builder
			l.Logger = slog.New(slog.NewTextHandler(&logged, nil))
			l = &raven.Login{Service: l.Service, Sessions: l.Sessions, Logger: l.Logger}
			for code, handler := range map[int]http.Handler{
				503: l.Require(http.NotFoundHandler()), 500: l,
			} {
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
				if w.Code != code || !strings.Contains(logged.String(), "has no BaseURL") {
					t.Errorf("%d, logged %s", w.Code, &logged)
				}
			}
			w := httptest.NewRecorder()
			l.Logout(w, httptest.NewRequest("POST", "/", nil))
			if w.Code != 500 {
				t.Errorf("logout %d", w.Code)
			}
		})
	}
}

// TestBaseWithPath puts the site behind a proxy that removes a path.
func TestBaseWithPath(t *testing.T) {
	l := newLogin(t)
	l.BaseURL = site + "/app/"
	l.Service.LoginURL += "?tenant=1"
	l.Service.LogoutURL = ""
	b := newBrowser(t, l)
	b.get(secret)
	b.is(303, serviceURL+"?tenant=1&ver=3&")
	asked := b.asked()
	if got := asked.Get("url"); got != site+"/app/secret" {
		t.Fatal(got)
	}
	_, query, _ := strings.Cut(answer{}.write(t, asked), "?")
	b.get(secret + "?" + query)
	b.is(303, site+"/app/secret")
	b.handler = http.HandlerFunc(l.Logout)
	b.send("POST", site+"/logout")
	if b.is(303, site+"/app/"); b.header.Get("Location") != site+"/app/" {
		t.Error(b.header)
	}
}
