package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/countersign-go/countersign"
	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision"
	"github.com/countersign-go/countersign/transport"
)

// A client asks a service for lucky numbers.
type client struct {
	service *url.URL
	base    http.RoundTripper // sends the requests; if nil, http.DefaultTransport
	steps   *steps            // records what happens

	store  creds.Store  // keeps the key and the clock for the next run; may be nil
	logger *slog.Logger // records failures of the store; if nil, they are not logged

	clock *transport.Clock
	keys  creds.Source[*mac.Credentials] // nil if the client sends a token
	http  *http.Client
}

func newClient(service *url.URL, base http.RoundTripper, s *steps) *client {
	return &client{
		service: service, base: base, steps: s,
		clock: &transport.Clock{Moved: s.moved},
	}
}

// keysFor returns a source of keys. When a key is needed that is not in the store, the source gets
// one from the service, with the password.
func (c *client) keysFor(user string, password creds.Secret) *provision.Client {
	return &provision.Client{
		URL:    c.service.JoinPath("provision").String(),
		Signer: basic.Signer{User: user, Password: password},
		HTTP:   &http.Client{Transport: c.steps.watchKeys(c.base)},
		Clock:  c.clock, // so that the store keeps its offset
		Store:  c.store,
		Logger: c.logger,
	}
}

// tokensFor returns a source of tokens, which logs in with the password.
func (c *client) tokensFor(user string, password creds.Secret) *bearer.Tokens {
	u := c.service.JoinPath("login").String()
	login := &bearer.Login{
		URL: u, User: user, Password: password,
		HTTP: &http.Client{Transport: c.steps.watchKeys(c.base)},
	}
	return &bearer.Tokens{
		Fetch: login.Token, Store: c.store, Name: user + " at " + u, Logger: c.logger,
	}
}

// signWith makes the http.Client. It signs requests with keys from source.
func (c *client) signWith(source creds.Source[*mac.Credentials]) {
	c.keys = source
	c.signBy(&mac.Signer{Source: source})
}

// signBy makes the http.Client. It signs requests with s.
func (c *client) signBy(s transport.Signer) {
	c.http = countersign.NewClient(countersign.Config{
		Signer: s,
		Base:   c.steps.watchSigned(c.base),
		Clock:  c.clock,
		// Report a failure at once: a person is waiting for the result.
		Retries: -1,
	})
	c.http.Timeout = 30 * time.Second
}

// ask returns the service's text for today.
func (c *client) ask(ctx context.Context) (string, error) {
	text, err := c.send(ctx, http.MethodGet, c.service)
	return strings.TrimSpace(string(text)), err
}

// send returns the body of the answer to one request.
func (c *client) send(ctx context.Context, method string, u *url.URL) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, u.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	c.steps.tell(resp)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNoContent {
		return nil, &refusedError{resp.StatusCode, transport.History(resp), resp.Request}
	}
	const enough = 64 << 10
	return io.ReadAll(io.LimitReader(resp.Body, enough))
}

// A refusedError is the error for an answer without the number.
type refusedError struct {
	status  int
	history []transport.Attempt // the attempts; nil if none was possible
	request *http.Request       // the last request that was sent
}

func (e *refusedError) Error() string {
	if e.history == nil {
		return fmt.Sprintf("the service answered %d %s", e.status, http.StatusText(e.status))
	}
	var tried []string
	for _, attempt := range e.history {
		tried = append(tried, attempt.String())
	}
	return "the service refused: " + strings.Join(tried, "; then ")
}

// last returns the attempt whose answer the caller got.
func (e *refusedError) last() transport.Attempt {
	if e.history == nil {
		return transport.Attempt{Status: e.status}
	}
	return e.history[len(e.history)-1]
}
