// Package portal is login without a protocol: who may come in, given what was shown at the door.
package portal

import (
	"context"
	"errors"
)

// Credentials are what somebody shows to prove who they are. A [Checker] looks at the Go type:
// [Password] is the one this package defines, and an application may use any type of its own.
type Credentials any

// A Checker decides whether credentials are right and whose they are. It returns [ErrUnauthorized]
// when they are wrong and [ErrUnhandled] when it cannot judge their type; any other error means
// that it could not decide. Implementations are safe for concurrent use.
type Checker interface {
	Check(ctx context.Context, c Credentials) (subject string, err error)
}

var (
	// ErrUnauthorized means that the credentials are wrong. It does not tell whether the user
	// exists.
	ErrUnauthorized = errors.New("portal: wrong user or password")
	// ErrUnhandled means that a [Checker] does not judge credentials of this type.
	ErrUnhandled = errors.New("portal: no checker for credentials of this type")
)
