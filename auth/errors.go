package auth

import "time"

// A DelayError is an error that knows when it is worth trying again. A [Guard] tells the client.
type DelayError interface {
	error
	// RetryAfter returns how long it takes until a new request may be accepted.
	RetryAfter() time.Duration
}

// A SubjectError is a refusal that knows the account which the credentials are for. A [Guard] logs
// it.
type SubjectError interface {
	error
	// Subject returns the account, or "" if it is not known.
	Subject() string
}

// A ClockError is a refusal that knows how wrong the client's clock is. A [Guard] logs it.
type ClockError interface {
	error
	// ClockOffset returns how far the client's clock is ahead, negative if it is behind.
	ClockOffset() time.Duration
}

// A SpentError is an error of a check that did not come to its end. A [Limiter] asks whether it
// counts as an attempt.
type SpentError interface {
	error
	// Spent reports whether the credentials were compared and found wrong, for instance by one of
	// several checkers, before another one could not decide.
	Spent() bool
}

var (
	_ DelayError = (*limited)(nil)
	_ DelayError = (*outage)(nil)
)
