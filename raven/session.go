package raven

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/countersign-go/countersign/auth"
)

// The claims of an identity: the Session, and when the user proved who they are, in Unix seconds
// (OpenID Connect Core 1.0, section 2).
const (
	claim      = "raven"
	loginClaim = "auth_time"
)

// A Session says who has logged in, how, and for how long. A handler must not change it.
type Session struct {
	Principal string   // who it is
	PTags     []string // what else the service says of him
	Auth      string   // how he proved it for this login; "" if he had done so before
	SSO       []string // how he had proved it before

	Issue time.Time // when the service said so
	// Life is how long after Issue the service itself remembers him, if HasLife.
	Life    time.Duration
	HasLife bool
	Last    time.Time // the last request that was let in: in a handler, this one

	// Limits are all that ends the login, in the order max life, life at the service, inactivity.
	// They are those of the Login that was asked. Nil: nothing ends it but the end of the session.
	Limits []Limit

	// BodyLost means that the user was sent to log in by a request to this very URL that was
	// neither GET nor HEAD, the form of which is lost. It is said once, of the last such request.
	BodyLost bool
}

// A Limit is a time from which on a login does not count any more.
type Limit struct {
	Reason string // LimitMaxLife, LimitWLSLife or LimitInactive
	At     time.Time
}

// What ends a login.
const (
	LimitMaxLife  = "config max life"
	LimitWLSLife  = "wls life"
	LimitInactive = "inactive"
)

// Expires returns the earliest of the Limits, or the zero time if there are none.
func (s *Session) Expires() time.Time {
	var first time.Time
	for i, limit := range s.Limits {
		if i == 0 || limit.At.Before(first) {
			first = limit.At
		}
	}
	return first
}

// claims returns the claims of an identity. Single sign-on tells of no time at which the user
// proved who they are, and a service may rely on that time to demand a fresh proof.
func claims(s *Session) map[string]any {
	all := map[string]any{claim: s}
	if s.Auth != "" {
		all[loginClaim] = s.Issue.Unix()
	}
	return all
}

// FromContext returns the session that a request was let in by. It reports false where something
// else let it in, such as a signature, or where no [Login] stands in front.
func FromContext(ctx context.Context) (*Session, bool) {
	id, ok := auth.FromContext(ctx)
	if !ok {
		return nil, false
	}
	s, ok := id.Claims[claim].(*Session)
	return s, ok && s != nil
}

// judge returns who has logged in, if that counts for this Login. The order is that of the checks
// that other agents make: a failed login, nobody, expired, not as asked for, not let in.
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

// current returns the login of a session, if it counts for this Login, whoever it is of.
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

// session returns what a login says under the limits of this Login.
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

// isAsAsked reports whether a login that another page may have asked for is good for this one.
// MustNot asks for no less than AsNeeded: a user who did more than that need not do it again.
func (l *Login) isAsAsked(s *Session) bool {
	made := &Response{Auth: s.Auth, SSO: s.SSO}
	if l.IAct == Must {
		return made.Satisfies(Must, l.AAuth)
	}
	return l.AAuth == nil || made.Satisfies(AsNeeded, l.AAuth)
}

func (l *Login) authorize(req *http.Request, s *Session) error {
	if l.RequirePrincipal != nil && !slices.Contains(l.RequirePrincipal, s.Principal) {
		return fmt.Errorf("%w: %q is none of RequirePrincipal", ErrForbidden, s.Principal)
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
