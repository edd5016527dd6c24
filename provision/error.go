package provision

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/fetch"
	"github.com/countersign-go/countersign/transport"
)

// An Error reports why no credentials were obtained from a provisioning endpoint, and how to mend
// that. Of the endpoint's answer, its text contains times only; of the URL, only the origin and the
// path. It wraps [creds.ErrExpired] if the credentials had already expired.
type Error struct {
	URL    string // without user, query and fragment
	Status int    // 401: wrong user or password; 2xx: unusable answer; 0: no answer
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

// Unwrap returns e.Err. The methods that [creds.Cache] looks for, such as RetryAfter, are found
// there.
func (e *Error) Unwrap() error { return e.Err }

// Final reports whether the same call would fail again, because the endpoint blames the request or
// the Client may not make it.
func (e *Error) Final() bool {
	f, ok := errors.AsType[*fetch.Error](e.Err)
	return ok && f.Final() || errors.Is(e.Err, transport.ErrPlainHTTP) ||
		errors.Is(e.Err, transport.ErrUserInfo)
}

var _ creds.FinalError = (*Error)(nil)

// cause returns the text of the cause, without the advice that transport gives its own callers.
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
	case s == 0: // the error of the Signer or of TLS gives the advice
		return ""
	case s == http.StatusUnauthorized, s == http.StatusForbidden:
		return "check user and password"
	case s == http.StatusTooManyRequests, s >= 500:
		return "the service cannot help now, try again later"
	}
	return "check that the address is that of a provisioning endpoint"
}
