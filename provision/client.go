package provision

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/fetch"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/transport"
)

// However wrong the expiry in an answer is, credentials are neither fetched in a tight loop nor
// kept for ever.
const (
	minLifetime = 5 * time.Second
	maxLifetime = 24 * time.Hour
)

// A Client is the [creds.Source] of a [mac.Signer] that gets its credentials from a provisioning
// endpoint, such as a [Handler]. It sends one POST without a body whenever credentials are needed
// and there are none, or they have expired, or they were refused; a [creds.Cache], whose rules it
// follows, shares that among all callers. Credentials count as good for 5 s at least and a day at
// most, whatever the answer says; ones that end sooner are replaced when they are refused.
// Redirects are followed only within the origin of URL. A call takes 30 s at most, and its answer
// has 64 KiB at most. What goes wrong with the endpoint is an [*Error], wrapped.
//
// The fields must not be changed once the Client is in use, and a Client must not be copied. It is
// safe for concurrent use.
type Client struct {
	// URL is the address of the endpoint. It has to be https, unless the host is a loopback one.
	URL string

	// Signer signs the request, for instance a basic.Signer. It must not take its credentials from
	// this Client. nil: the request is not signed, as where HTTP brings a cookie.
	Signer transport.Signer

	// HTTP sends the request: its Transport is what the signed request goes out by, and its Jar and
	// Timeout hold too. It is not changed. nil: a client of its own.
	HTTP *http.Client

	// Clock tells what time it is at the endpoint, for a Signer that needs to know. Give the Clock
	// of the signing transport, and what one of them learns serves both. nil: a private one.
	Clock *transport.Clock

	once    sync.Once
	private *fetcher // what follows from the fields; a pointer, so that fmt does not read it
}

// A fetcher is a Client at work.
type fetcher struct {
	address string
	http    *http.Client
	clock   *transport.Clock
	cache   creds.Cache[*mac.Credentials]
}

// Credentials returns the current credentials. It waits where others must be fetched first, but not
// beyond the end of ctx. Their Expires is by the clock of this machine.
func (c *Client) Credentials(ctx context.Context) (*mac.Credentials, error) {
	return c.configured().Credentials(ctx)
}

// Reject has the current credentials replaced if bad reports true for them; see [creds.Cache].
func (c *Client) Reject(bad func(*mac.Credentials) bool) { c.configured().Reject(bad) }

// Confirm tells that the current credentials mended a call if good reports true for them; see
// [creds.Cache].
func (c *Client) Confirm(good func(*mac.Credentials) bool) { c.configured().Confirm(good) }

// Err returns why the latest call of the endpoint failed, nil if it did not: with it, one who is
// still given credentials that were refused learns why there are no others. See [creds.Cache].
func (c *Client) Err() error { return c.configured().Err() }

func (c *Client) configured() *creds.Cache[*mac.Credentials] {
	c.once.Do(func() {
		f := &fetcher{address: c.URL, http: new(http.Client), clock: c.Clock}
		if f.clock == nil {
			f.clock = new(transport.Clock)
		}
		if c.HTTP != nil {
			*f.http = *c.HTTP
		}
		t := &transport.Transport{Signer: c.Signer, Base: f.http.Transport, Clock: f.clock}
		if t.Signer == nil {
			t.Signer = unsigned{}
		}
		f.http.Transport = t
		f.cache.Fetch = f.fetch
		f.cache.Expires = func(m *mac.Credentials) time.Time { return m.Expires }
		// No id holds a line feed, so that the two cannot run into each other.
		f.cache.ID = func(m *mac.Credentials) string { return m.ID + "\n" + string(m.Key) }
		c.private = f
	})
	return &c.private.cache
}

// unsigned is a Signer that brings nothing, so that requests without credentials keep the rules of
// the transport too: the answer holds a key, which must not cross the network in clear. None of the
// refusals is about what it signed.
type unsigned struct{}

func (unsigned) Sign(*http.Request, time.Time) error          { return nil }
func (unsigned) Read(*http.Response) (none transport.Refusal) { return none }

// fetch makes one call for new credentials.
func (f *fetcher) fetch(ctx context.Context) (*mac.Credentials, error) {
	u, err := url.Parse(f.address)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
		// The text of err repeats the URL, where a password may be.
		return nil, errors.New("provision: Client.URL is no address: " +
			"set it to the https URL of the provisioning endpoint")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	a, err := fetch.Do(f.http, req)
	if err != nil {
		return nil, failed(u, err)
	}
	m, err := credentialsOf(a.Object)
	if err == nil {
		m.Expires, err = f.expiry(a, m, u)
	}
	if err != nil {
		err = fmt.Errorf("an answer that is of no use: %w", err)
		return nil, failed(u, &fetch.Error{Status: a.Status, Err: err})
	}
	return m, nil
}

// expiry returns when m ends by the clock of this machine: so long after the answer came as the
// answer says, or as lies between its own time and the end by the clock of the server.
func (f *fetcher) expiry(a *fetch.Answer, m *mac.Credentials, u *url.URL) (time.Time, error) {
	var left time.Duration
	if v := a.Object["expires_in"]; v != nil {
		var err error
		if left, err = readDuration(v); err != nil {
			return time.Time{}, fmt.Errorf("expires_in is %w", err)
		}
	} else {
		end, certain := m.Expires, !m.Expires.IsZero()
		if !certain {
			end, _ = hint(m.ID)
		}
		left = end.Sub(f.serverTime(a, u))
		if !certain && left <= 0 {
			return time.Time{}, nil // there is no hint, or it is wrong
		}
	}
	if left <= 0 {
		return time.Time{}, errors.New("the credentials in it have already expired")
	}
	return a.Received.Add(min(max(left, minLifetime), maxLifetime)), nil
}

// serverTime returns what time it was at the server when a was received.
func (f *fetcher) serverTime(a *fetch.Answer, u *url.URL) time.Time {
	if date, ok := a.Date(); ok {
		return date.Add(time.Second / 2) // whole seconds are cut off: aim at the middle
	}
	return f.clock.Now(u)
}
