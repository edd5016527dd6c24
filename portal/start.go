package portal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Load returns an error for each user who can never log in, because the name or the password is
// empty or too long. A program should call it when it starts.
func (m Memory) Load() error {
	var faults []error
	for _, user := range slices.Sorted(maps.Keys(m)) {
		switch password := m[user]; {
		case !isName(user):
			faults = append(faults, errors.New("portal: Memory: a name that is empty, too long or "+
				"not printable"))
		case len(password) == 0:
			faults = append(faults, fmt.Errorf("portal: Memory: the password of %q is empty", user))
		case len(password) > maxPassword:
			faults = append(faults, fmt.Errorf("portal: Memory: the password of %q has over %d "+
				"bytes", user, maxPassword))
		}
	}
	return errors.Join(faults...)
}

// Load returns an error if a field is wrong, if the database fails to run the Query, or if the
// Query finds a user by a random name, because it does not use its placeholder. A program should
// call it when it starts.
func (s *SQL) Load() error {
	if err := (rules{verify: s.Verify, plain: s.PlainText}).check(); err != nil {
		return err
	}
	row, err := s.find(context.Background(), rand.Text())
	switch {
	case err != nil:
		return err
	case row.fault != nil:
		return fmt.Errorf("portal: %w", row.fault)
	case row.password != "":
		return errors.New("portal: the Query finds a user by a name that no user has: " +
			"compare the name with the placeholder")
	}
	return nil
}

// Load returns an error for each Checker that is nil, and the errors of the Checkers that have a
// method Load() error, as the types of this package do. A program should call it when it starts.
func (cs Checkers) Load() error {
	var faults []error
	for i, checker := range cs {
		if checker == nil {
			faults = append(faults, fmt.Errorf("portal: checker %d of %d is nil", i+1, len(cs)))
		} else if loads, ok := checker.(interface{ Load() error }); ok {
			faults = append(faults, loads.Load())
		}
	}
	return errors.Join(faults...)
}

// Check returns an error if no user can log in, because the Realm or the Checkers are missing. It
// also returns the errors of [Checkers.Load]. A program should call it when it starts.
func (p *Portal[A]) Check() error {
	switch {
	case p.Realm == nil:
		return errors.New("portal: the Portal has no Realm")
	case len(p.Checkers) == 0:
		return errors.New("portal: the Portal has no Checkers, so no user can log in")
	}
	return p.Checkers.Load()
}
