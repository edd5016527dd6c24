package transport

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

// maxSends is how many requests one RoundTrip may send: the first request, and one for each rung.
const maxSends = 4

// An Attempt is one request that was sent. [History] returns the attempts of a call.
type Attempt struct {
	Status int           // of the answer; 0 if none came
	Offset time.Duration // of the clock that signed the request from this machine's clock
	Cause  Cause         // why it was refused; "" if it was not, or not by a service of the Signer
	// Stop is the reason why the request was not sent again after a refusal. It is set only on the
	// last attempt. It is "" if that was not refused, or if this client must not act on the
	// refusal.
	Stop Stop
	Err  error // why there is no body, credential or answer; nil if there was no error
}

// A Stop is a reason not to send a request again after a refusal.
type Stop string

const (
	// StopBody means that the request's body cannot be sent twice. Set GetBody.
	StopBody Stop = "body"
	// StopBudget means that this call has already done what the refusal asks for, or that doing it
	// would change nothing.
	StopBudget Stop = "budget"
	// StopNoCredential means that the Signer has no other credentials than the refused ones.
	StopNoCredential Stop = "no other credentials"
	// StopReplaced means that the Base sent other credentials in place of the Signer's, so the
	// server refused those.
	StopReplaced Stop = "credentials replaced"
)

// String describes the attempt in a few words.
func (a Attempt) String() string {
	s := strconv.Itoa(a.Status)
	if a.Status == 0 {
		s = "no answer"
	}
	if a.Cause != "" {
		s += " " + string(a.Cause)
	}
	if a.Offset != 0 {
		s += ", signed with the clock off by " + a.Offset.Round(time.Second).String()
	}
	if a.Stop != "" {
		s += ", stopped: " + string(a.Stop)
	}
	if a.Err != nil {
		s += ": " + a.Err.Error()
	}
	return s
}

// History returns the attempts that were made for resp, oldest first. resp answers the last of
// them. They include the attempts that package retry repeated, with the status of the answer, or
// with status 0 and the error of the connection. If the first attempt was neither refused nor
// repeated, History returns nil. Each hop of a redirect has its own History.
func History(resp *http.Response) []Attempt {
	if resp == nil || resp.Request == nil {
		return nil
	}
	if t := traceOf(resp.Request.Context()); t != nil {
		return slices.Concat(t.before, t.attempts)
	}
	return nil
}

// A trace holds the attempts of one call. The context of the request carries it, so that it is not
// lost if another RoundTripper replaces the response.
type trace struct {
	began    time.Time
	before   []Attempt // the attempts that package retry made before this call
	attempts []Attempt
	sent     atomic.Int32 // also counts the requests of the call that this call is a part of
	sending  atomic.Bool  // requests sent with this context now belong to the call
}

type traceKey struct{}

func traceOf(ctx context.Context) *trace {
	t, _ := ctx.Value(traceKey{}).(*trace)
	return t
}

// tells reports whether the call did more than send one request.
func (t *trace) tells() bool { return t.before == nil || len(t.attempts) > 1 }

func (t *trace) last() *Attempt { return &t.attempts[len(t.attempts)-1] }

// inside returns the trace of the call that this call is a part of, or nil. A Transport may be the
// Base of another Transport; then both share one budget.
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
		c.below = []Attempt{{Offset: c.offset()}}
	}
	c.trace.sent.Add(int32(len(c.below) - 1))
	c.trace.attempts = append(c.trace.attempts, c.below...)
	c.below = nil
	last := c.trace.last()
	last.Status, last.Cause, last.Stop = resp.StatusCode, cause, ""
}

// repeats adds the attempts that package retry made before this call.
func (c *call) repeats(resp *http.Response) {
	if c.repeated == nil || c.elsewhere {
		return
	}
	before, _ := c.repeated.Before.([]Attempt)
	if len(before) == 0 {
		return
	}
	if c.trace == nil || len(c.trace.attempts) == 0 {
		c.record(resp, "")
	}
	c.trace.before = before
}
