// Package schemetest holds the rules that every authentication scheme is tested against. The tests
// of a scheme, of this module or of any other, call [Run] with its two directions:
//
//	func TestScheme(t *testing.T) {
//		schemetest.Run(t, schemetest.Pair{
//			New: func(*testing.T) (transport.Signer, auth.Authenticator) {
//				return &Signer{Key: key}, &Verifier{Key: key}
//			},
//			Covers: schemetest.CoverMethod | schemetest.CoverTarget,
//		})
//	}
package schemetest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/transport"
)

// A Part is a part of a request that a scheme may cover, so that the server notices any change of
// it. Parts combine by |.
type Part uint

// The parts that a scheme may cover.
const (
	CoverMethod Part = 1 << iota
	CoverTarget      // path and query
	CoverHost        // with its port
	CoverBody
)

// A Pair is the signer and the verifier of a scheme, as [Run] tests them.
type Pair struct {
	// New returns a signer, and an authenticator that accepts the requests that the signers of all
	// calls sign. It is called several times, and many goroutines use its results at once.
	New func(t *testing.T) (transport.Signer, auth.Authenticator)

	// Covers are the parts of a request that the credentials protect. The fields that the signer
	// sets are always checked.
	Covers Part

	// Fixed means that the credentials are sent unchanged with every request, so that two requests
	// may be the same.
	Fixed bool

	// Secrets are the texts that must appear in no output. If empty, that is not checked.
	Secrets []string
}

// Run checks p in subtests of t, each named after the rule that it checks.
func Run(t *testing.T, p Pair) {
	t.Run("accepts its own", p.accepts)
	t.Run("leaves other schemes alone", p.leavesOthers)
	t.Run("refuses each changed byte of what it set", p.refusesChangedFields)
	t.Run("refuses each changed byte of what it covers", p.refusesChangedParts)
	t.Run("two requests never look alike", p.neverAlike)
	t.Run("leaves the caller's request alone", p.leavesRequest)
	t.Run("may be used concurrently", p.concurrent)
	t.Run("keeps its secrets", p.keepsSecrets)
	t.Run("stays with the origin", p.staysAtOrigin)
}

const body = "the body of the request"

// shapes returns requests that a scheme must be able to sign, one of each kind that has caused
// trouble in a scheme.
func shapes(t *testing.T) []*http.Request {
	var all []*http.Request
	for _, shape := range []struct{ method, url, body string }{
		{"GET", "https://api.example.com/v1/items?limit=10&offset=20", ""},
		{"GET", "https://api.example.com", ""},
		{"GET", "https://api.example.com:8443/?", ""},
		{"HEAD", "https://api.example.com/a%20b?q=%2F", ""},
		{"GET", "http://localhost:8080/caf%C3%A9?q=a+b&q=%c3%a9", ""},
		{"GET", "http://[::1]:8080/a?a=1&a=2;b", ""},
		{"POST", "https://api.example.com/items", body},
		{"PUT", "https://API.example.com/items/1", body},
		{"DELETE", "https://api.example.com/items/1", ""},
		{"PATCH", "https://api.example.com/items/1", body},
	} {
		all = append(all, request(t, shape.method, shape.url, shape.body))
	}
	return all
}

func request(t *testing.T, method, url, body string) *http.Request {
	t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, r)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func sign(t *testing.T, s transport.Signer, req *http.Request) {
	t.Helper()
	if err := s.Sign(req, time.Now()); err != nil {
		t.Fatalf("sign %s %s: %v", req.Method, req.URL, err)
	}
}

// wire returns the bytes of req as sent.
func wire(t *testing.T, req *http.Request) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := req.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// receive reads a request as a server of plain http does, and asks a about it. Bytes that are not a
// request are refused too, and so is a request whose body ends in an error.
func receive(t *testing.T, a auth.Authenticator, sent []byte) (*auth.Identity, error) {
	t.Helper()
	return receiveOver(t, a, sent, nil)
}

// receiveOver does so for a connection with this TLS state.
func receiveOver(t *testing.T, a auth.Authenticator, sent []byte, state *tls.ConnectionState) (
	*auth.Identity, error) {
	t.Helper()
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(sent)))
	if err != nil {
		return nil, err
	}
	req = req.WithContext(t.Context())
	req.TLS = state
	id, err := a.Authenticate(req)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, req.Body)
	return id, err
}

