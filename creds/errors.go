package creds

import (
	"errors"
	"time"
)

// ErrWrong means that a user name or a password is wrong, as opposed to a check that could not
// decide. It does not tell whether the user exists.
var ErrWrong = errors.New("creds: wrong user or password")

// A DelayError is an error of a Fetch that knows when the next one makes sense.
type DelayError interface {
	error
	// RetryAfter returns the least time until the next fetch. It is obeyed for up to a day; a
	// longer one is taken for a mistake of the service.
	RetryAfter() time.Duration
}

// A FinalError is an error of a Fetch that may not go away by itself.
type FinalError interface {
	error
	// Final reports whether more tries change nothing, as after a wrong password. Then the next
	// fetch is 5 min away at least.
	Final() bool
}

// A TransientError is an error of a Fetch that may go away soon.
type TransientError interface {
	error
	// Transient reports whether the next try may well succeed, and does no harm, as after a lost
	// connection.
	Transient() bool
}

// A PostponedError is an error of a Fetch that has not been tried.
type PostponedError interface {
	error
	// Postponed reports whether nothing has failed, and the fetch just has to wait.
	Postponed() bool
}
