package transport

import (
	"errors"
	"net/http"
	"time"
)

// A Signer puts credentials on a request. Sign may set fields of req.Header and req.Host;
// everything else of req, its URL included, still belongs to the caller and is only to be read. now
// is the time by the clock of the server that req goes to. A Signer that waits, for instance for a
// fetch, adds its wait to now. If Sign fails, nothing is sent.
//
// Sign is called anew for each attempt and each hop, so that no two carry the same timestamp and
// nonce. It must be safe for concurrent use.
type Signer interface {
	Sign(req *http.Request, now time.Time) error
}

// A SignerFunc is a function that is a [Signer].
type SignerFunc func(req *http.Request, now time.Time) error

// Sign calls f.
func (f SignerFunc) Sign(req *http.Request, now time.Time) error { return f(req, now) }

// A Refresher is a [Signer] whose credentials can be replaced. Refresh is called after a refusal
// that no new timestamp or nonce can mend. It drops the credentials that resp.Request carried, if
// they are still the ones in use, and reports whether the Signer now has others, so that signing
// again is worth it. It may block for a fetch, within the context of resp.Request. resp.Body holds
// at most the first 64 KiB and may be read.
//
// Refresh also reports true after it waited for a server that may not know new credentials yet, and
// dropped nothing. It is called once in a call. If it reports true together with [ErrYoung], it is
// called again when the next attempt is refused too, three times in all.
type Refresher interface {
	Refresh(resp *http.Response) (again bool, err error)
}

// ErrYoung is what [Refresher].Refresh returns together with true if the credentials that are sent
// next are so new that the server may not know them yet.
var ErrYoung = errors.New("transport: the credentials are so new that the server may not know them")

// A Refuser is a [Signer] whose scheme refuses credentials with other answers than status 401.
// Refused is asked about every answer and must not read its body. The Refused field of a
// [Transport] has precedence.
type Refuser interface {
	Refused(resp *http.Response) bool
}

// A Reader is a [Signer] that understands the refusals of its scheme. Read looks at a refusal,
// mostly at its WWW-Authenticate field (RFC 9110, section 11.6.1), and must change nothing.
// resp.Body holds the first 4 KiB, or what came of them within 1 s, and may be read; the caller
// still gets all of it. Read is also called for a refusal of a request that was not signed, to find
// out whether that was the reason.
type Reader interface {
	Read(resp *http.Response) Refusal
}

// An Observer is a [Signer] that is told of every answer to a request it signed, refusals included,
// before the caller sees it. Observe must not read the body; it may replace resp.Body by one that
// checks the answer while the caller reads it. If Observe returns an error, the answer is not what
// it claims to be, and the caller gets that error in its place. The error of an answer that the
// caller would not get, since the request is sent again, is ignored.
//
// In one attempt, Read comes first, then Observe, Refresh and Sign.
type Observer interface {
	Observe(resp *http.Response, o Outcome) error
}

// An Outcome says what an answer tells of the credentials that the request carried.
type Outcome int

const (
	// OutcomeNone is an answer that tells nothing of them: an error other than a refusal, such as a
	// 404 or 503, may come from something in front of the service.
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
	Cause Cause // why the request was refused; "": not by a service of this scheme

	// ServerTime is the time at the server, if the answer states it in the scheme's own way. If
	// zero, the fields X-Timestamp and Date of the answer are looked at.
	ServerTime time.Time

	// Proven means that the Cause and the ServerTime are authenticated with the credentials of the
	// request, so that no machine on the way can have made them up. They are believed over plain
	// http too.
	Proven bool

	// Tolerance is how far the clocks may differ before that is taken for the reason of the
	// refusal, whatever the Cause. If zero, 5 s.
	Tolerance time.Duration
}

// A Cause says why a request was refused.
type Cause string

const (
	// CauseUnknown is a refusal without a reason. It is acted upon only over TLS or to a loopback
	// host, since any machine on the way could have made it up.
	CauseUnknown Cause = "unknown"
	// CauseStale is a timestamp outside the server's window.
	CauseStale Cause = "stale"
	// CauseNonce is a nonce that was seen before.
	CauseNonce Cause = "nonce"
	// CauseAsked is an answer that asks for something that the request did not carry and the Signer
	// can add with the same credentials: a nonce of the server, another region, more covered
	// components. The Signer learns it as an [Observer]. A Reader must compare the answer with
	// resp.Request, and must not return CauseAsked if the request carried that already.
	CauseAsked Cause = "asked"
	// CauseCredential is a credential that has expired, was revoked, or is not known to the server.
	CauseCredential Cause = "credential"
)
