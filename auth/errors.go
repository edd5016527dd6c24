package auth

import "time"

// A DelayError is an error that says how long to wait. A [Guard] sends that in Retry-After.
type DelayError interface {
	error
	// RetryAfter returns the time after which a new request may be accepted.
	RetryAfter() time.Duration
}

// A SubjectError is a refusal that names the account of the credentials, for a [Guard] to log.
type SubjectError interface {
	error
	// Subject returns the account, or "" if it is unknown.
	Subject() string
}

// A ClockError is a refusal that reports the error of the client's clock, for a [Guard] to log.
type ClockError interface {
	error
	// ClockOffset returns how far the client's clock is ahead, negative if it is behind.
	ClockOffset() time.Duration
}

// A SpentError is an error of a check that was not completed.
type SpentError interface {
	error
	// Spent reports whether the credentials were found wrong before the check ended, for instance
	// by one of several checkers. A [Limiter] then counts the attempt.
	Spent() bool
}

var (
	_ DelayError = (*limited)(nil)
	_ DelayError = (*outage)(nil)
)
