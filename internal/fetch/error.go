package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/countersign-go/countersign/internal/lost"
)

// MaxWait is the longest wait that a server may ask for. A longer one is assumed to be a mistake:
// it would stop a program permanently.
const MaxWait = 24 * time.Hour

// An Error reports why a call brought no usable answer. Its text contains neither the body nor the
// query of the request or response. An error below HTTP may contain names that the other side
// chose, such as those in a certificate.
type Error struct {
	Status int   // 0 if there was no answer
	Err    error // nil if the status is the only reason
	Broken bool  // the answer broke off; the next one may not

	wait time.Duration
}

func (e *Error) Error() string {
	switch {
	case e.Status == 0:
		return "no answer: " + e.Err.Error()
	case e.Err != nil:
		return fmt.Sprintf("status %d with %v", e.Status, e.Err)
	}
	text := fmt.Sprintf("status %d", e.Status)
	if name := http.StatusText(e.Status); name != "" {
		text += " (" + name + ")"
	}
	return text
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// RetryAfter returns how long the server asks clients to wait; see [Answer.Wait].
func (e *Error) RetryAfter() time.Duration { return e.wait }

// Final reports whether the server would refuse the same request again, because it blames the
// request and not the moment.
func (e *Error) Final() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return e.Status >= 400 && e.Status <= 499
}

// Transient reports whether the next request may well succeed: the service was busy, or did not
// answer in time, or the connection was lost. The next request does no harm unless the first one
// used something up.
func (e *Error) Transient() bool {
	switch e.Status {
	case 0:
		return Lost(e.Err)
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable,
		http.StatusGatewayTimeout:
		return true
	}
	return e.Broken
}

// Lost reports whether err means that a connection could not be made, or ended before the answer
// did.
func Lost(err error) bool {
	_, ok := errors.AsType[net.Error](err) // also one that took too long
	return ok || lost.Connection(err) != nil || errors.Is(err, io.ErrUnexpectedEOF)
}

// Unsent reports whether err means that a connection could not be made, so that the service has not
// seen the request.
func Unsent(err error) bool { return lost.Dial(err) != nil }

// Useless returns the error for an answer that cannot be used because of err. If err is nil, the
// status is the reason.
func (a *Answer) Useless(err error) *Error {
	return &Error{Status: a.Status, Err: err, wait: a.Wait()}
}

// failure returns the error for a call that http.Client ended. If resp is not nil, the client ended
// the call at a redirect, and has closed the body.
func failure(resp *http.Response, err error) *Error {
	e := &Error{Err: Plain(err)}
	if resp != nil {
		e.Status = resp.StatusCode
	}
	return e
}

// Plain removes the *url.Error, which shows the query. It also removes the text that a server may
// have written into the text of the error below it. errors.Is and errors.As still find that error.
func Plain(err error) error {
	var u *url.Error
	for errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return worded{"not in time", err}
	}
	// net/http quotes what an answer sent: a status line, a header line, a Location.
	if text, _, found := strings.Cut(err.Error(), `"`); found {
		return worded{strings.TrimRight(text, " :"), err}
	}
	return err
}

// A worded is an error with another text.
type worded struct {
	text string
	err  error
}

func (w worded) Error() string { return w.text }
func (w worded) Unwrap() error { return w.err }
