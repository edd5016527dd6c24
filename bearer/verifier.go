package bearer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/place"
)

// ErrRefused means that a request has a token that is not accepted. The text says why, for a log;
// the response to the client does not.
var ErrRefused = errors.New("bearer: token refused")

var (
	_ auth.Authenticator = (*Verifier)(nil)
	_ auth.Challenger    = (*Verifier)(nil)
)

// A Verifier accepts the tokens that its Check knows. It is an [auth.Authenticator] and an
// [auth.Challenger]. It keeps no state between requests, and is safe for concurrent use if its
// Check is.
type Verifier struct {
	// Check returns the identity that a token stands for. It looks the token up in a database, or
	// asks the service that issued it (RFC 7662). It is called for each request with a token.
	// Required.
	//
	// Check must return an error that wraps [ErrRefused] for a token that is unknown, revoked, or
	// issued for another service. Any other error means that Check cannot tell, which is answered
	// with 503. Errors are logged, so their text must not hold the token. An identity whose Expires
	// has passed is refused. If its Scheme is "", it becomes the scheme of the Verifier.
	//
	// The token is untrusted: 1 to 8192 bytes of printable ASCII. Store a hash of each token and
	// look up the hash. Then a copy of the database is useless to a thief, and the time of a lookup
	// reveals nothing about the stored tokens.
	Check func(ctx context.Context, token creds.Secret) (*auth.Identity, error)

	// Scheme precedes the token in the Authorization field, compared without case. If "", Bearer.
	Scheme string

	// Header is another field, which holds the token alone. If "", Authorization.
	Header string

	// Realm is shown in the challenge. If "", none.
	Realm string
}

// A setupError reports a mistake in the configuration of this service. It is answered with 503,
// like an outage, but does not read like one in the log.
type setupError struct{ error }

func (e setupError) Is(target error) bool { return target == auth.ErrUnavailable }

func (e setupError) Unwrap() error { return e.error }

func (v *Verifier) place() (place.Place, error) {
	p, err := place.New(v.Scheme, v.Header, "")
	if err == nil && v.Check == nil {
		err = errors.New("it has no Check")
	}
	if err != nil {
		return place.Place{}, fmt.Errorf("bearer: the Verifier cannot work: %w", setupError{err})
	}
	return p, nil
}

// Authenticate returns the identity that Check returns for the token in req. The error is
// [auth.ErrNone] without a token. It wraps [ErrRefused] for a token that is malformed or that Check
// refuses, and [auth.ErrUnavailable] if Check cannot tell or the Verifier is set up wrongly.
func (v *Verifier) Authenticate(req *http.Request) (*auth.Identity, error) {
	p, err := v.place()
	if err != nil {
		return nil, err
	}
	token, err := p.Get(req.Header)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	case token == "":
		return nil, auth.ErrNone
	}
	id, err := v.Check(req.Context(), creds.Secret(token))
	switch {
	case errors.Is(err, ErrRefused) && !errors.Is(err, auth.ErrUnavailable):
		// Do not wrap err: an ErrNone in it would make the request anonymous.
		return nil, &refusal{err}
	case err != nil:
		return nil, fmt.Errorf("bearer: checking the token: %w: %w", auth.ErrUnavailable, err)
	case id == nil || id.Subject == "":
		err := errors.New("its Check returned no subject and no error")
		return nil, fmt.Errorf("bearer: the Verifier cannot work: %w", setupError{err})
	case !id.Expires.IsZero() && !time.Now().Before(id.Expires):
		return nil, fmt.Errorf("%w: it has expired", ErrRefused)
	}
	own := *id
	if own.Scheme == "" {
		own.Scheme = p.AuthScheme()
	}
	return &own, nil
}

// A refusal is an error of Check. It wraps [ErrRefused] and no other decision.
type refusal struct{ err error }

func (r *refusal) Error() string { return r.err.Error() }

func (r *refusal) Unwrap() error { return ErrRefused }

// Challenge adds to h the challenge (RFC 6750, section 3) for err, an error of
// [Verifier.Authenticate]:
//
//	Bearer                                            no token
//	Bearer error="insufficient_scope", scope="write"  an [*auth.ScopeError]
//	Bearer error="invalid_token"                      every other error
//
// The scheme is the Verifier's Scheme. A parameter names another field: Bearer header="X-Token".
func (v *Verifier) Challenge(h http.Header, _ *http.Request, err error) {
	p, faulty := v.place()
	if faulty != nil {
		h.Add("WWW-Authenticate", place.Bearer)
		return
	}
	code, scope := "", ""
	if lacking, ok := errors.AsType[*auth.ScopeError](err); ok {
		code, scope = "insufficient_scope", lacking.Scope
	} else if err != nil && !errors.Is(err, auth.ErrNone) {
		code = "invalid_token"
	}
	h.Add("WWW-Authenticate", p.Challenge(v.Realm, code, scope))
}
