package mac_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
)

// A wrapper is a RoundTripper that changes requests, as many RoundTrippers do.
type wrapper struct {
	change func(*http.Request)
	next   http.RoundTripper
}

func (w wrapper) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	w.change(req)
	return w.next.RoundTrip(req)
}

// wire answers every request with the request's body.
type wire struct {
	sent  int
	again bool // the request had a GetBody
}

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	w.sent++
	w.again = req.GetBody != nil
	body := req.Body
	if body == nil {
		body = http.NoBody
	}
	return &http.Response{StatusCode: 200, Body: body, Request: req, Header: http.Header{}}, nil
}

func TestTripwire(t *testing.T) {
	compress := func(req *http.Request) { // forgets GetBody
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = io.Copy(w, req.Body)
		_ = w.Close()
		req.Body, req.ContentLength = io.NopCloser(&b), int64(b.Len())
	}
	for _, tt := range []struct {
		reason string
		signer *mac.Signer
		change func(*http.Request)
		text   string // "" if nothing is found
	}{
		{"nothing changed", &mac.Signer{}, func(*http.Request) {}, ""},
		{"a field that is not covered", &mac.Signer{}, field("X-Trace", "1"), ""},
		{"nothing changed, in WebOb", &mac.Signer{Dialect: mac.WebOb}, func(*http.Request) {}, ""},
		{"nothing changed, in Django", &mac.Signer{Dialect: mac.Django, Port: "8000"},
			func(*http.Request) {}, ""},
		{"nothing changed, with a digest", &mac.Signer{BodyDigest: true},
			func(*http.Request) {}, ""},
		{"the MAC was taken away", &mac.Signer{}, func(req *http.Request) {
			req.Header.Del("Authorization")
		}, ""}, // a request to another origin has no header either
		{"another id", &mac.Signer{}, rewrite(`id="`, `id="x`), ""},
		{"a parameter", &mac.Signer{}, func(req *http.Request) { req.URL.RawQuery += "&trace=1" },
			"would match with parameter 3 of the query taken away: whatever changes requests " +
				"goes outside of what signs them"},
		{"the order", &mac.Signer{}, func(req *http.Request) { req.URL.RawQuery = "a=2&b=1" },
			"the parameters in another order"},
		{"a slash", &mac.Signer{}, func(req *http.Request) { req.URL.Path += "/" }, "no slash"},
		{"the host", &mac.Signer{}, func(req *http.Request) { req.Host = "backend" },
			`host "api.example.com"`},
		{"the scheme", &mac.Signer{}, func(req *http.Request) { req.URL.Scheme = "http" },
			"port 443"},
		{"the body", &mac.Signer{BodyDigest: true}, compress, "the body decompressed"},
		{"all", &mac.Signer{}, func(req *http.Request) {
			*req.URL = *newRequest(t, "GET", "http://x/").URL
		}, "no known distortion"},
		{"a second field", &mac.Signer{}, func(req *http.Request) {
			req.Header.Add("Authorization", "Bearer x")
		}, "more than one"},
		{"the field", &mac.Signer{}, field("Authorization", "MAC x"), "parameters"},
		{"the host, to none", &mac.Signer{}, func(req *http.Request) { req.Host = "a b" },
			"not a name"},
	} {
		c := &mac.Credentials{ID: "ann", Key: []byte(textKey)}
		if tt.signer.Dialect == mac.Django {
			c.Algorithm = mac.SHA1
		}
		signer := &mac.Signer{Source: c, Dialect: tt.signer.Dialect, Port: tt.signer.Port,
			BodyDigest: tt.signer.BodyDigest}
		const body = "a body, a body, a body, a body"
		for _, told := range []bool{false, true} {
			var got error
			end := &wire{}
			trip := &mac.Tripwire{Signer: signer, Base: end}
			if told {
				trip.Changed = func(_ *http.Request, err error) { got = err }
			}
			req := must(http.NewRequest("POST", "https://api.example.com/a?b=1&a=2",
				strings.NewReader(body)))
			if err := signer.Sign(req, testTime); err != nil {
				t.Fatal(err)
			}
			closed := false
			req.Body = closer{req.Body, &closed}
			resp, err := wrapper{tt.change, trip}.RoundTrip(req)
			if !told {
				got = err
			}
			if tt.text == "" && got != nil || tt.text != "" &&
				(!errors.Is(got, mac.ErrChanged) || !strings.Contains(got.Error(), tt.text)) {
				t.Errorf("%s: %v", tt.reason, got)
			}
			if want := tt.text == "" || told; want != (end.sent == 1) || want != (err == nil) {
				t.Errorf("%s: sent %d, %v", tt.reason, end.sent, err)
			}
			if err != nil {
				if !closed && tt.reason != "the body" {
					t.Errorf("%s: the body is not closed", tt.reason)
				}
				continue
			}
			if !end.again {
				t.Errorf("%s: GetBody is lost", tt.reason)
			}
			if sent, err := io.ReadAll(resp.Body); err != nil ||
				string(sent) != body && tt.reason != "the body" {
				t.Errorf("%s: %q was sent, %v", tt.reason, sent, err)
			}
		}
	}
}

