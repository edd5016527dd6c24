package provision

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/fetch"
	"github.com/countersign-go/countersign/internal/keep"
	"github.com/countersign-go/countersign/internal/origin"
	"github.com/countersign-go/countersign/transport"
)

// These bounds hold whatever expiry an answer states, so that credentials are neither fetched in a
// tight loop nor kept permanently.
const (
	minLifetime = 5 * time.Second
	maxLifetime = 24 * time.Hour
)

// A grant holds the contents of one answer of the endpoint.
type grant struct {
	creds    *creds.SharedKey
	endpoint string
	born     time.Time // when it was fetched, or stored by the process that did, by the wall clock
}

func (g *grant) valid() bool {
	return g != nil && (g.creds.Expires.IsZero() || time.Now().Before(g.creds.Expires))
}

// is reports whether g and other have the same credentials.
func (g *grant) is(other *grant) bool {
	return g != nil && other != nil && g.creds.ID == other.creds.ID &&
		string(g.creds.Key) == string(other.creds.Key)
}

// print returns a fingerprint of g, for records that must not hold a key.
func (g *grant) print() [sha256.Size]byte {
	return sha256.Sum256([]byte(g.creds.ID + "\n" + string(g.creds.Key)))
}

func (g *grant) outlives(other *grant) bool {
	end, limit := g.creds.Expires, other.creds.Expires
	return !limit.IsZero() && (end.IsZero() || end.After(limit))
}

// A fetcher is the state of a Client.
type fetcher struct {
	client *Client
	clock  *transport.Clock
	store  creds.Store // may be nil
	cache  creds.Cache[*grant]
	last   atomic.Pointer[grant] // the latest that the cache has accepted

	setup   func() error // calls prepare once
	url     *url.URL     // these five are set by setup
	http    *http.Client
	place   place
	record  *keep.Record // of the store
	unnamed atomic.Bool  // the store is not used, for lack of a name; not logged yet

	judging sync.Mutex // held while cache.Reject runs; no function of the user runs then

	mu       sync.Mutex               // guards all below; never held during a call or a write
	quiet    time.Time                // until then, the endpoint asked not to be called
	restored bool                     // the offsets of the record have been read
	offsets  map[string]time.Duration // learned by the clock, by origin
	unsaved  bool                     // some of offsets are in no record
	writers  int                      // updates under way
	noted    chan struct{}            // closed when moved's update ends; nil if none
	refused  [][sha256.Size]byte      // fingerprints that servers refused, the latest at the end
}

// prepare checks the fields of the Client and sets the fields that a call needs.
func (f *fetcher) prepare() error {
	c := f.client
	u, err := url.Parse(c.URL)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
		// The text of err repeats the URL, where a password may be.
		return errors.New("provision: Client.URL is not an address: " +
			"set it to the https URL of the provisioning endpoint")
	}
	switch at := origin.Of(u); {
	case u.User != nil:
		return failed(u, transport.ErrUserInfo)
	case at.Scheme != "https" && !at.Loopback():
		return failed(u, transport.ErrPlainHTTP)
	}
	if _, err := http.NewRequest(c.Method, u.String(), nil); err != nil {
		return errMethod
	}
	f.url, f.http = u, new(http.Client)
	if c.HTTP != nil {
		*f.http = *c.HTTP
	}
	t := &transport.Transport{Signer: c.Signer, Base: f.http.Transport, Clock: f.clock}
	if t.Signer == nil {
		t.Signer = unsigned{}
	}
	f.http.Transport = t
	if f.store == nil {
		return nil
	}
	account, known := c.account()
	if !known && c.Name == "" {
		f.store = nil
		f.unnamed.Store(true)
		return nil
	}
	f.place = placeOf(u, account, c.Name)
	f.record = &keep.Record{Store: f.store, Name: f.place.name, Trouble: f.trouble, Works: f.works,
		Began: f.begin, Ended: f.end}
	f.clock.Watch(f.moved)
	return nil
}

var errMethod = errors.New("provision: Client.Method is not a method of HTTP")

// account returns the account that the Signer asks for. It is not known if the request has anything
// else that may tell the endpoint of an account.
func (c *Client) account() (name string, known bool) {
	known = len(c.Header) == 0 && c.Body == nil && (c.HTTP == nil || c.HTTP.Jar == nil)
	if c.Signer == nil {
		return "", known
	}
	// A Signer that wraps another is not unwrapped: it may tell the endpoint of another account.
	if a, ok := c.Signer.(creds.Accounter); ok {
		name = a.Account()
	}
	return name, known && name != ""
}

