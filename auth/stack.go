package auth

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// A Stack is several Authenticators, each of which may say who sent a request. They must not
// contradict each other:
//
//   - If a member finds credentials of its scheme and refuses them, or cannot judge them, that is
//     the answer, and the members behind it are not asked. So a valid cookie never outweighs a
//     wrong signature, in whatever order the two are asked.
//   - If several members accept credentials, they must name one Subject. Otherwise the answer is
//     [ErrConflict]: a request that is signed by one user and carries the session of another is a
//     mistake or an attack, and the audit would name a user who may know nothing of it.
//   - Of the members that agree, the first gives the identity. It gets the Groups of the others
//     too, and the earliest of their Expires, so neither depends on the order of members. Scheme
//     and Claims are those of the first: a claim belongs to the credential that states it.
//   - If no member finds credentials, or the Stack is empty, the answer is [ErrNone].
//
// A client without credentials costs each member a look at a header field, and one with wrong
// credentials costs no more than the first member that finds them. A nonce or the like that a
// member uses up is used up also if a later member refuses the request.
//
// A member that must not count in some requests returns ErrNone for them. This session is ignored
// if there is an Authorization field, so the two cannot conflict:
//
//	func (s session) Authenticate(req *http.Request) (*auth.Identity, error) {
//		if req.Header["Authorization"] != nil {
//			return nil, auth.ErrNone
//		}
//
// Do not use two members of one scheme: each would refuse the credentials of the other.
//
// A Stack is made in Go code. Unlike pyramid_multiauth it does not read the names of its members
// from a setting, and it cannot find a member by name: keep the member in a variable.
//
// A Stack may hold others. It is not a [Challenger], since each member needs a line of its own: a
// [Guard] asks the members one by one.
type Stack []Authenticator

// Format writes the types of the members, which may hold secrets, whatever the verb.
func (s Stack) Format(f fmt.State, _ rune) { format(f, s) }

func format(f fmt.State, members []Authenticator) {
	types := make([]string, len(members))
	for i, a := range members {
		types[i] = fmt.Sprintf("%T", a)
	}
	fmt.Fprintf(f, "[%s]", strings.Join(types, " "))
}

// Check returns what is wrong with the members: that there are none or that one is nil, and the
// errors of those that have a method Check() error. A program calls it when it starts.
func (s Stack) Check() error { return check("Stack", s) }

func check(name string, members []Authenticator) error {
	if len(members) == 0 {
		return fmt.Errorf("auth: the %s is empty, so no request is let in", name)
	}
	var faults []error
	for i, a := range members {
		if a == nil {
			faults = append(faults,
				fmt.Errorf("auth: member %d of %d is nil", i+1, len(members)))
		} else if checks, ok := a.(interface{ Check() error }); ok {
			faults = append(faults, checks.Check())
		}
	}
	return errors.Join(faults...)
}

// Authenticate returns what the members agree on, or why they do not. A member that accepts a
// request and names nobody has a bug, which is reported as [ErrUnavailable].
func (s Stack) Authenticate(req *http.Request) (*Identity, error) {
	d := s.ask(req, new(trail))
	if d.err != nil {
		return nil, d.err
	}
	return d.id, nil
}

// ask returns which member decided too. If that contradicts one in front of it, the decision has
// the identity that it named.
func (s Stack) ask(req *http.Request, t *trail) decision {
	d := decision{by: -1, err: ErrNone}
	for i, a := range s {
		next, err := ask(a, req, t)
		leaf := len(*t) - 1
		switch {
		case isNone(err):
		case err != nil:
			return decision{i, leaf, nil, err}
		case d.id == nil:
			d = decision{i, leaf, next, nil}
		case next.Subject == d.id.Subject:
			d.id = join(d.id, next)
		default:
			return decision{i, leaf, next, fmt.Errorf("%w: %q by %s and %q by %s", ErrConflict,
				d.id.Subject, nameOf(d.id, s[d.by]), next.Subject, nameOf(next, a))}
		}
	}
	return d
}

// join returns id with the groups of next, and with its end if that is earlier. It changes neither
// of them, as others may hold them.
func join(id, next *Identity) *Identity {
	joined := *id
	joined.Groups = slices.Clip(id.Groups) // so that append copies them
	for _, group := range next.Groups {
		if !slices.Contains(joined.Groups, group) {
			joined.Groups = append(joined.Groups, group)
		}
	}
	if joined.Groups == nil {
		joined.Groups = next.Groups
	}
	if !next.Expires.IsZero() && (id.Expires.IsZero() || next.Expires.Before(id.Expires)) {
		joined.Expires = next.Expires
	}
	return &joined
}

// nameOf tells which member a named id.
func nameOf(id *Identity, a Authenticator) string {
	if id.Scheme != "" {
		return id.Scheme
	}
	return fmt.Sprintf("%T", a)
}

// isNone follows the rule at ErrNone. An error of a member that adds up those of several others, as
// by errors.Join, is none as well if one of them is: to ask several is for a Stack.
func isNone(err error) bool {
	return errors.Is(err, ErrNone) && !errors.Is(err, ErrConflict) && !isUndecided(err)
}

// flat returns the members of s, with those of inner Stacks in their places. A nil pointer becomes
// a nil member, which ask reports.
func (s Stack) flat() Stack {
	var all Stack
	for _, a := range s {
		if inner, ok := open(a).(Stack); ok {
			all = append(all, inner.flat()...)
		} else {
			all = append(all, open(a))
		}
	}
	return all
}
