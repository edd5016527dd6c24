package transport

import (
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/countersign-go/countersign/internal/body"
	"github.com/countersign-go/countersign/internal/httptime"
	"github.com/countersign-go/countersign/internal/logs"
)

// The rungs: the ways to answer a refusal. Each is taken at most once in a call, except that young
// credentials may be sent again.
const (
	clockRung      = iota // sign again by the server's clock
	againRung             // sign again as the answer asks, or with another nonce
	credentialRung        // sign again with other credentials
	rungs
)

// maxYoung is how many times young credentials may be sent again, after the first time that the
// credential rung is taken.
const maxYoung = 2

const (
	// tolerance is how far clocks may differ before the difference is taken for the reason of a
	// refusal, unless the Reader returns another tolerance.
	tolerance = 5 * time.Second
	// slowest is the longest round trip after which the clock may be set by the server's time.
	slowest = 5 * time.Second
	// farthest is the largest offset of a server's clock that is believed.
	farthest = 366 * 24 * time.Hour
)

// mend handles an answer. If it is a refusal and another attempt may succeed, mend prepares that
// attempt and reports true. Otherwise the caller gets resp, with its body still readable.
func (c *call) mend(resp *http.Response) bool {
	switch {
	case c.elsewhere:
		return false
	case c.unwelcome(resp, nil):
		return c.stopAsking(resp) == nil
	case !c.refused(resp):
		c.accept(resp)
		return false
	}
	// This comes first, since net/http may be about to read the body for the attempt that was just
	// refused.
	whole := c.body.TakeBack()
	received := time.Now()

	refusal := read(c.faces, resp)
	c.record(resp, refusal.Cause)
	if c.replaced {
		c.observe(resp, OutcomeNone)
		return c.stop(StopReplaced, errReplaced)
	}
	c.observe(resp, OutcomeRefused)
	if refusal.Cause == "" || refusal.Cause == CauseUnknown && !c.private && !refusal.Proven {
		return c.stop("", nil)
	}
	hint := c.serverTime(resp, refusal, received)
	return c.climb(resp, refusal.Cause, hint, whole)
}

// refused reports whether an answer refuses the credentials.
func (c *call) refused(resp *http.Response) bool {
	if c.t.Refused != nil {
		return c.t.Refused(resp)
	}
	return c.faces.refused(resp)
}

// read asks the Reader for the meaning of a refusal. The Reader gets the head of the body, and the
// caller still gets the whole body.
func read(f *faces, resp *http.Response) Refusal {
	if f.reader == nil {
		return f.read(resp)
	}
	head := body.NewHead(resp.Request.Context(), resp.Body)
	defer func() { resp.Body = head.Whole() }()
	resp.Body = head.Reader()
	return f.read(resp)
}

// climb chooses a rung and prepares the next attempt. It reports false if there is no other
// attempt.
func (c *call) climb(resp *http.Response, cause Cause, hint timeHint, whole bool) bool {
	for {
		rung, ok := c.choose(cause, hint, whole)
		if !ok {
			return false
		}
		c.climbed[rung]++
		c.drain(resp)
		if rung == credentialRung && !c.refresh(resp) {
			return false
		}
		a, err := c.sign(c.ctx)
		if err != nil {
			return c.stop(StopNoCredential, err)
		}
		if rung == clockRung && c.sameAs(a.signed) {
			// These credentials do not depend on the time, so the server would refuse them again.
			c.forgetClock(c.learned)
			continue
		}
		if err := c.attach(a); err != nil {
			return c.stop(StopBody, err)
		}
		return true
	}
}

// choose chooses the next rung and sets the clock for it. It reports false if the call must end.
func (c *call) choose(cause Cause, hint timeHint, whole bool) (rung int, ok bool) {
	if cause == CauseUnknown && c.reading.isOwn() {
		c.forgetClock(c.reading) // the answer does not say that the time was the reason
	}
	rung = c.rung(cause, hint)
	if c.spent(rung) {
		return rung, c.stop(StopBudget, nil)
	}
	if rung == clockRung {
		c.setClock(cause, hint)
	}
	if !whole {
		return rung, c.stop(StopBody, nil)
	}
	return rung, true
}

