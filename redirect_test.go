package countersign_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/countersign-go/countersign"
	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/jwt"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision"
	"github.com/countersign-go/countersign/transport"
)

const redirectSecret = "canary-r3d1r3ct0"

// ownUser is the user in one of the locations below, as Basic credentials.
var ownUser = base64.StdEncoding.EncodeToString([]byte("desk.api.example:"))

// lookalikes are the hosts of servers, and addresses that a redirect may name instead: other
// spellings of the host by the rules of Unicode, IDNA, URLs or DNS. An attacker may own each of
// them, unless net/http connects to it as it connects to the host.
var lookalikes = []struct {
	host      string
	locations []string
}{
	{"desk.api.example", []string{
		"https://desk.ap\u0130.example/x", // I with a dot, i in lower case to Unicode
		"https://desk.ap%C4%B0.example/x",
		"https://desk.ap%c4%b0.example/x",
		"https://DESK.AP\u0130.EXAMPLE/x",
		"https://desk.ap\u0130.example:443/x",
		"//desk.ap\u0130.example/x",
		"//desk.ap%C4%B0.example/x",
		"https://desk.ap\u0131.example/x", // i without a dot
		"https://desk.ap%C4%B1.example/x",
		"https://desk.api\u0307.example/x", // the two runes that IDNA makes of U+0130
		"https://desk.xn--api-bec.example/x",
		"https://des\u212a.api.example/x", // Kelvin sign, k to both
		"https://des%E2%84%AA.api.example/x",
		"https://de\u017fk.api.example/x", // long s, s to both
		"https://de%C5%BFk.api.example/x",
		"https://desk\u3002api.example/x", // full stops of other scripts
		"https://desk%E3%80%82api.example/x",
		"https://desk\uff0eapi.example/x",
		"https://desk\uff61api.example/x",
		"https://desk.\uff41pi.example/x", // fullwidth a
		"https://desk.\u00aapi.example/x", // ordinal indicator
		"https://desk.\u24d0pi.example/x", // circled a
		"https://desk.\U0001d41api.example/x",
		"https://desk.a\u0440i.example/x", // Cyrillic er
		"https://desk.\u0430pi.example/x", // Cyrillic a
		"https://desk.%D0%B0pi.example/x",
		"https://desk.\u03b1pi.example/x",    // Greek alpha
		"https://desk.api\u00ad.example/x",   // soft hyphen
		"https://desk.api\u200b.example/x",   // zero width space
		"https://desk.api\u200d.example/x",   // zero width joiner
		"https://desk.api\u2060.example/x",   // word joiner
		"https://desk.api.example\ufe0f/x",   // variation selector
		"https://desk.api.example%C2%A0/x",   // no-break space
		"https://desk.api.example%FF/x",      // not UTF-8
		"https://desk.api.example\uff0f.x/x", // fullwidth solidus
		"https://desk.api.example./x",
		"https://x.desk.api.example/x",
		"https://api.example/x",
		"https://desk.api.example:8443/x",
		"https://desk.api.example:0443/x",
		"http://desk.api.example/x",
		"http://desk.ap\u0130.example/x",
		"http://desk.api.example:443/x",
		"https://desk.api.example@evil.example/x",
		"https://evil.example/desk.api.example",
		"https://desk.api.example.evil.example/x",
	}},
	{"ap\u04cf.example", []string{ // Cyrillic palochka
		"https://ap\u04c0.example/x", "https://ap%D3%80.example/x",
	}},
	{"ap\u2d0b.example", []string{ // Georgian man, of the Nuskhuri alphabet
		"https://ap\u10ab.example/x", "https://ap%E1%82%AB.example/x",
	}},
	{"ap\u214e.example", []string{ // turned f
		"https://ap\u2132.example/x", "https://ap%E2%84%B2.example/x",
	}},
	{"stra\u00dfe.example", []string{ // sharp s
		"https://stra\u1e9ee.example/x", "https://strasse.example/x",
	}},
}

var redirectStatuses = []int{301, 302, 303, 307, 308}

// A twoServers is a network in which one address belongs to a server that redirects, and all others
// to an attacker. Connections are pipes; net/http chooses the addresses.
type twoServers struct {
	host     string
	base     *http.Transport
	address  string // of the server
	conns    chan net.Conn
	attacker chan net.Conn
	closed   chan struct{}

	mu      sync.Mutex // guards the fields below
	trusted []string   // the credentials of requests to the server
	leaked  []string   // the credentials of requests to the attacker
	stolen  int        // requests that reached the attacker
}

func newTwoServers(t *testing.T, host string) *twoServers {
	n := &twoServers{host: host, conns: make(chan net.Conn), attacker: make(chan net.Conn),
		closed: make(chan struct{})}
	n.base = &http.Transport{DialContext: n.dial, DialTLSContext: n.dial, MaxIdleConns: 8}
	servers := []*http.Server{
		{Handler: http.HandlerFunc(n.redirect)}, {Handler: http.HandlerFunc(n.steal)}}
	var serving sync.WaitGroup
	for i, conns := range []chan net.Conn{n.conns, n.attacker} {
		serving.Go(func() { _ = servers[i].Serve(&pipeListener{conns, n.closed}) })
	}
	t.Cleanup(func() {
		n.base.CloseIdleConnections()
		for _, s := range servers {
			_ = s.Close()
		}
		serving.Wait()
	})
	resp, err := (&http.Client{Transport: n.base}).Get("https://" + host + "/x")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return n
}

