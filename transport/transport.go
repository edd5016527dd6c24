package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/countersign-go/countersign/internal/body"
	"github.com/countersign-go/countersign/internal/logs"
	"github.com/countersign-go/countersign/internal/origin"
	"github.com/countersign-go/countersign/internal/repeat"
)

// Errors for a request that the Transport refuses to sign. The request was not sent.
var (
	ErrPlainHTTP = errors.New(
		"transport: a plain http request is not signed; use https, or list its origin in Origins")
	ErrUserInfo = errors.New(
		"transport: the URL holds a user or password; remove it, the Signer brings the credentials")
	ErrAuthorization = errors.New(
		"transport: the request has an Authorization field already; remove it, the Signer sets it")
)

// A ConfigError says which field of a [Transport] makes it unusable, and why. Every request fails
// with it, and nothing is sent.
type ConfigError struct {
	Field, Reason string
}

func (e *ConfigError) Error() string { return "transport: " + e.Field + " " + e.Reason }

// A SignError wraps an error that a [Signer] returned: by Sign, before anything was sent, or by the
// Observe method of an [Observer], in place of an answer. If an error of [Transport.RoundTrip] does
// not wrap a SignError, it comes from the Base, or says why the Transport did not call the Signer.
// If the Base is a Transport too, an error of its Signer is also a SignError.
type SignError struct {
	Err error
}

// Error returns the text of Err.
func (e *SignError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *SignError) Unwrap() error { return e.Err }

// A Transport is an [http.RoundTripper] that signs each request and sends it by its Base. When the
// server refuses a request for its timestamp, its nonce or its credentials, the Transport corrects
// the cause and sends the request again. See the package comment for the rules.
//
// The fields must not be changed after the first request. A Transport is safe for concurrent use.
type Transport struct {
	// Signer puts the credentials on each request. It is required.
	Signer Signer

	// Base sends the signed requests. If nil, http.DefaultTransport is used, looked up for each
	// request. If the Base is a type of the user's that may send plain http for a loopback host to
	// another machine, for instance by a proxy, it should have a method Unwrap() http.RoundTripper
	// that returns the *http.Transport it wraps. The Proxy of that *http.Transport is called to
	// find out whether requests stay on this machine.
	Base http.RoundTripper

	// Origins lists the origins whose requests are signed, each like
	// "https://api.example.com:8443". If empty, requests are signed for any origin that the
	// caller's URL points to.
	Origins []string

	// Clock holds the time of each server. If nil, the Transport has a Clock of its own.
	Clock *Clock

	// Refused reports whether an answer refuses the credentials. It must not read the body. If nil,
	// the Signer decides if it is a [Refuser]; otherwise every answer with status 401 does.
	Refused func(*http.Response) bool

	// Logger gets a record at level Warn of each refusal that the caller gets, and of each origin
	// that refuses requests because they are not signed. It gets a record at level Info of each
	// correction of a clock, and at level Debug of each request that recovered or was not signed.
	// It also gets the records of the fetches of credentials that its requests start, unless their
	// source has a Logger of its own. The records carry the context of the request. If nil, nothing
	// is logged.
	Logger *slog.Logger

	once     sync.Once
	settings settings
	warned   origin.Map[bool]       // origins about which there was a record of level Warn
	scheme   atomic.Pointer[string] // of the first Authorization field; nil if none was made
	manners  manners
}

// settings are the fields of a Transport in the form that requests need, copied at the first one.
type settings struct {
	signer  Signer
	several ByOrigin               // the ByOrigin in the Signer, or nil
	chooses bool                   // a Choose is in the Signer
	static  *faces                 // nil if they depend on the request
	origins map[origin.Origin]bool // nil for any
	clock   *Clock
	logger  *slog.Logger
	err     error
}

// Format writes the settings and the types of the parts, under every verb. The parts may hold
// secrets.
func (t *Transport) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{Signer:%T Base:%T Origins:%q}", t.Signer, t.Base, t.Origins)
}

