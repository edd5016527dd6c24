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

// Credentials are what somebody shows to prove who they are. A [Checker] looks at the Go type:
// [Password], [Response], [Bearer] and [Anonymous] are those that this package defines, and an
// application may use any type of its own.
type Credentials any

// A Checker decides whether credentials are right and whose they are. It returns [ErrUnauthorized]
// when they are wrong and [ErrUnhandled] when it cannot judge their type; any other error means
// that it could not decide. Implementations are safe for concurrent use.
//
// A Checker may have a method Kinds() []reflect.Type, which lists the types that it judges. It is
// for messages and for help; what counts is what Check does.
type Checker interface {
	Check(ctx context.Context, c Credentials) (subject string, err error)
}

var (
	// ErrUnauthorized means that the credentials are wrong. It does not tell whether the user
	// exists. It is [creds.ErrWrong].
	ErrUnauthorized = creds.ErrWrong
	// ErrUnhandled means that a [Checker] does not judge credentials of this type. From a [Portal]
	// it is a fault of how the service is set up, not of who logs in.
	ErrUnhandled = errors.New("portal: no checker for credentials of this type")
	// ErrBusy means that a [Checker] has not looked at the credentials, because too many logins
	// were waiting in front of this one. It says nothing about them. An error that wraps it has a
	// method RetryAfter() time.Duration, after which another try makes sense.
	ErrBusy = errors.New("portal: too many logins at once: try again later")
)

// Checkers are asked in order. One that cannot judge the type of the credentials is passed over,
// and one that finds them wrong leaves it to the next.
//
// One that could not decide ends it, with its error: had it answered, the subject might have been
// another one than the next Checker names, and "wrong password" would be untrue where nobody knows.
// If one in front of it had found the credentials wrong, that error has a method Spent() bool, and
// it returns true: the guess was made, and who counts guesses counts it. Otherwise passwords could
// be tried for nothing while a database is down, or by hanging up.
//
// An account is closed in the Checker that says so, and in no other: one behind it may let the same
// user in.
//
// Where all find a user wrong, all have done their work, so the time tells nothing about which of
// them knows the name.
type Checkers []Checker

// Format writes the types of the Checkers, whatever the verb.
func (cs Checkers) Format(f fmt.State, _ rune) {
	types := make([]string, len(cs))
	for i, checker := range cs {
		types[i] = fmt.Sprintf("%T", checker)
	}
	fmt.Fprintf(f, "[%s]", strings.Join(types, " "))
}

// Check returns the subject that the first Checker names. If none judges the type of c, the error
// wraps [ErrUnhandled] and lists the types that are judged.
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
			// The first reason that says more than that it is wrong is kept for the log.
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

// CheckPassword is Check for a [Password].
func (cs Checkers) CheckPassword(
	ctx context.Context, user string, password creds.Secret) (subject string, err error) {
	return cs.Check(ctx, Password{user, password})
}

// A spent error is one of a Checker that could not decide, behind one that had.
type spent struct{ error }

func (e spent) Unwrap() error { return e.error }
func (e spent) Spent() bool   { return true }

// Kinds returns the types that the Checkers judge, each once. Those of a Checker without a method
// Kinds are not in it.
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

// unhandled names types only, since c is a secret.
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
