package portal

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"
)

var (
	// ErrDenied is returned by a [Realm] for a user who is known but must not log in now, because
	// of too many sessions, too much load or a locked account.
	ErrDenied = errors.New("portal: login denied")
	// ErrNoAvatar means that the credentials were right, but the [Realm] has no avatar of the
	// wanted kinds for this subject.
	ErrNoAvatar = errors.New("portal: no avatar of that kind")
)

// A Realm makes avatars: objects with the operations that one user may perform in a service. A is
// one type for all avatars, often an interface.
type Realm[A any] interface {
	// Avatar must make the avatar of subject, which is [AnonymousSubject] for an [Anonymous]
	// client. kinds are the types that the protocol can use, the best first; Avatar should use the
	// first that it has. Without kinds, any avatar is accepted.
	//
	// The caller calls logout once, at the end of the session. It may be nil. If Avatar returns an
	// error, logout is not called, so Avatar must first undo its work.
	//
	// The error must wrap ErrDenied or ErrNoAvatar in the cases they describe. Any other error
	// means that the Realm could not decide.
	Avatar(ctx context.Context, subject string, kinds ...reflect.Type) (
		avatar A, logout func(), err error)
}

// A RealmFunc is a function that implements [Realm].
type RealmFunc[A any] func(
	ctx context.Context, subject string, kinds ...reflect.Type) (A, func(), error)

// Avatar calls f. It returns an error if f is nil.
func (f RealmFunc[A]) Avatar(ctx context.Context, subject string, kinds ...reflect.Type) (
	avatar A, logout func(), err error) {
	if f == nil {
		return avatar, nil, errors.New("portal: the RealmFunc is nil")
	}
	return f(ctx, subject, kinds...)
}

// A Portal connects a protocol with a Realm and Checkers, to log users in. It is safe for
// concurrent use if its Realm and its Checkers are.
type Portal[A any] struct {
	Realm    Realm[A] // required
	Checkers Checkers // if empty, every login fails
}

// Format writes the types of the Realm and of the Checkers, under every verb.
func (p *Portal[A]) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{Realm:%T Checkers:%v}", p.Realm, p.Checkers)
}

// Login checks c and returns a session with an avatar for its subject. kinds are the types of
// avatar that the caller can use, the best first. An avatar fits a kind that is its type or an
// interface that it implements. Without kinds, any avatar fits.
//
// The errors wrap [ErrUnauthorized], [ErrUnhandled], [ErrDenied] or [ErrNoAvatar]. Any other error
// means that a Checker or the Realm could not decide; the caller must not report it as a wrong
// password.
func (p *Portal[A]) Login(ctx context.Context, c Credentials, kinds ...reflect.Type) (
	*Session[A], error) {
	if p.Realm == nil {
		return nil, errors.New("portal: the Portal has no Realm")
	}
	if slices.Contains(kinds, nil) {
		return nil, errors.New("portal: a nil kind: take it of an interface by reflect.TypeFor")
	}
	subject, err := p.Checkers.Check(ctx, c)
	if err != nil {
		return nil, err
	}
	avatar, logout, err := p.Realm.Avatar(ctx, subject, kinds...)
	if err != nil {
		return nil, err
	}
	s := &Session[A]{Subject: subject, Avatar: avatar, logout: logout}
	if s.Kind = fitting(avatar, kinds); s.Kind == nil {
		s.Logout() // the Realm has made an avatar, but of another kind
		return nil, fmt.Errorf("%w: the realm gave %T", ErrNoAvatar, avatar)
	}
	return s, nil
}

// fitting returns the first of kinds that avatar fits, its own type if kinds is empty, and nil if
// it fits none of them. It does not ask the Realm for the kind, since the Realm could be wrong.
func fitting(avatar any, kinds []reflect.Type) reflect.Type {
	own := reflect.TypeOf(avatar)
	if own == nil || len(kinds) == 0 {
		return own
	}
	for _, kind := range kinds {
		if own.AssignableTo(kind) {
			return kind
		}
	}
	return nil
}

// A Session is one user's login, from [Portal.Login] until Logout.
type Session[A any] struct {
	Subject string       // as the Checker named it
	Kind    reflect.Type // the wanted kind that Avatar fits; its own type if none was named
	Avatar  A

	logout func()
	out    atomic.Bool // set once Logout was called
}

// Format writes the Subject and the type of the Avatar, under every verb.
func (s *Session[A]) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{Subject:%q Avatar:%T}", s.Subject, s.Avatar)
}

// Logout tells the Realm that the session has ended. Only the first call does so; later calls
// return at once, without waiting for it. Logout is safe for concurrent use.
func (s *Session[A]) Logout() {
	if !s.out.Swap(true) && s.logout != nil {
		s.logout()
	}
}
