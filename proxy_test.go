package countersign_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/countersign-go/countersign"
	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/jwt"
	"github.com/countersign-go/countersign/provision"
	"github.com/countersign-go/countersign/transport"
)

// byProxy returns a Base with a proxy at host, and a counter of its connections. All connections go
// to server.
func byProxy(t *testing.T, host string, server *httptest.Server) (*http.Transport, *int) {
	dials := new(int)
	base := &http.Transport{
		Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: host}),
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			*dials++
			return new(net.Dialer).DialContext(ctx, "tcp", server.Listener.Addr().String())
		},
	}
	t.Cleanup(base.CloseIdleConnections)
	return base, dials
}

// wrongProxy returns a server that answers in place of a proxy. Its clock is two days ahead.
func wrongProxy(t *testing.T) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(48*time.Hour).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(s.Close)
	return s
}

// No credentials are sent to a loopback host over plain http if a proxy on another machine could
// read them, and no answer by way of that proxy is believed.
func TestLoopbackByProxy_S6(t *testing.T) {
	server := wrongProxy(t)
	const at = "http://localhost:9/x"
	for name, signer := range redirectSigners {
		for shape, wrap := range map[string]func(countersign.Config) *http.Client{
			"plain": countersign.NewClient,
			"without retries": func(c countersign.Config) *http.Client {
				c.Retries = -1
				return countersign.NewClient(c)
			},
			"around a signing client": func(c countersign.Config) *http.Client {
				b := c.Base
				c.Base = nil
				return countersign.Wrap(countersign.NewClient(countersign.Config{Base: b,
					Origins: []string{"http://localhost:9"}, Signer: transport.SignerFunc(
						func(*http.Request, time.Time) error { return nil })}), c)
			},
		} {
			base, dials := byProxy(t, "proxy.example:3128", server)
			resp, err := wrap(countersign.Config{Signer: signer(), Base: base}).Get(at)
			if !errors.Is(err, transport.ErrPlainHTTP) || *dials != 0 {
				t.Errorf("%s, %s: %v, %v, %d connections", name, shape, resp, err, *dials)
			}
		}
	}

	base, dials := byProxy(t, "proxy.example:3128", server)
	client := &http.Client{Transport: base}
	_, err := (&provision.Client{URL: at, HTTP: client}).Credentials(t.Context())
	if !errors.Is(err, transport.ErrPlainHTTP) || *dials != 0 {
		t.Errorf("provision.Client: %v, %d connections", err, *dials)
	}
	login := &bearer.Login{URL: at, HTTP: client, User: "u", Password: creds.Secret(redirectSecret)}
	for _, cookie := range []string{"", "session"} {
		login.Cookie = cookie
		if _, err := login.Token(t.Context(), nil); err == nil || *dials != 0 {
			t.Errorf("bearer.Login: %v, %d connections", err, *dials)
		}
	}
	keys := &jwt.JWKS{URL: at, HTTP: client}
	if _, err := keys.VerificationKey(t.Context(), "k"); err == nil || *dials != 0 {
		t.Errorf("jwt.JWKS: %v, %d connections", err, *dials)
	}
}

// By way of a proxy on this machine, requests to loopback hosts are signed. Requests to a loopback
// origin that the user lists are signed by way of any proxy, but the answers are not believed, as
// over other plain http.
func TestLoopbackByProxyBelieved_S6(t *testing.T) {
	server := wrongProxy(t)
	dated := transport.SignerFunc(func(req *http.Request, now time.Time) error {
		req.Header.Set("Authorization", "Dated "+now.String())
		return nil
	})
	for proxy, want := range map[string]int{"127.0.0.1:3128": 2, "proxy.example:3128": 1} {
		base, _ := byProxy(t, proxy, server)
		resp, err := countersign.NewClient(countersign.Config{Base: base, Signer: dated,
			Origins: []string{"http://localhost:9"}}).Get("http://localhost:9/x")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if h := transport.History(resp); len(h) != want {
			t.Errorf("%s: %v, want %d attempts", proxy, h, want)
		}
	}
}
