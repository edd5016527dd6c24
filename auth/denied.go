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

// Status returns the status with which a [Guard] refuses a request because of err, the first that
// applies:
//
//   - 400 for [ErrConflict], where no other credentials would help;
//   - 429 for [ErrLimited];
//   - 503 for [ErrUnavailable] or a context's error;
//   - 403 for a [*ScopeError];
//   - 413 for a [*http.MaxBytesError];
//   - 401 otherwise, and 200 if err is nil.
func Status(err error) int {
	switch {
	case err == nil:
		return http.StatusOK
	// RFC 6750, section 3.1, has this status for a request with more than one token.
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

// isUndecided reports whether err says that the credentials were not checked.
func isUndecided(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrLimited) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

func isScope(err error) bool {
	_, ok := errors.AsType[*ScopeError](err)
	return ok
}

type denialKey struct{}

// Denial returns the reason why a [Guard] refused the request that ctx belongs to. It is for the
// Denied handler, and nil elsewhere. The reason may say more than the client should learn.
func Denial(ctx context.Context) error {
	err, _ := ctx.Value(denialKey{}).(error)
	return err
}

// text returns the body of a refusal that has no Denied handler.
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

// refuse answers a request that is not let through.
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

// challenges returns the fields with which the Authenticators ask for credentials, indexed like
// g.leaves. For a 401 it asks all of them, and for a 403 those whose credentials lack a scope. For
// another status it asks the one that decided, only to get the name of its scheme.
func (g *door) challenges(req *http.Request, status int, d decision, t trail) []http.Header {
	fields := make([]http.Header, len(g.leaves))
	for i := range g.leaves {
		err := t.refusal(i)
		switch {
		case status == http.StatusUnauthorized:
		case status == http.StatusForbidden && d.id != nil && i < len(t) && t[i].err == nil:
			err = d.err // from Admit
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

// severity returns the level at which a 503 is logged.
func severity(req *http.Request, err error) slog.Level {
	switch {
	case req.Context().Err() != nil: // the client has gone: the server may be fine
		return slog.LevelInfo
	case after(err) > 0:
		return slog.LevelWarn
	}
	return slog.LevelError
}

// scheme returns the scheme of a challenge, or the Authenticator's Go type, for the log. It does
// not use the request's scheme: a client may have put a password there.
func (g *door) scheme(leaf int, fields []http.Header) string {
	challenge := fields[leaf].Get("WWW-Authenticate")
	if name, _, _ := strings.Cut(challenge, " "); name != "" {
		return name
	}
	return fmt.Sprintf("%T", g.leaves[leaf])
}

// maxSubject is how many bytes of a subject are logged. The client may have invented the subject.
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

// setRetryAfter sets Retry-After to wait in seconds, rounded up, and at least 1.
func setRetryAfter(header http.Header, wait time.Duration) {
	wait = max(wait, time.Second)
	seconds := int64(wait / time.Second)
	if wait%time.Second > 0 {
		seconds++
	}
	header.Set("Retry-After", strconv.FormatInt(seconds, 10))
}

// A deniedWriter keeps the page of a refusal from looking like a success: programs and caches see
// only the status. It has no Unwrap, since a Flush of the underlying writer would send status 200.
type deniedWriter struct {
	http.ResponseWriter
	status int
	wrote  bool
}

func (d *deniedWriter) WriteHeader(status int) {
	// 304 confirms a page that was a success when it was sent.
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