// dial treats the first address as the server's.
func (n *twoServers) dial(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	if n.address == "" {
		n.address = address
	}
	to := n.attacker
	if strings.EqualFold(address, n.address) && len(address) == len(n.address) {
		to = n.conns
	}
	n.mu.Unlock()
	ours, theirs := net.Pipe()
	select {
	case to <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// secretsOf returns the names of the fields that hold credentials, and "body" if the body does.
func secretsOf(req *http.Request) string {
	body, _ := io.ReadAll(req.Body)
	var found []string
	for _, name := range []string{"Authorization", "X-Token", "Cookie"} {
		// net/http makes Basic credentials of a user in the Location. Those are the attacker's own.
		if v := req.Header.Get(name); v != "" && v != "Basic "+ownUser {
			found = append(found, name)
		}
	}
	if bytes.Contains(body, []byte(redirectSecret)) {
		found = append(found, "body")
	}
	return strings.Join(found, ", ")
}

func (n *twoServers) redirect(w http.ResponseWriter, req *http.Request) {
	carried := secretsOf(req)
	n.mu.Lock()
	n.trusted = append(n.trusted, carried)
	n.mu.Unlock()
	if to := req.URL.Query().Get("to"); to != "" {
		w.Header()["Location"] = []string{to} // http.Redirect would escape it
		status, _ := strconv.Atoi(req.URL.Query().Get("status"))
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Set-Cookie", "session=theirs")
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, answerOf("theirs"))
}

// steal refuses a request without the attacker's own login, so that the client may send the
// credentials after all.
func (n *twoServers) steal(w http.ResponseWriter, req *http.Request) {
	carried := secretsOf(req)
	n.mu.Lock()
	n.stolen++
	if carried != "" {
		n.leaked = append(n.leaked, carried)
	}
	n.mu.Unlock()
	if req.Header.Get("Accept") == "" {
		for _, scheme := range []string{"MAC", `Basic realm="x"`, `Bearer error="invalid_token"`} {
			w.Header().Add("WWW-Authenticate", scheme)
		}
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.Header().Set("Set-Cookie", "session=attackers")
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, answerOf("attackers"))
}

// answerOf returns a body that is a valid answer to a login, to a request for credentials and to a
// request for keys.
func answerOf(id string) string {
	number := base64.RawURLEncoding.EncodeToString(redirectKey().N.Bytes())
	exponent := base64.RawURLEncoding.EncodeToString(big.NewInt(int64(redirectKey().E)).Bytes())
	return fmt.Sprintf(`{"id": %q, "key": "a-key-of-this-answer", "access_token": %q,
		"keys": [{"kty": "RSA", "kid": %q, "alg": "RS256", "n": %q, "e": %q}]}`,
		id, id, id, number, exponent)
}

var redirectKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func (n *twoServers) url(status int, to string) string {
	return "https://" + n.host + "/go?status=" + strconv.Itoa(status) + "&to=" + url.QueryEscape(to)
}

// take returns the requests that were seen since the last call.
func (n *twoServers) take() (trusted, leaked []string, stolen int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	trusted, leaked, stolen = n.trusted, n.leaked, n.stolen
	n.trusted, n.leaked, n.stolen = nil, nil, 0
	return trusted, leaked, stolen
}

type pipeListener struct {
	conns  <-chan net.Conn
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	defer func() { _ = recover() }()
	close(l.closed)
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// redirectSigners holds a Signer for each scheme, and for each part of a request that can hold
// credentials.
var redirectSigners = map[string]func() transport.Signer{
	"mac": func() transport.Signer {
		return &mac.Signer{Source: &mac.Credentials{ID: "id", Key: creds.Secret(redirectSecret)}}
	},
	"basic": func() transport.Signer {
		return basic.Signer{User: "ann", Password: creds.Secret(redirectSecret)}
	},
	"bearer": func() transport.Signer {
		return &bearer.Signer{Source: bearer.StaticToken(creds.Secret(redirectSecret))}
	},
	"bearer in a field": func() transport.Signer {
		return &bearer.Signer{Header: "X-Token",
			Source: bearer.StaticToken(creds.Secret(redirectSecret))}
	},
	"bearer in a cookie": func() transport.Signer {
		return &bearer.Signer{Cookie: "session",
			Source: bearer.StaticToken(creds.Secret(redirectSecret))}
	},
	"JWT": func() transport.Signer {
		return &jwt.Signer{Method: "HS256", Key: creds.Secret(redirectSecret + redirectSecret +
			redirectSecret)}
	},
	"JWT in a cookie": func() transport.Signer {
		return &jwt.Signer{Method: "HS256", Cookie: "session",
			Key:    creds.Secret(redirectSecret + redirectSecret + redirectSecret),
			Claims: func(*http.Request) (map[string]any, error) { return map[string]any{}, nil }}
	},
}

// No credentials of any scheme reach a server at an address to which net/http does not connect for
// the caller's URL, wherever a redirect leads.
func TestRedirectsToLookalikes_B1(t *testing.T) {
	var sum struct{ redirects, reached, leaks int }
	for _, l := range lookalikes {
		n := newTwoServers(t, l.host)
		n.take()
		for name, signer := range redirectSigners {
			if name == "mac" && l.host != "desk.api.example" {
				continue // this scheme does not sign for hosts that are not ASCII
			}
			for _, origins := range [][]string{nil, {"https://" + l.host}} {
				client := countersign.NewClient(countersign.Config{
					Signer: signer(), Base: n.base, Origins: origins, Retries: -1})
				for _, status := range redirectStatuses {
					for _, method := range []string{"GET", "POST"} {
						trusted, _, _ := n.follow(t, client, method, status, "/x")
						if len(trusted) != 2 || trusted[1] == "" {
							t.Fatalf("%s: within the origin, the server was sent %q", name, trusted)
						}
						for _, location := range l.locations {
							_, leaked, stolen := n.follow(t, client, method, status, location)
							sum.redirects++
							sum.reached += min(stolen, 1)
							if len(leaked) == 0 {
								continue
							}
							if sum.leaks++; sum.leaks <= 20 {
								t.Errorf("%s, Origins %q: %s, %d to %+q: the attacker was sent %q",
									name, origins, method, status, location, leaked)
							}
						}
					}
				}
			}
		}
	}
	t.Logf("figure 7: %d redirects, %d leaks (%d reached the attacker)",
		sum.redirects, sum.leaks, sum.reached)
	if sum.redirects < 6000 || sum.reached < 4000 {
		t.Errorf("%d redirects, of which %d reached the attacker", sum.redirects, sum.reached)
	}
}

func (n *twoServers) follow(
	t *testing.T, client *http.Client, method string, status int, location string,
) (trusted, leaked []string, stolen int) {
	t.Helper()
	req, err := http.NewRequest(method, n.url(status, location), nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := client.Do(req); err == nil {
		_ = resp.Body.Close()
	}
	return n.take()
}

// asks holds the calls that send a secret to an endpoint, or believe its answer. Each returns which
// server's answer it accepted.
var asks = map[string]func(n *twoServers, endpoint string) string{
	"provision.Client": func(n *twoServers, endpoint string) string {
		c := &provision.Client{URL: endpoint, HTTP: &http.Client{Transport: n.base},
			Signer: basic.Signer{User: "ann", Password: creds.Secret(redirectSecret)},
			Body: func(context.Context) ([]byte, error) {
				return []byte("secret=" + redirectSecret), nil
			}}
		if c, err := c.Credentials(context.Background()); err == nil {
			return c.ID
		}
		return ""
	},
	"bearer.Login": func(n *twoServers, endpoint string) string {
		l := &bearer.Login{URL: endpoint, HTTP: &http.Client{Transport: n.base}, User: "ann",
			Password: creds.Secret(redirectSecret)}
		if token, err := l.Token(context.Background(), nil); err == nil {
			return token.AccessToken
		}
		return ""
	},
	"bearer.Login for a cookie": func(n *twoServers, endpoint string) string {
		l := &bearer.Login{URL: endpoint, HTTP: &http.Client{Transport: n.base}, User: "ann",
			Password: creds.Secret(redirectSecret), Cookie: "session"}
		if token, err := l.Token(context.Background(), nil); err == nil {
			return token.AccessToken
		}
		return ""
	},
	"jwt.JWKS": func(n *twoServers, endpoint string) string {
		s := &jwt.JWKS{URL: endpoint, HTTP: &http.Client{Transport: n.base}}
		for _, id := range []string{"theirs", "attackers"} {
			if key, err := s.VerificationKey(context.Background(), id); err == nil && key != nil {
				return id
			}
		}
		return ""
	},
}

// No password reaches such a server, and no client takes its answer for the endpoint's.
func TestEndpointsRedirectedToLookalikes_B1(t *testing.T) {
	redirects, leaks, taken, followed := 0, 0, 0, 0
	for _, l := range lookalikes {
		n := newTwoServers(t, l.host)
		n.take()
		for name, ask := range asks {
			for _, location := range append([]string{"/x"}, l.locations...) {
				for _, status := range redirectStatuses {
					id := ask(n, n.url(status, location))
					if location == "/x" {
						followed += len(id) / len("theirs")
						n.take()
						continue
					}
					redirects++
					_, leaked, _ := n.take()
					if len(leaked) > 0 {
						leaks++
						t.Errorf("%s, %d to %+q: the attacker was sent %q", name, status, location,
							leaked)
					}
					if id == "attackers" {
						taken++
						t.Errorf("%s, %d to %+q: the attacker's answer was taken", name, status,
							location)
					}
				}
			}
		}
	}
	t.Logf("figure 8: %d redirects, %d leaks, %d answers of the attacker taken",
		redirects, leaks, taken)
	if redirects < 1000 || followed < 10 {
		t.Errorf("%d redirects, and %d within the origin were followed", redirects, followed)
	}
}
