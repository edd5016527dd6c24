package mac_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/transport"
)

var (
	_ transport.Signer    = (*mac.Signer)(nil)
	_ transport.Reader    = (*mac.Signer)(nil)
	_ transport.Refresher = (*mac.Signer)(nil)
	_ transport.Observer  = (*mac.Signer)(nil)

	_ creds.Source[*mac.Credentials] = (*mac.Credentials)(nil)
)

// sourceFunc is a Source.
type sourceFunc func(context.Context) (*mac.Credentials, error)

func (f sourceFunc) Credentials(ctx context.Context) (*mac.Credentials, error) { return f(ctx) }

// TestSign checks all parts of a signature, for both algorithms.
func TestSign(t *testing.T) {
	for _, a := range []string{"", mac.SHA256, mac.SHA1} {
		c := &mac.Credentials{ID: "i d", Key: []byte("k e y"), Algorithm: a}
		s := &mac.Signer{Source: c}
		seen := map[string]bool{}
		for range 100 {
			req := newRequest(t, "GET", "https://example.com/a?b")
			if err := s.Sign(req, testTime.Add(time.Second/2)); err != nil {
				t.Fatal(err)
			}
			p := params(t, req.Header.Get("Authorization"))
			text, err := mac.BaseString(req, mac.Draft01, p["ts"], p["nonce"], "")
			if err != nil || p["mac"] != expected(a, "k e y", text) {
				t.Errorf("%s: not the MAC of %q, %v", a, text, err)
			}
			if p["id"] != "i d" || p["ts"] != "1336363200" {
				t.Errorf("%s: %v", a, p)
			}
			if len(p["nonce"]) != 16 || seen[p["nonce"]] {
				t.Errorf("%s: nonce %s", a, p["nonce"])
			}
			seen[p["nonce"]] = true
			if _, hasExt := p["ext"]; hasExt || req.Host != "example.com" || len(req.Header) != 1 {
				t.Errorf("%s: more was changed: %v, %q", a, req.Header, req.Host)
			}
		}
	}
}

// TestHMAC compares our HMAC with the standard library's, for keys of about the length of a block.
func TestHMAC(t *testing.T) {
	for _, a := range []string{"", mac.SHA256, mac.SHA1} {
		for _, keyLen := range []int{1, 20, 32, 63, 64, 65, 128, 1000} {
			for _, textLen := range []int{0, 1, 55, 56, 63, 64, 65, 119, 120, 1000} {
				key, text := strings.Repeat("k", keyLen), strings.Repeat("t", textLen)
				got := mac.HMAC(a, []byte(key), []byte(text))
				if want := decode(t, expected(a, key, text)); string(got) != string(want) {
					t.Errorf("%s, key of %d bytes, text of %d: %x", a, keyLen, textLen, got)
				}
			}
		}
	}
}

func TestWebObHost(t *testing.T) {
	for given, want := range map[string]string{
		"http://example.com/": "example.com:80", "https://example.com/": "example.com:443",
		"https://Example.com:8443/": "Example.com:8443", "http://[::1]/": "[::1]:80",
		"https://[fe80::1%25eth0]/": "[fe80::1]:443",
	} {
		req := newRequest(t, "GET", given)
		s := &mac.Signer{Source: testCreds, Dialect: mac.WebOb}
		for range 2 { // the second time as after a refusal
			if err := s.Sign(req, testTime); err != nil {
				t.Fatal(err)
			}
			if req.Host != want {
				t.Errorf("%s: Host %q, want %q", given, req.Host, want)
			}
		}
		v := newVerifier()
		for _, v.Dialect = range []mac.Dialect{mac.WebOb, mac.Draft01} {
			if err := authenticate(v, received(req)); err != nil {
				t.Errorf("%s, read in dialect %v: %v", given, v.Dialect, err)
			}
		}
	}
}

