package auth

import (
	"fmt"
	"net/http"
)

// All is a list of Authenticators that must all accept a request, such as a client's signature over
// a user's token. Put the member that names the user last.
//
// An All may be in a [Stack], and contain Stacks. Like a Stack, it is not a [Challenger].
type All []Authenticator

// Format is like [Stack.Format].
func (all All) Format(f fmt.State, _ rune) { format(f, all) }

// Check is like [Stack.Check].
func (all All) Check() error { return check("All", all) }

// Authenticate returns the identity of the last member, with the earliest Expires of all. Their
// Subjects may differ.
//
// If a member refuses credentials or cannot check them, its error is returned and later members are
// not asked. If only some members find credentials, the request is refused. If none does, or the
// list is empty, the error is [ErrNone].
func (all All) Authenticate(req *http.Request) (*Identity, error) {
	return all.ask(req, new(trail))
}

func (all All) ask(req *http.Request, t *trail) (*Identity, error) {
	var found, missing Authenticator // the first of each kind
	var last *Identity
	for _, a := range all {
		id, err := ask(a, req, t)
		switch {
		case isNone(err):
			if missing == nil {
				missing = a
			}
			continue
		case err != nil:
			return nil, err
		}
		if found == nil {
			found = a
		}
		last = until(id, last)
	}
	switch {
	case found == nil:
		return nil, ErrNone
	case missing != nil:
		return nil, fmt.Errorf("auth: credentials for %T, but none for %T", found, missing)
	}
	return last, nil
}

// until returns id, with the Expires of other if that is earlier. It modifies neither of them.
func until(id, other *Identity) *Identity {
	if other == nil || other.Expires.IsZero() ||
		!id.Expires.IsZero() && !other.Expires.Before(id.Expires) {
		return id
	}
	shorter := *id
	shorter.Expires = other.Expires
	return &shorter
}

// A trail holds the answers of the Authenticators that have no members, in the order in which they
// were asked. The first refusal ends the asking. So an index into a trail is also an index into the
// leaves of a Guard.
type trail []answer

type answer struct {
	id  *Identity
	err error
}

// refusal returns the error to call Challenge with: the Authenticator's own error, or ErrNone.
func (t trail) refusal(leaf int) error {
	if leaf < len(t) && t[leaf].err != nil && !isNone(t[leaf].err) {
		return t[leaf].err
	}
	return ErrNone
}

// ask returns the answer of a. It appends to t the answers of the Authenticators that a consists
// of.
func ask(a Authenticator, req *http.Request, t *trail) (*Identity, error) {
	switch group := open(a).(type) {
	case Stack:
		d := group.ask(req, t)
		return d.id, d.err
	case All:
		return group.ask(req, t)
	}
	id, err := askLeaf(a, req)
	*t = append(*t, answer{id, err})
	return id, err
}

func askLeaf(a Authenticator, req *http.Request) (*Identity, error) {
	if open(a) == nil {
		return nil, fmt.Errorf("auth: a Stack or All with a nil member: %w", ErrUnavailable)
	}
	id, err := a.Authenticate(req)
	if err == nil && (id == nil || id.Subject == "") {
		return nil, fmt.Errorf("auth: %T named no subject: %w", a, ErrUnavailable)
	}
	return id, err
}

// open returns the Stack or the All that a points to, or nil if that pointer is nil. It returns any
// other Authenticator unchanged.
func open(a Authenticator) Authenticator {
	switch group := a.(type) {
	case *Stack:
		if group == nil {
			return nil
		}
		return *group
	case *All:
		if group == nil {
			return nil
		}
		return *group
	}
	return a
}

// leaves appends to found the Authenticators in members that have no members themselves, in the
// order in which ask asks them.
func leaves(found, members []Authenticator) []Authenticator {
	for _, a := range members {
		switch group := open(a).(type) {
		case Stack:
			found = leaves(found, group)
		case All:
			found = leaves(found, group)
		default:
			found = append(found, group)
		}
	}
	return found
}