// drain frees the connection of a refusal, which the next request may need. The body can still be
// read.
func (c *call) drain(resp *http.Response) {
	if c.rest == nil {
		rest := body.Drain(c.ctx, body.DrainTime, resp.Body)
		c.rest = &rest
	}
	resp.Body = c.rest.Reader()
}

// refresh has the Signer replace its credentials. If it has no others, the call ends.
func (c *call) refresh(resp *http.Response) bool {
	again, err := c.faces.refresh(resp)
	c.drain(resp) // the Refresher may have read the body
	if !again {
		return c.stop(StopNoCredential, err)
	}
	c.young = errors.Is(err, ErrYoung)
	return true
}

// forgetClock undoes r, which has not helped.
func (c *call) forgetClock(r *clockReading) {
	c.clock.undo(c.origin, r)
	c.learned, c.misled = nil, ""
}

// setClock sets the clock for the next attempt. If the refusal did not ask for another time, it
// records the cause that the refusal gave.
func (c *call) setClock(cause Cause, hint timeHint) {
	switch {
	case hint.known:
		c.learned = c.clock.learn(c.origin, c.reading, hint.server, hint.local, hint.within)
	case c.clock.doubts(c.origin, c.reading):
		c.learned = c.clock.yield(c.origin, c.reading)
	}
	if cause != CauseStale && !hint.stated {
		c.misled = cause
	}
}

// goBack returns the rung for a stale refusal after the clock rung was taken although the server
// had not asked for it. The reason was a field such as Date, which may be old or come from a proxy.
// The server now says that the new time is wrong, so goBack undoes the correction, and the cause of
// the first refusal counts.
func (c *call) goBack(hint timeHint) int {
	cause := c.misled
	c.misled = ""
	c.clock.undo(c.origin, c.learned)
	c.learned = nil
	if hint.known && hint.stated {
		c.learned = c.clock.learn(c.origin, c.reading, hint.server, hint.local, hint.within)
	}
	if rung := c.rung(cause, hint); !c.spent(rung) {
		return rung
	}
	return againRung // the credentials have been replaced already: sign again with them
}

// spent reports whether a rung must not be taken again in this call.
func (c *call) spent(rung int) bool {
	climbs, sends := 1, int32(maxSends)
	if c.young {
		sends += maxYoung
		if rung == credentialRung {
			climbs += maxYoung
		}
	}
	return c.climbed[rung] >= climbs || c.trace.sent.Load() >= sends
}

// sameAs reports whether next has the same Host and header as the request that was sent.
func (c *call) sameAs(next *http.Request) bool {
	sent := c.signed.Header
	if c.asks != nil { // the Transport added the Expect field, not the Signer
		sent = maps.Clone(sent)
		delete(sent, "expect")
	}
	return next.Host == c.signed.Host && maps.EqualFunc(sent, next.Header, slices.Equal)
}

// stopAsking prepares the attempt again without the Transport's Expect field, which this server, or
// a proxy in front of it, does not support. resp is nil after an error. If stopAsking fails, the
// caller gets resp.
func (c *call) stopAsking(resp *http.Response) error {
	ctx := logs.With(c.parent, c.t.Logger)
	if c.trace != nil {
		ctx = c.ctx
	}
	if resp != nil {
		resp.Body = body.Drain(ctx, body.DrainTime, resp.Body).Reader()
	}
	c.unasked = true
	c.t.manners.silent(c.origin)
	return c.next(ctx)
}

