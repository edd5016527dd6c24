package bearer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/fetch"
)

// An Error reports why no token was obtained. Its text holds no part of the response, except an
// error code in plain form, and no query of a URL. If the failure is below HTTP, the text may hold
// names that the server or a proxy chose, such as those in a certificate. The wrapped error, such
// as an *oauth2.RetrieveError, may hold more: do not print it.
type Error struct {
	// Status is the status of the response. It is zero without a response, and if the status is
	// unknown.
	Status int

	// Code is the error code in the response (RFC 6749, section 5.2). With invalid_grant, for
	// example, the user must consent again. It is "" unless it consists of at most 40 lower-case
	// letters and underscores.
	Code string

	text      string
	wait      time.Duration
	final     bool
	transient bool
	err       error // unexported, so that code that walks over fields cannot print it
}

func (e *Error) Error() string { return "bearer: no token: " + e.text }

// Unwrap returns the cause. Its text may hold parts of the response.
func (e *Error) Unwrap() error { return e.err }

// RetryAfter returns how long the service asks clients to wait.
func (e *Error) RetryAfter() time.Duration { return e.wait }

// Final reports whether the same request would be refused again.
func (e *Error) Final() bool {
	switch e.Code {
	case "invalid_grant", "invalid_client", "unauthorized_client", "access_denied",
		"unsupported_grant_type", "invalid_scope", "invalid_request", "expired_token":
		return true
	case "temporarily_unavailable", "server_error", "slow_down", "authorization_pending":
		return false
	}
	return e.final || (&fetch.Error{Status: e.Status}).Final()
}

// Transient reports whether the next request may well succeed: the service was busy, or the
// connection was lost.
func (e *Error) Transient() bool { return e.transient }

var (
	_ creds.DelayError     = (*Error)(nil)
	_ creds.FinalError     = (*Error)(nil)
	_ creds.TransientError = (*Error)(nil)
	_ creds.FinalError     = misuse{}
)

// A misuse is an error in the fields that a program has set. Another try does not help.
type misuse struct{ error }

func (m misuse) Unwrap() error { return m.error }
func (misuse) Final() bool     { return true }

// A spent error comes from a Fetch that may have used up a refresh token which is valid for one use
// only. Fetch is not called again at once: the service may take the second use for a theft.
type spent struct{ error }

func (s spent) Unwrap() error { return s.error }
func (spent) Transient() bool { return false }

// spends reports whether a refresh token may have been used up although Fetch returned err.
func spends(err error) bool {
	e, ok := errors.AsType[*Error](err)
	if ok && (e.Status == http.StatusTooManyRequests || e.Status == http.StatusServiceUnavailable) {
		return false
	}
	return !fetch.Unsent(err)
}

// Format writes the text, for every verb.
func (e *Error) Format(f fmt.State, _ rune) { fmt.Fprint(f, e.Error()) }

// newError wraps an error of Fetch. It returns err unchanged if it comes neither from net/http nor
// from package oauth2.
func newError(err error) error {
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return retrieveError(e, err)
	}
	text := err.Error()
	_, below := errors.AsType[*url.Error](err)
	switch {
	case below:
		text = fetch.Plain(err).Error()
	case !strings.Contains(text, "oauth2: "):
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		text = "no answer in time"
	}
	return &Error{text: quoteless(text), transient: below && fetch.Lost(err), err: err}
}

func retrieveError(e *oauth2.RetrieveError, err error) *Error {
	n := &Error{err: err}
	if plainWord(e.ErrorCode) {
		n.Code = e.ErrorCode
	}
	if e.Response != nil {
		n.Status = e.Response.StatusCode
		a := &fetch.Answer{Status: n.Status, Header: e.Response.Header, Received: time.Now()}
		n.wait = a.Wait()
		n.transient = a.Useless(nil).Transient()
	}
	switch name := http.StatusText(n.Status); {
	case n.Code != "":
		n.text = fmt.Sprintf("%s (status %d)", n.Code, n.Status)
	case name != "":
		n.text = fmt.Sprintf("status %d (%s)", n.Status, name)
	default:
		n.text = fmt.Sprintf("status %d", n.Status)
	}
	switch n.Code {
	case "invalid_grant":
		n.text += ": the refresh token or assertion is no longer good: log in again"
	case "invalid_client", "unauthorized_client":
		n.text += ": check the id and the secret of the client"
	}
	return n
}

// plainWord reports whether s has the form of the registered error codes, and so may be printed.
func plainWord(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 40
}

// quoteless returns a text of package oauth2 without the parts that may come from elsewhere. It
// removes quoted text, which may be an address or part of a response, and the response itself.
func quoteless(text string) string {
	text, _, _ = strings.Cut(text, "\nResponse: ")
	first, last := strings.IndexByte(text, '"'), strings.LastIndexByte(text, '"')
	if first >= 0 {
		text = text[:first] + "..." + text[last+1:]
	}
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
	return text[:min(len(text), 256)]
}