// RoundTrip signs req and sends it. An answer of the server is never turned into an error because
// of its status; [History] returns the attempts that were made for it. An error comes from the Base
// or from the Signer ([SignError]), or says why the request must not be signed.
//
// The Request of the response is the request that was sent, with its credentials: the caller may
// read it, but must not log it or send it again. If the response is a refusal and its body is
// longer than 64 KiB, the body may end there with io.ErrUnexpectedEOF.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	t.once.Do(t.configure)
	c := call{settings: &t.settings, t: t, base: t.Base, req: req, body: body.New(req)}
	if c.base == nil {
		c.base = http.DefaultTransport
	}
	c.repeated, c.parent = repeat.Take(req.Context())
	c.base = c.repeated.Base(c.base)
	sign, err := c.admit()
	if err == nil && !sign {
		return c.pass()
	}
	defer c.body.Finish()
	if err == nil {
		err = c.next(logs.With(c.parent, t.Logger))
	}
	for err == nil {
		var resp *http.Response
		if resp, err = c.send(); err == nil && !c.mend(resp) {
			return c.result(resp)
		} else if err != nil && c.unwelcome(nil, err) {
			err = c.stopAsking(nil)
		}
	}
	return nil, err
}

// Unwrap returns the Base, or nil, which stands for http.DefaultTransport. A Transport whose Base
// is t uses it to find out whether requests leave by a proxy.
func (t *Transport) Unwrap() http.RoundTripper { return t.Base }

// Check returns the error with which each request would fail, so that a program can report it at
// its start. It returns a [*ConfigError], or the error of the Check method of the Signer or Base,
// if they have one. It sends nothing. The fields must not be changed after Check was called.
func (t *Transport) Check() error {
	t.once.Do(t.configure)
	if err := t.settings.err; err != nil {
		return err
	}
	if err := checkAll(t.Signer); err != nil {
		return err
	}
	if t.Base != nil && isNil(t.Base) {
		return &ConfigError{"Base",
			fmt.Sprintf("is a nil %T: leave it out for the default", t.Base)}
	}
	if c, ok := t.Base.(interface{ Check() error }); ok {
		return c.Check()
	}
	return nil
}

// CloseIdleConnections calls the CloseIdleConnections method of the Base, if it has one.
func (t *Transport) CloseIdleConnections() {
	base := t.Base
	if base == nil {
		base = http.DefaultTransport
	}
	if b, ok := base.(interface{ CloseIdleConnections() }); ok {
		b.CloseIdleConnections()
	}
}

func (t *Transport) configure() {
	s := settings{signer: t.Signer, clock: t.Clock, logger: t.Logger}
	if s.clock == nil {
		s.clock = new(Clock)
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	if isNil(t.Signer) {
		s.err = &ConfigError{"Signer", "is nil: say how to sign, for instance with a *mac.Signer"}
	} else {
		s.several, s.chooses = lookInto(s.signer)
		s.origins, s.err = t.parseOrigins(s.several)
	}
	if s.err == nil && s.several == nil && !s.chooses {
		s.static = facesOf(s.signer, nil, nil)
	}
	t.settings = s
}

// isNil also reports true for a nil pointer, function or map in an interface, which would only fail
// when it is used.
func isNil(part any) bool {
	switch v := reflect.ValueOf(part); v.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Pointer, reflect.Func, reflect.Map:
		return v.IsNil()
	}
	return false
}

// parseOrigins returns the origins whose requests are signed, or nil for all origins.
func (t *Transport) parseOrigins(m ByOrigin) (map[origin.Origin]bool, error) {
	list, several := t.Origins, m != nil
	if several {
		if err := m.check(); err != nil {
			return nil, err
		}
		if len(list) == 0 {
			list = slices.Collect(maps.Keys(m))
		}
	}
	var origins map[origin.Origin]bool
	for _, text := range list {
		o, ok := origin.Parse(text)
		if !ok {
			return nil, notAnOrigin("Origins", text)
		}
		if several && m[o.String()] == nil {
			return nil, &ConfigError{"Origins", fmt.Sprintf("has %q, which has no Signer", text)}
		}
		if origins == nil {
			origins = make(map[origin.Origin]bool)
		}
		origins[o] = true
	}
	return origins, nil
}

func notAnOrigin(field, text string) error {
	return &ConfigError{field, fmt.Sprintf(
		"has %q, which is not an origin like \"https://api.example.com:8443\"", text)}
}

