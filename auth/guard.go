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

// A Guard lets only those requests through to a handler whose sender is known. The handler finds
// the identity with [FromContext]; whether that identity may do what it asks for is its own
// decision.
//
// The others are answered as follows; unless Denied says otherwise, none of these answers is kept
// by a cache, and none holds anything of the request.
//
//   - no credentials, or wrong ones: 401, with the challenges of all members of the Stack in its
//     order, each in a line of its own (RFC 9110, section 11.6.1);
//   - an error that wraps [ErrUnavailable] or that of a context: 503 with Retry-After, in seconds.
//     An error with a method RetryAfter() time.Duration chooses how many, else it is one.
//
// A 401 needs a challenge. If no member has one (most of all, if the Stack is empty and so refuses
// everybody), it is sent without, and logged as an error.
//
// The fields are read by [Guard.Handler] only, so a change after that has no effect.
type Guard struct {
	// Stack holds who is asked, in order.
	Stack Stack

	// Optional also lets requests through that carry no credentials at all, as anonymous.
	// Credentials that are there and wrong are refused all the same.
	Optional bool

	// Logger is told why a request was not let through: as information if it had no credentials or
	// was given up, as a warning if they were wrong, as an error if they could not be checked. It
	// gets the method, the path without query, the remote address and the scheme. nil: silent.
	Logger *slog.Logger

	// Denied writes the 401, for instance a page with a way to log in. The challenges are already
	// among the header fields. Success as a status, written or implied, becomes 401; it may
	// redirect instead. nil: one constant line of text.
	Denied http.Handler

	// Decided is told of each decision before it is acted upon: which member of the Stack took it,
	// and who is let in or why not. Where none found credentials, by and id are nil and err is
	// [ErrNone], also if Optional lets the request pass. It is for counters and audit; it must be
	// safe for concurrent use and must not read the body. nil: nobody is told.
	Decided func(req *http.Request, by Authenticator, id *Identity, err error)
}

// Require lets only requests through to next that one of as knows the sender of. It is short for a
// [Guard] with nothing but a Stack.
func Require(next http.Handler, as ...Authenticator) http.Handler {
	return (&Guard{Stack: as}).Handler(next)
}

// Optional is like [Require], but also lets requests without any credentials through, as anonymous.
func Optional(next http.Handler, as ...Authenticator) http.Handler {
	return (&Guard{Stack: as, Optional: true}).Handler(next)
}

// Handler returns a handler that stands in front of next.
func (g *Guard) Handler(next http.Handler) http.Handler {
	set := *g
	set.Stack = g.Stack.flat()
	if set.Logger == nil {
		set.Logger = slog.New(slog.DiscardHandler)
	}
	if set.Denied == nil {
		set.Denied = http.HandlerFunc(unauthorized)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		set.serve(w, req, next)
	})
}

func (g *Guard) serve(w http.ResponseWriter, req *http.Request, next http.Handler) {
	// A copy, as an Authenticator may replace the body of its request, but a handler may not. What
	// net/http cleans up after a request, it looks for in the original.
	original := req
	req = req.WithContext(req.Context())
	pass := func(inner *http.Request) {
		defer func() { original.MultipartForm = inner.MultipartForm }()
		next.ServeHTTP(w, inner)
	}
	by, id, err := g.Stack.ask(req)
	if g.Decided != nil {
		var member Authenticator
		if by >= 0 {
			member = g.Stack[by]
		}
		g.Decided(req, member, id, err)
	}
	switch {
	case err == nil:
		pass(req.WithContext(NewContext(req.Context(), id)))
	case by < 0 && g.Optional:
		pass(req)
	case isUndecided(err):
		g.unavailable(w, req, by, err)
	default:
		g.deny(w, req, by, err)
	}
}

// isUndecided reports whether err says that nobody could tell whether the credentials are right.
func isUndecided(err error) bool {
	return errors.Is(err, ErrUnavailable) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// A later is an error that knows when it is worth to ask again.
type later interface {
	error
	RetryAfter() time.Duration
}

func (g *Guard) unavailable(w http.ResponseWriter, req *http.Request, by int, err error) {
	level := slog.LevelError
	if req.Context().Err() != nil { // who asked has gone, so nothing need be wrong here
		level = slog.LevelInfo
	}
	scheme := g.name(by, g.challenge(req, by, by, err))
	g.log(req, level, "auth: credentials not checked", scheme, err)
	wait := time.Second
	if e, ok := errors.AsType[later](err); ok {
		wait = max(wait, e.RetryAfter())
	}
	seconds := int64(wait / time.Second)
	if wait%time.Second > 0 {
		seconds++
	}
	w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, "credentials cannot be checked now", http.StatusServiceUnavailable)
}

func (g *Guard) deny(w http.ResponseWriter, req *http.Request, by int, err error) {
	level, message, scheme := slog.LevelInfo, "auth: no credentials", "none"
	challenged := false
	for i := range g.Stack {
		c := g.challenge(req, i, by, err)
		if c != "" {
			w.Header().Add("WWW-Authenticate", c)
			challenged = true
		}
		if i == by {
			level, message, scheme = slog.LevelWarn, "auth: credentials refused", g.name(i, c)
		}
	}
	if !challenged {
		level, message = slog.LevelError, message+", and no member of the Stack has a challenge"
	}
	g.log(req, level, message, scheme, err)
	w.Header().Set("Cache-Control", "no-store")
	page := &deniedWriter{ResponseWriter: w}
	g.Denied.ServeHTTP(page, req)
	page.finish()
}

// challenge returns what member i asks for, given that member by decided with err.
func (g *Guard) challenge(req *http.Request, i, by int, err error) string {
	c, ok := g.Stack[i].(Challenger)
	if !ok {
		return ""
	}
	if i != by {
		err = ErrNone
	}
	return c.Challenge(req, err)
}

// name tells for the log which member decided: the scheme of its challenge, else its Go type. What
// the request calls its scheme may be a password that a careless client put there.
func (g *Guard) name(by int, challenge string) string {
	if scheme, _, _ := strings.Cut(challenge, " "); scheme != "" {
		return scheme
	}
	return fmt.Sprintf("%T", g.Stack[by])
}

func (g *Guard) log(req *http.Request, level slog.Level, message, scheme string, err error) {
	g.Logger.LogAttrs(req.Context(), level, message,
		slog.String("method", req.Method),
		slog.String("path", req.URL.Path),
		slog.String("remote", req.RemoteAddr),
		slog.String("scheme", scheme),
		slog.Any("reason", err))
}
