package raven

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/internal/authparam"
)

// scheme is that of the identities of a Login, and of its challenge.
const scheme = "Ucam-WebAuth"

// A Login lets people log in by a login service, and keeps them logged in by a session. It is an
// [auth.Authenticator] that tells who is logged in, and the [http.Handler] that sends everybody
// else to log in, and takes the answer. [Login.Require] puts both in front of a page.
//
// The answer comes back to the very URL that was asked for, as the parameter WLS-Response, so there
// is no address to set aside for it. Programs, which do not ask for text/html, or which carry an
// Authorization field, are not sent anywhere: their answer is a 401.
//
// A site whose pages differ in what they ask for has several Logins that share their Sessions. Each
// looks at how and when the user has logged in, so one that asks for more than another one did
// sends him to log in once more.
//
// A POST by somebody who is not logged in, or not any more, loses its body on the way: he comes
// back to the same URL by a GET, and [Session.BodyLost] says so there. So a page with a pattern
// such as "POST /order" needs one for "GET /order", too.
//
// The fields must not be changed after the first use. A Login must not be copied then; it is safe
// for concurrent use.
type Login struct {
	// Service is where people log in. Required.
	Service *Service

	// BaseURL is how browsers address this site, such as "https://app.example.org". The URL that
	// the service is given, and that its answer is compared with, is that text and the request
	// target; nothing that a request says of its host counts. It may have a path, for a site
	// behind a proxy that takes it away. It is https, or http of a loopback host. Redirect other
	// names of the site to it in front of the Login, as browsers do not send the cookie of one
	// name to another. Required.
	BaseURL string

	// Sessions keeps the sessions of users who have logged in. Its cookie must be HttpOnly,
	// SameSite Lax and, unless BaseURL is http, Secure. Put its LoadAndSave in front of the whole
	// site, or leave it out if the sessions hold nothing else. A session lasts as long as its login
	// where that is longer than the Lifetime. With a negative MaxLife and no other limit the login
	// ends with the Lifetime. If nil, the Login has a manager of its own, which keeps sessions in
	// memory; its cookie is raven, with the prefix __Host- unless BaseURL is http. Several Logins
	// of one host need Sessions, as two managers with one name of a cookie overwrite each other's.
	Sessions *scs.SessionManager

	// CookieKeys sign the cookie of a browser that has gone to log in, which the service's answer
	// is compared with. The cookie has the name of the session's and "-login", and lasts for an
	// hour. The first key signs, and all of them verify: to replace a key, put the new one in
	// front, and drop the old one an hour later. Each is at least 32 random bytes. Processes that
	// serve one site need the same keys. If nil, all Logins of the process share a random key, so
	// users who are logging in while it is restarted have to open the page once more.
	CookieKeys [][]byte

	// MaxLife is how long after the service wrote its answer a login ends, a second at least. Zero:
	// two hours; negative: it does not.
	MaxLife time.Duration

	// IgnoreWLSLife has a login go on when that at the service itself has ended. The protocol
	// advises against it (section 4).
	IgnoreWLSLife bool

	// InactiveTimeout is how long after the last request a login ends, a second at least. Zero: it
	// does not.
	InactiveTimeout time.Duration

	// IssueBounds is how far before and after now the service may have written its answer, by our
	// clock; both ends are included. An element that is zero: 15 and 5 seconds; negative: not at
	// all.
	IssueBounds [2]time.Duration

	// RequirePrincipal are the users who are let in. Nil: all; empty: none.
	RequirePrincipal []string

	// RequirePTags are what the service may say of a user for him to be let in; one is enough.
	// Nil: "current", which are the current members of the university; empty: nobody is let in.
	RequirePTags []string

	// AnyPTags lets users in whatever the service says of them, and if it says nothing.
	AnyPTags bool

	// Authorize has the last word on who is let in, for those whom RequirePrincipal and the ptags
	// let in. An error means no; one that wraps [auth.ErrUnavailable] is answered with 503. It is
	// asked at each request, twice for a no that a Guard other than that of Require takes to
	// ServeHTTP, and must be safe for concurrent use. Nil: they are enough.
	Authorize func(req *http.Request, s *Session) error

	// Desc, Msg, AAuth and IAct go into the [Request]. AAuth and IAct hold for logins that are
	// there already, too: a user who has typed his password for another page of these Sessions has
	// done what Must asks for, as long as MaxLife lets it count; MustNot matters at a login only.
	Desc, Msg string
	AAuth     []string
	IAct      Interaction

	// Failed writes the page for people who are not let in. The error is an [*StatusError] (401),
	// or wraps [ErrForbidden] (403), [ErrNoSession] (403) or [ErrAnswer] (400 or 405). Success as a
	// status, written or implied, becomes the one that belongs to the error. Nil: a line of text.
	Failed func(w http.ResponseWriter, req *http.Request, err error)

	// NewSession is called when a user logs in who was not in this session before, or not with
	// these ptags. Other values of the session are kept, unless they are another user's: those are
	// gone by then. They are not gone before: after a login that was cancelled or declined, pages
	// without a guard can still read the values of the user who was logged in, until another user
	// logs in. A Failed function can remove them. The context of req has the session for Sessions.
	// If nil, no function is called.
	NewSession func(req *http.Request, s *Session)

	// Logger is told of each login, as information, and why somebody was not let in, as a warning
	// or, if nothing is wrong with that, as information. It gets the method, the path without
	// query, and the remote address. Nil: silent.
	Logger *slog.Logger

	once sync.Once
	set  settings
	err  error // what is wrong with the fields
}

