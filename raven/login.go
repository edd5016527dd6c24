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

// scheme is the Scheme of a Login's identities and the scheme of its challenge.
const scheme = "Ucam-WebAuth"

var _ auth.Challenger = (*Login)(nil)

// A Login lets users log in with a login service, and keeps them logged in with a session. It is an
// [auth.Authenticator] that accepts users who are logged in, and an [http.Handler] that sends other
// users to log in and handles the service's answer. [Login.Require] puts both in front of a page.
//
// Most sites have one Login. A site whose pages differ in their demands has several with the same
// Sessions.
//
// The fields must not be changed, and the Login must not be copied, after its first use. It is safe
// for concurrent use.
type Login struct {
	// Service is the login service. Required.
	Service *Service

	// BaseURL is the address of the site in browsers, such as "https://app.example.org". The URL
	// that the Login sends to the service, and compares with the answer, is BaseURL followed by the
	// request's target; the request's Host is ignored. BaseURL may have a path, for a site behind a
	// proxy that removes it. It must be https, or http on a loopback host. If the site has other
	// host names, redirect them to BaseURL before requests reach the Login: browsers do not send
	// the cookie of one host to another. Required.
	BaseURL string

	// Sessions keeps the sessions of users who have logged in. Its cookie must be HttpOnly,
	// SameSite Lax and, unless BaseURL is http, Secure. Put its LoadAndSave in front of the whole
	// site; LoadAndSave is not needed if only Logins use the sessions. If a login lasts longer than
	// the manager's Lifetime, the session lasts as long as the login. With a negative MaxLife and
	// no other limit, the login ends after the Lifetime. If nil, the Login has its own manager,
	// which keeps sessions in memory; its cookie is named raven, with the prefix __Host- unless
	// BaseURL is http. Several Logins on one host must have Sessions set: managers whose cookies
	// have the same name overwrite each other's cookies.
	Sessions *scs.SessionManager

	// CookieKeys sign the cookie that a browser gets when it is sent to log in, and that the
	// service's answer is compared with. Its name is the name of the session's cookie followed by
	// "-login", and it lasts for an hour. The first key signs, and all keys verify: to replace a
	// key, put the new one in front, and remove the old one an hour later. Each key must have at
	// least 32 random bytes. Processes that serve one site need the same keys. If nil, all Logins
	// of the process share a random key, so users who are logging in while the process restarts
	// have to open the page again.
	CookieKeys [][]byte

	// MaxLife is how long a login lasts after the service wrote its answer, at least a second. If
	// zero, two hours. If negative, there is no such limit.
	MaxLife time.Duration

	// IgnoreWLSLife lets a login last longer than the user's login at the service itself. The
	// protocol advises against it (section 4).
	IgnoreWLSLife bool

	// InactiveTimeout is how long a login lasts after the user's last request, at least a second.
	// If zero, there is no such limit.
	InactiveTimeout time.Duration

	// IssueBounds are how long before and after the present time, by the clock of this machine, the
	// service may have written its answer; both bounds are inclusive. If the first element is zero,
	// 15 seconds; if the second is zero, 5 seconds. If an element is negative, its bound is zero.
	IssueBounds [2]time.Duration

	// RequirePrincipal lists the users who may see the page. If nil, all users may. If empty but
	// not nil, no user may.
	RequirePrincipal []string

	// RequirePTags lists ptags, of which a user needs at least one. If nil, the user needs
	// "current", the ptag of the current members of the university. If empty but not nil, no user
	// may see the page.
	RequirePTags []string

	// AnyPTags accepts users with any ptags or none.
	AnyPTags bool

	// Authorize decides about users whom RequirePrincipal and the ptags accept. An error refuses
	// the user with 403, or with 503 if it wraps [auth.ErrUnavailable]. Authorize is called once
	// for each request, or twice if it refuses a request behind a Guard other than the one that
	// Require makes. It must be safe for concurrent use. If nil, RequirePrincipal and the ptags
	// decide.
	Authorize func(req *http.Request, s *Session) error

	// Desc, Msg, AAuth and IAct go into the [Request]. AAuth and IAct also apply to existing
	// logins: a user who typed their password for another page with the same Sessions satisfies
	// Must until MaxLife ends that login. MustNot matters only while the user logs in.
	Desc, Msg string
	AAuth     []string
	IAct      Interaction

	// Failed writes the page for a user who is refused. The error is a [*StatusError] (401), or
	// wraps [ErrForbidden] (403), [ErrNoSession] (403) or [ErrAnswer] (400 or 405). If Failed
	// writes no status, a 2xx status or 304, the response has the status of the error. If nil, the
	// page is a line of text.
	Failed func(w http.ResponseWriter, req *http.Request, err error)

	// NewSession is called when a user logs in to whom the session did not belong before, or whose
	// ptags have changed. The session's other values are kept if they belong to the same user, and
	// are removed before the call if they belong to another user. After a login that was cancelled
	// or declined they are not removed yet: pages without a guard can still read the former user's
	// values until another user logs in. A Failed function can remove them, behind LoadAndSave. The
	// context of req holds the session for use with Sessions. If nil, no function is called.
	NewSession func(req *http.Request, s *Session)

	// Logger receives a record of each login at level Info, and of each refusal at level Warn, or
	// Info if the refusal is an ordinary event. A login that cannot be checked, and a wrong setup,
	// are errors. The records have the method, the path without query, and the remote address. If
	// nil, the Login does not log.
	Logger *slog.Logger

	once sync.Once
	set  settings
	err  error // the first mistake in the fields
}

