package auth

import (
	"fmt"
	"log/slog"
	"net/http"
)

// A Guard lets only authenticated requests reach a handler. The handler gets the identity from
// [FromContext], and decides what it may do. Most programs set Stack and call [Guard.Handler].
type Guard struct {
	// Stack holds the Authenticators, in order.
	Stack Stack

	// Admit decides whether an authenticated user is let in. It gets the identity from the Stack,
	// and returns the one for the handler: the same, or a modified copy, for instance with the
	// application's groups. An error refuses the request, even with Optional. Since the credentials
	// are right, the challenges mention only a [*ScopeError]. If nil, all are let in.
	Admit func(req *http.Request, id *Identity) (*Identity, error)

	// Optional also lets requests through, as anonymous, that carry no credentials of a member's
	// scheme. Wrong credentials are still refused. Admit is not called for anonymous requests.
	Optional bool

	// Logger logs refusals. The level is Info without credentials or after the client has gone, and
	// Warn if the credentials were wrong, contradictory or too many. It is Error if they could not
	// be checked, but Warn for a [DelayError].
	//
	// A record has the method, path without query, remote address, scheme, reason, the subject of a
	// [SubjectError] (verified only if the credentials were right) and the offset of a
	// [ClockError]. If nil, nothing is logged.
	Logger *slog.Logger

	// Denied writes the responses to refused requests, such as a login page. [Denial] returns the
	// reason. The challenges and Retry-After are already set. A success status, written or implied,
	// becomes the [Status] of the refusal; Denied may write another, or redirect. If it writes
	// nothing, or is nil, the response is a constant line of text.
	Denied http.Handler

	// Decided is called with each decision before it takes effect, for counters and audits. by is
	// the member of the Stack that decided, id the identity that is let in, and err the reason if
	// it is not. If no member found credentials, by and id are nil and err is [ErrNone], even if
	// Optional lets the request through. If by accepted the credentials, and Admit refused or by
	// contradicts an earlier member, both id and err are set. To compare by with a member, put a
	// pointer in the Stack.
	//
	// Decided must be safe for concurrent use and must not read the body. If nil, it is not called.
	Decided func(req *http.Request, by Authenticator, id *Identity, err error)
}

// Format writes the types of the Stack's members, whatever the verb.
func (g *Guard) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{Stack:%v Optional:%t}", g.Stack, g.Optional)
}

// Require returns a handler that calls next only for requests that one of as authenticates. It is
// short for a [Guard] with only a Stack.
func Require(next http.Handler, as ...Authenticator) http.Handler {
	return (&Guard{Stack: as}).Handler(next)
}

// Optional is like [Require], but also lets requests through, as anonymous, that carry no
// credentials for any of as.
func Optional(next http.Handler, as ...Authenticator) http.Handler {
	return (&Guard{Stack: as, Optional: true}).Handler(next)
}

// Handler returns a handler that calls next for the requests that g lets through. Later changes of
// g have no effect.
//
// Other requests are refused with the status that [Status] returns. Unless Denied changes that, the
// responses are not cached, and contain nothing from the request. A 401 has the challenges of all
// members in order, each in its own field line (RFC 9110, section 11.6.1). A 401 without any is
// logged as an error. A 403 has the challenges of members that accepted the credentials. 429 and
// 503 have Retry-After, as a [DelayError] says, otherwise 1 second.
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
	leaves []Authenticator // of the Stack, in the order of asking
}

func (g *door) serve(w http.ResponseWriter, req *http.Request) {
	// Work on a copy: an Authenticator may replace the body of its request, but a handler must not
	// change the caller's request. net/http removes multipart files that it finds in the original.
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

// A decision is the result of a Stack or of a Guard.
type decision struct {
	by   int       // the member of the Stack that decided, or -1
	leaf int       // the Authenticator within that member; undefined if by is -1
	id   *Identity // if err is set too, the identity that by accepted
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

// respond adds the fields of the Responders that accepted req.
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