func (p Pair) accepts(t *testing.T) {
	for _, req := range shapes(t) {
		var state *tls.ConnectionState
		if req.URL.Scheme == "https" {
			state = &tls.ConnectionState{HandshakeComplete: true, Version: tls.VersionTLS13}
		}
		signer, authenticator := p.New(t)
		sign(t, signer, req)
		id, err := receiveOver(t, authenticator, wire(t, req), state)
		if err != nil || id == nil || id.Subject == "" || id.Scheme == "" {
			t.Errorf("%s %s: got %v, %v; want an identity with Subject and Scheme",
				req.Method, req.URL, id, err)
		}
	}
}

func (p Pair) leavesOthers(t *testing.T) {
	for _, field := range []string{"", "Unheard-Of abc", `Unheard-Of id="1", mac="2"`} {
		_, authenticator := p.New(t)
		req := request(t, "GET", "http://localhost/", "")
		if field != "" {
			req.Header.Set("Authorization", field)
		}
		if id, err := receive(t, authenticator, wire(t, req)); !errors.Is(err, auth.ErrNone) {
			t.Errorf("Authorization %q: got %v, %v; want ErrNone", field, id, err)
		}
	}
}

// signed returns the bytes of a signed request as sent, and the texts of the fields that the signer
// has set.
func (p Pair) signed(t *testing.T) (sent []byte, fields []string) {
	signer, _ := p.New(t)
	req := request(t, "POST", "http://localhost:8080/items/7?limit=10&q=%2F", body)
	before := req.Header.Clone()
	sign(t, signer, req)
	for name, values := range req.Header {
		if !reflect.DeepEqual(values, before[name]) {
			for _, value := range values {
				fields = append(fields, name+": "+value)
			}
		}
	}
	if len(fields) == 0 {
		t.Fatal("the signer has set no field")
	}
	return wire(t, req), fields
}

func (p Pair) refusesChangedFields(t *testing.T) {
	sent, fields := p.signed(t)
	for _, field := range fields {
		start := bytes.Index(sent, []byte(field))
		for i := start + strings.Index(field, " ") + 1; i < start+len(field); i++ {
			p.refuses(t, changed(sent, i))
		}
	}
	_, authenticator := p.New(t)
	if _, err := receive(t, authenticator, sent); err != nil {
		t.Errorf("unchanged it is refused too: %v", err)
	}
}

func (p Pair) refusesChangedParts(t *testing.T) {
	sent, _ := p.signed(t)
	line, rest, _ := strings.Cut(string(sent), "\r\n")
	method, target, _ := strings.Cut(strings.TrimSuffix(line, " HTTP/1.1"), " ")
	host := strings.Index(string(sent), "Host: ") + len("Host: ")
	hostEnd := host + strings.Index(string(sent[host:]), "\r\n")
	for part, place := range map[Part][2]int{
		CoverMethod: {0, len(method)},
		CoverTarget: {len(method) + 1, len(method) + 1 + len(target)},
		CoverHost:   {host, hostEnd},
		CoverBody:   {len(line) + len(rest) + 2 - len(body), len(sent)},
	} {
		for i := place[0]; p.Covers&part != 0 && i < place[1]; i++ {
			p.refuses(t, changed(sent, i))
		}
	}
	_, authenticator := p.New(t)
	if _, err := receive(t, authenticator, sent); err != nil {
		t.Errorf("unchanged it is refused too: %v", err)
	}
}

// changed returns a copy of sent with another byte at i. The new byte is valid where the old one
// was: a letter replaces a letter, and a digit a digit.
func changed(sent []byte, i int) []byte {
	b := bytes.Clone(sent)
	switch c := b[i]; {
	case c == 'z', c == 'Z', c == '9':
		b[i] = c - 1
	case c >= 'a' && c < 'z', c >= 'A' && c < 'Z', c >= '0' && c < '9':
		b[i] = c + 1
	default:
		b[i] = 'x'
	}
	return b
}

