package basic

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/authparam"
	"github.com/countersign-go/countersign/portal"
)

// ErrRefused means that a request has Basic credentials and they are not accepted: they are
// malformed or, where the error is [portal.ErrUnauthorized] as well, wrong.
var ErrRefused = errors.New("basic: credentials refused")

var _ auth.Challenger = Verifier{}

// A Verifier is an [auth.Authenticator] and an [auth.Challenger] that has user names and passwords
// checked. It keeps nothing, and is safe for concurrent use if its Checker is.
//
// It takes one text for one pair: exact base64 of UTF-8 without control characters, user names up
// to 255 bytes, passwords up to 1024, fields up to 8 KiB. A second Authorization field is refused.
// The Checker has to see to empty user names and passwords, and to the limits of its hash (72 bytes
// for bcrypt). Attempts are bounded by name with Attempt, and by address with an [auth.Limiter] in
// front.
//
// Each request costs a hash, so a page of many parts, which a browser asks for at once, can meet
// [portal.ErrBusy], which becomes 503 with Retry-After. Give such pages a session instead.
type Verifier struct {
	Realm   string         // what a browser shows to people who are to log in; "": "restricted"
	Checker portal.Checker // is given a [portal.Password]; required

	// Attempt is asked before the Checker is, so before a hash is computed, whether somebody may
	// try a password for this user name. The name is as it was sent: nobody has verified it, it may
	// be another spelling of a name, and some people type their password there, so do not write it
	// down. The method Attempt of an [auth.Limiter] fits.
	//
	// An error means no, and counts like one of the Checker: one that wraps [auth.ErrLimited]
	// becomes 429, [portal.ErrUnauthorized] looks like a wrong password, and others become 503. To
	// be silent on who is a user, it must not depend on that. Otherwise done, if not nil, is called
	// with the verdict: nil, or an error that wraps [ErrRefused] if the password is wrong. Where a
	// [portal.Checkers] found it wrong before one of them could not decide, the error has the
	// method Spent of that one. It must be safe for concurrent use. Nil: there is no bound.
	Attempt func(req *http.Request, user string) (done func(error), err error)
}

// Format writes the Realm and the type of the Checker, which may hold passwords.
func (v Verifier) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{Realm:%q Checker:%T}", v.Realm, v.Checker)
}

// Check returns an error if the Verifier can let no user in: it has no Checker, or one that says by
// a method Kinds that it does not judge passwords. It also returns the error of the Checker's
// method Load() error, if there is one. A program calls it when it starts.
func (v Verifier) Check() error {
	if v.Checker == nil {
		return errors.New("basic: the Verifier has no Checker")
	}
	if lists, ok := v.Checker.(interface{ Kinds() []reflect.Type }); ok &&
		!slices.Contains(lists.Kinds(), reflect.TypeFor[portal.Password]()) {
		return fmt.Errorf("basic: a %T does not judge passwords: choose another Checker", v.Checker)
	}
	if loads, ok := v.Checker.(interface{ Load() error }); ok {
		return loads.Load()
	}
	return nil
}

// Authenticate returns the identity of the subject that the Checker names. Its errors are
// [auth.ErrNone] for a request without Basic credentials, [ErrRefused], [auth.ErrLimited] where
// Attempt or the Checker says so, and [auth.ErrUnavailable] where one of them could not decide, or
// the Checker is nil or not one for passwords.
func (v Verifier) Authenticate(req *http.Request) (*auth.Identity, error) {
	fields := req.Header.Values("Authorization")
	ours := false
	for _, field := range fields {
		ours = ours || authparam.IsFor(field, scheme)
	}
	switch {
	case !ours:
		return nil, auth.ErrNone
	case v.Checker == nil:
		return nil, fmt.Errorf("basic: the Verifier has no Checker: %w", auth.ErrUnavailable)
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
	return v.check(req, portal.Password{User: user, Password: creds.Secret(password)})
}

func (v Verifier) check(req *http.Request, p portal.Password) (*auth.Identity, error) {
	var done func(error)
	if v.Attempt != nil {
		var err error
		if done, err = v.Attempt(req, p.User); err != nil {
			return nil, verdict(err)
		}
	}
	subject, err := v.Checker.Check(req.Context(), p)
	switch {
	case err != nil:
		err = verdict(err)
	case subject == "":
		err = fmt.Errorf("basic: the Checker named no subject: %w", auth.ErrUnavailable)
	}
	if done != nil {
		done(err)
	}
	if err != nil {
		return nil, err
	}
	return &auth.Identity{Subject: subject, Scheme: scheme}, nil
}

// verdict says what an error of a Checker, or of Attempt, means.
func verdict(err error) error {
	switch {
	case errors.Is(err, auth.ErrUnavailable), errors.Is(err, auth.ErrLimited):
		return fmt.Errorf("basic: %w", err)
	case errors.Is(err, portal.ErrUnauthorized):
		return &refusal{err.Error()}
	}
	// That includes portal.ErrUnhandled: no Checker for passwords is a fault of the set-up, which
	// is not to be told to users as a wrong password, nor to cost them attempts.
	return fmt.Errorf("basic: %w: %w", auth.ErrUnavailable, err)
}

// A refusal has the text of a Checker's error, and only that: what else it wraps must not make
// another decision of this one.
type refusal struct{ text string }

func (r *refusal) Error() string   { return ErrRefused.Error() + ": " + r.text }
func (r *refusal) Unwrap() []error { return []error{ErrRefused, portal.ErrUnauthorized} }

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
