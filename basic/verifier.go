package basic

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/authparam"
)

// ErrRefused means that a request has Basic credentials that are not accepted. They are malformed
// or, if the error also wraps [creds.ErrWrong], wrong.
var ErrRefused = errors.New("basic: credentials refused")

var _ auth.Challenger = Verifier{}

// A Verifier is an [auth.Authenticator] and an [auth.Challenger] for user names and passwords. It
// has no state, and is safe for concurrent use if its Users are. To limit guesses, set Attempt for
// the limit per user name, and put an [auth.Limiter] in front for the limit per address.
//
// Each request costs a password hash, so a page whose parts a browser requests all at once can
// cause portal.ErrBusy, which becomes 503 with Retry-After. Use a session for such pages.
type Verifier struct {
	Realm string // shown by browsers that ask for a password; if empty, "restricted"

	// Users decides whether a password is right, and names the subject. It is required. The
	// Checkers of package portal fit: Memory, a File or a database. Users must refuse empty user
	// names and passwords, and respect the limits of their hash (72 bytes for bcrypt).
	Users interface {
		// CheckPassword returns the subject of the user. It must return an error that wraps
		// [creds.ErrWrong] if the user or the password is wrong. Any other error means that it
		// could not decide, and becomes status 503.
		CheckPassword(ctx context.Context, user string, password creds.Secret) (
			subject string, err error)
	}

	// Attempt decides whether a client may try a password for this user name. It is called before
	// Users, and so before a hash is computed. The user name is the client's text: it is not
	// verified, it may be another spelling of a name, and some users type their password there, so
	// do not log it. The method Attempt of an [auth.Limiter] fits.
	//
	// An error refuses the attempt, and is treated like an error of Users: one that wraps
	// [auth.ErrLimited] becomes 429, one that wraps [creds.ErrWrong] looks like a wrong password,
	// and others become 503. The error must not depend on whether the user exists, or it reveals
	// that.
	//
	// If Attempt returns no error, done is called with the verdict unless done is nil: nil, or an
	// error that wraps [ErrRefused] if the password is wrong. If one of several portal.Checkers
	// found it wrong before another could not decide, the verdict is an [auth.SpentError].
	//
	// Attempt must be safe for concurrent use. If nil, attempts are not limited.
	Attempt func(req *http.Request, user string) (done func(error), err error)
}

// Format writes the Realm and the type of Users, whose value may contain passwords.
func (v Verifier) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{Realm:%q Users:%T}", v.Realm, v.Users)
}

// Check returns an error if the Verifier has no Users, and otherwise the error of their method
// Load() error, if they have one. Call it when the program starts.
func (v Verifier) Check() error {
	if v.Users == nil {
		return errors.New("basic: the Verifier has no Users")
	}
	if loads, ok := v.Users.(interface{ Load() error }); ok {
		return loads.Load()
	}
	return nil
}

// Authenticate returns the identity of the subject that Users names. It accepts only one text for
// each pair: exact base64 of UTF-8 without control characters, user names up to 255 bytes,
// passwords up to 1024 bytes, and fields up to 8 KiB. It refuses a second Authorization field.
//
// The error wraps [auth.ErrNone] if the request has no Basic credentials, [ErrRefused] if they are
// malformed or wrong, [auth.ErrLimited] if Attempt or Users says so, and [auth.ErrUnavailable] if
// one of them could not decide or Users is nil.
func (v Verifier) Authenticate(req *http.Request) (*auth.Identity, error) {
	fields := req.Header.Values("Authorization")
	ours := false
	for _, field := range fields {
		ours = ours || authparam.IsFor(field, scheme)
	}
	switch {
	case !ours:
		return nil, auth.ErrNone
	case v.Users == nil:
		return nil, fmt.Errorf("basic: the Verifier has no Users: %w", auth.ErrUnavailable)
	case len(fields) > 1:
		return nil, fmt.Errorf("%w: a second Authorization field", ErrRefused)
	case len(fields[0]) > maxField:
		return nil, fmt.Errorf("%w: a field over %d bytes", ErrRefused, maxField)
	}
	token68, ok := authparam.Cut(fields[0], scheme)
	if !ok {
		return nil, fmt.Errorf("%w: no credentials behind the scheme and a space", ErrRefused)
	}
	user, password, err := decode(token68)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if len(user) > maxUser || len(password) > maxPassword {
		return nil, fmt.Errorf("%w: a user name over %d bytes or a password over %d",
			ErrRefused, maxUser, maxPassword)
	}
	return v.check(req, user, creds.Secret(password))
}

func (v Verifier) check(
	req *http.Request, user string, password creds.Secret) (*auth.Identity, error) {
	var done func(error)
	if v.Attempt != nil {
		var err error
		if done, err = v.Attempt(req, user); err != nil {
			return nil, verdict(err)
		}
	}
	subject, err := v.Users.CheckPassword(req.Context(), user, password)
	switch {
	case err != nil:
		err = verdict(err)
	case subject == "":
		err = fmt.Errorf("basic: the Users named no subject: %w", auth.ErrUnavailable)
	}
	if done != nil {
		done(err)
	}
	if err != nil {
		return nil, err
	}
	return &auth.Identity{Subject: subject, Scheme: scheme}, nil
}

// verdict returns the meaning of an error that Users or Attempt returned.
func verdict(err error) error {
	switch {
	case errors.Is(err, auth.ErrUnavailable), errors.Is(err, auth.ErrLimited):
		return fmt.Errorf("basic: %w", err)
	case errors.Is(err, creds.ErrWrong):
		return &refusal{err.Error()}
	}
	// This includes portal.ErrUnhandled: if no Checker accepts passwords, the service is
	// misconfigured. To the user, that must not look like a wrong password, and it must not cost an
	// attempt.
	return fmt.Errorf("basic: %w: %w", auth.ErrUnavailable, err)
}

// A refusal has the text of an error of Users. It does not wrap that error, which could otherwise
// change the decision.
type refusal struct{ text string }

func (r *refusal) Error() string   { return ErrRefused.Error() + ": " + r.text }
func (r *refusal) Unwrap() []error { return []error{ErrRefused, creds.ErrWrong} }

// Challenge adds the challenge of this scheme (RFC 7617, section 2). It is the same for every
// request. A control character in the Realm becomes a space. Browsers open a dialog for this
// challenge, so a site with its own login page should not use this scheme.
func (v Verifier) Challenge(h http.Header, _ *http.Request, _ error) {
	realm := v.Realm
	if realm == "" {
		realm = "restricted"
	}
	h.Add("WWW-Authenticate", authparam.Challenge{Scheme: scheme, Params: []authparam.Param{
		{Name: "realm", Value: realm},
		{Name: "charset", Value: "UTF-8"},
	}}.String())
}
