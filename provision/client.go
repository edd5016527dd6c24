package provision

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/transport"
)

// A Client is the [creds.Source] of a [mac.Signer] that gets its credentials from a provisioning
// endpoint, such as an issue.Handler. It makes one call whenever credentials are needed and there
// are none, or they are about to expire, or they were refused; a [creds.Cache], whose rules it
// follows, shares that among all callers. Redirects are followed only within the origin of URL. A
// call takes 30 s at most, and its answer has 64 KiB at most. What goes wrong with the endpoint is
// an [*Error], wrapped.
//
// The answer is a JSON object with id and key, both text, and, if the service tells, algorithm or
// hashalg (else it is hmac-sha-1), api_endpoint, and the end: expires_in or duration, in seconds;
// expires or expires_at, in seconds since 1970 by the clock of that very answer, the latter also as
// in RFC 3339; or the end that an id of Mozilla's tokenlib tells. Whatever it says, credentials
// count as good for 5 s at least and a day at most; ones that end sooner are replaced when they are
// refused. Other members are ignored; the names are exact, and so are the types.
//
// Retry-After, X-Backoff and Backoff, with any status, keep the Client from asking again, for up to
// a day. With a good answer, they hold only as long as its credentials do.
//
// With a Store, credentials and what the Clock has learned outlive the process, and all processes
// that share the Store share one call: it is made within an update of the record, by the one who
// finds there that nobody else has made it. Trouble with the Store is told to the Logger and fails
// no call: the Client goes on from memory. It waits 5 s for a record to be read, 20 s in all for
// its turn to write it, and 2 s for the write, which then goes on in the background.
//
// The fields must not be changed once the Client is in use, and a Client must not be copied. It is
// safe for concurrent use.
type Client struct {
	// URL is the address of the endpoint. It has to be https, unless the host is a loopback one.
	URL string

	// Signer signs the request, for instance a basic.Signer. It must not take its credentials from
	// this Client. nil: the request is not signed, as where HTTP brings a cookie.
	Signer transport.Signer

	// Method of the request. "": POST.
	Method string

	// Header is added to the request, for instance a Content-Type for the body. nil: nothing is.
	Header http.Header

	// Body makes the body of each call. nil: there is none.
	Body func(context.Context) ([]byte, error)

	// HTTP sends the request: its Transport is what the signed request goes out by, and its Jar and
	// Timeout hold too. It is not changed. nil: a client of its own.
	HTTP *http.Client

	// Clock tells what time it is at the endpoint, for a Signer that needs to know. Give the Clock
	// of the signing transport, and what one of them learns serves both, and with a Store, the next
	// process. nil: a private one.
	Clock *transport.Clock

	// Store keeps the credentials for the next process, and for others. nil: in memory only.
	Store creds.Store

	// Name is what the record in the Store is called. "": a name that follows from the URL, what
	// the method Account() string of the Signer returns, as that of a basic.Signer, and the scheme.
	// Where a Signer has no such method, or it returns "", or HTTP has a Jar, or there is a Header
	// or a Body, any of which may tell who asks, give each account its own Name: without one, the
	// Store is not used then. A record that was stored for another URL or account is never used.
	// The files of a Dir of package creds/file begin with the letters and digits of the Name, so
	// set it if people must be able to tell the records of two accounts apart.
	Name string

	// Fetched is told of new credentials before they are used; see [creds.Cache]. Those that
	// another process has stored are new too. It must not ask the Client. nil: nobody is told.
	Fetched func(*creds.SharedKey)

	// Logger is told of calls that failed, see [creds.Cache], and of trouble with the Store, at
	// level Warn. If nil, the Logger of the transport.Transport whose request started the call.
	Logger *slog.Logger

	once    sync.Once
	private *fetcher // what follows from the fields; a pointer, so that fmt does not read it
}

var (
	_ creds.Source[*creds.SharedKey]    = (*Client)(nil)
	_ creds.Rejecter[*creds.SharedKey]  = (*Client)(nil)
	_ creds.Accepter[*creds.SharedKey]  = (*Client)(nil)
	_ creds.Confirmer[*creds.SharedKey] = (*Client)(nil)
	_ creds.Waiter[*creds.SharedKey]    = (*Client)(nil)
	_ creds.Failer                      = (*Client)(nil)
)

