package auth

import (
	"errors"
	"fmt"
	"net/http"
)

// A Stack asks several Authenticators in order. The first that finds credentials of its scheme
// decides, for good or ill: if it refuses, the ones behind it are not asked, so that a wrong
// signature is never outweighed by, say, a valid cookie. If nobody finds any, the answer is
// [ErrNone]; so it is for an empty Stack.
//
// A Stack may hold others. It is no [Challenger], since each member needs a line of its own: a
// [Guard] asks the members one by one.
type Stack []Authenticator

// Authenticate returns what the member that decides returns. A member that accepts a request and
// names nobody has a bug, which is reported as [ErrUnavailable].
func (s Stack) Authenticate(req *http.Request) (*Identity, error) {
	_, id, err := s.ask(req)
	return id, err
}

// ask returns the index of the member that decided too, and -1 if none did.
func (s Stack) ask(req *http.Request) (by int, id *Identity, err error) {
	for i, a := range s {
		if a == nil {
			return i, nil, fmt.Errorf("auth: a Stack with a nil member: %w", ErrUnavailable)
		}
		id, err := a.Authenticate(req)
		switch {
		case isNone(err):
			continue
		case err != nil:
			return i, nil, err
		case id == nil || id.Subject == "":
			return i, nil, fmt.Errorf("auth: %T named no subject: %w", a, ErrUnavailable)
		}
		return i, id, nil
	}
	return -1, nil, ErrNone
}

// isNone is not fooled by an error that joins what several others said.
func isNone(err error) bool {
	return errors.Is(err, ErrNone) && !errors.Is(err, ErrUnavailable)
}

// flat returns the members of s, with those of inner Stacks in their places.
func (s Stack) flat() Stack {
	var all Stack
	for _, a := range s {
		if inner, ok := a.(Stack); ok {
			all = append(all, inner.flat()...)
		} else {
			all = append(all, a)
		}
	}
	return all
}
