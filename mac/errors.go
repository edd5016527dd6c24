package mac

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/countersign-go/countersign/auth"
)

// Errors of a [Signer] and of [BaseString].
var (
	// ErrUnsignable means that the request, its ext or the dialect does not allow a MAC that a
	// server could check. The error's text names the change to make.
	ErrUnsignable = errors.New("mac: request cannot be signed")

	// ErrCredentials means that a Signer has nothing to sign with: it has no Source, the Source
	// gave no credentials, or section 2 of the draft does not allow their identifier, key or
	// algorithm.
	ErrCredentials = errors.New("mac: credentials cannot be used")
)

// Errors of a [Verifier] that refuses credentials, one for each reason that a log must distinguish.
// Errors that wrap [auth.ErrUnavailable] are not refusals: the Verifier decided nothing.
var (
	// ErrMalformed means that the header, or the request itself, is outside the grammar.
	ErrMalformed = errors.New("mac: malformed credentials")
	// ErrStale means that the timestamp lies outside the window.
	ErrStale = errors.New("mac: timestamp outside the window")
	// ErrInvalid means an unknown identifier or a wrong MAC. One error stands for both, so that an
	// attacker cannot learn which identifiers exist.
	ErrInvalid = errors.New("mac: unknown id or wrong MAC")
	// ErrExpired means that the MAC is correct, but was made with a key that has expired.
	ErrExpired = errors.New("mac: credentials have expired")
	// ErrReplayed means that the MAC is correct, but its nonce was used before.
	ErrReplayed = errors.New("mac: nonce was used before")
	// ErrDigest means that the body is not the one that was signed, or that its digest was not
	// signed.
	ErrDigest = errors.New("mac: body does not match its digest")
)

// ErrUnknownID is the error that a [KeyFunc] returns for an identifier that it does not know.
var ErrUnknownID = errors.New("mac: unknown id")

// A problem says why a request or a header is outside the rules. It is created before it is known
// which side is at fault: the caller of a Signer, or the sender of a request.
type problem string

func (p problem) Error() string { return string(p) }

// because wraps a reason and its detail.
func because(reason error, detail error) error {
	return fmt.Errorf("%w: %w", reason, detail)
}

// A refusal tells a log more than the server may tell the client. It wraps its reason only, because
// the error of a KeyFunc must not change the decision.
type refusal struct {
	reason  error
	id      string
	subject string // of the key of id; "" if unknown
	cause   error  // nil if the reason is the whole explanation
}

func (r *refusal) Error() string { return r.text("") }

// text returns the error's text with a detail. If detail is "", it is left out.
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

// Subject returns the subject that the key belongs to, or "" if it is unknown. An [auth.Guard] logs
// it.
func (r *refusal) Subject() string { return r.subject }

// invalid returns the refusal of a wrong MAC, or of an unknown id if key is nil.
func invalid(id string, key *Key, unknown error) error {
	r := &refusal{reason: ErrInvalid, id: id, cause: unknown}
	if key != nil {
		if r.subject = key.Identity.Subject; r.subject == "" {
			r.subject = id
		}
	}
	return r
}

// A staleRefusal also holds by how much the client's clock is off.
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

// ClockOffset returns by how much the client's clock is ahead. An [auth.Guard] logs it.
func (r *staleRefusal) ClockOffset() time.Duration { return r.offset }

// offset returns how far a timestamp is ahead of now, in whole seconds.
func offset(seconds int64, now time.Time) time.Duration { return inSeconds(seconds - now.Unix()) }

// inSeconds returns n seconds, limited to the range of a Duration.
func inSeconds(n int64) time.Duration {
	const most = math.MaxInt64 / int64(time.Second)
	return time.Duration(max(-most, min(n, most))) * time.Second
}

// unavailable returns an error that wraps cause and auth.ErrUnavailable, which a server answers
// with 503.
func unavailable(what string, cause error) error {
	if errors.Is(cause, auth.ErrUnavailable) {
		return fmt.Errorf("mac: %s: %w", what, cause)
	}
	return fmt.Errorf("mac: %s: %w: %w", what, auth.ErrUnavailable, cause)
}

// An early is the error for a timestamp that is not after NotBefore. A server answers it with 503.
type early struct{ wait time.Duration }

func (e *early) Error() string { return "mac: the timestamp is not after NotBefore" }

func (e *early) Unwrap() error { return auth.ErrUnavailable }

// RetryAfter returns how long it takes until a newly signed request can be accepted.
func (e *early) RetryAfter() time.Duration { return e.wait }

var (
	_ auth.SubjectError = (*refusal)(nil)
	_ auth.ClockError   = (*staleRefusal)(nil)
	_ auth.DelayError   = (*early)(nil)
)
