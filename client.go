package countersign

import (
	"fmt"
	"log/slog"
	"net/http"

	"github.com/countersign-go/countersign/retry"
	"github.com/countersign-go/countersign/transport"
)

// A Config says how the requests of a client are signed. Only Signer is required.
type Config struct {
	// Signer puts the credentials on each request, for instance a *mac.Signer. It is required. If
	// it is nil, or another field is unusable, each request fails with a [*ConfigError] and nothing
	// is sent.
	Signer transport.Signer

	// Base sends the signed requests. If nil, the Transport of the wrapped client is used, or else
	// http.DefaultTransport, looked up for each request. For proxies, see
	// [transport.Transport].Base.
	Base http.RoundTripper

	// Origins lists the origins whose requests are signed, each like
	// "https://api.example.com:8443". If empty, requests are signed for any origin that the
	// caller's URL points to. Requests to other origins, and requests after a redirect to another
	// origin, are sent without credentials. An origin of plain http must be listed here, unless it
	// is a loopback host.
	Origins []string

	// Clock holds how far the servers' clocks differ from this machine's. If nil, the client has a
	// Clock of its own.
	Clock *transport.Clock

	// Retries is how many times a request is repeated that failed for a reason which may pass, such
	// as status 503 or a lost connection, if that is safe. If 0: 2, which bridges an outage of
	// 1.2 s at least. If negative, no request is repeated. See package retry for the rules. Each
	// attempt has its own signature.
	//
	// If the wrapped client has a [retry.Transport] already, only one of the two repeats requests,
	// with the settings of the wrapped client. If Retries is not 0, it replaces the Max of those
	// settings.
	Retries int

	// Retry, if not nil, holds the settings for repeating requests, and Retries is ignored. If its
	// Base or Logger is nil, the Base or Logger of the Config is used. Retry itself is not changed.
	Retry *retry.Transport

	// Refused reports whether an answer refuses the credentials. If nil, the Signer decides if it
	// is a [transport.Refuser]; otherwise every answer with status 401 does. Some services answer
	// 403 if a credential has expired.
	Refused func(*http.Response) bool

	// Logger gets the records of [transport.Transport] and [retry.Transport]. If nil, nothing is
	// logged.
	Logger *slog.Logger
}

// A ConfigError says which field of a [Config] makes it unusable, and why.
type ConfigError = transport.ConfigError

// Format writes the settings and the types of the parts, under every verb. The parts may hold
// secrets.
func (c Config) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{Signer:%T Base:%T Origins:%q Retries:%d Retry:%v}",
		c.Signer, c.Base, c.Origins, c.Retries, c.Retry)
}

// Check returns the error with which each request would fail, so that a program can report it at
// its start. It returns a [*ConfigError], or the error of the Check method of the Signer or Base,
// if they have one. It sends nothing.
func (c Config) Check() error {
	_, base := c.retries()
	t := &transport.Transport{Signer: c.Signer, Base: base, Origins: c.Origins}
	return t.Check()
}

// NewClient returns a new client whose requests are signed.
func NewClient(c Config) *http.Client { return Wrap(nil, c) }

// Wrap returns a copy of client whose requests are signed. The copy keeps the Jar, Timeout and
// CheckRedirect of client, and sends requests by client's Transport unless c.Base is set. client
// itself is not changed. If client is nil, Wrap returns a new client.
func Wrap(client *http.Client, c Config) *http.Client {
	var wrapped http.Client
	if client != nil {
		wrapped = *client
	}
	if c.Base == nil {
		c.Base = wrapped.Transport
	}
	repeats, base := c.retries()
	signed := &transport.Transport{
		Signer: c.Signer, Base: base, Origins: c.Origins,
		Clock: c.Clock, Refused: c.Refused, Logger: c.Logger,
	}
	wrapped.Transport = signed
	if repeats != nil {
		repeats.Base = signed
		wrapped.Transport = repeats
	}
	return &wrapped
}

// retries returns the Transport that repeats requests, still without a Base, or nil if requests are
// not repeated. It also returns the Base of the Transport that signs them.
func (c Config) retries() (*retry.Transport, http.RoundTripper) {
	r, base := retry.Transport{Max: c.Retries}, c.Base
	if c.Retry != nil {
		r = *c.Retry
		if r.Base != nil {
			base = r.Base
		}
	}
	if r.Max < 0 {
		return nil, base
	}
	if inner, ok := base.(*retry.Transport); ok {
		// Only the outer Transport repeats requests, so that both clients sign each attempt again.
		base = inner.Base
		if c.Retry == nil {
			r = *inner
			if c.Retries != 0 {
				r.Max = c.Retries
			}
		}
	}
	if c.Logger != nil && (c.Retry == nil || r.Logger == nil) {
		r.Logger = c.Logger
	}
	return &r, base
}