// Check returns the first mistake in the fields. Call it when the program starts: with a mistake,
// the Login answers all requests with 500 or 503.
func (l *Login) Check() error {
	_, err := l.ready()
	return err
}

// Format prints the BaseURL only, so that no verb of package fmt prints CookieKeys.
func (l *Login) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "{BaseURL:%q}", l.BaseURL) }

// Require returns a handler that calls next only for users who have logged in, and for requests
// that one of others accepts, such as a verifier of signatures. See [auth.Stack] for a request that
// carries both. next gets the identity from [auth.FromContext] and, if a user has logged in, the
// session from [FromContext]. Shared caches do not keep the responses of next, unless next sets a
// Cache-Control field that allows it.
//
// It is short for [Login.Answers] in front of an [auth.Guard] with the Login as its Denied and as
// the last member of its Stack.
func (l *Login) Require(next http.Handler, others ...auth.Authenticator) http.Handler {
	guard := &auth.Guard{Stack: auth.Stack{auth.Stack(others), l}, Denied: l, Logger: l.Logger}
	guarded := guard.Handler(next)
	return l.Answers(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		inner := req.WithContext(context.WithValue(req.Context(), refusedKey{l}, new(error)))
		// After a request, net/http removes the temporary files of the original request's form.
		defer func() { req.MultipartForm = inner.MultipartForm }()
		guarded.ServeHTTP(w, inner)
	}))
}

// refusedKey is the context key of a *error. Authenticate stores there why it refused a user who is
// logged in, so that Authorize is called once and its error is logged once.
type refusedKey struct{ by *Login }

// refused returns that pointer. The error is nil until Authenticate has refused a user.
func (l *Login) refused(req *http.Request) *error {
	if place, ok := req.Context().Value(refusedKey{l}).(*error); ok {
		return place
	}
	return new(error)
}

// Answers returns a handler that handles the answers of the service, and passes all other requests
// to next, such as an [auth.Guard] with the Login in its Stack. A Guard would treat an answer as
// wrong credentials: it would log a warning, and an [auth.Limiter] would count a failure. The
// responses of next vary with the cookie, and shared caches do not keep them unless their
// Cache-Control allows it.
func (l *Login) Answers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Add("Vary", "Cookie")
		if hasAnswer(req) {
			l.ServeHTTP(w, req)
			return
		}
		private := &privateWriter{ResponseWriter: w}
		next.ServeHTTP(private, req)
		private.mark(http.StatusOK) // if next wrote nothing
	})
}

// Authenticate returns the identity of the user who has logged in: the principal as Subject, the
// ptags as Groups, and the Scheme "Ucam-WebAuth". If the user authenticated for this login
// (Session.Auth), the claim auth_time is its Issue, in Unix seconds. It is absent after single
// sign-on, because the service does not say when the user authenticated.
//
// The error wraps [auth.ErrNone] if no user has logged in, or the login has ended, or it was not
// made in the way that this Login asks for. It wraps [ErrForbidden] for a user who may not see the
// page, and for a request with an unsafe method that another site made the browser send. It is a
// [*StatusError] after a failed login, until ServeHTTP has shown the failure on a page; until then,
// requests of scripts and for images get the same error. It wraps [auth.ErrUnavailable] if the
// session cannot be read, or if the Login is set up wrongly.
//
// A request with an answer of the service is refused: pass it to ServeHTTP.
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

// ServeHTTP answers requests that Authenticate refused: it redirects browsers to the service. A
// program gets 401: a request that does not accept text/html, or that has an Authorization field.
// ServeHTTP also handles the answer of the service: it sets the session, and redirects to the URL
// without the answer.
//
// If a user sends a form and is not logged in, the form is lost: after the login, the browser
// requests the same URL with GET, and the BodyLost field of the [Session] is true there. So a page
// with the pattern "POST /order" also needs a handler for "GET /order".
//
// Use ServeHTTP as the Denied of an [auth.Guard] that has the Login in its Stack, behind Answers.
// It writes nothing if the Guard's status is not 401. For a page that only logs users in, put
// Require in front of a redirect.
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
		// The user sees the failure once, on a page. Images and scripts that a page loads do not
		// count.
		v.pending.Failed = nil
		l.writePending(w, v.pending)
		l.fail(w, req, err)
	case errors.Is(err, auth.ErrNone):
		l.redirect(w, req, v, set)
	case err == nil: // another check refused the user, so logging in again would not help
		l.fail(w, req, fmt.Errorf("%w: refused by another check", ErrForbidden))
	default:
		l.fail(w, req, err)
	}
}

// Logout ends the session, with all its values, and redirects to the logout page of the service. It
// answers 405 to all methods except POST, and 403 to a request that another site made the browser
// send (see [http.CrossOriginProtection]).
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