func TestSignerErrors(t *testing.T) {
	down := errors.New("endpoint down")
	sha1 := &mac.Credentials{ID: "i", Key: []byte("k"), Algorithm: mac.SHA1}
	give := func(c *mac.Credentials, err error) creds.Source[*mac.Credentials] {
		return sourceFunc(func(context.Context) (*mac.Credentials, error) { return c, err })
	}
	long := fixed(strings.Repeat("x", 8192))
	tests := []struct {
		name string
		s    *mac.Signer
		now  time.Time
		want error
		says string
	}{
		{"no Source", &mac.Signer{}, testTime, mac.ErrCredentials, "Source"},
		{"a nil *Credentials", &mac.Signer{Source: (*mac.Credentials)(nil)}, testTime,
			mac.ErrCredentials, "nil"},
		{"a Source that gives nil", &mac.Signer{Source: give(nil, nil)}, testTime,
			mac.ErrCredentials, "nil"},
		{"a Source that fails", &mac.Signer{Source: give(nil, down)}, testTime, down, "down"},
		{"an unknown Algorithm", &mac.Signer{Source: &mac.Credentials{ID: "i", Key: []byte("k"),
			Algorithm: "HMAC-SHA-256"}}, testTime, mac.ErrCredentials, "hmac-sha-256"},
		{"Django with SHA-256", &mac.Signer{Source: testCreds, Dialect: mac.Django}, testTime,
			mac.ErrCredentials, "mac.SHA1"},
		{"Django with Ext", &mac.Signer{Source: sha1, Dialect: mac.Django, Ext: fixed("x")},
			testTime, mac.ErrUnsignable, "Ext"},
		{"Django with BodyDigest", &mac.Signer{Source: sha1, Dialect: mac.Django, BodyDigest: true},
			testTime, mac.ErrUnsignable, "BodyDigest"},
		{"Django with a bad Port", &mac.Signer{Source: sha1, Dialect: mac.Django, Port: "http"},
			testTime, mac.ErrUnsignable, "port"},
		{"no such dialect", &mac.Signer{Source: testCreds, Dialect: 7}, testTime,
			mac.ErrUnsignable, "dialect"},
		{"a header over 8 KiB", &mac.Signer{Source: testCreds, Ext: long},
			testTime, mac.ErrUnsignable, "8 KiB"},
		{"before 1970", &mac.Signer{Source: testCreds}, time.Unix(0, 0), mac.ErrUnsignable, "time"},
		{"a time of 16 digits", &mac.Signer{Source: testCreds}, time.Unix(1e15, 0),
			mac.ErrUnsignable, "time"},
	}
	for _, test := range tests {
		req := newRequest(t, "GET", "http://example.com/")
		err := test.s.Sign(req, test.now)
		if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %v that says %q", test.name, err, test.want, test.says)
		}
		if len(req.Header) != 0 || req.Host != "example.com" {
			t.Errorf("%s: the request was changed: %v", test.name, req.Header)
		}
	}
}

// TestSlips has credentials with the slips of files and environments. The error names the slip. It
// does not advise to encode the credentials, since the server would not.
func TestSlips(t *testing.T) {
	const key = "canary-7d2e90"
	for _, tt := range []struct{ reason, id, key, want string }{
		{"no id", "", key, "the ID is empty"},
		{"no key", "i", "", "the Key is empty"},
		{"a line feed behind the id", "i\n", key, "the ID ends in a line feed: trim it"},
		{"a line feed behind the key", "i", key + "\n", "the Key ends in a line feed: trim it"},
		{"of another system", "i", key + "\r\n", "the Key ends in a line feed: trim it"},
		{"quotes around the key", "i", `"` + key + `"`, "the Key stands between quotes"},
		{"a binary key", "i", key + "\x00\xff", "encode it, on both sides"},
	} {
		s := &mac.Signer{Source: &mac.Credentials{ID: tt.id, Key: creds.Secret(tt.key)}}
		for _, err := range []error{
			s.Check(), s.Sign(newRequest(t, "GET", "http://example.com/"), testTime),
		} {
			text := fmt.Sprint(err)
			if !errors.Is(err, mac.ErrCredentials) || !strings.Contains(text, tt.want) ||
				strings.Contains(text, key) {
				t.Errorf("%s: %v, want %q", tt.reason, err, tt.want)
			}
			if strings.Contains(text, "encode") != strings.Contains(tt.want, "encode") {
				t.Errorf("%s: %v", tt.reason, err)
			}
		}
	}
}

