package auth

import (
	"fmt"
	"log/slog"
	"net/http"
)

// A Guard lets only those requests through to a handler whose sender is known. The handler finds
// the identity with [FromContext]; whether that identity may do what it asks for is its own
// decision.
//
// The others are answered as [Status] says; unless Denied says otherwise, none of these answers is
// kept by a cache, and none holds anything of the request.
//
// A 401 has the challenges of all members of the Stack in its order, each in a line of its own (RFC
// 9110, section 11.6.1). A 403 has those of the members that accepted the credentials. 429 and 503
// have Retry-After, in seconds: as many as a [DelayError] says, else one.
//
// If no member has a challenge for a 401 (most of all, if the Stack is empty and so refuses all
// requests), it is sent without, and logged as an error.
//
// The fields are read by [Guard.Handler] only, so a change after that has no effect.
type Guard struct {
	// Stack holds who is asked, in order.
	Stack Stack

	// Admit has the last word on who is let in. It is asked about the identity that the Stack
	// agrees on, and returns the one that the handler finds: the same, or a changed copy, for
	// instance with the groups that an application keeps itself, or that follow from the address.
	// An error refuses, as that of a member would; then neither other credentials nor Optional
	// help. The challenges do not tell of it, since the credentials are right, unless it is a
	// [*ScopeError]. If nil, all are let in.
	Admit func(req *http.Request, id *Identity) (*Identity, error)

	// Optional also lets requests through that carry no credentials that a member knows, as
	// anonymous. Those that a member knows and finds wrong are refused all the same. Admit is not
	// asked.
	Optional bool

	// Logger is told why a request was not let through. It is information if there were no
	// credentials or the client gave up, a warning if they were wrong, contradictory or too many,
	// and an error if they could not be checked, or a warning if the reason is a [DelayError].
	//
	// A record has the method, the path without query, the remote address, the scheme and the
	// reason. It has the subject of a [SubjectError], which is verified only if the credentials
	// were right, and the offset of a [ClockError]. If nil, Handler is silent.
	Logger *slog.Logger

	// Denied writes all answers that are not the handler's, for instance a page with a way to log
	// in. [Denial] tells it why the request was refused, and [Status] of that, with which status.
	// The challenges and Retry-After are already among the header fields; the challenge of Basic
	// has browsers open a dialog of their own, so a site with a page to log in on is better off
	// without that scheme. Success as a status, written or implied, becomes the status of the
	// refusal; it may write another, or redirect. If it writes nothing, or if nil, the answer is
	// one constant line of text.
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
	d := &door{Guard: set, next: next, leaves: leaves(nil, set.Stack)}
	return http.HandlerFunc(d.serve)
}

// A door is a Guard in front of a handler.
type door struct {
	Guard

	next   http.Handler
	leaves []Authenticator // of the Stack, in the order in which they are asked
}

func (g *door) serve(w http.ResponseWriter, req *http.Request) {
	// A copy, as an Authenticator may replace the body of its request, but a handler may not. What
	// net/http cleans up after a request, it looks for in the original.
	original := req
	req = req.WithContext(req.Context())
	pass := func(inner *http.Request) {
		defer func() { original.MultipartForm = inner.MultipartForm }()
		g.next.ServeHTTP(w, inner)
	}
	t := make(trail, 0, len(g.leaves))
	d := g.decide(req, &t)
	if g.Decided != nil {
		var member Authenticator
		if d.by >= 0 {
			member = g.Stack[d.by]
		}
		g.Decided(req, member, d.id, d.err)
	}
	switch {
	case d.err == nil:
		g.respond(w.Header(), req, t)
		pass(req.WithContext(NewContext(req.Context(), d.id)))
	case d.by < 0 && g.Optional:
		pass(req)
	default:
		g.refuse(w, req, d, t)
	}
}

// A decision is the result of a Stack, or of a Guard.
type decision struct {
	by   int       // the member of the Stack that took it, or -1
	leaf int       // the Authenticator within that member; undefined if by is -1
	id   *Identity // beside an err: the credentials are right, and it is not by that objects
	err  error
}

func (g *door) decide(req *http.Request, t *trail) decision {
	d := g.Stack.ask(req, t)
	if d.err != nil || g.Admit == nil {
		return d
	}
	changed, err := g.Admit(req, d.id)
	if err == nil && (changed == nil || changed.Subject == "") {
		err = fmt.Errorf("auth: Admit named no subject: %w", ErrUnavailable)
	}
	if err != nil {
		d.err = err
		return d
	}
	d.id = changed
	return d
}

// respond adds the fields of all Authenticators that accepted req.
func (g *door) respond(header http.Header, req *http.Request, t trail) {
	for i, a := range t {
		if r, ok := g.leaves[i].(Responder); ok && a.err == nil {
			own := http.Header{}
			r.Respond(own, req, a.id)
			merge(header, own)
		}
	}
}

// merge adds the fields of more to header.
func merge(header, more http.Header) {
	for name, values := range more {
		header[name] = append(header[name], values...)
	}
}
