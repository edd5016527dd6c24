package auth

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// A Stack is a list of Authenticators for different schemes, asked in order. Those that find
// credentials must agree on the user: see [Stack.Authenticate]. Two members for one scheme would
// refuse each other's credentials.
//
// A member may return [ErrNone] for requests in which it must not count: a session that ignores
// requests with an Authorization field cannot conflict with a signature.
//
// A Stack may contain others. It is not a [Challenger]: a [Guard] asks each member.
type Stack []Authenticator

// Format writes only the types of the members, whatever the verb.
func (s Stack) Format(f fmt.State, _ rune) { format(f, s) }

func format(f fmt.State, members []Authenticator) {
	types := make([]string, len(members))
	for i, a := range members {
		types[i] = fmt.Sprintf("%T", a)
	}
	fmt.Fprintf(f, "[%s]", strings.Join(types, " "))
}

// Check returns an error if the list is empty or a member is nil, and the errors of members with a
// method Check() error. Call it when the program starts.
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

// Authenticate returns the identity that the members agree on:
//
//   - If a member refuses the credentials that it finds, or cannot check them, its error is
//     returned and later members are not asked.
//   - If members accept credentials of different Subjects, the error is [ErrConflict].
//   - The first member that accepts provides the identity. The others add their Groups, and the
//     earliest Expires counts.
//   - If no member finds credentials, or the list is empty, the error is [ErrNone].
//
// A scheme that a request does not use costs one header lookup. A nonce that one member uses up
// stays used up if a later member refuses. A member that accepts a request without a Subject has a
// bug, reported as [ErrUnavailable].
func (s Stack) Authenticate(req *http.Request) (*Identity, error) {
	d := s.ask(req, new(trail))
	if d.err != nil {
		return nil, d.err
	}
	return d.id, nil
}

// ask also returns which member decided. If that member contradicts an earlier one, the decision
// holds the identity that it named.
func (s Stack) ask(req *http.Request, t *trail) decision {
	d := decision{by: -1, err: ErrNone}
	for i, a := range s {
		next, err := ask(a, req, t)
		leaf := len(*t) - 1
		switch {
		case isNone(err):
		case err != nil:
			// Stop here, so that valid credentials never outweigh wrong ones, such as a cookie
			// beside a wrong signature, whatever the order of the members.
			return decision{i, leaf, nil, err}
		case d.id == nil:
			d = decision{i, leaf, next, nil}
		case next.Subject == d.id.Subject:
			d.id = join(d.id, next)
		default:
			// A request that one user signed and that carries another user's session is a mistake
			// or an attack. An audit that names one of them could name a user who knows nothing of
			// it.
			return decision{i, leaf, next, fmt.Errorf("%w: %q by %s and %q by %s", ErrConflict,
				d.id.Subject, nameOf(d.id, s[d.by]), next.Subject, nameOf(next, a))}
		}
	}
	return d
}

// join returns id with the groups of next added, and with the Expires of next if that is earlier,
// so neither depends on the order of members. Scheme and Claims stay those that id has: a claim
// belongs to the credential that states it. It modifies neither identity, since other goroutines
// may hold them.
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

// nameOf returns the scheme of id, or the type of a, the member that returned id.
func nameOf(id *Identity, a Authenticator) string {
	if id.Scheme != "" {
		return id.Scheme
	}
	return fmt.Sprintf("%T", a)
}

// isNone implements the rule at ErrNone. An error that joins the errors of several Authenticators,
// as errors.Join does, counts as ErrNone if one of them does: a Stack must ask them instead.
func isNone(err error) bool {
	return errors.Is(err, ErrNone) && !errors.Is(err, ErrConflict) && !isUndecided(err)
}

// flat returns the members of s, with each inner Stack replaced by its members. A nil pointer
// becomes a nil member, which ask reports.
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
