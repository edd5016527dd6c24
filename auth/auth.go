// Package auth authenticates the requests that a server receives, with any scheme: an
// [Authenticator] reports who sent a request, a [Stack] asks several in order, and a [Guard] lets
// only authenticated requests reach a handler.
package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// An Identity names the sender of a request, whose credentials an [Authenticator] has verified
// completely. Do not modify it: several goroutines may share it.
type Identity struct {
	Subject string    // the account, never empty
	Scheme  string    // the scheme that proved it, as in WWW-Authenticate: "MAC", "Basic"
	Groups  []string  // the groups of Subject; nil if unknown
	Expires time.Time // when the credential expires; zero if never or unknown

	// Claims holds other facts that the credentials prove, if any. A token's claims have JSON
	// types. A claim that a scheme adds has a type of its own, such as mac.Ext, so a handler cannot
	// mistake a token's claim for it.
	Claims map[string]any
}

// An Authenticator finds out who sent a request. It must be safe for concurrent use.
type Authenticator interface {
	// Authenticate returns the identity of the sender of req, never nil without an error. It must
	// return [ErrNone] if req carries no credentials of its scheme, so that a [Stack] asks the next
	// member. Any other error means that credentials were refused or, if it wraps [ErrUnavailable],
	// could not be checked. Authenticate may replace req.Body.
	Authenticate(req *http.Request) (*Identity, error)
}

// A Challenger is an [Authenticator] that can tell a client how to authenticate.
type Challenger interface {
	// Challenge adds to h, which is empty, the fields that ask for credentials, such as
	// WWW-Authenticate (RFC 9110, section 11.6.1) or Accept-Signature.
	//
	// err is the error that this Authenticator returned for req, or [ErrNone] if req was refused
	// for another reason. It wraps a [*ScopeError] if the credentials are right but lack a scope. A
	// scheme without scopes must treat that like ErrNone.
	Challenge(h http.Header, req *http.Request, err error)
}

// A Responder is an [Authenticator] that adds fields to the responses to requests that it accepted,
// such as a nonce for the next one.
type Responder interface {
	// Respond adds fields to h, which is empty, before the handler runs. id is the identity that
	// this Authenticator returned for req.
	Respond(h http.Header, req *http.Request, id *Identity)
}

// An Explainer is an [Authenticator] that can tell a developer why it refuses a request.
type Explainer interface {
	// Explain returns several lines of text about req, without secrets. They may say which part of
	// the credentials is wrong, so do not send them to the client. The error is not nil if there is
	// nothing to explain or no reason is found.
	Explain(req *http.Request) (string, error)
}

var (
	// ErrNone means that a request carries no credentials of a scheme. An Authenticator may wrap it
	// to say why it ignores credentials, such as an expired cookie. An error that also wraps
	// [ErrUnavailable], [ErrLimited], [ErrConflict] or a context's error does not mean this. Do not
	// join the errors of several Authenticators, where an ErrNone would hide a refusal: use a
	// [Stack].
	ErrNone = errors.New("auth: no credentials for this scheme")

	// ErrUnavailable means that credentials could not be checked, because a store is down or full.
	// It neither refuses nor accepts them.
	ErrUnavailable = errors.New("auth: credentials cannot be checked now")

	// ErrLimited means that credentials were not checked, after too many wrong ones.
	ErrLimited = errors.New("auth: too many attempts")

	// ErrConflict means that a request carries valid credentials of several users, so its sender is
	// ambiguous.
	ErrConflict = errors.New("auth: credentials of several people")
)

// A ScopeError means that the credentials are right but do not allow the request. Admit of a
// [Guard] returns it to have the scope named to the client (for bearer tokens, RFC 6750, section
// 3.1), since other credentials of the user would help.
type ScopeError struct {
	Scope string // the scopes that the request needs, separated by spaces
}

// Error names the scope.
func (e *ScopeError) Error() string {
	return fmt.Sprintf("auth: the credentials lack the scope %q", e.Scope)
}

type contextKey struct{}

// NewContext returns a copy of ctx with id, for [FromContext]. A [Guard] calls it, as may a test or
// other middleware.
func NewContext(ctx context.Context, id *Identity) context.Context {
	return context.WithValue(ctx, contextKey{}, id)
}

// FromContext returns the identity of the request that ctx belongs to. It returns false if the
// request is anonymous, by [Optional] or without a [Guard].
func FromContext(ctx context.Context) (*Identity, bool) {
	id, ok := ctx.Value(contextKey{}).(*Identity)
	return id, ok && id != nil
}
