package portal

import (
	"errors"
	"fmt"
	"time"

	"github.com/countersign-go/countersign/creds"
)

// rules say how a checker compares passwords with what is stored of them.
type rules struct {
	verify func(user string, given creds.Secret, stored string) bool
	plain  bool
}

func (r rules) check() error {
	if r.verify != nil && r.plain {
		return errors.New("portal: Verify and PlainText are both set: choose one")
	}
	return nil
}

// A stored password is what a file or a database has of one user.
type stored struct {
	text string
	hash *passwordHash // nil for text that is in clear, or for verify, or where fault is set
	// fault is why nobody can log in with it. Whoever keeps it makes it wrap ErrUnauthorized, once:
	// what is made at a login shows in its time.
	fault error
	// From end on, nobody can log in with it, and ended, which wraps ErrUnauthorized, says why. The
	// zero time means never.
	end   time.Time
	ended error
}

// errClosed is the fault of an account that somebody has closed, by writing no password, or a lock.
var errClosed = errors.New("the account is closed")

func (r rules) read(text string) *stored {
	s := &stored{text: text}
	switch {
	case text == "":
		s.fault = errClosed
	case r.plain && len(text) > maxPassword:
		s.fault = fmt.Errorf("a password over %d bytes", maxPassword)
	case !r.plain && r.verify == nil:
		s.hash, s.fault = parseHash(text)
	}
	return s
}

// unlike is compared with where nothing else is known. That is nil, for nothing at all, where
// verify would be asked: it can count on a text that was stored.
func (r rules) unlike() *stored {
	if r.verify != nil {
		return nil
	}
	return r.read("$2b$10$......................0000000000000000000000000000000")
}

// refused is the fault err as a login has it.
func refused(err error) error { return fmt.Errorf("%w: %w", ErrUnauthorized, err) }

// match compares c with s if that is a user's, or else with decoy, which costs as much, and then
// never returns nil. The error is ErrUnauthorized, or wraps it.
func (r rules) match(c Credentials, user string, s, decoy *stored) error {
	found := s != nil && s.fault == nil
	now := time.Now() // for every user, as it takes time
	against := s
	if !found {
		against = decoy
	}
	same, err := r.compare(c, user, against)
	switch {
	case s != nil && s.fault != nil:
		return s.fault
	case s != nil && !s.end.IsZero() && !now.Before(s.end):
		return s.ended
	case err != nil:
		return err
	case !same || !found:
		return ErrUnauthorized
	}
	return nil
}

// compare returns an error for a password that is too long for the hash, whatever is stored.
func (r rules) compare(c Credentials, user string, s *stored) (same bool, err error) {
	if s == nil {
		return false, nil
	}
	if r.plain {
		return matches(c, creds.Secret(s.text)), nil
	}
	given, ok := c.(Password)
	if !ok {
		return false, nil
	}
	if r.verify != nil {
		return r.verify(user, given.Password, s.text), nil
	}
	password := []byte(given.Password)
	limit := s.hash.limit
	if len(password) <= limit {
		return s.hash.match(password), nil
	}
	// The work is done all the same, and not looked at: how long a password may be depends on the
	// hash, and that must not show in the time.
	s.hash.match(password[:limit])
	return false, s.hash.long
}