// A call is one RoundTrip.
type call struct {
	*settings
	t      *Transport
	base   http.RoundTripper
	req    *http.Request // the caller's, never written to
	body   *body.Lender
	origin origin.Origin

	repeated *repeat.Attempt // if not nil, the attempt of a retry.Transport that this call is
	parent   context.Context // of the request, without repeated

	private bool // no machine on the path can read the request or forge the answer

	attempt // the current attempt, or the last one

	reason    string // why the request is not signed
	replaced  bool   // the Base sent other credentials
	elsewhere bool   // the Base has followed a redirect to another origin

	trace   *trace          // nil until an attempt was refused
	ctx     context.Context // carries trace
	below   []Attempt       // attempts that the Base, itself a Transport, made for this attempt
	climbed [rungs]int
	young   bool          // the credentials that are sent now may be too new for the server
	forged  error         // the error of the Observer for the latest answer
	misled  Cause         // of the refusal that moved the clock unasked
	learned *clockReading // the time to sign by; nil for the Clock's
	unasked bool          // the server does not understand Expect
}

// An attempt is one signed copy of the request, sent once.
type attempt struct {
	signed  *http.Request
	faces   *faces        // of the Signer that signed it
	reading *clockReading // the time that it was signed by
	began   time.Time     // when signing began, by this machine's clock
	now     time.Time     // the same moment by the server's clock
	sent    time.Time
	asks    *asking    // if not nil, the Transport added an Expect field
	rest    *body.Rest // of the answer's body, if that was drained; else nil
}

// offset returns how far the time of the signature was ahead of this machine's clock.
func (a *attempt) offset() time.Duration {
	if a.reading == nil {
		return 0
	}
	return a.now.Sub(a.began.Round(0))
}

// admit reports whether the request must be signed, or returns the error why it cannot be sent.
func (c *call) admit() (sign bool, err error) {
	if c.err != nil {
		return false, c.err
	}
	if c.req.URL == nil {
		return false, errors.New("transport: the request has no URL")
	}
	c.origin = origin.Of(c.req.URL)
	if c.reason = c.elsewhereReason(); c.reason != "" {
		return false, nil
	}
	c.private = c.isPrivate()
	switch {
	case c.req.URL.User != nil:
		return false, ErrUserInfo
	case origin.DefaultPort(c.origin.Scheme) == "" || c.origin.Host == "":
		return false, errors.New("transport: the URL is not one of http or https with a host")
	case c.private || c.origins[c.origin]:
		return true, nil
	case c.origin.Loopback():
		return false, fmt.Errorf("%w (it goes to %s by way of a proxy on another machine)",
			ErrPlainHTTP, c.origin)
	}
	return false, fmt.Errorf("%w (it goes to %s)", ErrPlainHTTP, c.origin)
}

// elsewhereReason returns why the credentials must not go to the origin of the request, or "" if
// they may.
func (c *call) elsewhereReason() string {
	switch {
	case c.origins != nil && !c.origins[c.origin]:
		return notListed
	case !chainHolds(c.req, c.origin):
		return redirected
	}
	return ""
}

// pass sends the request without credentials, to an origin that must not get them.
func (c *call) pass() (*http.Response, error) {
	c.unsigned()
	resp, err := c.base.RoundTrip(c.req)
	if resp != nil {
		if !linked(resp.Request, c.req) {
			resp.Request = c.req
		}
		c.signed = resp.Request
		c.repeats(resp)
	}
	c.refusedUnsigned(resp)
	return resp, err
}

// next prepares the next attempt. If it returns an error, the previous attempt stays the current
// one.
func (c *call) next(ctx context.Context) error {
	a, err := c.sign(ctx)
	if err != nil {
		return err
	}
	return c.attach(a)
}

// sign signs the next attempt. It signs twice if the Clock was moved in the meantime, for instance
// because Sign fetched credentials from an endpoint.
func (c *call) sign(ctx context.Context) (attempt, error) {
	var a attempt
	for range 2 {
		reading := c.learned
		if reading == nil {
			reading = c.clock.reading(c.origin)
		}
		if a.signed != nil && reading == a.reading {
			break
		}
		a = attempt{faces: c.static, reading: reading, began: time.Now()}
		a.now = reading.at(a.began)
		within, p := c.picking(ctx)
		a.signed = c.copy(within)
		if err := c.signer.Sign(a.signed, a.now); err != nil {
			// The time may be the reason. Without this, a time that no server has accepted could
			// stop all requests before they are sent, so that no answer could correct it.
			c.clock.undo(c.origin, a.reading)
			return a, &SignError{err}
		}
		if a.faces == nil {
			a.faces = facesOf(c.signer, a.signed, p)
		}
	}
	if hasAuthorization(c.req.Header) &&
		!slices.Equal(a.signed.Header["Authorization"], c.req.Header["Authorization"]) {
		return a, ErrAuthorization
	}
	return a, nil
}

