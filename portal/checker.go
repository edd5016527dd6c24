package portal

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/countersign-go/countersign/creds"
)

// Credentials are the proof of identity that a client sends, such as a [Password]. A [Checker]
// decides by their Go type. This package defines [Password], [Response], [Bearer] and [Anonymous];
// an application may use any type of its own.
type Credentials any

// A Checker verifies credentials and names the subject they belong to.
//
// A Checker may have a method Kinds() []reflect.Type, which lists the types that it handles. The
// list serves messages and help texts. It does not restrict Check.
type Checker interface {
	// Check must return the subject that the credentials belong to, never an empty one. It must
	// return an error that wraps [ErrUnauthorized] if they are wrong, and one that wraps
	// [ErrUnhandled] if it does not handle their type. Any other error means that it could not
	// decide. Check must be safe for concurrent use.
	Check(ctx context.Context, c Credentials) (subject string, err error)
}

var (
	// ErrUnauthorized means that the credentials are wrong. It does not tell whether the user
	// exists. It is the same value as [creds.ErrWrong].
	ErrUnauthorized = creds.ErrWrong
	// ErrUnhandled means that a [Checker] does not handle credentials of this type. If it comes
	// from a [Portal], the service is set up wrongly; the user did nothing wrong.
	ErrUnhandled = errors.New("portal: no checker for credentials of this type")
	// ErrBusy means that a [Checker] has not looked at the credentials, because too many logins
	// were waiting already. The credentials may be right or wrong. An error that wraps ErrBusy has
	// a method RetryAfter() time.Duration, the time after which the client should try again.
	ErrBusy = errors.New("portal: too many logins at once: try again later")
)

// Checkers is a list of Checkers that are asked in order. A Checker that does not handle the type
// of the credentials is skipped. If one finds them wrong, the next is asked. If one returns any
// other error, the login ends with that error.
//
// An account that is closed in one Checker is not closed in the others: a later Checker may accept
// the same user.
type Checkers []Checker

// Format writes the types of the Checkers under every verb.
func (cs Checkers) Format(f fmt.State, _ rune) {
	types := make([]string, len(cs))
	for i, checker := range cs {
		types[i] = fmt.Sprintf("%T", checker)
	}
	fmt.Fprintf(f, "[%s]", strings.Join(types, " "))
}

// Check returns the subject that the first Checker names. If none handles the type of c, the error
// wraps [ErrUnhandled] and lists the types that are handled.
//
// If a Checker cannot decide, Check returns its error and does not ask the next: the undecided
// Checker might have named another subject, and "wrong password" might be untrue. If an earlier
// Checker had found the credentials wrong, that error has a method Spent() bool that returns true.
// Code that counts guesses must count this login as one. Otherwise attackers could try passwords
// for free while a database is down, or by closing the connection early.
//
// If all Checkers find the credentials wrong, all of them have done their work, so the time does
// not reveal which of them knows the name.
func (cs Checkers) Check(ctx context.Context, c Credentials) (subject string, err error) {
	var wrong error
	undecided := func(err error) error {
		if wrong != nil {
			return spent{err}
		}
		return err
	}
	for i, checker := range cs {
		if checker == nil {
			return "", undecided(fmt.Errorf("portal: checker %d of %d is nil", i+1, len(cs)))
		}
		subject, err := checker.Check(ctx, c)
		switch {
		case err == nil && subject == "":
			return "", undecided(fmt.Errorf("portal: a %T named no subject", checker))
		case err == nil:
			return subject, nil
		case errors.Is(err, ErrUnauthorized):
			// Keep the first reason that is more specific than ErrUnauthorized, for the log.
			if wrong == nil || wrong == ErrUnauthorized { //nolint:errorlint // exactly that one
				wrong = err
			}
		case !errors.Is(err, ErrUnhandled):
			return "", undecided(err)
		}
	}
	if wrong != nil {
		return "", wrong
	}
	return "", unhandled(c, cs.Kinds())
}

// CheckPassword calls Check with a [Password].
func (cs Checkers) CheckPassword(
	ctx context.Context, user string, password creds.Secret) (subject string, err error) {
	return cs.Check(ctx, Password{user, password})
}

// A spent error comes from a Checker that could not decide after an earlier one had found the
// credentials wrong, or from a helper program that may have judged them.
type spent struct{ error }

func (e spent) Unwrap() error { return e.error }
func (e spent) Spent() bool   { return true }

// Kinds returns the types that the Checkers handle, each once. The types of a Checker without a
// method Kinds are missing.
func (cs Checkers) Kinds() []reflect.Type {
	var kinds []reflect.Type
	for _, checker := range cs {
		if lists, ok := checker.(interface{ Kinds() []reflect.Type }); ok {
			for _, kind := range lists.Kinds() {
				if !slices.Contains(kinds, kind) {
					kinds = append(kinds, kind)
				}
			}
		}
	}
	return kinds
}

// unhandled reports the type of c, never its value, since c is a secret.
func unhandled(c Credentials, kinds []reflect.Type) error {
	if len(kinds) == 0 {
		return fmt.Errorf("%w: %T", ErrUnhandled, c)
	}
	return fmt.Errorf("%w: %T; handled are %s", ErrUnhandled, c, names(kinds))
}

func names(kinds []reflect.Type) string {
	words := make([]string, len(kinds))
	for i, kind := range kinds {
		words[i] = kind.String()
	}
	return strings.Join(words, ", ")
}
