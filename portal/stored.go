package portal

import (
	"errors"
	"fmt"
	"time"

	"github.com/countersign-go/countersign/creds"
)

// Rules configures how a checker compares passwords with stored ones.
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

// A stored password is one user's password in a file or a database, in clear text or hashed.
type stored struct {
	text string
	hash *passwordHash // nil if text is in clear or for verify, or if fault is set
	// fault is the reason why this password can never be used to log in. The code that keeps it
	// wraps it in ErrUnauthorized once, in advance: building the error at a login would show in the
	// login's time.
	fault error
	// From end on, this password cannot be used to log in, and the login fails with ended, which
	// wraps ErrUnauthorized. The zero time means never.
	end   time.Time
	ended error
}

// errClosed is the fault of an account that an administrator has closed, by an empty password or a
// lock.
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

// unlike returns the stored password to compare with if no other is known. It returns nil if verify
// is set: verify may rely on getting text that was stored, and so must not be called then.
func (r rules) unlike() *stored {
	if r.verify != nil {
		return nil
	}
	return r.read("$2b$10$......................0000000000000000000000000000000")
}

// refused wraps the fault err in ErrUnauthorized, as a login returns it.
func refused(err error) error { return fmt.Errorf("%w: %w", ErrUnauthorized, err) }

// match compares c with s if s is a user's valid password. Otherwise it compares c with decoy,
// which costs as much, and always returns an error. The error is ErrUnauthorized or wraps it.
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

// compare reports whether c fits s. For a password that is too long for the hash it always returns
// an error.
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
	// Do the work even so and ignore the result: the longest password depends on the hash, and this
	// must not show in the time.
	s.hash.match(password[:limit])
	return false, s.hash.long
}
