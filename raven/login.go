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

// scheme is the scheme of a Login's identities and of its challenge.
const scheme = "Ucam-WebAuth"

var _ auth.Challenger = (*Login)(nil)

// A Login lets users log in by a login service, and keeps them logged in by a session. It is an
// [auth.Authenticator] for users who are logged in, and an [http.Handler] that sends all others to
// log in and takes the service's answer. [Login.Require] puts both in front of a page.
//
// The answer comes back to the URL that the user asked for, as the parameter WLS-Response, so a
// site needs no address for it. Programs are not sent anywhere: a request that does not accept
// text/html, or that has an Authorization field, is answered with 401.
//
// A site whose pages differ in their demands has several Logins that share their Sessions. Each of
// them checks how and when the user has logged in, and may send them to log in once more.
//
// If a user sends a form and is not logged in, the form is lost: they come back to the same URL by
// a GET, and [Session.BodyLost] says so there. So a page with a pattern such as "POST /order" needs
// one for "GET /order", too.
//
// The fields must not be changed after the first use. A Login must not be copied then; it is safe
// for concurrent use.
type Login struct {
	// Service is the login service. Required.
	Service *Service

	// BaseURL is the address of the site in browsers, such as "https://app.example.org". The URL
	// that the service receives, and that its answer is compared with, is BaseURL and the request's
	// target; the Host of a request does not count. BaseURL may have a path, for a site behind a
	// proxy that removes it. It is https, or http of a loopback host. Redirect other names of the
	// site to it in front of the Login, as browsers do not send one name's cookie to another.
	// Required.
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

	// MaxLife is how long a login lasts after the service wrote its answer, a second at least. If
	// zero, it lasts two hours. If negative, it has no such limit.
	MaxLife time.Duration

	// IgnoreWLSLife lets a login last longer than the user's login at the service itself. The
	// protocol advises against it (section 4).
	IgnoreWLSLife bool

	// InactiveTimeout is how long a login lasts after the last request, a second at least. If zero,
	// it has no such limit.
	InactiveTimeout time.Duration

	// IssueBounds are how long before and after now the service may have written its answer, by our
	// clock; both ends are included. An element that is zero means 15 and 5 seconds, and a negative
	// one means not at all.
	IssueBounds [2]time.Duration

	// RequirePrincipal are the users who are let in. If nil, all users are; if empty, none.
	RequirePrincipal []string

	// RequirePTags are the ptags of which a user needs one. If nil, it is "current", which are the
	// current members of the university. If empty, no user is let in.
	RequirePTags []string

	// AnyPTags lets users in whatever their ptags are, and without any.
	AnyPTags bool

	// Authorize has the last word on users whom RequirePrincipal and the ptags let in. An error
	// refuses the user; one that wraps [auth.ErrUnavailable] is answered with 503. It is called for
	// each request, and twice if it refuses one behind a Guard of the caller's own. It must be safe
	// for concurrent use. If nil, RequirePrincipal and the ptags decide.
	Authorize func(req *http.Request, s *Session) error

	// Desc, Msg, AAuth and IAct go into the [Request]. AAuth and IAct hold for existing logins,
	// too: a user who has typed their password for another page of these Sessions has done what
	// Must asks for, as long as MaxLife lets it count. MustNot matters at a login only.
	Desc, Msg string
	AAuth     []string
	IAct      Interaction

	// Failed writes the page for users who are not let in. The error is an [*StatusError] (401), or
	// wraps [ErrForbidden] (403), [ErrNoSession] (403) or [ErrAnswer] (400 or 405). If Failed
	// writes no status, or that of a success, the answer has the status of the error. If nil, the
	// page is a line of text.
	Failed func(w http.ResponseWriter, req *http.Request, err error)

	// NewSession is called when a user logs in who was not in this session before, or not with
	// these ptags. Other values of the session are kept, unless they are another user's: those are
	// gone by then. They are not gone before: after a login that was cancelled or declined, pages
	// without a guard can still read the values of the user who was logged in, until another user
	// logs in. A Failed function can remove them, behind LoadAndSave. The context of req has the
	// session for Sessions. If nil, no function is called.
	NewSession func(req *http.Request, s *Session)

	// Logger gets a record of each login, as information, and of each refusal, as a warning unless
	// nothing is wrong with it. The records have the method, the path without query, and the remote
	// address. If nil, the Login is silent.
	Logger *slog.Logger

	once sync.Once
	set  settings
	err  error // the first mistake in the fields
}

