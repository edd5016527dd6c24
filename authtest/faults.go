package authtest

import (
	"net/http"
	"time"
)

// Faults say how a [Service] misbehaves. The zero value is one that does not. They add up, so that
// a test can have an expiry and a wrong clock at once.
type Faults struct {
	// ExpireAfter is how many requests each set of credentials is good for, since it was handed
	// out; then they are refused as expired. 0: they end with their time.
	ExpireAfter int

	// RevokeInFlight withdraws the credentials of that many requests while those are on their way:
	// the next that carry some which are good.
	RevokeInFlight int

	// Lag and LagRequests make a replica that learns late of new credentials: it does not know them
	// until they are so old, nor for the first so many requests that carry them since they were
	// handed out.
	Lag         time.Duration
	LagRequests int

	// Offset is how far the clock of the service is ahead of this machine's: the one that it judges
	// timestamps and tokens by, and tells in Date.
	Offset time.Duration

	// Glitch is how much further ahead the clock is for the next GlitchRequests requests. Then it
	// is back. If GlitchRequests is 0, there is no glitch.
	Glitch         time.Duration
	GlitchRequests int

	// LearnSkew makes a service like macauthlib's. The first timestamp that it accepts of an id
	// says how far that client's clock is off, and from then on all of them have to be off by as
	// much, within 30 s. The challenge does not tell.
	LearnSkew bool

	// CachedFor gives answers the Date of so long ago, as a cache does, with an Age field, unless
	// NoAge leaves that out.
	CachedFor time.Duration
	NoAge     bool

	// Challenges is how a 401 asks for credentials.
	Challenges Challenges

	// RepeatCredentials has the provisioning endpoint give again what it gave before.
	RepeatCredentials bool

	// Rewrite changes requests before they are looked at, as a proxy in front of the service may:
	// their Host, URL, Method and Header. The target follows from the URL. Which endpoint a request
	// is for, and what Seen says of it, was decided by the path that was sent. It may be called
	// concurrently. nil: they arrive as they were sent.
	Rewrite func(*http.Request)

	// Requests is what happens to requests, and Provisioning what happens to calls for credentials:
	// those of /provision and of /token.
	Requests, Provisioning Trouble
}

// Trouble is what happens to some requests, or to all. The zero value is none.
type Trouble struct {
	// Times is how many requests it happens to, from the next one on. 0: all.
	Times int

	// Status is the answer, in place of the service's own, for instance 503: a final status that
	// allows a body, so neither 1xx nor 204 nor 304. 0: its own.
	Status int

	// RetryAfter is the field of that name in an answer that has a Status: rounded up to whole
	// seconds. 0: none.
	RetryAfter time.Duration

	// LoseRequest closes the connection in place of doing anything. LoseAnswer does what is asked
	// for first.
	LoseRequest, LoseAnswer bool

	// Delay is how long it takes before the request is looked at.
	Delay time.Duration

	// EarlyAnswer has an accepted request answered with status 200 before its body was read, as a
	// handler does that answers while it reads. What Service.Handler writes follows. HEAD, calls
	// for credentials, and requests with a Status or a Drip are answered as ever.
	EarlyAnswer bool

	// Drip is how long it takes before each byte of the body of the answer.
	Drip time.Duration
}

// Challenges are the ways of a 401 to ask for credentials.
type Challenges int

// How a 401 asks.
const (
	EachInALine   Challenges = iota // MAC and Bearer, each in a line of its own, with the reason
	AllInOneLine                    // the same in one line, behind one of another scheme
	WithoutReason                   // the names of the schemes alone
	WithoutAny                      // no WWW-Authenticate at all
)
