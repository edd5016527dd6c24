package transport

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

// maxSends is how many requests one RoundTrip may send: the first, and one for each rung.
const maxSends = 4

// An Attempt is one request that was sent, as told by [History].
type Attempt struct {
	Status int           // of the answer
	Offset time.Duration // of the server's clock from this machine's, as signed with
	Cause  Cause         // why it was refused; "": not refused, or not by a service of the Signer's
	// Stop, on the last attempt, says why a refusal was not mended. "body": the request body cannot
	// be sent twice, so set GetBody. "budget": what the refusal asks for was done already in this
	// call, or changes nothing. "fetch": no other credentials were to be had. "": it was mended, or
	// it is not a refusal that this client may act on.
	Stop string
	Err  error // of the fetch or the body that Stop names; nil: it gave no error
}

// String describes the attempt in a few words.
func (a Attempt) String() string {
	s := strconv.Itoa(a.Status)
	if a.Cause != "" {
		s += " " + a.Cause
	}
	if a.Offset != 0 {
		s += ", signed with the clock off by " + a.Offset.Round(time.Second).String()
	}
	if a.Stop != "" {
		s += ", stopped by " + a.Stop
	}
	if a.Err != nil {
		s += ": " + a.Err.Error()
	}
	return s
}

// History tells what was tried for resp, oldest first, the attempt that resp answers included. It
// is nil when the first attempt was not refused. It belongs to one hop: a redirect starts anew.
func History(resp *http.Response) []Attempt {
	if resp == nil || resp.Request == nil {
		return nil
	}
	if t := traceOf(resp.Request.Context()); t != nil {
		return slices.Clone(t.attempts)
	}
	return nil
}

// A trace is the attempts of one call. It rides on the context of the request, where it survives
// whatever other RoundTrippers make of the response.
type trace struct {
	began    time.Time
	attempts []Attempt
	sent     atomic.Int32 // for the call and for the one that it is a part of
	sending  atomic.Bool  // what is sent with this context now is for the call; later it is another
}

type traceKey struct{}

func traceOf(ctx context.Context) *trace {
	t, _ := ctx.Value(traceKey{}).(*trace)
	return t
}

func (t *trace) last() *Attempt { return &t.attempts[len(t.attempts)-1] }

// inside returns the trace of the call that this one is a part of: a Transport may be the Base of
// another, and then both share one budget.
func (c *call) inside() *trace {
	if t := traceOf(c.req.Context()); t != nil && t.sending.Load() {
		return t
	}
	return nil
}

// startTrace is called after the first attempt.
func (c *call) startTrace(resp *http.Response) {
	c.trace = &trace{began: time.Now()}
	c.trace.sent.Store(1)
	if t := c.inside(); t != nil {
		c.trace.sent.Store(t.sent.Load())
	}
	c.ctx = context.WithValue(c.signed.Context(), traceKey{}, c.trace)
	resp.Request = c.signed.WithContext(c.ctx)
}

// record adds the attempt that resp answers.
func (c *call) record(resp *http.Response, cause Cause) {
	if c.trace == nil {
		c.startTrace(resp)
	}
	if c.below == nil {
		c.below = []Attempt{{Offset: c.offset}}
	}
	c.trace.sent.Add(int32(len(c.below) - 1))
	c.trace.attempts = append(c.trace.attempts, c.below...)
	c.below = nil
	last := c.trace.last()
	last.Status, last.Cause, last.Stop = resp.StatusCode, cause, ""
}