// refuses uses a new authenticator each time: one that has refused a changed body may still have
// recorded the request.
func (p Pair) refuses(t *testing.T, sent []byte) {
	t.Helper()
	_, authenticator := p.New(t)
	if id, err := receive(t, authenticator, sent); err == nil {
		t.Errorf("accepted as %q, though changed:\n%s", id.Subject, sent)
	}
}

func (p Pair) neverAlike(t *testing.T) {
	if p.Fixed {
		return
	}
	signer, _ := p.New(t)
	seen := make(map[string]bool)
	for range 1000 {
		req := request(t, "GET", "https://api.example.com/", "")
		sign(t, signer, req)
		seen[string(wire(t, req))] = true
	}
	if len(seen) != 1000 {
		t.Errorf("1000 requests look %d ways", len(seen))
	}
}

// A roundTripper is a function that acts as a network.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func answer(req *http.Request, status int) *http.Response {
	return &http.Response{
		StatusCode: status, Header: make(http.Header), Body: http.NoBody, Request: req,
	}
}

func (p Pair) leavesRequest(t *testing.T) {
	signer, _ := p.New(t)
	rt := &transport.Transport{Signer: signer, Base: roundTripper(
		func(req *http.Request) (*http.Response, error) { return answer(req, 200), nil })}
	for _, req := range shapes(t) {
		req.Header["Accept"] = append(make([]string, 0, 2), "text/plain")
		header, url, host := req.Header.Clone(), *req.URL, req.Host
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if !reflect.DeepEqual(req.Header, header) || *req.URL != url || req.Host != host {
			t.Errorf("%s %s was changed to %+v", req.Method, &url, req)
		}
	}
}

func (p Pair) concurrent(t *testing.T) {
	signer, authenticator := p.New(t)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 20 {
				req := request(t, "POST", "http://localhost/", body)
				if err := signer.Sign(req, time.Now()); err != nil {
					t.Error(err)
					return
				}
				if _, err := receive(t, authenticator, wire(t, req)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func (p Pair) keepsSecrets(t *testing.T) {
	signer, authenticator := p.New(t)
	sent, fields := p.signed(t)
	// The middle of a field that the signer has set is past the name of the scheme.
	place := bytes.Index(sent, []byte(fields[0])) + len(fields[0])/2
	_, refusal := receive(t, authenticator, changed(sent, place))
	texts := []string{fmt.Sprint(refusal)}
	if c, ok := authenticator.(auth.Challenger); ok {
		fields := http.Header{}
		c.Challenge(fields, request(t, "GET", "http://localhost/", ""), refusal)
		texts = append(texts, fmt.Sprint(fields))
	}
	for _, v := range []any{signer, authenticator} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%x", "%s"} {
			texts = append(texts, fmt.Sprintf(verb, v), fmt.Sprintf(verb, []any{v}))
		}
		data, _ := json.Marshal(v) // a value that cannot be marshaled reveals nothing
		texts = append(texts, string(data))
	}
	for _, text := range texts {
		for _, secret := range p.Secrets {
			numbers := strings.Trim(fmt.Sprint([]byte(secret)), "[]")
			for _, form := range []string{secret, fmt.Sprintf("%x", secret), numbers} {
				if strings.Contains(text, form) {
					t.Error("a secret is in an error, a challenge, or what a value prints as")
				}
			}
		}
	}
}

func (p Pair) staysAtOrigin(t *testing.T) {
	signer, _ := p.New(t)
	hops := 0
	rt := &transport.Transport{Signer: signer, Base: roundTripper(
		func(req *http.Request) (*http.Response, error) {
			hops++
			resp := answer(req, http.StatusOK)
			switch {
			case req.URL.Host == "api.example.com":
				resp = answer(req, http.StatusTemporaryRedirect)
				resp.Header.Set("Location", "https://elsewhere.example/")
			case len(req.Header) > 1 || req.Header.Get("Referer") == "":
				t.Errorf("another origin was sent %v", req.Header)
			}
			return resp, nil
		})}
	resp, err := (&http.Client{Transport: rt}).Get("https://api.example.com/")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if hops != 2 {
		t.Errorf("%d hops, want 2", hops)
	}
}
