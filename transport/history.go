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
	// call. "fetch": no other credentials were to be had. "": it was mended, or it is not a refusal
	// that this client may act on.
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
	attempts []Attempt
	outer    int         // what was sent for the call of an enclosing Transport before this call
	sending  atomic.Bool // what is sent with this context now is for the call; later it is another
}

type traceKey struct{}

func traceOf(ctx context.Context) *trace {
	t, _ := ctx.Value(traceKey{}).(*trace)
	return t
}

func (t *trace) sent() int { return t.outer + len(t.attempts) }

func (t *trace) last() *Attempt { return &t.attempts[len(t.attempts)-1] }

// record adds the attempt that resp answers. It does nothing for a first attempt that succeeded.
func (c *call) record(resp *http.Response, cause Cause) {
	fine := c.trace == nil && c.below == nil && !c.refused(resp)
	if c.trace == nil {
		enclosing := traceOf(c.req.Context())
		inside := enclosing != nil && enclosing.sending.Load()
		if fine && (inside || enclosing == nil) {
			return
		}
		c.trace = new(trace)
		if inside {
			c.trace.outer = enclosing.sent()
		}
		c.ctx = context.WithValue(c.req.Context(), traceKey{}, c.trace)
		resp.Request = c.signed.WithContext(c.ctx)
	}
	switch {
	case fine:
		return
	case c.below != nil:
		c.trace.attempts = append(c.trace.attempts, c.below...)
		c.below = nil
	default:
		c.trace.attempts = append(c.trace.attempts, Attempt{Offset: c.offset})
	}
	last := c.trace.last()
	last.Status, last.Cause, last.Stop = resp.StatusCode, cause, ""
}