// picking returns a context in which each Choose records the Signer that it picks.
func (c *call) picking(ctx context.Context) (context.Context, *picks) {
	if !c.chooses {
		return ctx, nil
	}
	p := new(picks)
	return context.WithValue(ctx, picksKey{}, p), p
}

// copy returns a copy of the caller's request for a Signer to write to.
func (c *call) copy(ctx context.Context) *http.Request {
	r := new(http.Request)
	if ctx == c.req.Context() {
		*r = *c.req
	} else {
		r = c.req.WithContext(ctx)
	}
	r.Header = cloneHeader(c.req.Header)
	return r
}

// attach gives the body to a and makes a the current attempt. An error comes from the body.
func (c *call) attach(a attempt) error {
	var wait func(<-chan struct{}) error
	if c.expects(a.signed) {
		a.signed, a.asks = c.ask(a.signed)
		wait = a.asks.wait
	}
	if err := c.body.Lend(a.signed, wait); err != nil {
		return err
	}
	c.attempt = a
	c.noteScheme()
	return nil
}

func (c *call) send() (*http.Response, error) {
	if c.trace != nil {
		c.trace.sent.Add(1)
		c.trace.sending.Store(true)
		defer c.trace.sending.Store(false)
	}
	c.sent, c.forged = time.Now(), nil
	resp, err := c.base.RoundTrip(c.signed)
	c.asks.end()
	if err != nil {
		return nil, err
	}
	if resp == nil {
		return nil, errors.New("transport: the Base returned neither a response nor an error")
	}
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	if c.lookBelow(resp.Request); !c.elsewhere {
		resp.Request = c.signed
	}
	return resp, nil
}

// lookBelow examines r, the request that the Base says it sent: it may have followed a redirect or
// replaced the credentials.
func (c *call) lookBelow(r *http.Request) {
	c.replaced = false
	if r == nil || r == c.signed {
		return
	}
	// A Base may connect to another address than the URL's. Only a redirect leads to another
	// origin.
	followed := r.Response != nil && r.Response != c.req.Response && r.URL != nil
	if c.elsewhere = followed && origin.Of(r.URL) != c.origin; c.elsewhere {
		return
	}
	c.replaced = !followed && c.hasReplaced(r)
	c.below = c.traceBelow(r)
}

// traceBelow returns the attempts that the Base made, if it is a Transport too. A Base may also
// return an old answer again, for instance from a cache: the trace of an old answer does not count.
func (c *call) traceBelow(r *http.Request) []Attempt {
	t := traceOf(r.Context())
	if t == nil || t == c.trace || t.began.Before(c.sent) || !t.tells() {
		return nil
	}
	return t.attempts
}

// observe calls the Observer with an answer. Its error is kept until it is known whether the caller
// gets this answer.
func (c *call) observe(resp *http.Response, o Outcome) {
	c.forged = nil
	if err := c.faces.observe(resp, o); err != nil {
		c.forged = &SignError{err}
	}
}

// result returns the last answer, or the error of the Observer in its place.
func (c *call) result(resp *http.Response) (*http.Response, error) {
	if c.forged == nil {
		c.repeats(resp)
		return resp, nil
	}
	_ = resp.Body.Close()
	return nil, c.forged
}

// cloneHeader copies the map and shares the values, which a RoundTripper must not change. A slice
// with spare capacity is clipped, so that appending to the copy cannot write into the caller's
// array.
func cloneHeader(h http.Header) http.Header {
	if h == nil {
		return make(http.Header)
	}
	clone := maps.Clone(h)
	for key, values := range clone {
		if cap(values) > len(values) {
			clone[key] = slices.Clip(values)
		}
	}
	return clone
}

// hasAuthorization ignores the case of field names, since the map may hold a name that Header.Get
// does not find.
func hasAuthorization(h http.Header) bool {
	for key := range h {
		if len(key) == len("Authorization") && strings.EqualFold(key, "Authorization") {
			return true
		}
	}
	return false
}
