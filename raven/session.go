package raven

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/countersign-go/countersign/auth"
)

// The claims of an identity: the Session, and when the user authenticated, in Unix seconds (OpenID
// Connect Core 1.0, section 2).
const (
	claim      = "raven"
	loginClaim = "auth_time"
)

// A Session describes the login of a user. A handler gets it from [FromContext], and must not
// change it.
type Session struct {
	Principal string   // the user
	PTags     []string // the user's ptags, such as "current"
	Auth      string   // how the user authenticated for this login; "" after single sign-on
	SSO       []string // how the user had authenticated before

	Issue time.Time // when the service wrote its answer
	// Life is how long after Issue the service itself keeps the user logged in, if HasLife.
	Life    time.Duration
	HasLife bool
	Last    time.Time // the last accepted request: in a handler, the present one

	// Limits are the times at which the login ends, by the rules of the Login that accepted the
	// request, in the order max life, life at the service, inactivity. If nil, the login ends with
	// the session.
	Limits []Limit

	// BodyLost means that the user was sent to log in after a request to this URL that was neither
	// GET nor HEAD, and that its form is lost. It is true once, for the last such request.
	BodyLost bool
}

// A Limit is a time at which a login ends.
type Limit struct {
	Reason string // LimitMaxLife, LimitWLSLife or LimitInactive
	At     time.Time
}

// The reasons of a Limit.
const (
	LimitMaxLife  = "config max life"
	LimitWLSLife  = "wls life"
	LimitInactive = "inactive"
)

// Expires returns the earliest of the Limits, or the zero time if Limits is empty.
func (s *Session) Expires() time.Time {
	var first time.Time
	for i, limit := range s.Limits {
		if i == 0 || limit.At.Before(first) {
			first = limit.At
		}
	}
	return first
}

// claims returns the claims of an identity. After single sign-on it leaves the time out: the
// service does not say when the user authenticated, and a handler may rely on that time to require
// a recent login.
func claims(s *Session) map[string]any {
	all := map[string]any{claim: s}
	if s.Auth != "" {
		all[loginClaim] = s.Issue.Unix()
	}
	return all
}

// FromContext returns the session of a request that a [Login] accepted. It returns false if another
// member of the Stack accepted the request, such as a verifier of signatures.
func FromContext(ctx context.Context) (*Session, bool) {
	id, ok := auth.FromContext(ctx)
	if !ok {
		return nil, false
	}
	s, ok := id.Claims[claim].(*Session)
	return s, ok && s != nil
}

// judge returns the login of a request if this Login accepts it. The checks have the same order as
// in other agents: a failed login, no login, expired, not made as asked for, not allowed.
func (l *Login) judge(req *http.Request, v *visit, now time.Time) (*Session, error) {
	s, err := l.current(v, now)
	if err != nil {
		return nil, err
	}
	if err := l.set.crossOrigin.Check(req); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForbidden, err)
	}
	if err := l.authorize(req, s); err != nil {
		return nil, err
	}
	s.Last = time.Unix(now.Unix(), 0)
	s.Limits = l.limits(s)
	s.BodyLost = v.Lost != "" && v.Lost == nameTarget(target(req))
	return s, nil
}

// current returns the login of a session if it is valid for this Login, without asking whether its
// user may see the page.
func (l *Login) current(v *visit, now time.Time) (*Session, error) {
	switch {
	case v.pending.Failed != nil:
		return nil, &StatusError{Status: v.pending.Failed.Status, Msg: v.pending.Failed.Msg}
	case v.Login == nil:
		return nil, auth.ErrNone
	case l.set.ended.has(v.Login.answer(), now):
		return nil, noLogin("it was logged out")
	}
	s := l.session(v.Login)
	latest := now.Add(l.set.after)
	if s.Issue.After(latest) || s.Last.After(latest) {
		return nil, noLogin("it is from the future, so a clock has gone back")
	}
	for _, limit := range s.Limits {
		if !now.Before(limit.At) {
			return nil, noLogin("it has ended (" + limit.Reason + ")")
		}
	}
	if !l.isAsAsked(s) {
		return nil, noLogin("it was not made as this page asks for")
	}
	return s, nil
}

func noLogin(reason string) error {
	return fmt.Errorf("%w: there is a login, and %s", auth.ErrNone, reason)
}

// session returns the Session for a stored login, with the limits of this Login.
func (l *Login) session(made *login) *Session {
	s := &Session{
		Principal: made.Principal,
		PTags:     made.PTags,
		Auth:      made.Auth,
		SSO:       made.SSO,
		Issue:     time.Unix(made.Issue, 0),
		Last:      time.Unix(made.Last, 0),
	}
	if made.Life != nil {
		s.Life, s.HasLife = time.Duration(*made.Life)*time.Second, true
	}
	s.Limits = l.limits(s)
	return s
}

func (l *Login) limits(s *Session) []Limit {
	var limits []Limit
	if l.set.maxLife >= 0 {
		limits = append(limits, Limit{LimitMaxLife, s.Issue.Add(l.set.maxLife)})
	}
	if s.HasLife && !l.IgnoreWLSLife {
		limits = append(limits, Limit{LimitWLSLife, s.Issue.Add(s.Life)})
	}
	if l.InactiveTimeout > 0 {
		limits = append(limits, Limit{LimitInactive, s.Last.Add(l.InactiveTimeout)})
	}
	return limits
}

// isAsAsked reports whether a login, which another page may have asked for, meets the demands of
// this one. MustNot accepts every login that AsNeeded accepts: a user who typed a password did more
// than MustNot asks for.
func (l *Login) isAsAsked(s *Session) bool {
	made := &Response{Auth: s.Auth, SSO: s.SSO}
	if l.IAct == Must {
		return made.Satisfies(Must, l.AAuth)
	}
	return l.AAuth == nil || made.Satisfies(AsNeeded, l.AAuth)
}

func (l *Login) authorize(req *http.Request, s *Session) error {
	if l.RequirePrincipal != nil && !slices.Contains(l.RequirePrincipal, s.Principal) {
		return fmt.Errorf("%w: %q is not in RequirePrincipal", ErrForbidden, s.Principal)
	}
	required := func(ptag string) bool { return slices.Contains(l.set.ptags, ptag) }
	if !l.AnyPTags && !slices.ContainsFunc(s.PTags, required) {
		return fmt.Errorf("%w: %q has none of RequirePTags", ErrForbidden, s.Principal)
	}
	if l.Authorize == nil {
		return nil
	}
	switch err := l.Authorize(req, s); {
	case err == nil:
		return nil
	case isUnavailable(err):
		return unavailable(err)
	default:
		return &refusal{err}
	}
}
