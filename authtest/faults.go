package authtest

import (
	"net/http"
	"time"
)

// Faults describes how a [Service] misbehaves. The zero value is a Service without faults. Faults
// can be combined: a test can have, for example, both an expiry and a wrong clock.
type Faults struct {
	// ExpireAfter is how many requests each set of credentials is good for after it was issued.
	// Later requests are refused as expired. If zero, credentials expire only at the end of their
	// lifetime.
	ExpireAfter int

	// RevokeInFlight revokes the credentials of that many requests while those are on their way:
	// the next requests that carry valid credentials.
	RevokeInFlight int

	// Lag and LagRequests simulate a replica that learns late of new credentials. It does not know
	// them until they are older than Lag, nor for the first LagRequests requests that carry them
	// after they were issued.
	Lag         time.Duration
	LagRequests int

	// Offset is how far the service's clock is ahead of this machine's. The service judges
	// timestamps and tokens by that clock and reports it in the field Date.
	Offset time.Duration

	// Glitch is how much further ahead the clock is for the next GlitchRequests requests. After
	// those, it is at Offset again. If GlitchRequests is zero, Glitch has no effect.
	Glitch         time.Duration
	GlitchRequests int

	// LearnSkew makes the service behave like macauthlib. The first timestamp that it accepts from
	// an id determines how far that client's clock is off. From then on, all timestamps from the id
	// must be off by the same amount, within 30 s. The challenge does not tell the client.
	LearnSkew bool

	// CachedFor makes the field Date of answers that much older, as a cache does. It also sets the
	// field Age, unless NoAge is set.
	CachedFor time.Duration
	NoAge     bool

	// Challenges is the form in which a 401 asks for credentials.
	Challenges Challenges

	// RepeatCredentials makes the provisioning endpoint return the same credentials as before.
	RepeatCredentials bool

	// Rewrite changes requests before the service looks at them, as a proxy in front of it may. It
	// may change their Host, URL, Method and Header; the target follows from the URL. The endpoint
	// that a request is for, and the entry in Seen, depend on the path before the change. Rewrite
	// must be safe for concurrent use. If nil, requests are not changed.
	Rewrite func(*http.Request)

	// Requests applies to all requests except calls for credentials. Provisioning applies to those
	// calls: requests to /provision and /token.
	Requests, Provisioning Trouble
}

// Trouble describes a failure of some requests, or of all. The zero value has no effect.
type Trouble struct {
	// Times is how many requests the failure affects, beginning with the next. If zero, all.
	Times int

	// Status is the status of an answer that replaces the service's, for instance 503. It must be a
	// final status that allows a body, so neither 1xx nor 204 nor 304. If zero, the service
	// answers.
	Status int

	// RetryAfter is the value of the field Retry-After in an answer that has a Status, rounded up
	// to whole seconds. If zero, the field is not sent.
	RetryAfter time.Duration

	// LoseRequest closes the connection before the service handles the request. LoseAnswer closes
	// it after that.
	LoseRequest, LoseAnswer bool

	// Delay is the time until the service looks at the request.
	Delay time.Duration

	// EarlyAnswer makes the service answer an accepted request with status 200 before its body was
	// read, like a handler that answers while it reads. The output of Service.Handler follows. HEAD
	// requests, calls for credentials, and requests with a Status or a Drip are not affected.
	EarlyAnswer bool

	// Drip is the delay before each byte of the answer's body.
	Drip time.Duration
}

// Challenges is the form in which a 401 asks for credentials.
type Challenges int

// The forms of the challenges in a 401.
const (
	EachInALine   Challenges = iota // MAC and Bearer, each in a line of its own, with the reason
	AllInOneLine                    // the same in one line, after a challenge of another scheme
	WithoutReason                   // only the names of the schemes
	WithoutAny                      // no WWW-Authenticate field
)
