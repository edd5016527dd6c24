package raven

import (
	"errors"
	"fmt"
)

// ErrRequest means that a [Request] breaks a rule of the protocol. The text names the field.
var ErrRequest = errors.New("raven: request cannot be written")

// ErrKey means that a public key cannot be used. The text gives the reason.
var ErrKey = errors.New("raven: key cannot be used")

// The errors of [Service.Parse], one for each reason that a log must tell apart.
var (
	// ErrMalformed means that the answer breaks a rule of the protocol. The text names the field.
	ErrMalformed = errors.New("raven: malformed answer")
	// ErrUnsigned means that the answer says success and has no signature.
	ErrUnsigned = errors.New("raven: success without a signature")
	// ErrUnknownKey means that the answer names a key that is not among the Keys of the Service. If
	// many answers do, the service has a new key.
	ErrUnknownKey = errors.New("raven: answer signed by an unknown key")
	// ErrSignature means that the key does not verify the signature of this answer.
	ErrSignature = errors.New("raven: wrong signature")
	// ErrAuthType means that the user authenticated in a way that is not among the AuthTypes of the
	// Service.
	ErrAuthType = errors.New("raven: unknown authentication type")
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
}

func badRequest(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrRequest}, args...)...)
}

func badKey(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrKey}, args...)...)
}
