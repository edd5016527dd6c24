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
	"time"

	"github.com/countersign-go/countersign/internal/recovery"
)

// Reasons not to sign a request. It was not sent.
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

// A Transport is an [http.RoundTripper] that signs. It sends the caller's request signed, and when
// the server refuses it for its timestamp, its nonce or its credentials, it mends that and sends
// again: at most once for each of the three. The package comment tells the rules.
//
// The fields must not be changed after the first request. A Transport is safe for concurrent use.
type Transport struct {
	// Signer puts the credentials on each request. Required.
	Signer Signer

	// Base sends what was signed. nil: http.DefaultTransport, as it is at each request.
	Base http.RoundTripper

	// Origins are where requests are signed, each like "https://api.example.com:8443". Empty:
	// wherever the caller's URL points to.
	Origins []string

	// Clock knows the time of each server. nil: a private one.
	Clock *Clock

	// Refused reports whether an answer refuses the credentials. nil: status 401.
	Refused func(*http.Response) bool

	// Logger is told of recoveries, at level Info, and of refusals that were not mended, at level
	// Warn. nil: silent.
	Logger *slog.Logger

	once     sync.Once
	settings settings
}

// settings are the fields of a Transport in the form that requests need, copied at the first one.
type settings struct {
	signer    Signer
	refresher Refresher // these three nil where the Signer is none
	reader    Reader
	observer  Observer
	origins   map[origin]bool // nil: any
	clock     *Clock
	refused   func(*http.Response) bool
	logger    *slog.Logger
	err       error
}

// RoundTrip signs req and sends it. The answer of the server is never turned into an error,
// whatever its status; [History] tells what was tried for it. Errors are those of the Base, of the
// Signer when it has no credentials at all, and of requests that must not be signed.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	t.once.Do(t.configure)
	c := call{settings: &t.settings, base: t.Base, req: req, body: newBody(req)}
	if c.base == nil {
		c.base = http.DefaultTransport
	}
	sign, err := c.admit()
	if err == nil && !sign {
		return c.pass()
	}
	defer c.body.finish()
	if err == nil {
		err = c.prepare(req.Context())
	}
	if err != nil {
		return nil, err
	}
	resp, err := c.send()
	for err == nil && !c.elsewhere && c.refused(resp) {
		if !c.mend(resp) {
			return resp, nil
		}
		resp, err = c.send()
	}
	if err != nil {
		return nil, err
	}
	c.accept(resp)
	return resp, nil
}

// CloseIdleConnections does so on the Base, if that can.
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
	s := settings{signer: t.Signer, clock: t.Clock, refused: t.Refused, logger: t.Logger}
	s.refresher, _ = s.signer.(Refresher)
	s.reader, _ = s.signer.(Reader)
	s.observer, _ = s.signer.(Observer)
	if s.clock == nil {
		s.clock = new(Clock)
	}
	if s.refused == nil {
		s.refused = unauthorized
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	s.err = t.parseOrigins(&s)
	if v := reflect.ValueOf(t.Signer); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		s.err = &ConfigError{"Signer", "is nil: say how to sign, for instance with a *mac.Signer"}
	}
	t.settings = s
}

func unauthorized(resp *http.Response) bool { return resp.StatusCode == http.StatusUnauthorized }

func (t *Transport) parseOrigins(s *settings) error {
	field, list := "Origins", t.Origins
	if m, ok := t.Signer.(ByOrigin); ok && len(list) == 0 {
		field, list = "Signer", slices.Sorted(maps.Keys(m))
		if len(list) == 0 {
			return &ConfigError{field, "is a ByOrigin without any origin"}
		}
	}
	for _, text := range list {
		o, ok := parseOrigin(text)
		if !ok {
			return &ConfigError{field, fmt.Sprintf(
				"has %q, which is no origin: write it like \"https://api.example.com:8443\"", text)}
		}
		if field == "Signer" && text != o.String() {
			return &ConfigError{field, fmt.Sprintf("has the origin %q: write it %q", text, o)}
		}
		if s.origins == nil {
			s.origins = make(map[origin]bool)
		}
		s.origins[o] = true
	}
	return nil
}

// A call is one RoundTrip.
type call struct {
	*settings
	base   http.RoundTripper
	req    *http.Request // the caller's: never written
	body   *body
	origin origin

	signed  *http.Request // the attempt under way
	reading *clockReading // what it is signed by
	offset  time.Duration
	began   time.Time // when signing began
	now     time.Time // what it was there, then
	sent    time.Time

	elsewhere bool // the answer comes from another origin: the Base has followed a redirect

	trace   *trace          // nil until an attempt was refused
	ctx     context.Context // carries trace
	below   []Attempt       // what a Transport that is the Base had to do for this attempt
	climbed [rungs]bool
	learned *clockReading // what this call has published
}

