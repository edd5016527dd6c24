package countersign

import (
	"log/slog"
	"net/http"

	"github.com/countersign-go/countersign/transport"
)

// A Config says how the requests of a client are signed. Only Signer is required.
type Config struct {
	// Signer puts the credentials on each request, for instance a *mac.Signer. Where it is nil, or
	// another field is unusable, each request fails with a [*ConfigError] and nothing is sent.
	Signer transport.Signer

	// Base sends what was signed. nil: the transport of the client that is wrapped, else
	// http.DefaultTransport, as it is at each request.
	Base http.RoundTripper

	// Origins are where requests are signed, each like "https://api.example.com:8443". Empty: the
	// origin that the caller's URL points to. Requests that go elsewhere, and those that a redirect
	// has led away from where it began, are sent without credentials. An origin of plain http that
	// is no loopback host must be listed here.
	Origins []string

	// Clock knows how far the servers' clocks are off. nil: a private one.
	Clock *transport.Clock

	// Refused reports whether an answer refuses the credentials. nil: status 401. Some services say
	// 403 for a credential that has expired.
	Refused func(*http.Response) bool

	// Logger is told of recoveries. nil: silent.
	Logger *slog.Logger
}

// A ConfigError says which field of a [Config] makes it unusable, and why.
type ConfigError = transport.ConfigError

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
	wrapped.Transport = &transport.Transport{
		Signer: c.Signer, Base: c.Base, Origins: c.Origins,
		Clock: c.Clock, Refused: c.Refused, Logger: c.Logger,
	}
	return &wrapped
}
