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

// An Error says why no token was had. Its text holds nothing of what the other side answered, but
// for an error code that is a plain word, and no query of a URL. What failed below HTTP may name
// what the other side or a proxy chose, as the names in a certificate. What it wraps, such as an
// *oauth2.RetrieveError, may hold more: do not print that.
type Error struct {
	// Status is that of the answer. 0: there was none, or nobody tells.
	Status int

	// Code is the error code in it (RFC 6749, section 5.2), such as invalid_grant: whoever gave the
	// consent must give it again. "": there is none, or it is no plain word.
	Code string

	text      string
	wait      time.Duration
	final     bool
	transient bool
	err       error // unexported, so that nothing that walks over fields prints it
}

func (e *Error) Error() string { return "bearer: no token: " + e.text }

// Unwrap returns the cause, whose text may hold what the other side sent.
func (e *Error) Unwrap() error { return e.err }

// RetryAfter is how long the other side asks to be left alone.
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

// A misuse is an error of the fields that a program has set. No later try mends it.
type misuse struct{ error }

func (m misuse) Unwrap() error { return m.error }
func (misuse) Final() bool     { return true }

// A spent error is one of a Fetch that may have used up a refresh token which is good for one use
// only. It is not repeated at once: the service may take the second use for a theft.
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

// Format writes the text, whatever the verb.
func (e *Error) Format(f fmt.State, _ rune) { fmt.Fprint(f, e.Error()) }

// newError wraps an error of Fetch. One that neither net/http nor package oauth2 has a part in
// speaks for itself.
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
		n.text += ": the refresh token or assertion is no good any more: log in again"
	case "invalid_client", "unauthorized_client":
		n.text += ": check the id and the secret of the client"
	}
	return n
}

// plainWord reports whether s can be an error code that is fit to be printed: one of those that are
// registered, or like them.
func plainWord(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 40
}

// quoteless returns a text of package oauth2 without what may have come from elsewhere: what is
// between quotes, an address and parts of an answer, and the answer itself.
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
