package main

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/countersign-go/countersign/auth"
)

// people is how people log in.
type people struct {
	who   auth.Authenticator              // names the user who is logged in
	enter func(http.Handler) http.Handler // admits users who are logged in, and makes others log in
	leave http.Handler                    // logs out; nil if that is not possible
	forms string                          // the other origin that forms may lead to; "" if none
}

// byDialog makes people log in by the browsers' dialog for Basic.
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

// byService makes people log in by a login service.
func (s *service) byService() people {
	p := people{
		who:   s.login,
		enter: func(next http.Handler) http.Handler { return s.login.Require(next) },
		leave: http.HandlerFunc(s.login.Logout),
	}
	// The logout form redirects to the login service, and browsers apply form-action to such
	// redirects too.
	if u, err := url.Parse(s.login.Service.LogoutURL); err == nil {
		p.forms = u.Scheme + "://" + u.Host
	}
	return p
}

// quiet is an Authenticator without a challenge: at the challenge of Basic, a browser would open a
// dialog in front of the page that explains the service.
type quiet struct{ auth.Authenticator }

// slow delays clients that guess passwords. It does not affect programs that sign, since signatures
// cannot be guessed.
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

// wantsPage reports whether a request comes from a browser that will show the answer.
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
