package creds

import (
	"errors"
	"time"
)

// ErrWrong means that a user name or a password is wrong. A check that could not decide returns
// another error. ErrWrong does not tell whether the user exists.
var ErrWrong = errors.New("creds: wrong user or password")

// A DelayError is an error of a Fetch that knows when the next fetch can succeed.
type DelayError interface {
	error
	// RetryAfter returns the least time until the next fetch. A [Cache] obeys it for up to a day; a
	// longer time is assumed to be a mistake of the service.
	RetryAfter() time.Duration
}

// A FinalError is an error of a Fetch that may be permanent.
type FinalError interface {
	error
	// Final reports whether further attempts would fail too, as after a wrong password. A [Cache]
	// then waits at least 5 min before the next fetch.
	Final() bool
}

// A TransientError is an error of a Fetch that may be temporary.
type TransientError interface {
	error
	// Transient reports whether the next attempt may well succeed and does no harm, as after a lost
	// connection.
	Transient() bool
}

// A PostponedError is an error of a Fetch that has not made its attempt yet.
type PostponedError interface {
	error
	// Postponed reports whether nothing has failed, and the fetch only has to wait.
	Postponed() bool
}
