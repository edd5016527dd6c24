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

// MaxWait is the longest wait that a server may ask for. A longer one is taken for a mistake: it
// would stop a program permanently.
const MaxWait = 24 * time.Hour

// An Error says why a call brought nothing to use. Its text holds neither the body nor the query of
// request or response. Below HTTP it may hold names that the other side chose, such as those in a
// certificate.
type Error struct {
	Status int   // 0: there was no answer
	Err    error // nil: the status says it all
	Broken bool  // the answer broke off, which the next one may not

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

// RetryAfter is how long the server asks to be left alone; see [Answer.Wait].
func (e *Error) RetryAfter() time.Duration { return e.wait }

// Final reports whether the same request would be refused again: the server blames the request, and
// not the moment.
func (e *Error) Final() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return e.Status >= 400 && e.Status <= 499
}

// Transient reports whether the next request may well succeed, and does no harm unless the first
// one used something up: the service was busy, or did not answer in time, or the connection was
// lost.
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

// Lost reports whether err is that of a connection that could not be made, or that ended before the
// answer did.
func Lost(err error) bool {
	_, ok := errors.AsType[net.Error](err) // also one that took too long
	return ok || lost.Connection(err) != nil || errors.Is(err, io.ErrUnexpectedEOF)
}

// Unsent reports whether err is that of a connection that could not be made, so that the service
// has not seen the request.
func Unsent(err error) bool { return lost.Dial(err) != nil }

// Useless returns the error for an answer that is of no use because of err. Nil: because of its
// status.
func (a *Answer) Useless(err error) *Error {
	return &Error{Status: a.Status, Err: err, wait: a.Wait()}
}

// failure is the error for a call that http.Client ended. resp is not nil if that was at a
// redirect, and its body is closed then.
func failure(resp *http.Response, err error) *Error {
	e := &Error{Err: Plain(err)}
	if resp != nil {
		e.Status = resp.StatusCode
	}
	return e
}

// Plain takes off the *url.Error, which shows the query, and what a server may have written into
// the text of the error below it, which errors.Is and errors.As still find.
func Plain(err error) error {
	var u *url.Error
	for errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return worded{"not in time", err}
	}
	// net/http quotes what it repeats of an answer: a status line, a header line, a Location.
	if text, _, found := strings.Cut(err.Error(), `"`); found {
		return worded{strings.TrimRight(text, " :"), err}
	}
	return err
}

// worded is an error under another text.
type worded struct {
	text string
	err  error
}

func (w worded) Error() string { return w.text }
func (w worded) Unwrap() error { return w.err }
