package countersign

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/countersign-go/countersign/internal/body"
	"github.com/countersign-go/countersign/internal/httptime"
	"github.com/countersign-go/countersign/internal/lost"
	"github.com/countersign-go/countersign/internal/repeat"
	"github.com/countersign-go/countersign/transport"
)

const (
	defaultRetries = 2
	firstWait      = 400 * time.Millisecond // at least, and at most twice that
	longestWait    = 30 * time.Second
)

// A retrier repeats requests. It stands around the Transport, so that each attempt has its own
// signature.
type retrier struct {
	signed  *transport.Transport // its Base is a wire
	retries int
	logger  *slog.Logger
}

func newRetrier(signed *transport.Transport, retries int) *retrier {
	r := &retrier{signed: signed, retries: retries, logger: signed.Logger}
	if retries == 0 {
		r.retries = defaultRetries
	}
	if r.logger == nil {
		r.logger = slog.New(slog.DiscardHandler)
	}
	return r
}

// RoundTrip sends req, and sends it again while that is safe and may help. The outcome of the last
// attempt is returned as it is.
func (r *retrier) RoundTrip(req *http.Request) (*http.Response, error) {
	c := &call{r: r, req: req, body: body.New(req)}
	defer c.body.Finish()
	first := req
	if c.body != nil {
		first = new(http.Request)
		*first = *req
		_ = c.body.Lend(first, nil) // the first time, it does not fail
	}
	c.send(first)
	if c.mayPass() {
		c.repeat()
	}
	return c.resp, unmarked(c.err)
}

// Unwrap is for a Transport around r.
func (r *retrier) Unwrap() http.RoundTripper { return r.signed }

// CloseIdleConnections does so on the Base, if that can.
func (r *retrier) CloseIdleConnections() { r.signed.CloseIdleConnections() }

// A call is a request and its attempts. After the first one it is the http.RoundTripper of a
// retryablehttp.Client, which counts the attempts and waits between them. That client gets to see
// neither the request nor an answer, but a token for each. So it cannot read or close their bodies,
// follow their redirects, log them or make errors of them; and since a call has no
// CloseIdleConnections, it cannot close the connections of the Base.
type call struct {
	r     *retrier      // not embedded, since it can close connections
	req   *http.Request // the caller's: never written
	body  *body.Lender
	next  *http.Request // the attempt that is to be sent after the wait
	since time.Time     // when the wait began
	wait  time.Duration // how long it lasts
	sends int
	past  []transport.Attempt // that were repeated

	resp *http.Response // of the last attempt, as is err
	err  error
}

func (c *call) send(req *http.Request) {
	c.sends++
	c.resp, c.err = c.r.signed.RoundTrip(req) //nolint:bodyclose // it is returned, or drained
}

// repeat sends the request again, after the first attempt has failed.
func (c *call) repeat() {
	loop := retryablehttp.Client{
		HTTPClient: &http.Client{Transport: c},
		RetryMax:   c.r.retries,
		CheckRetry: c.check,
		Backoff:    c.pause,
	}
	ctx := c.req.Context()
	_, err := loop.Do(&retryablehttp.Request{Request: token(ctx)}) //nolint:bodyclose // it has none
	if err != nil {
		c.abandon(ctx, err)
	} else if c.sends > 1 && c.mayPass() {
		c.log(ctx, slog.LevelWarn, "request failed, and so did its repetitions")
	}
}

// token returns what goes through retryablehttp in place of a request.
func token(ctx context.Context) *http.Request {
	t := &http.Request{Method: http.MethodGet, URL: new(url.URL), Header: make(http.Header)}
	return t.WithContext(ctx)
}

