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
	// ErrDenied is what a [Realm] returns for somebody who is known but must not come in now: too
	// many sessions, too much load, a locked account.
	ErrDenied = errors.New("portal: login denied")
	// ErrNoAvatar means that the credentials were right, and that the [Realm] has nothing of the
	// wanted kinds for this subject.
	ErrNoAvatar = errors.New("portal: no avatar of that kind")
)

// A Realm is what a service has inside: it makes an avatar, which is what one person can do there.
// A is one type for all avatars, often an interface.
type Realm[A any] interface {
	// Avatar makes the avatar of a subject, which is [AnonymousSubject] for somebody who has not
	// told who they are. kinds are the types that the protocol can use, the best first; the Realm
	// takes the first that it has. No kinds: whatever there is. logout is called at the end, once;
	// nil: there is nothing to do. Beside an error it is not called: undo before what was done.
	//
	// The errors are ErrDenied, ErrNoAvatar, or any other where it could not decide.
	Avatar(ctx context.Context, subject string, kinds ...reflect.Type) (
		avatar A, logout func(), err error)
}

// A RealmFunc is a function that is a [Realm].
type RealmFunc[A any] func(
	ctx context.Context, subject string, kinds ...reflect.Type) (A, func(), error)

// Avatar calls f. It is an error if that is nil.
func (f RealmFunc[A]) Avatar(ctx context.Context, subject string, kinds ...reflect.Type) (
	avatar A, logout func(), err error) {
	if f == nil {
		return avatar, nil, errors.New("portal: the RealmFunc is nil")
	}
	return f(ctx, subject, kinds...)
}

// A Portal is all that a protocol needs to let people in. It is safe for concurrent use if its
// Realm and its Checkers are.
type Portal[A any] struct {
	Realm    Realm[A] // required
	Checkers Checkers // who they let in; none: nobody
}

// Format writes the types of the Realm and of the Checkers, whatever the verb.
func (p *Portal[A]) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{Realm:%T Checkers:%v}", p.Realm, p.Checkers)
}

// Login lets somebody in. kinds are the types of avatar that the caller can use, the best first; an
// avatar fits one that is its type, or an interface that it has. No kinds: any avatar will do.
//
// The errors are [ErrUnauthorized], [ErrUnhandled], [ErrDenied] and [ErrNoAvatar]; any other means
// that a Checker or the Realm could not decide, which is no reason to tell anybody that their
// password is wrong.
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
		s.Logout() // the Realm has made something, if not what was wanted
		return nil, fmt.Errorf("%w: the realm gave %T", ErrNoAvatar, avatar)
	}
	return s, nil
}

// fitting returns the first of kinds that avatar is, its own type if there are none, and nil if it
// is none of them. The Realm is not asked to name it, since what it names might not be true.
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

// A Session is somebody who has come in.
type Session[A any] struct {
	Subject string       // as the Checker named it
	Kind    reflect.Type // which of the wanted kinds Avatar is; its own type if none was named
	Avatar  A

	logout func()
	out    atomic.Bool // set once somebody has called Logout
}

// Format writes the Subject and the type of the Avatar, whatever the verb.
func (s *Session[A]) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{Subject:%q Avatar:%T}", s.Subject, s.Avatar)
}

// Logout tells the Realm that this is over. The first call does so, and the others return at once,
// without waiting for it. It may be called from several goroutines.
func (s *Session[A]) Logout() {
	if !s.out.Swap(true) && s.logout != nil {
		s.logout()
	}
}