// TestSignerCheck checks the errors that a program gets when it starts. Check must fetch nothing.
func TestSignerCheck(t *testing.T) {
	sha1 := &mac.Credentials{ID: "i", Key: []byte("k"), Algorithm: mac.SHA1}
	fetches := sourceFunc(func(context.Context) (*mac.Credentials, error) {
		t.Error("credentials were fetched")
		return nil, nil
	})
	for _, s := range []*mac.Signer{
		{}, {Source: testCreds, Dialect: 7}, {Source: testCreds, Dialect: mac.Django},
		{Source: (*mac.Credentials)(nil)}, {Source: sha1, Dialect: mac.Django, Port: "http"},
		{Source: sha1, Dialect: mac.Django, Ext: fixed("x")},
		{Source: sha1, Dialect: mac.Django, BodyDigest: true},
	} {
		err := s.Check()
		if err == nil || s.Sign(newRequest(t, "GET", "http://a/"), testTime) == nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
	for _, s := range []*mac.Signer{
		{Source: testCreds}, {Source: fetches}, {Source: sha1, Dialect: mac.Django, Port: "80"},
	} {
		if err := s.Check(); err != nil {
			t.Error(err)
		}
	}
}

// TestWaitIsAdded has a slow fetch of credentials and a slow Ext. The timestamp is the time after
// both.
func TestWaitIsAdded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &mac.Signer{
			Source: sourceFunc(func(context.Context) (*mac.Credentials, error) {
				time.Sleep(90 * time.Second)
				return testCreds, nil
			}),
			Ext: func(*http.Request) (string, error) {
				time.Sleep(10 * time.Second)
				return "", nil
			},
		}
		req := newRequest(t, "GET", "http://example.com/")
		if err := s.Sign(req, testTime); err != nil {
			t.Fatal(err)
		}
		if ts := params(t, req.Header.Get("Authorization"))["ts"]; ts != "1336363300" {
			t.Errorf("ts %s, want 100 s later", ts)
		}
		s.Source = testCreds // cannot wait
		if err := s.Sign(req, testTime); err != nil {
			t.Fatal(err)
		}
		if ts := params(t, req.Header.Get("Authorization"))["ts"]; ts != "1336363210" {
			t.Errorf("ts %s, want 10 s later", ts)
		}
	})
}

func TestSourceGetsTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := &mac.Signer{Source: sourceFunc(func(ctx context.Context) (*mac.Credentials, error) {
		return nil, ctx.Err()
	})}
	req := newRequest(t, "GET", "http://example.com/").WithContext(ctx)
	if err := s.Sign(req, testTime); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want Canceled", err)
	}
}

// TestChangingCredentials signs from many goroutines while the credentials change all the time.
func TestChangingCredentials(t *testing.T) {
	var all []*mac.Credentials
	for i := range 8 {
		a := []string{mac.SHA256, mac.SHA1}[i%2]
		n := strconv.Itoa(i)
		all = append(all, &mac.Credentials{ID: n, Key: []byte(n), Algorithm: a})
	}
	type which struct{}
	s := &mac.Signer{Source: sourceFunc(func(ctx context.Context) (*mac.Credentials, error) {
		return all[ctx.Value(which{}).(int)], nil
	})}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				c := all[(g+i)%8]
				req := newRequest(t, "GET", "http://example.com/")
				req = req.WithContext(context.WithValue(req.Context(), which{}, (g+i)%8))
				if err := s.Sign(req, testTime); err != nil {
					t.Error(err)
					return
				}
				v := &mac.Verifier{Keys: oneKey(c), Nonces: anyNonce{}}
				if err := authenticate(v, received(req)); err != nil {
					t.Errorf("credentials %s: %v", c.ID, err)
				}
			}
		})
	}
	wg.Wait()
}

