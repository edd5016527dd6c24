package authtest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/jwt"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision"
)

// A Service is a signed service for the tests of its clients. It verifies MACs and tokens as the
// real one does, issues credentials, and misbehaves as [Service.Set] demands.
//
// Most tests use it as an [http.RoundTripper] in place of the network: requests to any host reach
// it, with https or without. It opens no socket and waits only by package time. So it works in a
// bubble of testing/synctest, where hours take no time. It is an [http.Handler], too;
// [Service.Server] listens on a socket.
//
//	POST /provision   MAC credentials for User and Password, sent as HTTP Basic
//	POST /token       a bearer token for the same, as Basic or as a form
//	anything else     Handler, for requests with a MAC or a token
//
// Do not change the fields after the first use. Do not copy a Service. It is safe for concurrent
// use.
type Service struct {
	// Handler answers authenticated requests; auth.FromContext tells it the client's identity. If
	// nil, the answer is a greeting.
	Handler http.Handler

	// User and Password are the login for which credentials are issued. [NewService] sets User to
	// alice and Password to a random one.
	User     string
	Password creds.Secret

	// Lifetime is how long issued credentials are valid, in whole seconds. Tokens of [Service.JWT]
	// have their signer's lifetime instead. If zero, an hour.
	Lifetime time.Duration

	// Dialect is the dialect of requests with a MAC: mac.Draft01, or mac.WebOb for programs that
	// talk to services in Python.
	Dialect mac.Dialect

	t    testing.TB
	once sync.Once
	rest *core // a pointer, so that package fmt does not print its content
}

// NewService returns a service for the duration of a test.
func NewService(t testing.TB) *Service {
	return &Service{User: "alice", Password: creds.Secret(rand.Text()), t: t}
}

// Format writes the user's name under every verb.
func (s *Service) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "{User:%q}", s.User) }

func (s *Service) core() *core {
	s.once.Do(func() { s.rest = newCore(s.Lifetime) })
	return s.rest
}

// Set makes s misbehave as f describes, and drops all earlier faults. The Times of f, its
// RevokeInFlight and its GlitchRequests count from this call. ExpireAfter and LagRequests count the
// uses of each set of credentials since it was issued, including uses before this call.
func (s *Service) Set(f Faults) {
	c := s.core()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults, c.inFlight, c.glitches = f, f.RevokeInFlight, f.GlitchRequests
	c.requests, c.provisionings = 0, 0
}

// Revoke revokes all credentials that were issued until now. It also revokes tokens that a client
// made itself ([Service.JWT]), if s has seen them.
func (s *Service) Revoke() {
	c := s.core()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, g := range c.grants {
		g.revoked = true
	}
}

// address is the URL of the endpoints for credentials. Any other host would do.
const address = "https://authtest.example"

// Provisioner returns a source of MAC credentials for a mac.Signer: a client of /provision that
// sends its requests to s. Its other fields, such as Clock and Store, may be set before it is used.
func (s *Service) Provisioner() *provision.Client {
	return &provision.Client{
		URL:    address + "/provision",
		Signer: &basic.Signer{User: s.User, Password: s.Password},
		HTTP:   &http.Client{Transport: s},
	}
}

// Tokens returns a source of bearer tokens for a bearer.Signer: a client of /token that sends its
// requests to s. Its other fields may be set before it is used.
func (s *Service) Tokens() *bearer.Tokens {
	login := &bearer.Login{
		URL: address + "/token", User: s.User, Password: s.Password,
		HTTP: &http.Client{Transport: s},
	}
	return &bearer.Tokens{Fetch: login.Token}
}

// JWT returns a signer that makes tokens for User itself, with a key that s knows.
func (s *Service) JWT() *jwt.Signer { return s.core().newJWT(s.User) }

// Server returns a server that listens on a socket of the loopback interface and passes requests to
// s. It is closed at the end of the test. Do not call it in a bubble of testing/synctest: there, a
// goroutine that waits for a socket does not count as idle.
func (s *Service) Server() *httptest.Server {
	server := httptest.NewServer(s)
	s.t.Cleanup(server.Close)
	return server
}

var errNoURL = errors.New("authtest: the request has no URL")

// RoundTrip answers like a connection to s.
func (s *Service) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL == nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, errNoURL
	}
	resp, err := s.answer(received(req))
	if err != nil {
		return nil, err
	}
	if b, ok := resp.Body.(*streamBody); ok {
		b.start()
	}
	resp.Request = req
	return resp, nil
}

// ServeHTTP answers req. If RoundTrip would return an error, ServeHTTP panics with
// [http.ErrAbortHandler], which closes the connection.
func (s *Service) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	resp, err := s.answer(req)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer resp.Body.Close()
	maps.Copy(w.Header(), resp.Header)
	early, isEarly := resp.Body.(*streamBody)
	if isEarly {
		// Otherwise a handler that has begun to answer over HTTP/1 cannot read on.
		_ = http.NewResponseController(w).EnableFullDuplex()
	}
	w.WriteHeader(resp.StatusCode)
	var to io.Writer = w
	if _, drips := resp.Body.(*drip); drips || isEarly {
		to = flushing{w}
	}
	if isEarly {
		_ = http.NewResponseController(w).Flush()
		early.start()
	}
	_, _ = io.Copy(to, resp.Body)
}
