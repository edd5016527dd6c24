// Package auth is the server side that knows no scheme: an [Authenticator] reads who sent a
// request, a [Stack] asks several of them in order, and a [Guard] puts them in front of a handler.
package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// An Identity says who sent a request. It is what an [Authenticator] hands out once it has
// verified everything, so a handler that holds one needs no further check of who is asking.
//
// A handler must not change it: several goroutines may hold the same one.
type Identity struct {
	Subject string    // the account, never empty
	Scheme  string    // the scheme that proved it, as in WWW-Authenticate: "MAC", "Basic"
	Groups  []string  // what Subject belongs to; nil: nothing is known
	Expires time.Time // when the credential ends; zero: never, or unknown

	// Claims is what else the request proved. The claims of a token have the types of JSON, so a
	// scheme that adds one of its own, such as the mac.Ext of package mac, gives it another type.
	// A handler that asserts that type cannot take a token's claim for it. Nil: nothing.
	Claims map[string]any
}

// An Authenticator tells who sent a request. Authenticate returns [ErrNone] when the request
// carries no credentials of its scheme, so that the next one of a [Stack] is asked. Any other error
// means that credentials were there and were refused, which ends the stack; one that wraps
// [ErrUnavailable] means that it could not decide, which is answered with 503 instead of 401. The
// identity is never nil when the error is.
//
// Authenticate may replace req.Body, for instance by one that checks a digest while it is read.
// Implementations are safe for concurrent use.
type Authenticator interface {
	Authenticate(req *http.Request) (*Identity, error)
}

// A Challenger is an [Authenticator] that can tell a client how to authenticate.
type Challenger interface {
	// Challenge adds to h the fields that ask for credentials: a WWW-Authenticate field in most
	// schemes (RFC 9110, section 11.6.1), or others, such as Accept-Signature. h is empty, and a
	// [Guard] adds its fields to the answer.
	//
	// err is the error that this very Authenticator returned for req. It is a [*ScopeError] if the
	// credentials are right and lack a scope: a scheme that knows no scopes must treat that like
	// [ErrNone]. It is ErrNone if the request is refused for any other reason.
	Challenge(h http.Header, req *http.Request, err error)
}

// A Responder is an [Authenticator] that adds fields to the answers of requests that it accepted,
// such as a nonce for the next request.
type Responder interface {
	// Respond adds fields to h. id is the identity that this Authenticator returned for req. h is
	// empty, and a [Guard] adds its fields to the answer before it calls the handler.
	Respond(h http.Header, req *http.Request, id *Identity)
}

// An Explainer is an [Authenticator] that can tell a developer why it refuses a request.
type Explainer interface {
	// Explain returns a text of several lines about req, which must hold no secret. It is not for
	// the client: the text may say which part of the credentials is wrong. The error is not nil if
	// there is nothing to explain, or no way to find out.
	Explain(req *http.Request) (string, error)
}

var (
	// ErrNone means that a request carries no credentials of the scheme that was asked. An error
	// that wraps it means the same whatever else it wraps, unless that is [ErrUnavailable],
	// [ErrLimited], [ErrConflict] or the error of a context: so an Authenticator can say why it
	// takes what it found for nothing, such as a cookie that has ended. One that asks several
	// others must not join their errors, or a refusal beside an ErrNone is lost: ask a [Stack].
	ErrNone = errors.New("auth: no credentials for this scheme")

	// ErrUnavailable means that credentials could not be judged, because a store is down or full.
	// It is wrapped by the errors that say which. It is neither a refusal nor an acceptance.
	ErrUnavailable = errors.New("auth: credentials cannot be checked now")

	// ErrLimited means that credentials were not looked at, because of how many wrong ones there
	// were before. It is neither a refusal nor an acceptance. A [Guard] answers it with 429.
	ErrLimited = errors.New("auth: too many attempts")

	// ErrConflict means that a request carries right credentials of several people, so that nobody
	// can tell which of them sent it. A [Guard] answers it with 400.
	ErrConflict = errors.New("auth: credentials of several people")
)

// A ScopeError means that the credentials are right, and that they do not allow this request. It is
// for Admit of a [Guard], which answers 403 and names the scope to the client: other credentials of
// the same user would help. The challenge of bearer tokens says so as in RFC 6750, section 3.1.
type ScopeError struct {
	Scope string // the scopes that the request needs, separated by blanks
}

// Error names the scope.
func (e *ScopeError) Error() string {
	return fmt.Sprintf("auth: the credentials lack the scope %q", e.Scope)
}

type contextKey struct{}

// NewContext returns a copy of ctx that carries id, for [FromContext] to find. A [Guard] does this;
// call it in the test of a handler, or in middleware that authenticates in a way of its own.
func NewContext(ctx context.Context, id *Identity) context.Context {
	return context.WithValue(ctx, contextKey{}, id)
}

// FromContext returns the identity of the request that ctx belongs to. It reports false for an
// anonymous one: behind [Optional], or where no [Guard] stands in front.
func FromContext(ctx context.Context) (*Identity, bool) {
	id, ok := ctx.Value(contextKey{}).(*Identity)
	return id, ok && id != nil
}