// Check returns what is wrong with the fields, for a program that would rather not start than
// answer all requests with 500 or 503.
func (l *Login) Check() error {
	_, err := l.ready()
	return err
}

// Format keeps CookieKeys out of everything that is printed.
func (l *Login) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "{BaseURL:%q}", l.BaseURL) }

// Require returns a handler that lets only people through to next who have logged in, and requests
// that one of others knows the sender of, such as a verifier of signatures; see [auth.Stack] for
// what becomes of both at once. The handler finds who it is with [auth.FromContext] and, for who
// has logged in, [FromContext]. What it answers is kept by no shared cache, unless it says
// otherwise in Cache-Control.
//
// It is short for [Login.Answers] in front of an [auth.Guard] that has the Login as the last of its
// Stack and as Denied.
func (l *Login) Require(next http.Handler, others ...auth.Authenticator) http.Handler {
	guard := &auth.Guard{Stack: auth.Stack{auth.Stack(others), l}, Denied: l, Logger: l.Logger}
	guarded := guard.Handler(next)
	return l.Answers(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		inner := req.WithContext(context.WithValue(req.Context(), refusedKey{l}, new(error)))
		// What net/http cleans up after a request, it looks for in the original.
		defer func() { req.MultipartForm = inner.MultipartForm }()
		guarded.ServeHTTP(w, inner)
	}))
}

// refusedKey is under which the context of a request has room for why a Login does not let somebody
// in whom it knows, so that Authorize is not asked twice, and its answer not logged twice.
type refusedKey struct{ by *Login }

// refused returns that room, which is empty until Authenticate has found so.
func (l *Login) refused(req *http.Request) *error {
	if room, ok := req.Context().Value(refusedKey{l}).(*error); ok {
		return room
	}
	return new(error)
}

// Answers returns a handler that takes the answers of the service, and leaves all else to next,
// such as an [auth.Guard] with the Login in its Stack. To a Guard an answer would be credentials
// that are refused: a warning in its log, and a failure to an [auth.Limiter]. What next answers is
// kept by no shared cache, unless it says otherwise in Cache-Control, and varies with the cookie.
func (l *Login) Answers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Add("Vary", "Cookie")
		if hasAnswer(req) {
			l.ServeHTTP(w, req)
			return
		}
		private := &privateWriter{ResponseWriter: w}
		next.ServeHTTP(private, req)
		private.mark(http.StatusOK) // if nothing was written
	})
}

