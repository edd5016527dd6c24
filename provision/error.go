package provision

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/fetch"
	"github.com/countersign-go/countersign/transport"
)

// An Error says why no credentials were had from a provisioning endpoint, and what to do. Its text
// holds nothing that the endpoint sent but times, and of the URL only the origin and the path. It
// wraps [creds.ErrExpired] if the credentials had ended already.
type Error struct {
	URL    string // without user, query and fragment
	Status int    // 401: wrong user or password; 2xx: the answer was of no use; 0: there was none
	Err    error  // the cause, never nil
}

func failed(u *url.URL, err error) *Error {
	e := &Error{URL: (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String(), Err: err}
	if f, ok := errors.AsType[*fetch.Error](err); ok {
		e.Status = f.Status
	}
	return e
}

func (e *Error) Error() string {
	text := "provision: no credentials from " + e.URL + ": " + e.cause()
	if advice := e.advice(); advice != "" {
		text += ": " + advice
	}
	return text
}

// Unwrap returns e.Err. What [creds.Cache] asks an error for, such as RetryAfter, is found there.
func (e *Error) Unwrap() error { return e.Err }

// Final reports whether the same call would fail again: the endpoint blames the request, or the
// Client may not make it.
func (e *Error) Final() bool {
	f, ok := errors.AsType[*fetch.Error](e.Err)
	return ok && f.Final() || errors.Is(e.Err, transport.ErrPlainHTTP) ||
		errors.Is(e.Err, transport.ErrUserInfo)
}

var _ creds.FinalError = (*Error)(nil)

// cause leaves away what transport advises its own callers.
func (e *Error) cause() string {
	switch {
	case errors.Is(e.Err, transport.ErrPlainHTTP):
		return "plain http would show password and key on the way"
	case errors.Is(e.Err, transport.ErrUserInfo):
		return "the URL holds a user or password"
	}
	return e.Err.Error()
}

func (e *Error) advice() string {
	if ended, ok := errors.AsType[*endedError](e.Err); ok {
		return ended.advice
	}
	switch s := e.Status; {
	case errors.Is(e.Err, transport.ErrPlainHTTP):
		return "use https"
	case errors.Is(e.Err, transport.ErrUserInfo):
		return "remove it, and set Signer to a basic.Signer"
	case s == 0 && fetch.Lost(e.Err):
		return "check the address, and that the service runs"
	case s == 0: // the Signer's error, or one of TLS: it speaks for itself
		return ""
	case s == http.StatusUnauthorized, s == http.StatusForbidden:
		return "check user and password"
	case s == http.StatusTooManyRequests, s >= 500:
		return "the service cannot help now, try again later"
	}
	return "check that the address is that of a provisioning endpoint"
}
