package transport

import (
	"errors"
	"net/http"
	"time"
)

// A Signer puts credentials on a request. Each scheme has one, for instance *mac.Signer. It must be
// safe for concurrent use. A Signer that does more for its scheme also implements [Refuser],
// [Reader], [Refresher] or [Observer].
type Signer interface {
	// Sign adds credentials to req. It may set fields of req.Header, and req.Host; it must not
	// change anything else of req, which belongs to the caller. now is the time by the clock of the
	// server that req goes to. A Signer that waits, for instance for a fetch, must add its wait to
	// now. If Sign returns an error, nothing is sent.
	//
	// Sign is called again for each attempt and each hop, so that no two of them carry the same
	// timestamp and nonce.
	Sign(req *http.Request, now time.Time) error
}

// A SignerFunc is a function that is a [Signer].
type SignerFunc func(req *http.Request, now time.Time) error

// Sign calls f.
func (f SignerFunc) Sign(req *http.Request, now time.Time) error { return f(req, now) }

// A Refresher is a [Signer] whose credentials can be replaced. It is called after a refusal that a
// new timestamp or nonce cannot correct.
type Refresher interface {
	// Refresh must drop the credentials that resp.Request carried, if they are still in use, and
	// report whether the Signer now has others, so that it is worth signing again. It may block for
	// a fetch, within the context of resp.Request. resp.Body holds at most the first 64 KiB and may
	// be read.
	//
	// Refresh may instead wait, if the server may not know new credentials yet. Then it drops
	// nothing and reports true.
	//
	// Refresh is called once in a call. If it reports true together with [ErrYoung], it is called
	// again when the next attempt is refused too, three times in all.
	Refresh(resp *http.Response) (again bool, err error)
}

// ErrYoung is the error that [Refresher].Refresh returns together with true if the credentials that
// are sent next are so new that the server may not know them yet.
var ErrYoung = errors.New("transport: the credentials are so new that the server may not know them")

// A Refuser is a [Signer] whose scheme refuses credentials with other answers than status 401.
type Refuser interface {
	// Refused reports whether resp refuses the credentials. It is called for every answer and must
	// not read its body. If the Refused field of the [Transport] is set, that is called instead.
	Refused(resp *http.Response) bool
}

// A Reader is a [Signer] that understands the refusals of its scheme.
type Reader interface {
	// Read returns the meaning of a refusal, mostly from its WWW-Authenticate field (RFC 9110,
	// section 11.6.1). It must not change resp or the state of the Signer. resp.Body holds the
	// first 4 KiB, or as much of them as came within 1 s, and may be read; the caller still gets
	// the whole body. Read is also called for a refusal of a request that was not signed, to find
	// out whether the missing credentials were the reason.
	Read(resp *http.Response) Refusal
}

// An Observer is a [Signer] that sees every answer to a request it signed, refusals included,
// before the caller does. It can learn from the answer, or check that the answer is authentic.
type Observer interface {
	// Observe must not read the body. It may replace resp.Body by a body that checks the answer
	// while the caller reads it. If the answer is not authentic, Observe must return an error,
	// which the caller gets in place of the answer. The error is ignored if the request is sent
	// again, since the caller does not get that answer.
	//
	// After one attempt, Read is called first, then Observe, Refresh and Sign.
	Observe(resp *http.Response, o Outcome) error
}

// An Outcome says whether an answer accepts or refuses the credentials that the request carried.
type Outcome int

const (
	// OutcomeNone is an answer that says nothing about the credentials: an error other than a
	// refusal, such as status 404 or 503, may come from a proxy in front of the service.
	OutcomeNone Outcome = iota
	// OutcomeRefused is a refusal.
	OutcomeRefused
	// OutcomeAccepted is an answer with a status below 400.
	OutcomeAccepted
	// OutcomeMended is OutcomeAccepted, after credentials were refused earlier in the same call.
	OutcomeMended
)

// A Refusal is the meaning of an answer, as a [Reader] understands it.
type Refusal struct {
	Cause Cause // why the request was refused; "" if not by a service of this scheme

	// ServerTime is the time at the server, if the answer states it in the scheme's own way. If
	// zero, the fields X-Timestamp and Date of the answer are used.
	ServerTime time.Time

	// Proven means that the Cause and the ServerTime are authenticated with the credentials of the
	// request, so that an attacker on the path cannot have forged them. They are then believed over
	// plain http too.
	Proven bool

	// Tolerance is how far the clocks may differ before the difference is taken for the reason of
	// the refusal, whatever the Cause. If zero, 5 s.
	Tolerance time.Duration
}

// A Cause says why a request was refused.
type Cause string

const (
	// CauseUnknown is a refusal without a reason. The Transport acts on it only over TLS or to a
	// loopback host, since otherwise an attacker on the path could have forged it.
	CauseUnknown Cause = "unknown"
	// CauseStale is a timestamp outside the server's window.
	CauseStale Cause = "stale"
	// CauseNonce is a nonce that was seen before.
	CauseNonce Cause = "nonce"
	// CauseAsked is an answer that asks for something that the request did not carry and the Signer
	// can add with the same credentials: a nonce of the server, another region, more covered
	// components. The Signer learns it by its [Observer] method. A Reader must compare the answer
	// with resp.Request, and must not return CauseAsked if the request carried that already.
	CauseAsked Cause = "asked"
	// CauseCredential is a credential that has expired, was revoked, or is not known to the server.
	CauseCredential Cause = "credential"
)
