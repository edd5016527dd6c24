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
//   - right ones of several people, [ErrConflict]: 400, as RFC 6750, section 3.1, has it for a
//     request with more than one token. No other credentials would help, so none are asked for;
//   - an error that wraps [ErrLimited]: 429, whether the credentials are right or not (RFC 6585,
//     section 4);
//   - an error that wraps [ErrUnavailable] or that of a context: 503.
//
// The last two have Retry-After, in seconds: as many as an error with a method RetryAfter()
// time.Duration says, else one.
//
// A 401 needs a challenge. If no member has one (most of all, if the Stack is empty and so refuses
// everybody), it is sent without, and logged as an error.
//
// The fields are read by [Guard.Handler] only, so a change after that has no effect.
type Guard struct {
	// Stack holds who is asked, in order.
	Stack Stack

	// Admit has the last word on who is let in. It is asked about the identity that the Stack
	// agrees on, and returns the one that the handler finds: the same, or a changed copy, for
	// instance with the groups that an application keeps itself, or that follow from the address.
	// An error refuses, as that of a member would; then neither other credentials nor Optional
	// help. The challenges do not tell of it, since the credentials are right. Nil: all are let in.
	Admit func(req *http.Request, id *Identity) (*Identity, error)

	// Optional also lets requests through that carry no credentials that a member knows, as
	// anonymous. Those that a member knows and finds wrong are refused all the same. Admit is not
	// asked.
	Optional bool

	// Logger is told why a request was not let through. It is information if there were no
	// credentials or the client gave up, a warning if they were wrong, contradictory or too many,
	// and an error if they could not be checked, or a warning if the reason has a method
	// RetryAfter() time.Duration.
	//
	// A record has the method, the path without query, the remote address, the scheme and the
	// reason. If the reason has a method Subject() string, it has that subject, which is verified
	// only if the credentials were right. If the reason has a method ClockOffset() time.Duration,
	// it has the offset of the client's clock, positive if that is ahead. If nil, Handler is
	// silent.
	Logger *slog.Logger

	// Denied writes the 401, for instance a page with a way to log in. The challenges are already
	// among the header fields; that of Basic has browsers open a dialog of their own, so a site
	// with a page to log in on is better off without that scheme. Success as a status, written or
	// implied, becomes 401; it may redirect instead. nil: one constant line of text.
	Denied http.Handler

	// Decided is told of each decision before it is acted upon: which member of the Stack took it,
	// and who is let in or, if err is not nil, why not. Where none found credentials, by and id are
	// nil and err is [ErrNone], also if Optional lets the request pass. Beside an error, id is nil
	// unless by found its credentials to be right: then it was Admit that refused, or by
	// contradicts a member in front of it. To compare by with a member, have a pointer in the
	// Stack.
	//
	// It is for counters and audit; it must be safe for concurrent use and must not read the body.
	// nil: nobody is told.
	Decided func(req *http.Request, by Authenticator, id *Identity, err error)
}

// Format writes the types of the Stack's members, whatever the verb.
func (g *Guard) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{Stack:%v Optional:%t}", g.Stack, g.Optional)
}

// Require lets only requests through to next that one of as knows the sender of. It is short for a
// [Guard] with nothing but a Stack.
func Require(next http.Handler, as ...Authenticator) http.Handler {
	return (&Guard{Stack: as}).Handler(next)
}

// Optional is like [Require], but also lets requests through, as anonymous, that carry no
// credentials that one of as knows.
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
	d := g.decide(req)
	if g.Decided != nil {
		var member Authenticator
		if d.by >= 0 {
			member = g.Stack[d.by]
		}
		g.Decided(req, member, d.id, d.err)
	}
	switch {
	case d.err == nil:
		pass(req.WithContext(NewContext(req.Context(), d.id)))
	case d.by < 0 && g.Optional:
		pass(req)
	case errors.Is(d.err, ErrConflict):
		g.log(req, slog.LevelWarn, "auth: credentials refused", g.name(req, d), d)
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "credentials of several people", http.StatusBadRequest)
	case errors.Is(d.err, ErrLimited):
		g.log(req, slog.LevelWarn, "auth: credentials not checked", g.name(req, d), d)
		postpone(w, http.StatusTooManyRequests, "too many requests", after(d.err))
	case isUndecided(d.err):
		level := slog.LevelError
		if after(d.err) > 0 {
			level = slog.LevelWarn
		}
		if req.Context().Err() != nil { // the client has gone, so nothing need be wrong here
			level = slog.LevelInfo
		}
		g.log(req, level, "auth: credentials not checked", g.name(req, d), d)
		const text = "credentials cannot be checked now"
		postpone(w, http.StatusServiceUnavailable, text, after(d.err))
	default:
		g.deny(w, req, d)
	}
}

// A decision is what a Guard makes of one request.
type decision struct {
	by  int       // the member that took it, or -1
	id  *Identity // beside an err: the credentials are right, and it is not by that objects
	err error
}

func (g *Guard) decide(req *http.Request) decision {
	by, id, err := g.Stack.ask(req)
	if err != nil || g.Admit == nil {
		return decision{by, id, err}
	}
	changed, err := g.Admit(req, id)
	if err == nil && (changed == nil || changed.Subject == "") {
		err = fmt.Errorf("auth: Admit named no subject: %w", ErrUnavailable)
	}
	if err != nil {
		return decision{by, id, err}
	}
	return decision{by, changed, nil}
}

// isUndecided reports whether err says that nobody could tell whether the credentials are right.
func isUndecided(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrLimited) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// A later is an error that knows when it is worth to ask again.
type later interface {
	error
	RetryAfter() time.Duration
}

func after(err error) time.Duration {
	if e, ok := errors.AsType[later](err); ok {
		return e.RetryAfter()
	}
	return 0
}

// postpone answers that the request is worth to be sent again after wait, and a second at least.
func postpone(w http.ResponseWriter, status int, text string, wait time.Duration) {
	wait = max(wait, time.Second)
	seconds := int64(wait / time.Second)
	if wait%time.Second > 0 {
		seconds++
	}
	w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, text, status)
}

func (g *Guard) deny(w http.ResponseWriter, req *http.Request, d decision) {
	level, message, scheme := slog.LevelInfo, "auth: no credentials", "none"
	challenged := false
	for i := range g.Stack {
		c := g.challenge(req, i, d)
		if c != "" {
			w.Header().Add("WWW-Authenticate", c)
			challenged = true
		}
		if i == d.by {
			level, message, scheme = slog.LevelWarn, "auth: credentials refused", g.named(i, c)
		}
	}
	if !challenged {
		level, message = slog.LevelError, message+", and no member of the Stack has a challenge"
	}
	g.log(req, level, message, scheme, d)
	w.Header().Set("Cache-Control", "no-store")
	page := &deniedWriter{ResponseWriter: w}
	g.Denied.ServeHTTP(page, req)
	page.finish()
}

// challenge returns what member i asks for. An error that is not its own would tell the client that
// its credentials are wrong.
func (g *Guard) challenge(req *http.Request, i int, d decision) string {
	c, ok := g.Stack[i].(Challenger)
	if !ok {
		return ""
	}
	if i != d.by || d.id != nil {
		return c.Challenge(req, ErrNone)
	}
	return c.Challenge(req, d.err)
}

// name tells for the log which member decided.
func (g *Guard) name(req *http.Request, d decision) string {
	return g.named(d.by, g.challenge(req, d.by, d))
}

// named is the scheme of a member's challenge, else its Go type. What the request calls its scheme
// may be a password that a careless client put there.
func (g *Guard) named(by int, challenge string) string {
	if scheme, _, _ := strings.Cut(challenge, " "); scheme != "" {
		return scheme
	}
	return fmt.Sprintf("%T", g.Stack[by])
}

// maxSubject is how many bytes of a subject are logged. A client may have made it up.
const maxSubject = 128

func (g *Guard) log(req *http.Request, level slog.Level, message, scheme string, d decision) {
	attrs := []slog.Attr{
		slog.String("method", req.Method),
		slog.String("path", req.URL.Path),
		slog.String("remote", req.RemoteAddr),
		slog.String("scheme", scheme),
	}
	subject := ""
	if e, ok := errors.AsType[interface {
		error
		Subject() string
	}](d.err); ok {
		subject = e.Subject()
	} else if d.id != nil {
		subject = d.id.Subject
	}
	if subject != "" {
		attrs = append(attrs, slog.String("subject", subject[:min(len(subject), maxSubject)]))
	}
	if e, ok := errors.AsType[interface {
		error
		ClockOffset() time.Duration
	}](d.err); ok {
		attrs = append(attrs, slog.Duration("offset", e.ClockOffset()))
	}
	attrs = append(attrs, slog.Any("reason", d.err))
	g.Logger.LogAttrs(req.Context(), level, message, attrs...)
}