// Authenticate returns the user who has logged in: the principal, with the ptags as Groups and the
// Scheme "Ucam-WebAuth". The claim auth_time is the Issue, in seconds since 1970, if the user has
// proved it for this login (Session.Auth). It is absent after single sign-on, as the service does
// not say when that began. The error wraps [auth.ErrNone] if nobody has, or not as this Login asks
// for, or not any more. It wraps [ErrForbidden] for a user who is not let in, and for a request
// that another site has a browser send and that may change something; it is a [*StatusError] right
// after a login that failed, until ServeHTTP has said so on a page for people; what another page
// loads meanwhile is refused by it, too. It wraps [auth.ErrUnavailable] if the session cannot be
// read, or the Login is set up wrongly.
//
// A request with an answer of the service is refused: it is for ServeHTTP.
func (l *Login) Authenticate(req *http.Request) (*auth.Identity, error) {
	if _, err := l.ready(); err != nil {
		return nil, unavailable(err)
	}
	if hasAnswer(req) {
		return nil, errPending
	}
	v, err := l.open(req)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	s, err := l.judge(req, v, now)
	if err != nil {
		if errors.Is(err, ErrForbidden) {
			*l.refused(req) = err
		}
		return nil, err
	}
	if err := l.touch(v, s, now); err != nil {
		return nil, err
	}
	return &auth.Identity{
		Subject: s.Principal,
		Scheme:  scheme,
		Groups:  s.PTags,
		Claims:  claims(s),
		Expires: s.Expires(),
	}, nil
}

// Challenge returns Ucam-WebAuth, with the BaseURL as the realm. It tells programs what is wrong,
// and browsers take no notice of it.
func (l *Login) Challenge(*http.Request, error) string {
	return authparam.Challenge{Scheme: scheme, Params: []authparam.Param{
		{Name: "realm", Value: l.BaseURL},
	}}.String()
}

// ServeHTTP answers those who are not let in: it sends people to log in, and programs a 401. It
// takes the answer of the service, sets the session, and redirects to the URL without the answer.
// It is the Denied of an [auth.Guard] that has the Login in its Stack, and stands behind Answers.
// For a page that does nothing but log in, put Require in front of a redirect.
func (l *Login) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	set, err := l.ready()
	if err != nil {
		l.broken(w, req, err)
		return
	}
	if err := *l.refused(req); err != nil {
		l.fail(w, req, err)
		return
	}
	v, err := l.open(req)
	if err != nil {
		l.fail(w, req, err)
		return
	}
	if hasAnswer(req) {
		l.take(w, req, v)
		return
	}
	_, err = l.judge(req, v, time.Now())
	_, failed := errors.AsType[*StatusError](err)
	switch {
	case errors.Is(err, auth.ErrUnavailable):
		l.fail(w, req, err)
	case !forPeople(req) && !errors.Is(err, ErrForbidden):
		l.refuse(w)
	case failed:
		// Said once, and not at each request of a page that loads something else.
		v.pending.Failed = nil
		l.writePending(w, v.pending)
		l.fail(w, req, err)
	case errors.Is(err, auth.ErrNone):
		l.redirect(w, req, v, set)
	case err == nil: // it was not the Login that objects, so to log in again would not help
		l.fail(w, req, fmt.Errorf("%w: refused by another check", ErrForbidden))
	default:
		l.fail(w, req, err)
	}
}

// Logout ends the session, with all that is in it, and redirects to the logout page of the service.
// It answers 405 to anything but a POST, and 403 to what another site has a browser send (see
// [http.CrossOriginProtection]).
//
//	<form method="post" action="/logout"><button>Log out</button></form>
func (l *Login) Logout(w http.ResponseWriter, req *http.Request) {
	set, err := l.ready()
	if err != nil {
		l.broken(w, req, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "log out by POST", http.StatusMethodNotAllowed)
		return
	}
	if err := set.crossOrigin.Check(req); err != nil {
		l.fail(w, req, fmt.Errorf("%w: %w", ErrForbidden, err))
		return
	}
	v, err := l.open(req)
	if err == nil {
		err = l.end(w, v)
	}
	if err != nil {
		l.fail(w, req, err)
		return
	}
	seeOther(w, set.logout)
}
