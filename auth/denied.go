package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Status returns the status that a [Guard] answers with where err keeps a request out:
//
//   - 400 if it wraps [ErrConflict], as RFC 6750, section 3.1, has it for a request with more than
//     one token: no other credentials would help;
//   - 429 if it wraps [ErrLimited], whether the credentials are right or not (RFC 6585, section 4);
//   - 503 if it wraps [ErrUnavailable], or the error of a context;
//   - 403 if it wraps a [*ScopeError];
//   - 413 if it wraps a [*http.MaxBytesError];
//   - 401 otherwise, and 200 if it is nil.
func Status(err error) int {
	switch {
	case err == nil:
		return http.StatusOK
	case errors.Is(err, ErrConflict):
		return http.StatusBadRequest
	case errors.Is(err, ErrLimited):
		return http.StatusTooManyRequests
	case isUndecided(err):
		return http.StatusServiceUnavailable
	case isScope(err):
		return http.StatusForbidden
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusUnauthorized
}

// isUndecided reports whether err says that it is not known whether the credentials are right.
func isUndecided(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrLimited) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

func isScope(err error) bool {
	_, ok := errors.AsType[*ScopeError](err)
	return ok
}

type denialKey struct{}

// Denial returns the reason why a [Guard] refused the request that ctx belongs to. It is for
// Denied, and returns nil anywhere else. The reason is for the server: it may say more than the
// client should learn.
func Denial(ctx context.Context) error {
	err, _ := ctx.Value(denialKey{}).(error)
	return err
}

// text is the body of the answers by which a Guard refuses.
func text(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "credentials of several people"
	case http.StatusForbidden:
		return "insufficient scope"
	case http.StatusRequestEntityTooLarge:
		return "request too large"
	case http.StatusTooManyRequests:
		return "too many requests"
	case http.StatusServiceUnavailable:
		return "credentials cannot be checked now"
	}
	return "authentication required"
}

// refuse answers a request that is kept out.
func (g *door) refuse(w http.ResponseWriter, req *http.Request, d decision, t trail) {
	header, status := w.Header(), Status(d.err)
	fields := g.challenges(req, status, d, t)
	challenged := false
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		for _, own := range fields {
			challenged = challenged || len(own) > 0
			merge(header, own)
		}
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		setRetryAfter(header, after(d.err))
	}
	header.Set("Cache-Control", "no-store")
	g.record(req, status, d, fields, challenged)
	page := &deniedWriter{ResponseWriter: w, status: status}
	if g.Denied != nil {
		ctx := context.WithValue(req.Context(), denialKey{}, d.err)
		g.Denied.ServeHTTP(page, req.WithContext(ctx))
	}
	if !page.wrote {
		http.Error(w, text(status), status)
	}
}

// challenges returns the fields by which the Authenticators ask for credentials, by their places in
// g.leaves. For a 401 all are asked, and for a 403 those whose credentials lack a scope. For
// another status one of them is asked, for the name of its scheme.
func (g *door) challenges(req *http.Request, status int, d decision, t trail) []http.Header {
	fields := make([]http.Header, len(g.leaves))
	for i := range g.leaves {
		err := t.refusal(i)
		switch {
		case status == http.StatusUnauthorized:
		case status == http.StatusForbidden && d.id != nil && i < len(t) && t[i].err == nil:
			err = d.err // of Admit
		case d.by >= 0 && i == d.leaf:
		default:
			continue
		}
		if c, ok := g.leaves[i].(Challenger); ok {
			fields[i] = http.Header{}
			c.Challenge(fields[i], req, err)
		}
	}
	return fields
}

// record logs a refusal.
func (g *door) record(
	req *http.Request, status int, d decision, fields []http.Header, challenged bool) {
	level, message, scheme := slog.LevelWarn, "auth: credentials refused", "none"
	if d.by >= 0 {
		scheme = g.scheme(d.leaf, fields)
	} else {
		level, message = slog.LevelInfo, "auth: no credentials"
	}
	switch status {
	case http.StatusUnauthorized:
		if !challenged {
			level, message = slog.LevelError, message+", and no member of the Stack has a challenge"
		}
	case http.StatusForbidden:
		message = "auth: credentials lack a scope"
	case http.StatusTooManyRequests:
		message = "auth: credentials not checked"
	case http.StatusServiceUnavailable:
		level, message = severity(req, d.err), "auth: credentials not checked"
	}
	g.log(req, level, message, scheme, d)
}

// severity is the level at which a 503 is logged.
func severity(req *http.Request, err error) slog.Level {
	switch {
	case req.Context().Err() != nil: // the client has gone, so nothing need be wrong here
		return slog.LevelInfo
	case after(err) > 0:
		return slog.LevelWarn
	}
	return slog.LevelError
}

// scheme is the scheme of a challenge, for the log, or else a Go type. The request may have a
// password where a scheme belongs.
func (g *door) scheme(leaf int, fields []http.Header) string {
	challenge := fields[leaf].Get("WWW-Authenticate")
	if name, _, _ := strings.Cut(challenge, " "); name != "" {
		return name
	}
	return fmt.Sprintf("%T", g.leaves[leaf])
}

// maxSubject is how many bytes of a subject are logged. A client may have made it up.
const maxSubject = 128

func (g *door) log(req *http.Request, level slog.Level, message, scheme string, d decision) {
	attrs := []slog.Attr{
		slog.String("method", req.Method),
		slog.String("path", req.URL.Path),
		slog.String("remote", req.RemoteAddr),
		slog.String("scheme", scheme),
	}
	subject := ""
	if e, ok := errors.AsType[SubjectError](d.err); ok {
		subject = e.Subject()
	} else if d.id != nil {
		subject = d.id.Subject
	}
	if subject != "" {
		attrs = append(attrs, slog.String("subject", subject[:min(len(subject), maxSubject)]))
	}
	if e, ok := errors.AsType[ClockError](d.err); ok {
		attrs = append(attrs, slog.Duration("offset", e.ClockOffset()))
	}
	attrs = append(attrs, slog.Any("reason", d.err))
	g.Logger.LogAttrs(req.Context(), level, message, attrs...)
}

func after(err error) time.Duration {
	if e, ok := errors.AsType[DelayError](err); ok {
		return e.RetryAfter()
	}
	return 0
}

// setRetryAfter asks the client to wait, for a second at least.
func setRetryAfter(header http.Header, wait time.Duration) {
	wait = max(wait, time.Second)
	seconds := int64(wait / time.Second)
	if wait%time.Second > 0 {
		seconds++
	}
	header.Set("Retry-After", strconv.FormatInt(seconds, 10))
}

// A deniedWriter keeps a page for people who are not let in from looking like a success: a program,
// or a cache in between, sees only the status. It has no Unwrap, since a Flush on the writer behind
// it would send the status 200.
type deniedWriter struct {
	http.ResponseWriter
	status int
	wrote  bool
}

func (d *deniedWriter) WriteHeader(status int) {
	// 304 is the success of a page that was sent before.
	if 200 <= status && status < 300 || status == http.StatusNotModified {
		status = d.status
	}
	d.wrote = d.wrote || status >= 200
	d.ResponseWriter.WriteHeader(status)
}

func (d *deniedWriter) Write(p []byte) (int, error) {
	if !d.wrote {
		d.WriteHeader(d.status)
	}
	return d.ResponseWriter.Write(p)
}
