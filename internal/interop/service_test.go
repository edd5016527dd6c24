package interop

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/countersign-go/countersign"
	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision"
	"github.com/countersign-go/countersign/transport"
)

const (
	user     = "bot"
	password = "correct horse"
	secret   = "V8 JUICE IS 1/8TH GASOLINE" // of tokens, on both sides
)

var algorithms = []string{mac.SHA1, mac.SHA256}

// A service is the real one, with one algorithm.
type service struct {
	url  *url.URL
	base *http.Transport // connects to the service, whatever the URL
}

// startServices runs testdata/server.py, and a TLS proxy in front of each of its services. lifetime
// is how long tokens are valid, in seconds. If it is missing, tokenlib's default applies.
func startServices(t *testing.T, lifetime ...string) map[string]*service {
	t.Helper()
	var urls struct{ SHA1, SHA256 string }
	args := append([]string{secret, user, password}, lifetime...)
	startPeer(t, "server.py", args...).read(t, &urls)
	return map[string]*service{
		mac.SHA1:   newService(t, urls.SHA1),
		mac.SHA256: newService(t, urls.SHA256),
	}
}

func newService(t *testing.T, plain string) *service {
	t.Helper()
	target, err := url.Parse(plain)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // every signing scheme needs this of a TLS terminator
	}})
	t.Cleanup(proxy.Close)
	trusted := proxy.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	base := &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			to := target.Host
			if strings.HasSuffix(addr, ":443") {
				to = proxy.Listener.Addr().String()
			}
			return new(net.Dialer).DialContext(ctx, "tcp", to)
		},
		TLSClientConfig: &tls.Config{RootCAs: trusted},
	}
	t.Cleanup(base.CloseIdleConnections)
	return &service{url: target, base: base}
}

// source returns a source that provisions at the service, and the counter of its calls.
func (s *service) source() (*provision.Client, *counter) {
	calls := &counter{base: s.base}
	return &provision.Client{
		URL:    s.url.String() + "/provision",
		Signer: &basic.Signer{User: user, Password: creds.Secret(password)},
		HTTP:   &http.Client{Transport: calls},
	}, calls
}

// client returns a client that signs with the credentials of source. If clock is nil, the client
// has its own.
func (s *service) client(
	source creds.Source[*mac.Credentials], clock *transport.Clock,
) *http.Client {
	return countersign.NewClient(countersign.Config{
		Signer:  &mac.Signer{Source: source, Dialect: mac.WebOb, Ext: extOf},
		Base:    s.base,
		Origins: append([]string{s.url.String()}, origins...),
		Clock:   clock,
	})
}

// rotate makes the service forget every id, as a restart without a configured secret does.
func (s *service) rotate(t *testing.T) {
	t.Helper()
	resp, err := http.Post(s.url.String()+"/rotate", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	wantStatus(t, resp, http.StatusNoContent)
}

// A counter counts the requests that it passes on, and how many of them are refused.
type counter struct {
	base    http.RoundTripper
	n       atomic.Int32
	refused atomic.Int32
	last    atomic.Pointer[http.Request]
}

func (c *counter) RoundTrip(req *http.Request) (*http.Response, error) {
	c.n.Add(1)
	c.last.Store(req)
	resp, err := c.base.RoundTrip(req)
	if err == nil && resp.StatusCode == http.StatusUnauthorized {
		c.refused.Add(1)
	}
	return resp, err
}
