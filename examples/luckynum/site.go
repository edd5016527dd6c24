package main

import (
	"cmp"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision/issue"
	"github.com/countersign-go/countersign/raven"
)

// A website is the service for people with a browser. They log in, see their number at the address
// at which programs ask for it, and make and revoke keys for those programs.
type website struct {
	*service

	people     people
	issue      issueFunc
	find       mac.KeyFunc
	perSubject *auth.Limiter // how often a user may make keys, here or at /provision
	unseen     unseen
}

// add adds the pages for people, except the one at "/", which programs use too.
func (s *website) add(mux *http.ServeMux, guesses *auth.Limiter) {
	guard := &auth.Guard{
		Stack:   auth.Stack{s.people.who},
		Denied:  http.HandlerFunc(s.welcome),
		Decided: guesses.Decided,
		Logger:  s.logger,
	}
	// A browser adds a password that it remembers, or a cookie, to the requests of any site.
	sameSite := s.sameSite()
	add := func(pattern string, h http.HandlerFunc) {
		mux.Handle(pattern, sameSite.Handler(guesses.Handler(guard.Handler(h))))
	}
	add("POST /keys", s.createKey)
	add("GET /keys/{id}", s.showKey)
	if s.registry != nil {
		add("POST /keys/{id}/revoke", s.revokeMine)
	}
	mux.Handle("GET /login", s.people.enter(http.HandlerFunc(s.goHome)))
	if s.people.leave != nil {
		mux.Handle("POST /logout", sameSite.Handler(s.people.leave))
	}
	mux.HandleFunc("GET /style.css", showStyle)
}

// sameSite returns a protection against requests that another site makes a browser send. Old
// browsers are checked by the Host, which a proxy may change, so the public host is trusted too.
func (s *website) sameSite() *http.CrossOriginProtection {
	protection := http.NewCrossOriginProtection()
	u := s.address()
	_ = protection.AddTrustedOrigin(u.Scheme + "://" + u.Host) // parseURL has checked it
	return protection
}

func (s *website) goHome(w http.ResponseWriter, req *http.Request) {
	http.Redirect(w, req, s.address().Path, http.StatusSeeOther)
}

// welcome answers people who are not logged in.
func (s *website) welcome(w http.ResponseWriter, req *http.Request) {
	if auth.Status(auth.Denial(req.Context())) != http.StatusUnauthorized {
		return // the Guard answers in one line
	}
	if !wantsPage(req) {
		http.Error(w, "authentication required", http.StatusUnauthorized)
		return
	}
	s.show(w, http.StatusUnauthorized, welcomePage, &page{Title: "Your lucky number for today"})
}

// showNumber is tellNumber for people with a browser.
func (s *website) showNumber(w http.ResponseWriter, req *http.Request, id *auth.Identity) {
	p := s.pageOf(req, "Hello "+id.Subject+"!")
	p.Number = luckyNumber(id.Subject, s.now())
	p.HasList = s.registry != nil
	if p.User != "" && p.HasList {
		entries, err := s.registry.List(req.Context(), id.Subject)
		if err != nil {
			s.failed(w, req, err)
			return
		}
		p.Keys = entries
	}
	s.show(w, http.StatusOK, numberPage, p)
}

// createKey makes a key and redirects to the page that shows it. So loading that page again does
// not make another one.
func (s *website) createKey(w http.ResponseWriter, req *http.Request) {
	id, _ := auth.FromContext(req.Context())
	if wait, ok := s.perSubject.Allow(id.Subject); !ok {
		postpone(w, http.StatusTooManyRequests, "you create credentials too fast: wait a moment",
			wait)
		return
	}
	c, err := s.issue(req.Context(), id)
	switch {
	case errors.Is(err, issue.ErrQuota):
		postpone(w, http.StatusTooManyRequests, "you have too many credentials: revoke some",
			retryAfter(err))
	case err != nil:
		s.failed(w, req, err)
	default:
		s.log(req, slog.LevelInfo, "a key is made", "subject", id.Subject, "id", c.ID)
		s.unseen.add(c.ID, time.Now())
		at := s.address().JoinPath("keys", url.PathEscape(c.ID))
		http.Redirect(w, req, at.EscapedPath(), http.StatusSeeOther)
	}
}

// showKey shows a new key, once.
func (s *website) showKey(w http.ResponseWriter, req *http.Request) {
	id, _ := auth.FromContext(req.Context())
	key := req.PathValue("id")
	found, err := s.find(req.Context(), key)
	switch {
	case err != nil && !errors.Is(err, mac.ErrUnknownID):
		s.failed(w, req, err)
		return
	case err != nil, found.Identity.Subject != id.Subject:
		http.Error(w, "you have no such credential", http.StatusNotFound)
		return
	case req.Method == http.MethodHead: // the answer has no body that could show the key
		return
	case !s.unseen.take(key, time.Now()):
		http.Error(w, "a key is shown once, and this one has been shown: if you have lost it, "+
			"revoke the credential and create another", http.StatusGone)
		return
	}
	p := s.pageOf(req, "Your new credential")
	p.Key = &newKey{ID: key, Key: string(found.Secret), Expires: found.Identity.Expires}
	err = p.Key.explain(s.address(), id.Subject, &mac.Credentials{
		ID: key, Key: found.Secret, Algorithm: found.Algorithm, Expires: found.Identity.Expires,
	})
	if err != nil {
		s.failed(w, req, err)
		return
	}
	s.show(w, http.StatusOK, keyPage, p)
}

// revokeMine is revokeKey for the button on a page.
func (s *website) revokeMine(w http.ResponseWriter, req *http.Request) {
	id, _ := auth.FromContext(req.Context())
	key := req.PathValue("id")
	err := s.revoke(req, id.Subject, key)
	switch {
	case errors.Is(err, mac.ErrUnknownID):
		http.Error(w, "you have no such credential, or it has been revoked", http.StatusNotFound)
	case err != nil:
		s.failed(w, req, err)
	default:
		p := s.pageOf(req, "The credential is revoked")
		p.Key = &newKey{ID: key}
		s.show(w, http.StatusOK, revokedPage, p)
	}
}

// pageOf returns a page for the sender of a request. Only people who log in can use its forms: with
// a stolen key, an attacker must not be able to make others.
func (s *website) pageOf(req *http.Request, title string) *page {
	id, _ := auth.FromContext(req.Context())
	p := &page{Title: title}
	if _, byService := raven.FromContext(req.Context()); byService || id.Scheme == "Basic" {
		p.User = id.Subject
	}
	return p
}

// address returns the URL at which people reach the service. It ignores the Host of requests.
func (s *service) address() *url.URL {
	if s.publicURL != nil {
		return s.publicURL
	}
	u, err := parseURL(cmp.Or(s.listening, defaultURL))
	if err != nil {
		return &url.URL{Path: "/"}
	}
	return u
}
