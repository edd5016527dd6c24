package retry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/countersign-go/countersign/internal/body"
	"github.com/countersign-go/countersign/internal/lost"
	"github.com/countersign-go/countersign/internal/repeat"
	"github.com/countersign-go/countersign/transport"
)

const (
	defaultMax     = 2
	defaultWaitMin = 400 * time.Millisecond
	defaultWaitMax = 30 * time.Second
)

// A Transport is an [http.RoundTripper] that sends a request by its Base, and repeats it after a
// failure that may pass, if that is safe. See the package comment for the rules. The zero value is
// ready to use.
//
// The fields must not be changed after the first request. A Transport is safe for concurrent use.
type Transport struct {
	// Base sends each attempt. If nil, http.DefaultTransport is used, looked up for each request.
	Base http.RoundTripper

	// Max is how many times a request is repeated. If 0: 2, which bridges an outage of 1.2s at
	// least. Others bridge, in the same way, 1: 400ms, 3: 2.4s, 5: 6s, 10: 22s, 20: 1m24s. If
	// negative, no request is repeated.
	Max int

	// WaitMin and WaitMax bound the waits. If zero, they are 400 ms and 30 s.
	WaitMin, WaitMax time.Duration

	// Check reports whether the failure of an attempt may pass, for instance
	// [retryablehttp.DefaultRetryPolicy]. It is called after each attempt that could be repeated.
	// It gets an error of Base as a *url.Error without the query. If it returns false and an error,
	// RoundTrip returns that error in place of the attempt's error, but never in place of a
	// response. Check must not close the response's body. If nil, the rules in the package comment
	// apply.
	Check retryablehttp.CheckRetry

	// Backoff returns how long to wait if the answer does not ask for a wait, for instance
	// [retryablehttp.DefaultBackoff]. It gets WaitMin, WaitMax, the number of repetitions so far,
	// and the answer without its Retry-After field, or nil after an error. Only the context limits
	// its waits. If nil, the waits are random times, at first from WaitMin to twice WaitMin. They
	// grow with each attempt, up to WaitMax.
	Backoff retryablehttp.Backoff

	// Logger gets a record of each repetition, at level Debug, and of each request that failed
	// despite its repetitions, at level Warn. The records carry the context of the request. If
	// nil, nothing is logged.
	Logger *slog.Logger
}

// Format writes the settings and the type of the Base, under every verb. The Base may hold secrets.
func (t Transport) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{Base:%T Max:%d WaitMin:%v WaitMax:%v Check:%t Backoff:%t}",
		t.Base, t.Max, t.WaitMin, t.WaitMax, t.Check != nil, t.Backoff != nil)
}