// unsigned is a Signer that adds nothing. With it, requests without credentials follow the rules of
// the transport too: the answer holds a key, which must not cross the network in clear. It takes no
// refusal as its own, as it signed nothing.
type unsigned struct{}

func (unsigned) Sign(*http.Request, time.Time) error          { return nil }
func (unsigned) Read(*http.Response) (none transport.Refusal) { return none }

// call makes one call for new credentials.
func (f *fetcher) call(ctx context.Context) (*grant, error) {
	req, err := f.request(ctx)
	if err != nil {
		return nil, err
	}
	a, err := fetch.Do(f.http, req)
	if err != nil {
		return nil, failed(f.url, err)
	}
	f.mu.Lock()
	f.quiet = a.Received.Add(a.Wait())
	f.mu.Unlock()
	r, err := replyOf(a.Object)
	if err == nil {
		r.creds.Expires, err = f.expiry(a, r)
	}
	switch {
	case errors.Is(err, creds.ErrExpired):
		return nil, failed(f.url, a.Useless(err))
	case err != nil:
		return nil, failed(f.url, a.Useless(fmt.Errorf("an answer that is of no use: %w", err)))
	}
	return &grant{creds: r.creds, endpoint: r.endpoint, born: time.Now().Round(0)}, nil
}

func (f *fetcher) request(ctx context.Context) (*http.Request, error) {
	c := f.client
	var body io.Reader = http.NoBody
	if c.Body != nil {
		data, err := c.Body(ctx)
		if err != nil {
			return nil, fmt.Errorf("provision: Client.Body: %w", err)
		}
		body = bytes.NewReader(data) // http.NewRequest knows how to read it again
	}
	method := c.Method
	if method == "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, f.url.String(), body)
	if err != nil {
		return nil, errMethod
	}
	if c.Header != nil {
		req.Header = c.Header.Clone()
	}
	if req.Header.Get("Accept") == "" {
		req.Header.Set("Accept", "application/json")
	}
	return req, nil
}

// paused returns a back-off error while the endpoint has asked not to be called and the current
// credentials are still valid.
func (f *fetcher) paused() error {
	last := f.last.Load()
	if !last.valid() || f.wasRefused(last) {
		return nil
	}
	f.mu.Lock()
	until := f.quiet
	f.mu.Unlock()
	if end := last.creds.Expires; !end.IsZero() && end.Before(until) {
		until = end
	}
	if wait := time.Until(until); wait > 0 {
		return failed(f.url, pause(wait))
	}
	return nil
}

// A pause is the error of a renewal that can wait.
type pause time.Duration

func (p pause) Error() string {
	return "not asked: with its last answer, the service asked to be left alone for a while"
}

// Postponed reports to [creds.Cache] that nothing has failed.
func (p pause) Postponed() bool { return true }

// RetryAfter returns the wait, for [creds.Cache].
func (p pause) RetryAfter() time.Duration { return time.Duration(p) }

var (
	_ creds.DelayError     = pause(0)
	_ creds.PostponedError = pause(0)
)

// An endedError is the error for credentials that have already expired.
type endedError struct{ when, advice string }

func (e *endedError) Error() string { return "credentials that have already expired: " + e.when }

// Unwrap returns creds.ErrExpired, the error of a [creds.Cache] for expired credentials.
func (*endedError) Unwrap() error { return creds.ErrExpired }

func utc(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// expiry returns when r ends by the clock of this machine. It adds a lifetime to the time when the
// answer came: the one that the answer states, or else the time between the answer's own date and
// the end, both by the clock of the server.
func (f *fetcher) expiry(a *fetch.Answer, r *reply) (time.Time, error) {
	left := r.left
	if !r.relative {
		end, certain := r.creds.Expires, !r.creds.Expires.IsZero()
		if !certain {
			end, _ = hint(r.creds.ID)
		}
		now, ok := a.Date()
		if !ok {
			now = f.clock.Now(f.url)
		}
		left = end.Sub(now)
		switch {
		case left > 0:
		case !certain:
			return time.Time{}, nil // without a hint, or with a wrong one
		default:
			return time.Time{}, &endedError{
				fmt.Sprintf("at %s, when it was %s there and %s here", utc(end), utc(now),
					utc(a.Received)),
				"compare the clock of the service with that of this machine",
			}
		}
	}
	if left <= 0 {
		return time.Time{}, &endedError{"the moment they were made", "ask for a longer life"}
	}
	return a.Received.Add(min(max(left, minLifetime), maxLifetime)), nil
}