// TestReverseProxy signs requests on their way through a proxy, which does not change RequestURI.
func TestReverseProxy(t *testing.T) {
	v := &mac.Verifier{Keys: oneKey(testCreds)}
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if _, err := v.Authenticate(req); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
		}
	}))
	defer backend.Close()
	target, _ := url.Parse(backend.URL + "/prefix")
	s := &mac.Signer{Source: testCreds}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(target) },
		Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
			req = req.Clone(req.Context())
			if err := s.Sign(req, time.Now()); err != nil {
				return nil, err
			}
			return http.DefaultTransport.RoundTrip(req)
		}),
	}
	w := httptest.NewRecorder()
	proxy.ServeHTTP(w, httptest.NewRequest("GET", "/a?b", nil))
	if w.Code != http.StatusOK {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// TestHandlerTest signs requests made by package httptest, which were never sent.
func TestHandlerTest(t *testing.T) {
	for _, target := range []string{
		"/", "/a%2Fb?c", "http://example.com/a?b", "https://example.com/",
	} {
		for _, d := range []mac.Dialect{mac.Draft01, mac.WebOb} {
			req := httptest.NewRequest("GET", target, nil)
			if err := (&mac.Signer{Source: testCreds, Dialect: d}).Sign(req, testTime); err != nil {
				t.Errorf("%s: %v", target, err)
				continue
			}
			v := newVerifier()
			v.Dialect = d
			if err := authenticate(v, req); err != nil {
				t.Errorf("%s, dialect %v: %v", target, d, err)
			}
		}
		sha1 := &mac.Credentials{ID: "i", Key: []byte("k"), Algorithm: mac.SHA1}
		req := httptest.NewRequest("GET", target, nil)
		err := (&mac.Signer{Source: sha1, Dialect: mac.Django}).Sign(req, testTime)
		_, err2 := mac.BaseString(req, mac.Django, "1", "n", "")
		if !errors.Is(err, mac.ErrUnsignable) || !errors.Is(err2, mac.ErrUnsignable) {
			t.Errorf("%s in the Django dialect, which has no server: %v, %v", target, err, err2)
		}
	}
}

// Both names of an algorithm mean the same, to a Signer and to a Verifier. An empty name means
// SHA-256.
func TestNamesOfAlgorithms(t *testing.T) {
	sizes := map[string]int{
		"": 32, "sha256": 32, mac.SHA256: 32, "sha1": 20, mac.SHA1: 20,
	}
	for ours, size := range sizes {
		req := newRequest(t, "GET", "http://example.com/")
		c := &mac.Credentials{ID: testCreds.ID, Key: testCreds.Key, Algorithm: ours}
		if err := (&mac.Signer{Source: c}).Sign(req, testTime); err != nil {
			t.Fatalf("%q: %v", ours, err)
		}
		for theirs, want := range sizes {
			v := &mac.Verifier{Keys: oneKey(&mac.Credentials{
				ID: c.ID, Key: c.Key, Algorithm: theirs,
			})}
			_, err := v.AuthenticateAt(received(req), testTime)
			if (err == nil) != (size == want) {
				t.Errorf("signed with %q, verified with %q: %v", ours, theirs, err)
			}
		}
	}
	for _, name := range []string{"SHA1", "sha-1", "hmac-sha1", "sha512", "hmac-sha-512", "md5"} {
		req := newRequest(t, "GET", "http://example.com/")
		c := &mac.Credentials{ID: testCreds.ID, Key: testCreds.Key, Algorithm: name}
		err := (&mac.Signer{Source: c}).Sign(req, testTime)
		if !errors.Is(err, mac.ErrCredentials) {
			t.Errorf("%q: %v", name, err)
		}
	}
	django := &mac.Signer{Dialect: mac.Django, Source: &mac.Credentials{
		ID: "i", Key: testCreds.Key, Algorithm: "sha1",
	}}
	if err := django.Sign(newRequest(t, "GET", "http://example.com/"), testTime); err != nil {
		t.Errorf("sha1 in the Django dialect: %v", err)
	}
}