// RoundTrip sends req, and repeats it after a failure that may pass, if that is safe. It returns
// the response or error of the last attempt. If the context of req ends during a wait, the error is
// its cause.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.Max < 0 || req.URL == nil {
		return t.base().RoundTrip(req)
	}
	c := &call{t: t, req: req, safe: safe(req), body: body.New(req)}
	defer c.body.Finish()
	ctx := req.Context()
	c.load(ctx, nil) // the first time, it does not fail
	for {
		c.send()
		if !c.again(ctx) {
			return c.resp, c.err
		}
		if err := sleep(ctx, time.Until(c.until)); err != nil {
			if c.next.Body != nil {
				_ = c.next.Body.Close()
			}
			return nil, err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Unwrap returns the Base, or nil, which stands for http.DefaultTransport. A Transport that signs
// uses it to find out whether requests leave by a proxy.
func (t *Transport) Unwrap() http.RoundTripper { return t.Base }

// CloseIdleConnections calls the CloseIdleConnections method of the Base, if it has one.
func (t *Transport) CloseIdleConnections() {
	if b, ok := t.base().(interface{ CloseIdleConnections() }); ok {
		b.CloseIdleConnections()
	}
}

func (t *Transport) base() http.RoundTripper {
	if t.Base == nil {
		return http.DefaultTransport
	}
	return t.Base
}

// A call is one RoundTrip: a request and its attempts.
type call struct {
	t     *Transport
	req   *http.Request // the caller's, never written to
	safe  bool          // it may be executed twice
	body  *body.Lender
	next  *http.Request   // the attempt to send
	trial *repeat.Attempt // carried by next; nil if only the outcome of next matters
	sends int
	past  []transport.Attempt // the attempts before next
	until time.Time           // the end of the wait

	resp *http.Response // of the last attempt, as is err
	err  error
}

// load makes the next attempt, which follows the attempts in past. It reports false if the body
// cannot be sent again.
func (c *call) load(ctx context.Context, past []transport.Attempt) bool {
	next, trial := c.req, (*repeat.Attempt)(nil)
	switch {
	case past != nil || !c.safe || c.t.Check != nil:
		trial = &repeat.Attempt{Before: past, Traced: !c.safe}
		next = next.WithContext(repeat.With(ctx, trial))
	case c.body != nil:
		next = new(http.Request)
		*next = *c.req
	}
	if c.body.Lend(next, nil) != nil {
		return false
	}
	c.next, c.trial, c.past = next, trial, past
	return true
}

func (c *call) send() {
	c.sends++
	base := c.t.base()
	if _, signs := base.(*transport.Transport); !signs { // if it does, it watches its Base
		base = c.trial.Base(base)
	}
	c.resp, c.err = base.RoundTrip(c.next) //nolint:bodyclose // it is returned, or drained
}

// again reports whether there will be another attempt, and prepares it. It discards the last answer
// only when it is certain that the attempt can be made.
func (c *call) again(ctx context.Context) bool {
	if !c.mayPass() {
		return false
	}
	begun := time.Now()
	wait, ok := c.t.wait(c.sends, c.resp)
	c.until = begun.Add(wait)
	if c.sends > cmp.Or(c.t.Max, defaultMax) || !ok || !hasTime(ctx, wait) || !c.prepare(ctx) {
		if c.sends > 1 {
			c.log(ctx, slog.LevelWarn, "request failed, and so did its repetitions")
		}
		return false
	}
	c.log(ctx, slog.LevelDebug, "request repeated", slog.Duration("wait", wait))
	if c.resp != nil && c.resp.Body != nil {
		body.Drain(ctx, c.drainTime(ctx), c.resp.Body)
	}
	c.resp, c.err = nil, nil
	return true
}

// prepare makes the next attempt. It reports false if the body cannot be sent again.
func (c *call) prepare(ctx context.Context) bool {
	past := c.attempts() //nolint:contextcheck // the context is that of the last answer
	return c.body.TakeBack() && c.load(ctx, past)
}

func hasTime(ctx context.Context, wait time.Duration) bool {
	end, limited := ctx.Deadline()
	return ctx.Err() == nil && (!limited || time.Until(end) > wait)
}

// attempts returns all attempts so far.
func (c *call) attempts() []transport.Attempt {
	if c.resp == nil {
		return append(c.past, transport.Attempt{Err: reason(c.err)})
	}
	if all := transport.History(c.resp); all != nil {
		return all
	}
	return append(c.past, transport.Attempt{Status: c.resp.StatusCode})
}

var errChosen = errors.New("retry: an error that Check chose to repeat")

// reason returns the part of err that is a reason to repeat the request. The rest of err may hold a
// secret.
func reason(err error) error {
	if part := lost.Connection(err); part != nil {
		return part
	}
	return errChosen
}

// drainTime returns how long the answer's body may be read: during the wait, and after that only as
// long as there is time for another attempt.
func (c *call) drainTime(ctx context.Context) time.Duration {
	end, limited := ctx.Deadline()
	if !limited {
		return body.DrainTime
	}
	return min(body.DrainTime, max(time.Until(c.until), time.Until(end)/2))
}

// log records the outcome of the last attempt. It logs only the origin and path of the URL, and
// only the part of an error that is a reason to repeat: the rest may hold secrets.
func (c *call) log(ctx context.Context, level slog.Level, text string, more ...slog.Attr) {
	if c.t.Logger == nil {
		return
	}
	outcome := slog.Any("err", reason(c.err))
	if c.resp != nil {
		outcome = slog.Int("status", c.resp.StatusCode)
	}
	attrs := append([]slog.Attr{
		slog.String("origin", c.req.URL.Scheme+"://"+c.req.URL.Host),
		slog.String("path", c.req.URL.Path), slog.String("method", c.req.Method),
		slog.Int("attempt", c.sends),
	}, more...)
	c.t.Logger.LogAttrs(ctx, level, text, append(attrs, outcome)...)
}
