package auth

import (
	"fmt"
	"net/http"
)

// All is several Authenticators that must all accept a request, such as a client's signature over a
// user's token:
//
//   - Where one finds credentials of its scheme and refuses them, or cannot tell, its error is the
//     answer, and those behind it are not asked.
//   - Where some find credentials and others do not, the request is refused. It never counts as one
//     without credentials. Where none does, or All is empty, the answer is [ErrNone].
//   - Where all accept, the last one gives the identity, with the earliest of their Expires. So put
//     the one that names the user last. The subjects may differ.
//
// All may be a member of a [Stack], and hold Stacks. It is not a [Challenger]: a [Guard] asks the
// members one by one.
type All []Authenticator

// Format writes the types of the members, which may hold secrets, whatever the verb.
func (all All) Format(f fmt.State, _ rune) { format(f, all) }

// Check returns what is wrong with the members: that there are none or that one is nil, and the
// errors of those that have a method Check() error. A program calls it when it starts.
func (all All) Check() error { return check("All", all) }

// Authenticate returns the identity of the last member, or why a member does not accept req.
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

// until returns id, with the end of other if that is earlier. It changes neither of them.
func until(id, other *Identity) *Identity {
	if other == nil || other.Expires.IsZero() ||
		!id.Expires.IsZero() && !other.Expires.Before(id.Expires) {
		return id
	}
	shorter := *id
	shorter.Expires = other.Expires
	return &shorter
}

// A trail is what Authenticators answered that hold no others, in the order in which they were
// asked. The first refusal ends all asking. So an index in a trail is one in the leaves of a Guard.
type trail []answer

type answer struct {
	id  *Identity
	err error
}

// refusal returns the error to ask an Authenticator for credentials with: its own, or ErrNone.
func (t trail) refusal(leaf int) error {
	if leaf < len(t) && t[leaf].err != nil && !isNone(t[leaf].err) {
		return t[leaf].err
	}
	return ErrNone
}

// ask returns the answer of a, and adds to t the answers of the Authenticators that a consists of.
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

// open returns the Stack or the All that a points to, and nil for a nil pointer to one. Any other
// Authenticator it returns unchanged.
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

// leaves appends to found the Authenticators in members that hold no others, in the order in which
// ask asks them.
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