// accept ends a call whose last attempt was not refused.
func (c *call) accept(resp *http.Response) {
	outcome := c.outcome(resp)
	if c.replaced {
		c.warnReplaced(c.req.Context())
	}
	recovered := c.trace != nil || c.below != nil
	switch {
	case recovered:
		c.record(resp, "")
	case traceOf(c.req.Context()) != nil && c.inside() == nil:
		c.startTrace(resp) // the context, with its trace, belongs to an earlier call
	}
	if c.observe(resp, outcome); c.forged != nil {
		return
	}
	if outcome != OutcomeNone {
		c.clockAccepted()
	}
	if recovered {
		c.log(slog.LevelDebug, "request recovered", slog.Int("status", resp.StatusCode),
			slog.String("cause", string(c.trace.attempts[0].Cause)),
			slog.Int("attempts", len(c.trace.attempts)))
	}
}

// outcome returns the Outcome of an answer that is not a refusal. An answer with an error status
// may come from a proxy in front of the service, and proves neither the time nor the credentials.
func (c *call) outcome(resp *http.Response) Outcome {
	switch {
	case c.replaced || resp.StatusCode >= http.StatusBadRequest:
		return OutcomeNone
	case c.climbed[credentialRung] > 0:
		return OutcomeMended
	}
	return OutcomeAccepted
}

// rung chooses the cheapest rung that may help. A wrong time is corrected first, whatever the cause
// that the server gave, since the other attempts would fail because of it too.
func (c *call) rung(cause Cause, hint timeHint) int {
	switch {
	case cause == CauseStale && c.misled != "":
		return c.goBack(hint)
	case cause == CauseStale, hint.off && c.climbed[clockRung] == 0:
		return clockRung
	case cause == CauseNonce, cause == CauseAsked:
		return againRung
	case !hint.known && c.climbed[clockRung] == 0 && c.clock.doubts(c.origin, c.reading):
		return clockRung // an offset from an earlier process, which may be wrong by now
	}
	return credentialRung
}

// stop ends the call with the refusal. The clock reading that the attempt was signed by has not
// helped, so stop undoes it unless it has helped another call.
func (c *call) stop(why Stop, err error) bool {
	last := c.trace.last()
	last.Stop, last.Err = why, err
	if c.rest == nil {
		c.body.GiveBack() // since net/http closes the connection when a body fails
	}
	if last.Cause != "" {
		c.clock.undo(c.origin, c.reading)
	}
	c.log(slog.LevelWarn, "request refused", slog.Int("status", last.Status),
		slog.String("cause", string(last.Cause)), slog.Int("attempts", len(c.trace.attempts)),
		slog.String("stop", string(why)), slog.Any("err", err))
	return false
}

// A timeHint says that the time at the origin was server when it was local on this machine.
type timeHint struct {
	known         bool
	stated        bool // by the challenge, not by a field that a proxy may have set
	off           bool // too far from the time that the request was signed with
	server, local time.Time
	within        time.Duration // how far the clocks may differ
}

// serverTime returns the server's time at the moment of its answer. It does not return a time that
// may come from another server, or from another moment.
func (c *call) serverTime(resp *http.Response, refusal Refusal, received time.Time) timeHint {
	within := refusal.Tolerance
	if within <= 0 {
		within = tolerance
	}
	trip := received.Sub(c.sent)
	hint := timeHint{
		stated: !refusal.ServerTime.IsZero(), local: c.sent.Add(trip / 2), within: within,
	}
	age, ok := httptime.Age(resp.Header)
	if !c.private { // only a proven time counts, and an Age field is never proven
		age, ok = 0, hint.stated && refusal.Proven
	}
	if !ok || age > within || trip > slowest {
		return timeHint{}
	}
	if hint.stated {
		// The server wrote the challenge when it made the answer. A cache may have kept the answer
		// since.
		hint.server = httptime.MidSecond(refusal.ServerTime).Add(age)
	} else if hint.server, ok = httptime.Now(resp.Header); !ok {
		return timeHint{}
	}
	signed := c.now.Add(hint.local.Sub(c.began))
	hint.known = hint.server.Sub(hint.local).Abs() <= farthest
	hint.off = hint.known && hint.server.Sub(signed).Abs() > within+age
	return hint
}
