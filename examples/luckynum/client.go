package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/countersign-go/countersign"
	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision"
	"github.com/countersign-go/countersign/transport"
)

// A client asks a service for lucky numbers.
type client struct {
	service *url.URL
	base    http.RoundTripper // what sends the requests; nil: the network
	steps   *steps            // is told what happens

	http *http.Client
}

// keysFor returns a source of keys. Whenever one is needed, it gets that from the service, for the
// password.
func (c *client) keysFor(user string, password creds.Secret) *provision.Client {
	return &provision.Client{
		URL:    c.service.JoinPath("provision").String(),
		Signer: basic.Signer{User: user, Password: password},
		HTTP:   &http.Client{Transport: c.steps.watchKeys(c.base)},
	}
}

// signWith makes the http.Client, whose requests are signed with keys from source.
func (c *client) signWith(source creds.Source[*mac.Credentials]) {
	c.http = countersign.NewClient(countersign.Config{
		Signer: &mac.Signer{Source: source},
		Base:   c.steps.watchSigned(c.base),
		Clock:  &transport.Clock{Moved: c.steps.moved},
	})
	c.http.Timeout = 30 * time.Second
}

// ask returns what the service says today.
func (c *client) ask(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.service.String(), http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := c.http.Do(req)
	c.steps.tell(resp)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", &refusedError{resp.StatusCode, transport.History(resp)}
	}
	const enough = 1 << 10
	text, err := io.ReadAll(io.LimitReader(resp.Body, enough))
	return strings.TrimSpace(string(text)), err
}

// A refusedError is an answer that holds no lucky number.
type refusedError struct {
	status  int
	history []transport.Attempt // what was tried; nil: nothing could be
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

// last is the attempt that the caller got the answer of.
func (e *refusedError) last() transport.Attempt {
	if e.history == nil {
		return transport.Attempt{Status: e.status}
	}
	return e.history[len(e.history)-1]
}