// admit reports whether req is to be signed, or why it can't be sent.
func (c *call) admit() (sign bool, err error) {
	if c.err != nil {
		return false, c.err
	}
	if c.req.URL == nil {
		return false, errors.New("transport: the request has no URL")
	}
	c.origin = originOf(c.req.URL)
	if c.origins != nil && !c.origins[c.origin] || !chainHolds(c.req, c.origin) {
		return false, nil
	}
	if c.req.URL.User != nil {
		return false, ErrUserInfo
	}
	if !c.origin.private() && !c.origins[c.origin] {
		return false, fmt.Errorf("%w (it goes to %s)", ErrPlainHTTP, c.origin)
	}
	return true, nil
}

// pass sends req as it is, to a place where our credentials have no business.
func (c *call) pass() (*http.Response, error) {
	resp, err := c.base.RoundTrip(c.req)
	if resp != nil && !linked(resp.Request, c.req) {
		resp.Request = c.req
	}
	return resp, err
}

// prepare makes the request of the next attempt. After an error the previous one stands.
func (c *call) prepare(ctx context.Context) error {
	r := new(http.Request)
	if ctx == c.req.Context() {
		*r = *c.req
	} else {
		r = c.req.WithContext(ctx)
	}
	r.Header = cloneHeader(c.req.Header)
	reading := c.clock.reading(c.origin)
	began := time.Now()
	now := reading.at(began)
	if err := c.signer.Sign(r, now); err != nil {
		return err
	}
	if hasAuthorization(c.req.Header) &&
		!slices.Equal(r.Header["Authorization"], c.req.Header["Authorization"]) {
		return ErrAuthorization
	}
	if err := c.body.attach(r); err != nil {
		return &bodyError{err}
	}
	c.signed, c.reading, c.began, c.now = r, reading, began, now
	c.offset = 0
	if reading != nil {
		c.offset = now.Sub(began.Round(0))
	}
	return nil
}

type bodyError struct{ error }

func (e *bodyError) Unwrap() error { return e.error }

func (c *call) send() (*http.Response, error) {
	c.sent = time.Now()
	if c.trace != nil {
		c.trace.sending.Store(true)
	}
	resp, err := c.base.RoundTrip(c.signed)
	if c.trace != nil {
		c.trace.sending.Store(false)
	}
	if err != nil {
		return nil, err
	}
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	if r := resp.Request; r != nil && r != c.signed {
		// A Base may send to another address than the URL's; only a redirect makes it another
		// origin.
		followed := r.Response != nil && r.Response != c.req.Response && r.URL != nil
		if c.elsewhere = followed && originOf(r.URL) != c.origin; c.elsewhere {
			return resp, nil
		}
		if t := traceOf(r.Context()); t != nil && t != traceOf(c.signed.Context()) {
			c.below = t.attempts
		}
	}
	resp.Request = c.signed
	return resp, nil
}

// accept ends a call whose last attempt was not refused.
func (c *call) accept(resp *http.Response) {
	if c.elsewhere {
		return
	}
	if resp.StatusCode < http.StatusInternalServerError {
		c.clock.accept(c.origin, c.reading)
	}
	c.record(resp, "")
	if c.trace != nil && len(c.trace.attempts) > 0 {
		c.logger.Info("request recovered", "origin", c.origin.String(), "status", resp.StatusCode,
			"cause", c.trace.attempts[0].Cause, "attempts", len(c.trace.attempts))
	}
	if c.climbed[credentialRung] {
		resp.Request = resp.Request.WithContext(recovery.Mark(resp.Request.Context()))
	}
	c.observe(resp)
}

func (c *call) observe(resp *http.Response) {
	if c.observer != nil {
		c.observer.Observe(resp)
	}
}

// cloneHeader copies the map and shares the values, which no RoundTripper may change. A slice with
// room behind it is clipped, so that adding to the copy cannot write into the caller's array.
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

// hasAuthorization looks for every spelling, since a map may hold one that Header.Get does not
// find.
func hasAuthorization(h http.Header) bool {
	for key := range h {
		if len(key) == len("Authorization") && strings.EqualFold(key, "Authorization") {
			return true
		}
	}
	return false
}
