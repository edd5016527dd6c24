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

// ErrRefused means that a request has Basic credentials and they are not accepted: they are
// malformed or, where the error is [creds.ErrWrong] as well, wrong.
var ErrRefused = errors.New("basic: credentials refused")

var _ auth.Challenger = Verifier{}

// A Verifier is an [auth.Authenticator] and an [auth.Challenger] that has user names and passwords
// checked. It keeps nothing, and is safe for concurrent use if its Users are.
//
// It takes one text for one pair: exact base64 of UTF-8 without control characters, user names up
// to 255 bytes, passwords up to 1024, fields up to 8 KiB. A second Authorization field is refused.
// The Users must refuse empty user names and passwords, and keep the limits of their hash (72 bytes
// for bcrypt). Attempts are bounded by name with Attempt, and by address with an [auth.Limiter] in
// front.
//
// Each request costs a hash, so a page of many parts, which a browser asks for at once, can meet
// portal.ErrBusy, which becomes 503 with Retry-After. Give such pages a session instead.
type Verifier struct {
	Realm string // shown by browsers that ask for a password; if empty, "restricted"

	// Users decides whether a password is right, and names the subject. Required. The Checkers of
	// package portal fit: Memory, a File or a database.
	//
	// CheckPassword must return an error that wraps [creds.ErrWrong] if the user or the password is
	// wrong. Any other error means that it could not decide, and becomes 503.
	Users interface {
		CheckPassword(ctx context.Context, user string, password creds.Secret) (
			subject string, err error)
	}

	// Attempt is asked before Users is, so before a hash is computed, whether somebody may
	// try a password for this user name. The name is as it was sent: nobody has verified it, it may
	// be another spelling of a name, and some people type their password there, so do not write it
	// down. The method Attempt of an [auth.Limiter] fits.
	//
	// An error means no, and counts like one of Users: one that wraps [auth.ErrLimited] becomes
	// 429, [creds.ErrWrong] looks like a wrong password, and others become 503. To
	// be silent on who is a user, it must not depend on that. Otherwise done, if not nil, is called
	// with the verdict: nil, or an error that wraps [ErrRefused] if the password is wrong. Where
	// portal.Checkers found it wrong before one of them could not decide, the error is an
	// [auth.SpentError]. It must be safe for concurrent use. Nil: there is no bound.
	Attempt func(req *http.Request, user string) (done func(error), err error)
}

// Format writes the Realm and the type of Users, which may hold passwords.
func (v Verifier) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{Realm:%q Users:%T}", v.Realm, v.Users)
}

// Check returns an error if the Verifier has no Users. It also returns the error of their method
// Load() error, if there is one. A program calls it when it starts.
func (v Verifier) Check() error {
	if v.Users == nil {
		return errors.New("basic: the Verifier has no Users")
	}
	if loads, ok := v.Users.(interface{ Load() error }); ok {
		return loads.Load()
	}
	return nil
}

// Authenticate returns the identity of the subject that Users names. Its errors are [auth.ErrNone]
// for a request without Basic credentials, [ErrRefused], [auth.ErrLimited] if Attempt or Users says
// so, and [auth.ErrUnavailable] if one of them could not decide, or Users is nil.
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

// verdict returns the meaning of an error of Users, or of Attempt.
func verdict(err error) error {
	switch {
	case errors.Is(err, auth.ErrUnavailable), errors.Is(err, auth.ErrLimited):
		return fmt.Errorf("basic: %w", err)
	case errors.Is(err, creds.ErrWrong):
		return &refusal{err.Error()}
	}
	// That includes portal.ErrUnhandled: if no Checker is for passwords, the service is set up
	// wrongly. Users must not take that for a wrong password, and it must not cost them attempts.
	return fmt.Errorf("basic: %w: %w", auth.ErrUnavailable, err)
}

// A refusal has the text of the error of Users, and wraps nothing of it: that must not make another
// decision of this one.
type refusal struct{ text string }

func (r *refusal) Error() string   { return ErrRefused.Error() + ": " + r.text }
func (r *refusal) Unwrap() []error { return []error{ErrRefused, creds.ErrWrong} }

// Challenge adds the challenge of this scheme (RFC 7617, section 2), which is the same for every
// request. A control character in the Realm becomes a blank.
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
