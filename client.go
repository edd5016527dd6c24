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

	// Retries is how many times a request is repeated that failed for a reason which may pass, such
	// as status 503 or a lost connection, if that is safe. If 0: 2, which bridges an outage of
	// 1.2 s at least. If negative, no request is repeated. Package retry tells the rules. Each
	// attempt has its own signature.
	//
	// If the client that is wrapped repeats requests like this, only one of the two does so, by the
	// settings of the inner one. Retries, if not 0, counts in place of its Max.
	Retries int

	// Retry, if not nil, says in more detail how requests are repeated, in place of Retries. If its
	// Base or Logger is nil, that field of the Config is used. Retry itself is not changed.
	Retry *retry.Transport

	// Refused reports whether an answer refuses the credentials. If nil, the Signer says so if it
	// is a [transport.Refuser], or else status 401 does. Some services say 403 for a credential
	// that has expired.
	Refused func(*http.Response) bool

	// Logger gets the records of [transport.Transport] and of [retry.Transport]. If nil, there are
	// none.
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

// Check returns the error with which each request would fail, so that a program can end at its
// start: a [*ConfigError], or the error of a Signer or Base that has a Check method too. It sends
// nothing.
func (c Config) Check() error {
	_, base := c.retries()
	t := &transport.Transport{Signer: c.Signer, Base: base, Origins: c.Origins}
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

// retries returns how the requests of a client are repeated, without a Base, and the Base of the
// Transport that signs them. If they are not repeated, it returns nil.
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
		// One of them repeats, around both, so that each attempt is signed again by both.
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
