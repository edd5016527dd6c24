package main

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/countersign-go/countersign/auth"
)

// people is how they log in.
type people struct {
	who   auth.Authenticator              // tells who is logged in
	enter func(http.Handler) http.Handler // lets those through, and has the others log in
	leave http.Handler                    // logs out; nil: there is no way to
	forms string                          // where else forms may lead; "": nowhere
}

// byDialog has people log in by the dialog that browsers have for Basic.
func (s *service) byDialog(password auth.Authenticator, guesses *auth.Limiter) people {
	guard := &auth.Guard{
		Stack:   auth.Stack{password},
		Decided: guesses.Decided,
		Logger:  s.logger,
	}
	return people{who: password, enter: func(next http.Handler) http.Handler {
		return guesses.Handler(guard.Handler(next))
	}}
}

// byService has people log in by a login service.
func (s *service) byService() people {
	p := people{
		who:   s.login,
		enter: func(next http.Handler) http.Handler { return s.login.Require(next) },
		leave: http.HandlerFunc(s.login.Logout),
	}
	// The way out leads there, and browsers hold a redirect after a form to form-action as well.
	if u, err := url.Parse(s.login.Service.LogoutURL); err == nil {
		p.forms = u.Scheme + "://" + u.Host
	}
	return p
}

// quiet is an Authenticator that does not say how it wants to be asked: at the challenge of Basic,
// a browser would open a dialog in front of a page that says what this is.
type quiet struct{ auth.Authenticator }

// slow has those wait who guess passwords. Signatures cannot be guessed, so programs that sign do
// not come across it.
func slow(guesses *auth.Limiter, next http.Handler) http.Handler {
	limited := guesses.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if _, _, ok := req.BasicAuth(); ok {
			limited.ServeHTTP(w, req)
			return
		}
		next.ServeHTTP(w, req)
	})
}

// wantsPage reports whether who sent a request looks at the answer with a browser.
func wantsPage(req *http.Request) bool {
	for _, line := range req.Header["Accept"] {
		for kind := range strings.SplitSeq(line, ",") {
			kind, _, _ = strings.Cut(kind, ";")
			if strings.EqualFold(strings.TrimSpace(kind), "text/html") {
				return true
			}
		}
	}
	return false
}
