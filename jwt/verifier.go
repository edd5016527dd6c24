package jwt

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/internal/jose"
	"github.com/countersign-go/countersign/internal/place"
)

var (
	// ErrRefused means that a token is not accepted. The text says why, for a log; the response to
	// the client does not.
	ErrRefused = errors.New("jwt: token refused")

	// ErrExpired means that a genuine token has expired. It wraps [ErrRefused].
	ErrExpired = fmt.Errorf("%w: %w", ErrRefused, errExpired)
)

// maxLeeway is the largest Leeway.
const maxLeeway = 5 * time.Minute

var _ auth.Challenger = (*Verifier)(nil)

// A Verifier checks signed JSON Web Tokens (RFC 7519, RFC 7515). Most servers set its Keys, Issuer
// and Audience. It is an [auth.Authenticator] and an [auth.Challenger].
//
// A Verifier must not be changed or copied after first use. It is safe for concurrent use.
type Verifier struct {
	// Keys finds the key of a token. Required.
	Keys KeySet

	// Audience holds the names of this service, of which aud must contain one. If nil, a token with
	// an aud is refused, since it is for another service.
	Audience []string

	// Issuer is the iss that a token must have. If "", any.
	Issuer string

	// Leeway is how far the clocks of issuer and verifier may differ, at most 5 minutes.
	Leeway time.Duration

	// Type is the typ that a token must have, ignoring case and "application/". If "", no typ,
	// "JWT", "at+jwt" or "JOSE".
	Type string

	// Scheme precedes the token in the Authorization field. If "", Bearer. Header is another field,
	// which holds the token alone. Cookie is the name of a cookie, and excludes the other two. A
	// cookie is ignored if another site made the browser send it and the request may change state,
	// by the rules of a zero [http.CrossOriginProtection].
	Scheme, Header, Cookie string

	// Encoding is how the Cookie holds the token. If nil, unchanged.
	Encoding Encoding

	// NoExpiry also accepts tokens without exp. They end only with their key.
	NoExpiry bool

	// Realm is shown in the challenge. If "", none.
	Realm string

	// Groups returns the groups of the user with these claims. An error refuses the user, unless it
	// wraps [auth.ErrUnavailable] or a context's error, which is answered with 503. If nil, none.
	Groups func(context.Context, map[string]any) ([]string, error)

	// Revoked reports whether the token with these claims was revoked, as [DenyList.Revoked] does.
	// An error is answered with 503. If nil, no token is.
	Revoked func(context.Context, map[string]any) (bool, error)
}

// Verify checks that a token is genuine, for this service and valid now, and returns its claims,
// with numbers as json.Number. Most callers want [Verifier.AuthenticateToken], which also calls
// Revoked and Groups. The error wraps [ErrRefused], or [auth.ErrUnavailable] if Keys cannot tell or
// the Verifier is set up wrongly.
func (v *Verifier) Verify(ctx context.Context, token string) (map[string]any, error) {
	if _, err := v.place(); err != nil {
		return nil, err
	}
	return v.verify(ctx, token)
}

// Authenticate returns the identity of the token in req. Its Subject is sub, its Expires is exp,
// and its Claims are as [Verifier.Verify] returns them. The error is [auth.ErrNone] without a
// token, and otherwise as for Verify. If a token in a cookie is refused, the error also wraps
// [auth.ErrNone], since browsers send cookies unasked.
func (v *Verifier) Authenticate(req *http.Request) (*auth.Identity, error) {
	p, err := v.place()
	if err != nil {
		return nil, err
	}
	token, err := p.Get(req.Header)
	switch {
	case err != nil:
		err = refused(err)
	case token == "":
		return nil, auth.ErrNone
	case p.Cookie != "" && new(http.CrossOriginProtection).Check(req) != nil:
		err = refused(errCrossOrigin)
	default:
		var id *auth.Identity
		if id, err = v.AuthenticateToken(req.Context(), token); err == nil {
			return id, nil
		}
	}
	if p.Cookie != "" && errors.Is(err, ErrRefused) && !errors.Is(err, auth.ErrUnavailable) {
		err = fmt.Errorf("%w: %w", auth.ErrNone, err)
	}
	return nil, err
}

// AuthenticateToken is Authenticate for a token from elsewhere. An empty token is refused.
func (v *Verifier) AuthenticateToken(ctx context.Context, token string) (*auth.Identity, error) {
	p, err := v.place()
	if err != nil {
		return nil, err
	}
	id, err := v.identify(ctx, token)
	if err != nil {
		return nil, err
	}
	id.Scheme = p.AuthScheme()
	return id, nil
}

// place checks how the Verifier is set up.
func (v *Verifier) place() (place.Place, error) {
	p, err := place.New(v.Scheme, v.Header, v.Cookie)
	p.Encoding = v.Encoding
	switch {
	case err != nil:
	case v.Keys == nil:
		err = errors.New("it has no Keys")
	case v.Leeway < 0 || v.Leeway > maxLeeway:
		err = fmt.Errorf("the Leeway is not from 0 to %v", maxLeeway)
	case slices.Contains(v.Audience, ""):
		err = errors.New("the Audience holds an empty name")
	case v.Encoding != nil && v.Cookie == "":
		err = errors.New("an Encoding is set, but no Cookie")
	default:
		return p, nil
	}
	return place.Place{}, unavailable("the Verifier cannot work", setupError{err})
}