// RoundTrip answers every token alike. For the first one there is nothing to send: it stands for
// the attempt that has failed.
func (c *call) RoundTrip(*http.Request) (*http.Response, error) {
	if next := c.next; next != nil {
		c.next = nil
		c.send(next)
	}
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

// check reports whether there will be another attempt, and prepares it. All reasons against it are
// found before the last answer is given up.
func (c *call) check(ctx context.Context, _ *http.Response, _ error) (bool, error) {
	if c.sends > c.r.retries || !c.mayPass() {
		return false, nil
	}
	wait, ok := pause(c.sends, c.resp)
	if c.since, c.wait = time.Now(), wait; !ok || !hasTime(ctx, wait) || !c.prepare(ctx) {
		return false, nil
	}
	c.log(ctx, slog.LevelDebug, "request repeated", slog.Duration("wait", c.wait))
	if c.resp != nil && c.resp.Body != nil {
		body.Drain(ctx, c.drainTime(ctx), c.resp.Body)
	}
	c.resp, c.err = nil, nil
	return true, nil
}

func hasTime(ctx context.Context, wait time.Duration) bool {
	end, limited := ctx.Deadline()
	return ctx.Err() == nil && (!limited || time.Until(end) > wait)
}

// prepare makes the request to send next. It reports false if the body cannot be had again.
func (c *call) prepare(ctx context.Context) bool {
	past := c.attempts() //nolint:contextcheck // the context is that of the last answer
	next := c.req.WithContext(repeat.With(ctx, past))
	if !c.body.TakeBack() || c.body.Lend(next, nil) != nil {
		return false
	}
	c.next, c.past = next, past
	return true
}

// attempts returns all attempts so far.
func (c *call) attempts() []transport.Attempt {
	if c.resp == nil {
		return append(c.past, transport.Attempt{Err: lost.Connection(unmarked(c.err))})
	}
	if all := transport.History(c.resp); all != nil {
		return all
	}
	return append(c.past, transport.Attempt{Status: c.resp.StatusCode})
}

// drainTime returns how long the answer may be read: during the wait, and beyond that only while
// there is time for another attempt.
func (c *call) drainTime(ctx context.Context) time.Duration {
	end, limited := ctx.Deadline()
	if !limited {
		return body.DrainTime
	}
	return min(body.DrainTime, max(time.Until(c.since.Add(c.wait)), time.Until(end)/2))
}

// pause returns how much is left of the wait.
func (c *call) pause(_, _ time.Duration, _ int, _ *http.Response) time.Duration {
	return max(0, time.Until(c.since.Add(c.wait)))
}

// abandon ends a call whose context has ended during a wait.
func (c *call) abandon(ctx context.Context, err error) {
	c.resp, c.err = nil, err
	if cause := context.Cause(ctx); cause != nil {
		c.err = cause
	}
	if c.next != nil && c.next.Body != nil {
		_ = c.next.Body.Close()
	}
}

// log tells the outcome of the last attempt. It leaves out what a URL may hold besides its path,
// and of an error all but the reason to repeat.
func (c *call) log(ctx context.Context, level slog.Level, text string, more ...slog.Attr) {
	outcome := slog.Any("err", lost.Connection(unmarked(c.err)))
	if c.resp != nil {
		outcome = slog.Int("status", c.resp.StatusCode)
	}
	attrs := append([]slog.Attr{
		slog.String("origin", c.req.URL.Scheme+"://"+c.req.URL.Host),
		slog.String("path", c.req.URL.Path), slog.String("method", c.req.Method),
		slog.Int("attempt", c.sends),
	}, more...)
	c.r.logger.LogAttrs(ctx, level, text, append(attrs, outcome)...)
}

// pause returns how long to wait after an attempt, counted from 1. resp is nil after an error. It
// reports false if the answer asks for a longer wait than there is, since a wait is never cut. Zero
// seconds and a date in the past ask for nothing: a fleet of clients that obeyed them would come
// back at once. The usual wait is random, so that clients that failed together do not come back
// together.
func pause(attempt int, resp *http.Response) (wait time.Duration, ok bool) {
	if resp != nil {
		if wait = httptime.RetryAfter(resp.Header, time.Now()); wait > 0 {
			return wait, wait <= longestWait
		}
	}
	wait = retryablehttp.LinearJitterBackoff(firstWait, 2*firstWait, attempt-1, nil)
	return min(wait, longestWait), true
}

// A wire is the Base of a Transport whose requests are repeated. It marks the errors of requests
// that were not sent, since those may be repeated whatever the method is.
type wire struct {
	base http.RoundTripper // nil: http.DefaultTransport, as it is at each request
}

// An unsentError is the error of a request of which no byte has left.
type unsentError struct{ error }

func (e *unsentError) Unwrap() error { return e.error }

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	if safe(req) {
		return w.current().RoundTrip(req)
	}
	// An error of the TLS handshake looks like one that came after the request was sent. But it
	// comes before there is a connection.
	var wanted, got atomic.Bool
	traced := req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GetConn: func(string) { wanted.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { got.Store(true) },
	}))
	resp, err := w.current().RoundTrip(traced)
	if err != nil && (lost.Dial(err) != nil || wanted.Load() && !got.Load()) {
		err = &unsentError{err}
	}
	if resp != nil && resp.Request == traced {
		resp.Request = req
	}
	return resp, err
}

// Unwrap is for the Transport around w, which asks by way of which proxy requests go.
func (w *wire) Unwrap() http.RoundTripper { return w.base }

func (w *wire) CloseIdleConnections() {
	if b, ok := w.current().(interface{ CloseIdleConnections() }); ok {
		b.CloseIdleConnections()
	}
}

func (w *wire) current() http.RoundTripper {
	if w.base == nil {
		return http.DefaultTransport
	}
	return w.base
}

func unmarked(err error) error {
	if u, ok := errors.AsType[*unsentError](err); ok {
		return u.error
	}
	return err
}