// Format writes where the Client asks, and no field that may hold a secret, whatever the verb.
func (c *Client) Format(f fmt.State, _ rune) {
	var address url.URL
	if u, err := url.Parse(c.URL); err == nil {
		address = url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	}
	fmt.Fprintf(f, "{URL:%q Name:%q}", address.String(), c.Name)
}

// Credentials returns the current credentials. It waits where others must be fetched first, but not
// beyond the end of ctx. Their Expires is by the clock of this machine.
func (c *Client) Credentials(ctx context.Context) (*creds.SharedKey, error) {
	if err := c.ready(); err != nil {
		return nil, err
	}
	g, err := c.private.cache.Credentials(ctx)
	if err != nil {
		return nil, err
	}
	return g.creds, nil
}

// Endpoint returns the api_endpoint that came with the current credentials: the URL of the service
// that takes them, as the provisioning endpoint tells it, "" if it does not. It waits as
// Credentials does. Nothing is sent there, or signed for it, unless the caller does so: compare it
// with what you expect, or list the origins that you sign for.
func (c *Client) Endpoint(ctx context.Context) (string, error) {
	if err := c.ready(); err != nil {
		return "", err
	}
	g, err := c.private.cache.Credentials(ctx)
	if err != nil {
		return "", err
	}
	return g.endpoint, nil
}

// Check returns why each call would fail, because of the fields of c, or nil. It calls Signer's own
// Check, if there is such a method that returns an error. It sends nothing. Call it when a program
// starts.
func (c *Client) Check() error {
	if err := c.ready(); err != nil {
		return err
	}
	if signer, ok := c.Signer.(interface{ Check() error }); ok {
		return signer.Check()
	}
	return nil
}

// ready returns why no call can be made, or nil.
func (c *Client) ready() error {
	c.configured()
	return c.private.setup()
}

// Reject has the current credentials replaced if bad reports true for them; see [creds.Cache].
func (c *Client) Reject(bad func(*creds.SharedKey) bool, refusal http.Header) {
	var g *grant
	cache := c.configured()
	cache.Reject(func(current *grant) bool {
		if bad(current.creds) {
			g = current
		}
		return false
	}, nil)
	if g != nil {
		c.private.reject(g, refusal)
	}
}

// Accept tells that a server accepted the current credentials if good reports true for them; see
// [creds.Cache].
func (c *Client) Accept(good func(*creds.SharedKey) bool) {
	c.configured().Accept(func(g *grant) bool { return good(g.creds) })
}

// Wait gives a server some time to learn of new credentials that were refused; see [creds.Cache].
func (c *Client) Wait(
	ctx context.Context, refused func(*creds.SharedKey) bool,
) (waited bool, err error) {
	return c.configured().Wait(ctx, func(g *grant) bool { return refused(g.creds) })
}

// Confirm tells that the current credentials mended a call if good reports true for them; see
// [creds.Cache].
func (c *Client) Confirm(good func(*creds.SharedKey) bool) {
	c.configured().Confirm(func(g *grant) bool { return good(g.creds) })
}

// Err returns why the latest call of the endpoint failed, nil if it did not: with it, one who is
// still given credentials that were refused learns why there are no others. See [creds.Cache].
func (c *Client) Err() error { return c.configured().Err() }

func (c *Client) configured() *creds.Cache[*grant] {
	c.once.Do(func() {
		f := &fetcher{client: c, clock: c.Clock, store: c.Store}
		if f.clock == nil {
			f.clock = new(transport.Clock)
		}
		f.offsets = make(map[string]time.Duration)
		f.setup = sync.OnceValue(func() (err error) {
			defer func() {
				if v := recover(); v != nil { // its value may hold a secret
					err = fmt.Errorf("provision: Client.Signer panicked with a %T in its method "+
						"Account: is it nil?", v)
				}
			}()
			return f.prepare()
		})
		f.cache.Logger = c.Logger
		f.cache.Fetch = f.obtain
		f.cache.Expires = func(g *grant) time.Time { return g.creds.Expires }
		f.cache.Issued = func(g *grant) time.Time { return g.born }
		// No id holds a line feed, so that the two cannot run into each other.
		f.cache.ID = func(g *grant) string { return g.creds.ID + "\n" + string(g.creds.Key) }
		f.cache.Fetched = func(g *grant) {
			if c.Fetched != nil {
				c.Fetched(g.creds)
			}
			f.accept(g)
		}
		c.private = f
	})
	return &c.private.cache
}
