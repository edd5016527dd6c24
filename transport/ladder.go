package transport

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The rungs of the ladder, each climbed at most once in a call.
const (
	clockRung      = iota // sign again by the server's clock
	nonceRung             // sign again with another nonce
	credentialRung        // sign again with other credentials
	rungs
)

const (
	// tolerance is how far clocks may differ before that is taken for the reason of a refusal.
	tolerance = 5 * time.Second
	// slowest is the round trip from which on a server's time is too old to be learned from.
	slowest = 5 * time.Second
	// farthest is the offset from which on a clock is thought to be made up.
	farthest = 366 * 24 * time.Hour
)

// mend looks at a refusal and prepares another attempt, if there is a reason to hope. Otherwise
// resp goes to the caller, its body still readable.
func (c *call) mend(resp *http.Response) bool {
	// First of all: net/http may be about to read the body for the attempt that was just refused.
	whole := c.body.takeBack()
	received := time.Now()

	refusal := Refusal{Cause: Unknown}
	if c.reader != nil {
		refusal = c.reader.Read(resp)
	}
	c.record(resp, refusal.Cause)
	c.observe(resp)
	if refusal.Cause == "" || refusal.Cause == Unknown && !c.origin.private() {
		return c.stop("", nil)
	}
	hint := c.serverTime(resp, refusal.ServerTime, received)
	rung := c.rung(refusal.Cause, hint)
	switch {
	case c.climbed[rung] || c.trace.sent() >= maxSends:
		return c.stop("budget", nil)
	case rung == clockRung && hint.known:
		c.learned = c.clock.learn(c.origin, c.reading, hint.server, hint.local)
	}
	if !whole {
		return c.stop("body", nil)
	}
	c.climbed[rung] = true
	discard(resp)
	if rung == credentialRung {
		if c.refresher == nil {
			return c.stop("fetch", nil)
		}
		if again, err := c.refresher.Refresh(resp); !again {
			return c.stop("fetch", err)
		}
	}
	if err := c.prepare(c.ctx); err != nil {
		if _, ok := errors.AsType[*bodyError](err); ok {
			return c.stop("body", err)
		}
		return c.stop("fetch", err)
	}
	return true
}

// rung chooses the cheapest thing that may help. A time that is off comes first whatever the reason
// given: it would spoil the other attempts too.
func (c *call) rung(cause Cause, hint timeHint) int {
	switch {
	case cause == Stale, hint.off && !c.climbed[clockRung]:
		return clockRung
	case cause == Nonce:
		return nonceRung
	}
	return credentialRung
}

// stop ends the call with the refusal. A clock that was tried and did not help is put back.
func (c *call) stop(why string, err error) bool {
	last := c.trace.last()
	last.Stop, last.Err = why, err
	if c.learned != nil && c.learned == c.reading {
		c.clock.undo(c.origin, c.learned)
	}
	c.logger.Warn("request refused", "origin", c.origin.String(), "status", last.Status,
		"cause", last.Cause, "attempts", len(c.trace.attempts), "stop", why, "err", err)
	return false
}

// A timeHint says that it was server at the origin when it was local here.
type timeHint struct {
	known         bool
	off           bool // too far from what we signed by
	server, local time.Time
}

// serverTime finds out what time it was at the server. Whatever could come from somebody else, or
// from another moment, is no hint.
func (c *call) serverTime(resp *http.Response, stated, received time.Time) timeHint {
	trip := received.Sub(c.sent)
	if !c.origin.private() || resp.Header["Age"] != nil || trip > slowest {
		return timeHint{}
	}
	if stated.IsZero() {
		stated = timestamp(resp.Header.Get("X-Timestamp"))
	}
	if stated.IsZero() {
		stated, _ = http.ParseTime(resp.Header.Get("Date"))
	}
	if stated.IsZero() {
		return timeHint{}
	}
	if stated.Nanosecond() == 0 {
		stated = stated.Add(time.Second / 2) // whole seconds are cut off: aim at the middle
	}
	local := c.sent.Add(trip / 2)
	signed := c.now.Add(local.Sub(c.began))
	gap := stated.Sub(signed).Abs()
	return timeHint{known: gap <= farthest, off: gap > tolerance && gap <= farthest,
		server: stated, local: local}
}

// timestamp reads Unix seconds, with or without a fraction. It returns the zero time for all else.
func timestamp(s string) time.Time {
	whole, fraction, _ := strings.Cut(s, ".")
	seconds, err := strconv.ParseUint(whole, 10, 40)
	if err != nil {
		return time.Time{}
	}
	if fraction == "" {
		return time.Unix(int64(seconds), 0)
	}
	part, err := strconv.ParseUint((fraction + "000000000")[:9], 10, 32)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(int64(seconds), int64(part))
}

const (
	discardBytes = 64 << 10
	discardTime  = time.Second
)

// discard frees the connection of a refusal before anything is sent that may need it: a pool of one
// would wait for itself. What was read stays readable, since the refusal may yet be the answer.
func discard(resp *http.Response) {
	body := resp.Body
	timer := time.AfterFunc(discardTime, func() { _ = body.Close() })
	data, err := io.ReadAll(io.LimitReader(body, discardBytes+1))
	timer.Stop()
	_ = body.Close()
	if err == nil && len(data) > discardBytes {
		data, err = data[:discardBytes], io.ErrUnexpectedEOF
	}
	if err == nil {
		err = io.EOF
	}
	resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(data), failingReader{err}))
}

// A failingReader ends a body as reading the original ended, so that one that was cut off does not
// look whole.
type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }
