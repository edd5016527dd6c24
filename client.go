package countersign

import (
	"fmt"
	"log/slog"
	"net/http"

	"github.com/countersign-go/countersign/transport"
)

// A Config says how the requests of a client are signed. Only Signer is required.
type Config struct {
	// Signer puts the credentials on each request, for instance a *mac.Signer. Where it is nil, or
	// another field is unusable, each request fails with a [*ConfigError] and nothing is sent.
	Signer transport.Signer

	// Base sends the signed requests. If nil, the transport of the client that is wrapped, else
	// http.DefaultTransport, looked up at each request. See [transport.Transport].Base for proxies.
	Base http.RoundTripper

	// Origins are where requests are signed, each like "https://api.example.com:8443". Empty: the
	// origin that the caller's URL points to. Requests that go elsewhere, and those that a redirect
	// has led away from where it began, are sent without credentials. An origin of plain http that
	// is no loopback host must be listed here.
	Origins []string

	// Clock knows how far the servers' clocks are off. nil: a private one.
	Clock *transport.Clock

	// Retries is how many times a request is repeated that failed for a reason which may pass.
	// If 0: 2, which bridges an outage of 1.2s at least. Others bridge, in the same way,
	// 1: 400ms, 3: 2.4s, 5: 6s, 10: 22s, 20: 1m24s. If negative, no request is repeated.
	//
	// Such reasons are status 429, 502, 503 or 504, a connection that could not be made, also by
	// way of a proxy, and one that ended before the answer began. A request that may have been
	// received is repeated only if executing it twice does no harm: its method is GET, HEAD,
	// OPTIONS, TRACE, PUT or DELETE, or it has an Idempotency-Key or X-Idempotency-Key that is not
	// empty. If the dial or the TLS handshake failed, nothing was sent, and the method does not
	// matter. A body must have GetBody, or none of it may have been read; nothing is buffered.
	// Each attempt has its own signature. [transport.History] tells of them all.
	//
	// The wait before the next attempt is the one that Retry-After asks for. If that is longer than
	// 30 s, the answer is returned at once. Without a Retry-After, or if it is zero or in the past,
	// the wait is a random time from 0.4 s to 0.8 s, the next one from 0.8 s to 1.6 s, and so on in
	// equal steps, up to 30 s. If the context or the Timeout of the client would end first, the
	// request is not repeated. The outcome of the last attempt is returned: a response remains a
	// response, whatever its status.
	//
	// Some ends of a connection cannot be told from other errors, and are not repeated: a proxy
	// that refuses CONNECT in other words than the registered reason phrase, and in HTTP/2 a stream
	// that was reset for another reason than that the server refused it.
	//
	// Where a client is wrapped that repeats requests like this, they are not repeated by both: 0
	// is then the number that it has, and another one counts in place of that.
	Retries int

	// Refused reports whether an answer refuses the credentials. If nil, the Signer says so if it
	// is a [transport.Refuser], or else status 401 does. Some services say 403 for a credential
	// that has expired.
	Refused func(*http.Response) bool

	// Logger gets the records of [transport.Transport].Logger and, at level Debug, one of each
	// repetition. If nil, there are none.
	Logger *slog.Logger
}

// A ConfigError says which field of a [Config] makes it unusable, and why.
type ConfigError = transport.ConfigError

// Format writes the settings and the types of the parts, under every verb. The parts may hold
// secrets.
func (c Config) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{Signer:%T Base:%T Origins:%q Retries:%d}",
		c.Signer, c.Base, c.Origins, c.Retries)
}

// Check returns the error with which each request would fail, so that a program can end at its
// start: a [*ConfigError], or the error of a Signer or Base that has a Check method too. It sends
// nothing.
func (c Config) Check() error {
	t := &transport.Transport{Signer: c.Signer, Base: c.Base, Origins: c.Origins}
	return t.Check()
}

// NewClient returns a client whose requests are signed.
func NewClient(c Config) *http.Client { return Wrap(nil, c) }

// Wrap returns a copy of client whose requests are signed. It keeps the Jar, Timeout and
// CheckRedirect of client, and sends through its Transport unless c.Base is set. client itself is
// not changed; nil means a new one.
func Wrap(client *http.Client, c Config) *http.Client {
	var wrapped http.Client
	if client != nil {
		wrapped = *client
	}
	if c.Base == nil {
		c.Base = wrapped.Transport
	}
	signed := &transport.Transport{
		Signer: c.Signer, Base: c.Base, Origins: c.Origins,
		Clock: c.Clock, Refused: c.Refused, Logger: c.Logger,
	}
	wrapped.Transport = signed
	if c.Retries >= 0 {
		signed.Base = &wire{c.Base}
		if inner, ok := c.Base.(*retrier); ok {
			// One of them repeats, around both, so that each attempt is signed anew by both.
			signed.Base = inner.signed
			if c.Retries == 0 {
				c.Retries = inner.retries
			}
		}
		wrapped.Transport = newRetrier(signed, c.Retries)
	}
	return &wrapped
}