func (v *Verifier) verify(ctx context.Context, token string) (map[string]any, error) {
	claims, err := v.genuine(ctx, token)
	if err != nil {
		return nil, err
	}
	if err := v.checkClaims(claims, time.Now()); err != nil {
		return nil, about(claims, refused(err))
	}
	return claims, nil
}

// genuine returns the claims of a token that was signed with one of our keys, whether it is valid
// now or not.
func (v *Verifier) genuine(ctx context.Context, token string) (map[string]any, error) {
	t, err := jose.Parse(token)
	if err != nil {
		return nil, refused(err)
	}
	if err := v.prove(ctx, t); err != nil {
		return nil, err
	}
	// From here on the token is genuine. The sender of a forged one learns nothing of the claims
	// that would be accepted.
	if !jose.IsKind(t.Type, v.Type) {
		return nil, refused(errKind)
	}
	claims, err := readClaims(t.Payload)
	if err != nil {
		return nil, refused(err)
	}
	return claims, nil
}

// checkClaims checks the claims of a genuine token.
func (v *Verifier) checkClaims(claims map[string]any, now time.Time) error {
	err := v.checkTimes(claims, now)
	if err == nil {
		err = v.checkAudience(claims)
	}
	if err == nil && v.Issuer != "" && claims["iss"] != v.Issuer {
		err = errIssuer
	}
	return err
}

// prove checks the signature with the one method of the key (RFC 8725, section 3.1).
func (v *Verifier) prove(ctx context.Context, t *jose.JWS) error {
	key, err := v.Keys.VerificationKey(ctx, t.KeyID)
	switch {
	case errors.Is(err, ErrUnknownKey) && !errors.Is(err, auth.ErrUnavailable),
		err == nil && key == nil:
		return refused(fmt.Errorf("%w (kid %.256q)", ErrUnknownKey, t.KeyID))
	case err != nil:
		return unavailable("looking up the key", err)
	}
	ready, err := key.forMethod(t.Alg).prepared()
	if err != nil {
		return unavailable("using the key", setupError{err})
	}
	if !jose.Same(t.Alg, ready.Name) {
		return refused(errAlg)
	}
	if !ready.verify(t.Text, t.Signature) {
		return refused(errSignature)
	}
	return nil
}

// identify returns the identity of a token, without the Scheme.
func (v *Verifier) identify(ctx context.Context, token string) (*auth.Identity, error) {
	claims, err := v.verify(ctx, token)
	if err != nil {
		return nil, err
	}
	if v.Revoked != nil {
		switch revoked, err := v.Revoked(ctx, claims); {
		case err != nil:
			return nil, unavailable("asking whether the token is revoked", err)
		case revoked:
			return nil, about(claims, refused(errRevoked))
		}
	}
	id := &auth.Identity{Claims: claims}
	if id.Subject, err = subject(claims); err != nil {
		return nil, refused(err)
	}
	id.Expires, _, _ = date(claims, "exp") // zero without exp
	if v.Groups == nil {
		return id, nil
	}
	id.Groups, err = v.Groups(ctx, claims)
	switch {
	case err == nil:
		return id, nil
	case errors.Is(err, auth.ErrUnavailable), isEnd(err):
		return nil, unavailable("asking for the groups", err)
	}
	// Keep the text only: an error that err wraps must not turn this refusal into another decision.
	return nil, about(claims, refused(problem("the groups: "+err.Error())))
}

// isEnd reports whether err comes from a context that ended.
func isEnd(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// refused returns the error for a token that is refused because of why.
func refused(why error) error {
	if errors.Is(why, errExpired) {
		return ErrExpired
	}
	return fmt.Errorf("%w: %w", ErrRefused, why)
}

// A setupError reports a mistake in the configuration of this service. It is answered with 503,
// like an outage, but does not read like one in the log.
type setupError struct{ error }

func (e setupError) Is(target error) bool { return target == auth.ErrUnavailable }

func (e setupError) Unwrap() error { return e.error }

// unavailable returns the error for a token that cannot be checked. It is answered with 503.
func unavailable(what string, cause error) error {
	if errors.Is(cause, auth.ErrUnavailable) {
		return fmt.Errorf("jwt: %s: %w", what, cause)
	}
	return fmt.Errorf("jwt: %s: %w: %w", what, auth.ErrUnavailable, cause)
}

// Challenge adds to h the challenge (RFC 6750, section 3) for err, an error of
// [Verifier.Authenticate]:
//
//	Bearer                                            no token
//	Bearer error="insufficient_scope", scope="write"  an [*auth.ScopeError]
//	Bearer error="invalid_token"                      every other error
//
// The scheme is the Verifier's Scheme. A parameter names another field or a cookie: Bearer
// header="X-Token", Cookie cookie-name="session".
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