type closer struct {
	io.Reader
	closed *bool
}

func (c closer) Close() error {
	*c.closed = true
	return nil
}

func TestTripwireSources(t *testing.T) {
	req := newRequest(t, "GET", secureURL)
	if err := (&mac.Signer{Source: testCreds}).Sign(req, testTime); err != nil {
		t.Fatal(err)
	}
	for _, trip := range []*mac.Tripwire{
		{Base: &wire{}}, {Base: &wire{}, Signer: new(mac.Signer)},
	} {
		if _, err := trip.RoundTrip(req); !errors.Is(err, mac.ErrCredentials) {
			t.Errorf("without a Source: %v", err)
		}
	}
	for reason, from := range map[string]creds.Source[*mac.Credentials]{
		"an outage": sourceFunc(func(context.Context) (*mac.Credentials, error) {
			return nil, errBroken
		}),
		"nothing":   creds.Static[*mac.Credentials]{},
		"a new one": &mac.Credentials{ID: "new", Key: []byte("new")},
	} {
		trip := &mac.Tripwire{Base: &wire{}, Signer: &mac.Signer{Source: from}}
		if _, err := trip.RoundTrip(req); err != nil {
			t.Errorf("%s: %v", reason, err)
		}
	}
}

// The request is the caller's. The caller may read it during RoundTrip, which the race detector
// would see.
func TestTripwireLeavesTheRequest(t *testing.T) {
	trip := &mac.Tripwire{Base: &wire{}, Signer: &mac.Signer{Source: testCreds}}
	req := newRequest(t, "GET", secureURL)
	if err := trip.Signer.Sign(req, testTime); err != nil {
		t.Fatal(err)
	}
	looked := make(chan bool)
	go func() { looked <- req.GetBody != nil }()
	if _, err := trip.RoundTrip(req); err != nil {
		t.Error(err)
	}
	if <-looked {
		t.Error("a request without a body has got one")
	}
}

// A proxy ends TLS, so the service behind it sees another scheme than its clients.
func ExampleExplain() {
	c := &mac.Credentials{ID: "h480djs93hd8", Key: []byte("489dks293j39")}
	req, err := http.NewRequest("GET", "https://example.com/resource/1?b=1&a=2", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := (&mac.Signer{Source: c}).Sign(req, time.Now()); err != nil {
		fmt.Println(err)
		return
	}
	// This is the request that the service gets.
	req.RequestURI, req.Host = "/resource/1?b=1&a=2", "example.com"

	e, err := mac.Explain(req, &mac.Key{Secret: c.Key}, new(mac.Verifier))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(e)
	fmt.Printf("%q\n", e.Causes)
	// Output:
	// would match with port 443: the proxy in front ends TLS; set PublicURL
	// ["scheme"]
}

// This is the example of the package comment. Both sides print it, and compare.
func ExampleDump() {
	req, err := http.NewRequest("GET", "http://example.com/resource/1?b=1&a=2", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	req.Header.Set("Authorization", `MAC id="h480djs93hd8", ts="1336363200", nonce="dj83hs9s", `+
		`ext="a,b,c", mac="GwJQDYyti3APlpfcBzcOUqHvlvY="`)
	dump, err := mac.Dump(req, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(dump)
	// Output:
	// id      "h480djs93hd8"
	// ts      "1336363200\n"
	// nonce   "dj83hs9s\n"
	// method  "GET\n"
	// target  "/resource/1?b=1&a=2\n"
	// host    "example.com\n"
	// port    "80\n"
	// ext     "a,b,c\n"
}

// A wrapper inside the signing RoundTripper adds a parameter to a request that is signed already.
func ExampleTripwire() {
	signer := &mac.Signer{Source: &mac.Credentials{ID: "h480djs93hd8", Key: []byte("489dks293j39")}}
	base := wrapper{
		change: func(req *http.Request) { req.URL.RawQuery += "&trace=1" },
		next:   &mac.Tripwire{Signer: signer},
	}
	// A transport.Transport does this with its Signer and its Base.
	req, err := http.NewRequest("GET", "https://example.com/?page=2", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := signer.Sign(req, testTime); err != nil {
		fmt.Println(err)
		return
	}
	resp, err := base.RoundTrip(req)
	if err != nil {
		fmt.Println(strings.ReplaceAll(err.Error(), ": ", ":\n"))
		return
	}
	_ = resp.Body.Close()
	// Output:
	// mac:
	// request was changed after it was signed:
	// would match with parameter 2 of the query taken away:
	// whatever changes requests goes outside of what signs them
}
