package raven

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/countersign-go/countersign/auth"
)

// The errors of a [Login], beside [*StatusError] and the errors of package auth.
var (
	// ErrForbidden means that the user has logged in but may not see the page, or that another site
	// made the browser send the request.
	ErrForbidden = errors.New("raven: not let in")
	// ErrNoSession means that an answer came without the cookie that the browser got when it was
	// sent to log in. Either the browser keeps no cookies, or the user took more than an hour, or
	// the key that signed the cookie is not among CookieKeys.
	ErrNoSession = errors.New("raven: an answer without the cookie that goes with it: " +
		"are cookies off, or did the login take over an hour?")
	// ErrAnswer means that the Login did not accept an answer, which therefore changed nothing. If
	// the answer itself is wrong, the error also wraps the error of [Service.Parse].
	ErrAnswer = errors.New("raven: answer not taken")
)

// A StatusError means that the service did not log the user in.
type StatusError struct {
	Status Status
	// Msg is the service's message to the user, in plain text, cut to 1 KiB. It is empty if the
	// service has none or did not sign it.
	Msg string
}

// Error returns a text with the name of the status, without Msg.
func (e *StatusError) Error() string {
	return "raven: the login service did not log in: " + e.Status.String()
}

var (
	errPending = fmt.Errorf("%w: no Login has read it; "+
		"the Login has to be the Denied of the Guard", ErrAnswer)
	errMethod = fmt.Errorf("%w: it did not come by GET", ErrAnswer)
)

// A refusal wraps an error of Authorize. A page can find the type of that error with [errors.As] to
// tell the user more. [errors.Is] does not see the error, so a sentinel inside it cannot change the
// decision.
type refusal struct{ cause error }

func (r *refusal) Error() string      { return ErrForbidden.Error() + ": " + r.cause.Error() }
func (r *refusal) Unwrap() error      { return ErrForbidden }
func (r *refusal) As(target any) bool { return errors.As(r.cause, target) }

func notTaken(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrAnswer}, args...)...)
}

func unavailable(err error) error {
	if errors.Is(err, auth.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", auth.ErrUnavailable, err)
}

func isUnavailable(err error) bool {
	return errors.Is(err, auth.ErrUnavailable) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// fail answers with the status and the text of an error. For people it calls Failed.
func (l *Login) fail(w http.ResponseWriter, req *http.Request, err error) {
	code, text, level := http.StatusForbidden, "you may not see this page", slog.LevelWarn
	status, isStatus := errors.AsType[*StatusError](err)
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Del("WWW-Authenticate") // the Guard has set it; it belongs to a 401
	switch {
	case isUnavailable(err):
		l.log(req, slog.LevelError, "raven: login cannot be checked", slog.Any("reason", err))
		header.Set("Retry-After", "1")
		http.Error(w, "the login cannot be checked now", http.StatusServiceUnavailable)
		return
	case isStatus:
		code, text, level = http.StatusUnauthorized, status.Status.Description(), slog.LevelInfo
		l.Challenge(header, req, err)
	case errors.Is(err, ErrNoSession):
		text, level = "you cannot log in without cookies, or it took too long", slog.LevelInfo
	case errors.Is(err, errMethod):
		code, text = http.StatusMethodNotAllowed, "an answer of the login service comes by GET"
		header.Set("Allow", http.MethodGet)
	case errors.Is(err, ErrAnswer):
		code, text = http.StatusBadRequest, "the answer of the login service cannot be used"
	}
	if *l.refused(req) == nil { // otherwise the Guard of Require has logged it
		l.log(req, level, "raven: not let in", slog.Any("reason", err))
	}
	if l.Failed == nil || !forPeople(req) && !hasAnswer(req) {
		http.Error(w, text, code)
		return
	}
	page := &failedWriter{ResponseWriter: w, code: code}
	l.Failed(page, req, err)
	page.finish()
}

// broken answers 500: the Login is set up wrongly.
func (l *Login) broken(w http.ResponseWriter, req *http.Request, err error) {
	l.log(req, slog.LevelError, "raven: the Login is set up wrongly", slog.Any("reason", err))
	http.Error(w, "the login is set up wrongly", http.StatusInternalServerError)
}

// refuse answers a program with 401. The Guard has already written the challenges of all members of
// its Stack.
func (l *Login) refuse(w http.ResponseWriter) {
	header := w.Header()
	if header.Get("WWW-Authenticate") == "" {
		l.Challenge(header, nil, nil)
	}
	header.Set("Cache-Control", "no-store")
	http.Error(w, "authentication required", http.StatusUnauthorized)
}

func (l *Login) log(req *http.Request, level slog.Level, message string, more ...slog.Attr) {
	l.set.logger.LogAttrs(req.Context(), level, message, append([]slog.Attr{
		slog.String("method", req.Method),
		slog.String("path", req.URL.Path),
		slog.String("remote", req.RemoteAddr),
	}, more...)...)
}

// forPeople reports whether a browser sent the request to open a page, so that a redirect to a
// login page is useful. A fetch by a script cannot follow the redirect to another site.
func forPeople(req *http.Request) bool {
	if req.Header["Authorization"] != nil {
		return false
	}
	if mode := req.Header.Get("Sec-Fetch-Mode"); mode != "" && mode != "navigate" {
		return false
	}
	for _, line := range req.Header["Accept"] {
		for kind := range strings.SplitSeq(line, ",") {
			kind, weight, _ := strings.Cut(kind, ";")
			switch strings.ToLower(strings.TrimSpace(kind)) {
			case "text/html", "application/xhtml+xml":
				if !isZero(weight) {
					return true
				}
			}
		}
	}
	return false
}

// isZero reports whether the parameters of a media type have a weight of zero, so that the client
// does not accept it (RFC 9110, section 12.4.2).
func isZero(params string) bool {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		if strings.EqualFold(name, "q") {
			q, err := strconv.ParseFloat(value, 64)
			return err == nil && q == 0
		}
	}
	return false
}

// A failedWriter replaces a 2xx status, or 304, in the response of Failed with the status of the
// error.
type failedWriter struct {
	http.ResponseWriter
	code  int
	wrote bool
}

func (f *failedWriter) WriteHeader(status int) {
	if 200 <= status && status < 300 || status == http.StatusNotModified {
		status = f.code
	}
	f.wrote = f.wrote || status >= 200
	f.ResponseWriter.WriteHeader(status)
}

func (f *failedWriter) Write(p []byte) (int, error) {
	f.finish()
	return f.ResponseWriter.Write(p)
}

// finish sends the status of the error if none was sent.
func (f *failedWriter) finish() {
	if !f.wrote {
		f.WriteHeader(f.code)
	}
}
