package countersign

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/countersign-go/countersign/transport"
)

const (
	defaultRetries = 2
	// An answer that is not returned is read up to these limits, so that its connection is free.
	discardBytes = 64 << 10
	discardTime  = time.Second
)

// A retrier repeats requests. It stands around the Transport, so that each attempt is signed anew.
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
	if !repeatable(req) {
		resp, err := r.signed.RoundTrip(req)
		return resp, unmarked(err)
	}
	first, body := firstAttempt(req)
	resp, err := r.signed.RoundTrip(first)
	if !r.mayPass(resp, err) {
		return resp, unmarked(err)
	}
	c := &call{r: r, req: req, body: body, sends: 1, resp: resp, err: err}
	loop := retryablehttp.Client{
		HTTPClient: &http.Client{Transport: c},
		RetryMax:   r.retries,
		CheckRetry: c.check,
		Backoff:    c.pause,
	}
	_, err = loop.Do(&retryablehttp.Request{Request: token(req.Context())})
	if err != nil {
		c.abandon(req.Context(), err)
	}
	return c.resp, unmarked(c.err)
}

// Unwrap is for a Transport around r.
func (r *retrier) Unwrap() http.RoundTripper { return r.signed }

// CloseIdleConnections does so on the Base, if that can.
func (r *retrier) CloseIdleConnections() { r.signed.CloseIdleConnections() }

// A call is a request whose first attempt has failed. It is the http.RoundTripper of a
// retryablehttp.Client, which counts the attempts and waits between them, and which gets to see
// neither the request nor any answer, but a token for each. So it cannot read or close their
// bodies, follow their redirects, log them or make errors of them; and since a call has no
// CloseIdleConnections, it cannot close anybody's connections.
type call struct {
	r     *retrier      // not embedded, since it can close connections
	req   *http.Request // the caller's: never written
	body  *readers      // of the last attempt; nil: it needs none
	next  *http.Request // the attempt that is to be sent after the pause
	since time.Time     // when that began
	wait  time.Duration // how long it lasts
	sends int

	resp *http.Response // of the last attempt, as is err
	err  error
}

// token returns what goes through retryablehttp in place of a request.
func token(ctx context.Context) *http.Request {
	t := &http.Request{Method: http.MethodGet, URL: new(url.URL), Header: make(http.Header)}
	return t.WithContext(ctx)
}

// RoundTrip answers every token alike. For the first one there is nothing to send: it stands for
// the attempt that has failed.
func (c *call) RoundTrip(*http.Request) (*http.Response, error) {
	if c.next != nil {
		next := c.next
		c.next = nil
		c.sends++
		c.resp, c.err = c.r.signed.RoundTrip(next)
	}
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

// check reports whether there will be another attempt, and prepares it. What speaks against it is
// found out before the last answer is given up.
func (c *call) check(ctx context.Context, _ *http.Response, _ error) (bool, error) {
	if c.sends > c.r.retries || !c.r.mayPass(c.resp, c.err) {
		return false, nil
	}
	c.since, c.wait = time.Now(), pause(c.sends, c.resp)
	if !hasTime(ctx, c.wait) || !c.prepare(ctx) {
		return false, nil
	}
	c.log(ctx)
	if c.resp != nil && c.resp.Body != nil {
		discard(ctx, c.discardTime(ctx), c.resp.Body)
	}
	c.resp, c.err = nil, nil
	return true, nil
}

func hasTime(ctx context.Context, wait time.Duration) bool {
	end, limited := ctx.Deadline()
	return ctx.Err() == nil && (!limited || time.Until(end) > wait)
}

// discardTime returns how long the answer may be read: during the pause, and beyond that only while
// there is time for another attempt.
func (c *call) discardTime(ctx context.Context) time.Duration {
	end, limited := ctx.Deadline()
	if !limited {
		return discardTime
	}
	return min(discardTime, max(time.Until(c.since.Add(c.wait)), time.Until(end)/2))
}

// pause returns what is left of the pause after all that was done in it.
func (c *call) pause(_, _ time.Duration, _ int, _ *http.Response) time.Duration {
	return max(0, time.Until(c.since.Add(c.wait)))
}

// abandon ends a call whose context has ended during a pause.
func (c *call) abandon(ctx context.Context, err error) {
	c.resp, c.err = nil, err
	if cause := context.Cause(ctx); cause != nil {
		c.err = cause
	}
	if c.next != nil && c.next.Body != nil {
		_ = c.next.Body.Close()
	}
}

// log leaves out what a URL may hold besides its path, and of an error all but the reason to
// repeat.
func (c *call) log(ctx context.Context) {
	outcome := slog.Any("err", lost(c.err))
	if c.resp != nil {
		outcome = slog.Int("status", c.resp.StatusCode)
	}
	c.r.logger.LogAttrs(ctx, slog.LevelDebug, "request repeated",
		slog.String("origin", c.req.URL.Scheme+"://"+c.req.URL.Host),
		slog.String("path", c.req.URL.Path), slog.String("method", c.req.Method),
		slog.Int("attempt", c.sends), slog.Duration("wait", c.wait), outcome)
}

// discard frees the connection of an answer that nobody will see.
func discard(ctx context.Context, limit time.Duration, body io.ReadCloser) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	closeBody := sync.OnceFunc(func() { _ = body.Close() })
	done := make(chan struct{})
	go func() { // since not every body lets go of its reader when it is closed
		defer close(done)
		_, _ = io.CopyN(io.Discard, body, discardBytes)
		closeBody()
	}()
	select {
	case <-done:
	case <-ctx.Done():
		closeBody()
	}
}

// A wire is the Base of a Transport whose requests are repeated. It marks the errors of the Base:
// those of its Signer, which may have called some other service, are no reason to repeat a request.
// Those of a Signer further down, in a Base that is a Transport itself, are like any of the Base.
type wire struct {
	base http.RoundTripper // nil: http.DefaultTransport, as it is at each request
}

type wireError struct{ error }

func (e *wireError) Unwrap() error { return e.error }

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := w.current().RoundTrip(req)
	if err != nil {
		return resp, &wireError{err}
	}
	return resp, nil
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
	if w, ok := errors.AsType[*wireError](err); ok {
		return w.error
	}
	return err
}