// Check returns the first mistake in the fields. A program calls it when it starts: otherwise the
// Login answers all requests with 500 or 503.
func (l *Login) Check() error {
	_, err := l.ready()
	return err
}

// Format keeps CookieKeys out of everything that is printed.
func (l *Login) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "{BaseURL:%q}", l.BaseURL) }

// Require returns a handler that lets only users through to next who have logged in, and requests
// that one of others accepts, such as a verifier of signatures. See [auth.Stack] for a request that
// carries both. next finds the identity with [auth.FromContext] and, of a user who has logged in,
// the session with [FromContext]. No shared cache keeps its answers, unless their Cache-Control
// says otherwise.
//
// It is short for [Login.Answers] in front of an [auth.Guard] that has the Login as the last of its
// Stack and as Denied.
func (l *Login) Require(next http.Handler, others ...auth.Authenticator) http.Handler {
	guard := &auth.Guard{Stack: auth.Stack{auth.Stack(others), l}, Denied: l, Logger: l.Logger}
	guarded := guard.Handler(next)
	return l.Answers(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		inner := req.WithContext(context.WithValue(req.Context(), refusedKey{l}, new(error)))
		// After a request net/http removes the files of the original's form.
		defer func() { req.MultipartForm = inner.MultipartForm }()
		guarded.ServeHTTP(w, inner)
	}))
}

// refusedKey is the key of a place in the context of a request. Authenticate notes there that it
// refuses a user whom it knows, so that Authorize is called once and its error logged once.
type refusedKey struct{ by *Login }

// refused returns that place, which is empty until Authenticate has refused a user.
func (l *Login) refused(req *http.Request) *error {
	if place, ok := req.Context().Value(refusedKey{l}).(*error); ok {
		return place
	}
	return new(error)
}

// Answers returns a handler that takes the answers of the service, and leaves all other requests to
// next, such as an [auth.Guard] with the Login in its Stack. A Guard would take an answer for wrong
// credentials: a warning in its log, and a failure to an [auth.Limiter]. No shared cache keeps the
// answers of next, unless their Cache-Control says otherwise, and they vary with the cookie.
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
// not say when that began.
//
// The error wraps [auth.ErrNone] if no user has logged in, or the login has ended, or it was not
// made in the way that this Login asks for. It wraps [ErrForbidden] for a user who is not let in,
// and for a request that another site has a browser send and that may change something. It is a
// [*StatusError] after a login that failed, until ServeHTTP has shown that on a page; requests of
// scripts and for images get the same error until then. It wraps [auth.ErrUnavailable] if the
// session cannot be read, or the Login is set up wrongly.
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

// Challenge adds the challenge Ucam-WebAuth, with the BaseURL as the realm. Browsers ignore it.
func (l *Login) Challenge(h http.Header, _ *http.Request, _ error) {
	h.Add("WWW-Authenticate", authparam.Challenge{Scheme: scheme, Params: []authparam.Param{
		{Name: "realm", Value: l.BaseURL},
	}}.String())
}

// ServeHTTP answers requests that are not let in: it sends browsers to log in, and programs a 401.
// It takes the answer of the service, sets the session, and redirects to the URL without the
// answer. It is the Denied of an [auth.Guard] that has the Login in its Stack, and stands behind
// Answers; it leaves to the Guard all answers but a 401. A page that only logs users in is Require
// in front of a redirect.
func (l *Login) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	err := auth.Denial(req.Context())
	if err != nil && auth.Status(err) != http.StatusUnauthorized {
		return
	}
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
		// The page shows it once. The images and scripts that a page loads do not.
		v.pending.Failed = nil
		l.writePending(w, v.pending)
		l.fail(w, req, err)
	case errors.Is(err, auth.ErrNone):
		l.redirect(w, req, v, set)
	case err == nil: // another check refused the user, so to log in again would not help
		l.fail(w, req, fmt.Errorf("%w: refused by another check", ErrForbidden))
	default:
		l.fail(w, req, err)
	}
}

// Logout ends the session, with all its values, and redirects to the logout page of the service. It
// answers 405 to all methods but POST, and 403 to a request that another site has a browser send
// (see [http.CrossOriginProtection]).
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
