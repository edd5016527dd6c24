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

// A Client is a [creds.Source] that gets credentials from a provisioning endpoint, such as an
// issue.Handler. Most users set URL and Signer, and use the Client as the Source of a [mac.Signer].
// It calls the endpoint when credentials are missing, about to expire, or refused by a server. All
// callers share one call, by the rules of a [creds.Cache]. The package comment has the format of
// the answer and the limits of a call.
//
// The fields must not be changed once the Client is in use, and a Client must not be copied. It is
// safe for concurrent use.
type Client struct {
	// URL is the address of the endpoint. It must be https, unless the host is a loopback one.
	URL string

	// Signer signs the request, for instance a basic.Signer. It must not take its credentials from
	// this Client. If nil, the request is not signed, for instance because a cookie of HTTP
	// authenticates it.
	Signer transport.Signer

	// Method is the method of the request. If empty, POST.
	Method string

	// Header is added to the request, for instance a Content-Type for the body. If nil, nothing is
	// added.
	Header http.Header

	// Body returns the body of each call. If nil, the request has no body.
	Body func(context.Context) ([]byte, error)

	// HTTP sends the request: the signed request goes out by its Transport, and its Jar and Timeout
	// are used too. It is not changed. If nil, a new http.Client is used.
	HTTP *http.Client

	// Clock tells the time at the endpoint, for a Signer that needs it. Set it to the Clock of the
	// signing transport: then an offset that one of them learns serves both, and with a Store, the
	// next process. If nil, a private Clock is used.
	Clock *transport.Clock

	// Store keeps the credentials, and the offsets that the Clock has learned, for the next process
	// and for other processes. All processes that share the Store share one call, made within an
	// update of the record. A Store that fails is reported to Logger and fails no call: the Client
	// goes on from memory. It waits 5 s for a read of the record, 20 s in all for its turn to
	// write, and 2 s for the write, which then goes on in the background. If nil, credentials are
	// kept in memory only.
	Store creds.Store

	// Name is the name of the record in the Store. If empty, the name follows from the URL, the
	// scheme, and the result of the Signer's method Account() string, which a basic.Signer has. If
	// the Signer has no such method, or it returns "", or HTTP has a Jar, or there is a Header or a
	// Body, the account cannot be known: then the Store is not used without a Name, so give each
	// account its own. A record that was stored for another URL or account is never used. The files
	// of a Dir of package creds/file begin with the letters and digits of the Name, so set it if
	// people must be able to tell the records of two accounts apart.
	Name string

	// Fetched is called with new credentials before they are used; see [creds.Cache]. Credentials
	// that another process has stored are new too. It must not call the Client. If nil, it is not
	// called.
	Fetched func(*creds.SharedKey)

	// Logger records failed calls, see [creds.Cache], and failures of the Store, at level Warn. If
	// nil, the Logger of the transport.Transport whose request started the call is used.
	Logger *slog.Logger

	once    sync.Once
	private *fetcher // derived from the fields; a pointer, so that fmt does not read it
}

var (
	_ creds.Source[*creds.SharedKey]    = (*Client)(nil)
	_ creds.Rejecter[*creds.SharedKey]  = (*Client)(nil)
	_ creds.Accepter[*creds.SharedKey]  = (*Client)(nil)
	_ creds.Confirmer[*creds.SharedKey] = (*Client)(nil)
	_ creds.Waiter[*creds.SharedKey]    = (*Client)(nil)
	_ creds.Failer                      = (*Client)(nil)
)

// Format writes URL, without user and query, and Name, whatever the verb. It writes no field that
// may hold a secret.
func (c *Client) Format(f fmt.State, _ rune) {
	var address url.URL
	if u, err := url.Parse(c.URL); err == nil {
		address = url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	}
	fmt.Fprintf(f, "{URL:%q Name:%q}", address.String(), c.Name)
}

// Credentials returns the current credentials. It waits if new ones must be fetched first, but not
// beyond the end of ctx. Their Expires is by the clock of this machine. An error of the endpoint is
// an [*Error], wrapped.
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
// that takes them, according to the provisioning endpoint. It is "" if the answer had none.
// Endpoint waits as Credentials does. The Client itself sends nothing to that URL and signs nothing
// for it. Before you do, compare it with the service that you expect, or list the origins that you
// sign for.
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

// Check returns an error if the fields of c make every call fail. It calls Signer's own Check, if
// there is such a method that returns an error. It sends nothing. Call it when a program starts.
func (c *Client) Check() error {
	if err := c.ready(); err != nil {
		return err
	}
	if signer, ok := c.Signer.(interface{ Check() error }); ok {
		return signer.Check()
	}
	return nil
}

// ready returns an error if the fields allow no call.
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

// Accept reports to the Client that a server accepted the current credentials, if good reports true
// for them; see [creds.Cache].
func (c *Client) Accept(good func(*creds.SharedKey) bool) {
	c.configured().Accept(func(g *grant) bool { return good(g.creds) })
}

// Wait gives a server some time to learn of new credentials that were refused; see [creds.Cache].
func (c *Client) Wait(
	ctx context.Context, refused func(*creds.SharedKey) bool,
) (waited bool, err error) {
	return c.configured().Wait(ctx, func(g *grant) bool { return refused(g.creds) })
}

// Confirm reports to the Client that the current credentials made a refused call succeed, if good
// reports true for them; see [creds.Cache].
func (c *Client) Confirm(good func(*creds.SharedKey) bool) {
	c.configured().Confirm(func(g *grant) bool { return good(g.creds) })
}

// Err returns the error of the latest call of the endpoint, nil if that succeeded. So a caller that
// is still given refused credentials learns the reason. See [creds.Cache].
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
		// No id contains a line feed, so the pair is unambiguous.
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
