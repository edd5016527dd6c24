package mac

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/countersign-go/countersign/auth"
)

// What a [Signer] and [BaseString] answer.
var (
	// ErrUnsignable means that the request, its ext or the dialect does not allow a MAC that a
	// server could check. The text says what to change.
	ErrUnsignable = errors.New("mac: request cannot be signed")

	// ErrCredentials means that there is nothing fit to sign with: no Source, no credentials, or an
	// identifier, key or algorithm outside section 2 of the draft.
	ErrCredentials = errors.New("mac: credentials cannot be used")
)

// What a [Verifier] answers to credentials that it refuses, one per reason that a log must tell
// apart. Errors that wrap [auth.ErrUnavailable] are no refusals: nothing was decided.
var (
	// ErrMalformed means that the header, or the request itself, is outside the grammar.
	ErrMalformed = errors.New("mac: malformed credentials")
	// ErrStale means that the timestamp lies outside the window.
	ErrStale = errors.New("mac: timestamp outside the window")
	// ErrInvalid means an unknown identifier or a wrong MAC. One value stands for both, so that
	// nobody outside learns which identifiers exist.
	ErrInvalid = errors.New("mac: unknown id or wrong MAC")
	// ErrExpired means a right MAC, made with a key that has ended.
	ErrExpired = errors.New("mac: credentials have expired")
	// ErrReplayed means a right MAC with a nonce that was seen before.
	ErrReplayed = errors.New("mac: nonce was used before")
	// ErrDigest means that the body is not the one that was signed, or that no digest of it was.
	ErrDigest = errors.New("mac: body does not match its digest")
)

// ErrUnknownID is what a [KeyFunc] answers for an identifier that it does not know.
var ErrUnknownID = errors.New("mac: unknown id")

// A problem is why a request or a header is outside the rules, before it is known whose fault that
// is: the signer's caller's or the sender's.
type problem string

func (p problem) Error() string { return string(p) }

// because gives a reason its detail.
func because(reason error, detail error) error {
	return fmt.Errorf("%w: %w", reason, detail)
}

// A refusal tells a log more than the answer may tell. It wraps its reason only: the error of a
// KeyFunc must not make another decision of this one.
type refusal struct {
	reason  error
	id      string
	subject string // of the key of id; "": not known
	cause   error  // nil: the reason says it all
}

func (r *refusal) Error() string { return r.text("") }

// text is the error with a detail.
func (r *refusal) text(detail string) string {
	text := fmt.Sprintf("%v (id %.64q", r.reason, r.id)
	if r.subject != "" && r.subject != r.id {
		text += fmt.Sprintf(" of %.64q", r.subject)
	}
	if detail != "" {
		text += ", " + detail
	}
	if r.cause != nil {
		text += fmt.Sprintf(": %v", r.cause)
	}
	return text + ")"
}

func (r *refusal) Unwrap() error { return r.reason }

// Subject is for the log of an [auth.Guard].
func (r *refusal) Subject() string { return r.subject }

// invalid is the refusal of a wrong MAC, or of an unknown id if key is nil.
func invalid(id string, key *Key, unknown error) error {
	r := &refusal{reason: ErrInvalid, id: id, cause: unknown}
	if key != nil {
		if r.subject = key.Identity.Subject; r.subject == "" {
			r.subject = id
		}
	}
	return r
}

// A staleRefusal knows by how much the clock of the client is off.
type staleRefusal struct {
	refusal
	offset time.Duration
}

func (r *staleRefusal) Error() string {
	if r.offset < 0 {
		return r.text(fmt.Sprintf("%v behind", -r.offset))
	}
	return r.text(fmt.Sprintf("%v ahead", r.offset))
}

// ClockOffset is for the log of an [auth.Guard].
func (r *staleRefusal) ClockOffset() time.Duration { return r.offset }

// offset is how far a timestamp is ahead of now, in whole seconds.
func offset(seconds int64, now time.Time) time.Duration { return inSeconds(seconds - now.Unix()) }

// inSeconds returns n seconds, or as many as a Duration holds.
func inSeconds(n int64) time.Duration {
	const most = math.MaxInt64 / int64(time.Second)
	return time.Duration(max(-most, min(n, most))) * time.Second
}

// unavailable turns an outage into what answers 503.
func unavailable(what string, cause error) error {
	if errors.Is(cause, auth.ErrUnavailable) {
		return fmt.Errorf("mac: %s: %w", what, cause)
	}
	return fmt.Errorf("mac: %s: %w: %w", what, auth.ErrUnavailable, cause)
}

// An early is the 503 for a timestamp that is not after NotBefore.
type early struct{ wait time.Duration }

func (e *early) Error() string { return "mac: the timestamp is not after NotBefore" }

func (e *early) Unwrap() error { return auth.ErrUnavailable }

// RetryAfter returns how long it takes until a request that is signed again can be accepted.
func (e *early) RetryAfter() time.Duration { return e.wait }

var (
	_ auth.SubjectError = (*refusal)(nil)
	_ auth.ClockError   = (*staleRefusal)(nil)
	_ auth.DelayError   = (*early)(nil)
)
