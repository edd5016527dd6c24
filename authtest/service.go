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

// A Service is a signed service for the tests of programs that use one. It verifies MACs and
// tokens as the real one does, hands out credentials, and misbehaves when [Service.Set] says so.
//
// It is an [http.RoundTripper], which takes the place of the network: requests to any host reach
// it, https or not. It opens no socket and waits by package time alone, so that it works in a
// bubble of testing/synctest, where hours take no time. It is an [http.Handler] as well, and
// [Service.Server] listens on a socket where a test needs one.
//
//	POST /provision   MAC credentials for User and Password, sent as HTTP Basic
//	POST /token       a bearer token for the same, as Basic or as a form
//	anything else     Handler, for requests with a MAC or a token
//
// The fields must not be changed after the first use. A Service must not be copied; it is safe for
// concurrent use.
type Service struct {
	// Handler answers who is known; auth.FromContext tells it who that is. nil: it says hello to
	// them.
	Handler http.Handler

	// User and Password are who gets credentials. [NewService] sets them to alice, and a random
	// one.
	User     string
	Password creds.Secret

	// Lifetime is that of all credentials that are handed out, in whole seconds: tokens of
	// [Service.JWT] have that of their signer. 0: an hour.
	Lifetime time.Duration

	// Dialect is how requests with a MAC are read: mac.Draft01, or mac.WebOb for programs that talk
	// to services in Python.
	Dialect mac.Dialect

	t    testing.TB
	once sync.Once
	rest *core // a pointer, so that package fmt does not read it
}

// NewService returns a service for the time of a test.
func NewService(t testing.TB) *Service {
	return &Service{User: "alice", Password: creds.Secret(rand.Text()), t: t}
}

// Format writes the user's name, whatever the verb.
func (s *Service) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "{User:%q}", s.User) }

func (s *Service) core() *core {
	s.once.Do(func() { s.rest = newCore(s.Lifetime) })
	return s.rest
}

// Set has s misbehave like f from now on, and in no other way. The Times of f, its RevokeInFlight
// and its GlitchRequests count from now on. ExpireAfter and LagRequests count the uses of each set
// of credentials since it was handed out, before this call too.
func (s *Service) Set(f Faults) {
	c := s.core()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults, c.inFlight, c.glitches = f, f.RevokeInFlight, f.GlitchRequests
	c.requests, c.provisionings = 0, 0
}

// Revoke withdraws all credentials that were handed out until now. Tokens that a client made itself
// ([Service.JWT]) count if they were seen.
func (s *Service) Revoke() {
	c := s.core()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, g := range c.grants {
		g.revoked = true
	}
}

// address is where credentials come from. Any other host would do.
const address = "https://authtest.example"

// Provisioner returns a source of MAC credentials, for a mac.Signer: a client of /provision that
// sends by s. Its other fields, such as Clock and Store, may be set before it is used.
func (s *Service) Provisioner() *provision.Client {
	return &provision.Client{
		URL:    address + "/provision",
		Signer: &basic.Signer{User: s.User, Password: s.Password},
		HTTP:   &http.Client{Transport: s},
	}
}

// Tokens returns a source of bearer tokens, for a bearer.Signer: a client of /token that sends by
// s. Its other fields may be set before it is used.
func (s *Service) Tokens() *bearer.Tokens {
	login := &bearer.Login{
		URL: address + "/token", User: s.User, Password: s.Password,
		HTTP: &http.Client{Transport: s},
	}
	return &bearer.Tokens{Fetch: login.Token}
}

// JWT returns a signer that makes tokens itself, with a key that s knows, for User.
func (s *Service) JWT() *jwt.Signer { return s.core().newJWT(s.User) }

// Server returns s behind a socket of the loopback interface. It is closed at the end of the test.
// It must not be called in a bubble of testing/synctest, since waiting for a socket is not idle
// there.
func (s *Service) Server() *httptest.Server {
	server := httptest.NewServer(s)
	s.t.Cleanup(server.Close)
	return server
}

var errNoURL = errors.New("authtest: the request has no URL")

// RoundTrip answers as a connection to s would.
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

// ServeHTTP answers req. What RoundTrip returns as an error closes the connection, by a panic with
// [http.ErrAbortHandler].
func (s *Service) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	resp, err := s.answer(req)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer resp.Body.Close()
	maps.Copy(w.Header(), resp.Header)
	early, isEarly := resp.Body.(*streamBody)
	if isEarly {
		// Over HTTP/1, a handler that has begun to answer cannot read on otherwise.
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
