package provision_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/provision"
)

// streams is an endpoint whose answer has the given body.
type streams struct{ body io.Reader }

func (s streams) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: 200, Header: make(http.Header), Body: io.NopCloser(s.body), Request: req,
	}, nil
}

// A reader is a body that ignores contexts.
type reader func([]byte) (int, error)

func (f reader) Read(p []byte) (int, error) { return f(p) }

// blanks returns endless JSON white space, and counts the bytes that are read.
func blanks(read *int) io.Reader {
	return reader(func(p []byte) (int, error) {
		for i := range p {
			p[i] = ' '
		}
		*read += len(p)
		return len(p), nil
	})
}

// drips gives one byte about every second. It is a little faster, so that no byte comes at the very
// moment when a deadline ends.
var drips = reader(func(p []byte) (int, error) {
	time.Sleep(time.Second - time.Millisecond)
	p[0] = ' '
	return 1, nil
})

// Whatever the endpoint does, the caller gets an error of the right kind within the deadline,
// nothing is stored, and earlier credentials are used until they end.
func TestHostileEndpoint(t *testing.T) {
	type answer = http.RoundTripper
	reply := func(status int, body string, header ...string) answer {
		return says(status, body, header...).Transport
	}
	member := func(s string) answer { return reply(200, `{"id":"a","key":"k",`+s+`}`) }
	read := 0
	tests := []struct {
		name   string
		answer answer
		status int
		want   string // contained in the error
		cause  error  // wrapped by the error; nil: not checked
	}{
		{"1 GiB", streams{io.LimitReader(blanks(&read), 1<<30)}, 200, "more than 64 KiB", nil},
		{"one byte a second", streams{drips}, 200, "not in time", context.DeadlineExceeded},
		{"cut off", streams{iotestErr(`{"id":"a","key":"k"`)}, 200, "unexpected EOF",
			io.ErrUnexpectedEOF},
		{"to another origin", reply(307, "", "Location", "https://evil.example/"), 307,
			"another origin", nil},
		{"to plain http", reply(307, "", "Location", "http://user.example/"), 307,
			"another origin", nil},
		{"to a GET", reply(302, "", "Location", "/else"), 302, "would change the request", nil},
		{"to itself", reply(308, "", "Location", "/provision"), 308, "too many redirects", nil},
		{"to nowhere", reply(307, ""), 307, "Temporary Redirect", nil},
		{"garbage", reply(200, "\x00\xff{"), 200, "not UTF-8", nil},
		{"web page", reply(200, "<html>", "Content-Type", "text/html"), 200, "a web page", nil},
		{"nothing", reply(204, ""), 204, "nothing in it", nil},
		{"duplicate names", member(`"key":"k2"`), 200, "occurs twice", nil},
		{"folded names", reply(200, `{"ID":"a","KEY":"k"}`), 200, "there is no id", nil},
		{"deep", member(`"x":` + strings.Repeat("[", 99) + strings.Repeat("]", 99)), 200,
			"nested", nil},
		{"expires_in negative", member(`"expires_in":-1`), 200, "expires_in is negative", nil},
		{"expires_in zero", member(`"expires_in":0`), 200, "already expired", nil},
		{"expires_in zero as float", member(`"expires_in":0.0`), 200, "already expired", nil},
		{"expires_in out of range", member(`"expires_in":1e999`), 200, "out of range", nil},
		{"expires_in text", member(`"expires_in":"60"`), 200, "expires_in is not a number", nil},
		{"expires_in object", member(`"expires_in":{}`), 200, "expires_in is not a number", nil},
		{"wrong password", reply(401, "", "WWW-Authenticate", "Basic"), 401,
			"check user and password", nil},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			store := newMemory()
			c := &provision.Client{URL: endpoint, Store: store, Signer: ann(),
				HTTP: &http.Client{Transport: tt.answer}}
			start := time.Now()
			_, err := c.Credentials(t.Context())
			var e *provision.Error
			if !errors.As(err, &e) || e.Status != tt.status ||
				!strings.Contains(e.Error(), tt.want) ||
				tt.cause != nil && !errors.Is(err, tt.cause) {
				t.Errorf("%s: %v", tt.name, err)
			}
			if took := time.Since(start); took > 31*time.Second {
				t.Errorf("%s: took %v", tt.name, took)
			}
			if len(store.all()) != 0 {
				t.Errorf("%s: stored %v", tt.name, store.all())
			}
			keepsTheOldOnes(t, tt.name, tt.answer)
		})
	}
	if read > 4*65536 {
		t.Errorf("%d bytes of 1 GiB were read", read)
	}
}

// keepsTheOldOnes checks that useless answers do not affect earlier credentials.
func keepsTheOldOnes(t *testing.T, name string, then http.RoundTripper) {
	store, m := newMemory(), &mint{lifetime: 10 * time.Minute}
	c := m.client(store)
	c.HTTP = &http.Client{Transport: turns{direct{m}, then, m}}
	wantID(t, c, "id1")
	_, before := store.only(t)
	rejects(c)
	wantID(t, c, "id1")
	time.Sleep(40 * time.Second) // longer than a caller waits, and a fetch may take
	if _, after := store.only(t); after != before {
		t.Errorf("%s: the record became %s", name, after)
	}
	var e *provision.Error
	if !errors.As(c.Err(), &e) {
		t.Errorf("%s: Err is %v", name, c.Err())
	}
}

// turns answers the first call with one answer, and the later ones with the other.
type turns struct {
	first, then http.RoundTripper
	m           *mint
}

func (u turns) RoundTrip(req *http.Request) (*http.Response, error) {
	if u.m.called() == 0 {
		return u.first.RoundTrip(req)
	}
	return u.then.RoundTrip(req)
}

func iotestErr(s string) io.Reader {
	return io.MultiReader(strings.NewReader(s),
		reader(func([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }))
}

// A lifetime that is huge, or a fraction, is limited to the bounds, and stored with these limits.
func TestHostileLifetime_F10(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"1e300": 24 * time.Hour, "9223372036854775808": 24 * time.Hour, "0.5": 5 * time.Second,
		"60.5": 60500 * time.Millisecond,
	} {
		synctest.Test(t, func(t *testing.T) {
			store := newMemory()
			for range 2 { // the second one reads the store
				c := &provision.Client{URL: endpoint, Store: store,
					HTTP: says(200, `{"id":"a","key":"k","expires_in":`+in+`}`)}
				if left := time.Until(wantID(t, c, "a").Expires); left != want {
					t.Errorf("%s: %v, want %v", in, left, want)
				}
			}
			if store.writes != 1 {
				t.Errorf("%s: %d writes", in, store.writes)
			}
		})
	}
}

// A Client detects an endpoint that always gives the refused credentials.
func TestAlwaysTheSame_F2(t *testing.T) {
	c := &provision.Client{URL: endpoint, HTTP: says(200, `{"id":"a","key":"k","expires_in":60}`)}
	wantID(t, c, "a")
	rejects(c)
	wantID(t, c, "a")
	if !errors.Is(c.Err(), creds.ErrSame) {
		t.Errorf("got %v", c.Err())
	}
}

// The contents of an answer or a record are either refused, or give credentials that can be
// written, with an end within bounds and an endpoint that is a URL.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"id":"a","key":"k"}`, `{"id":"a","key":"k","expires_in":60}`,
		`{"id":"a","key":"k","hashalg":"sha256","duration":300,` +
			`"api_endpoint":"https://x.example/1"}`,
		`{"id":"a","key":"k","expires_at":"2030-01-01T00:00:00Z","algorithm":"hmac-sha-256"}`,
		`{"id":"a","key":"k","expires":1e22}`, `{"id":"a","key":"k","expires_in":1e-400}`,
		`{"id":"eyJleHBpcmVzIjoxZTIyfQ==","key":"k"}`, `[]`,
	} {
		f.Add(seed, "1400000000", "30")
	}
	f.Fuzz(func(t *testing.T, body, stamp, wait string) {
		store := newMemory()
		c := &provision.Client{URL: endpoint, Store: store,
			HTTP: says(200, body, "X-Timestamp", stamp, "X-Backoff", wait)}
		start := time.Now()
		got, err := c.Credentials(t.Context())
		if err != nil {
			if len(store.all()) != 0 {
				t.Errorf("stored after %v", err)
			}
			return
		}
		if _, err := provision.Marshal(got); err != nil {
			t.Error(err)
		}
		left := got.Expires.Sub(start)
		if !got.Expires.IsZero() && (left < 5*time.Second || left > 24*time.Hour+time.Minute) {
			t.Errorf("ends in %v", left)
		}
		at, err := c.Endpoint(t.Context())
		if u, bad := url.Parse(at); err != nil || at != "" && (bad != nil || u.Host == "") {
			t.Errorf("endpoint %q, %v", at, err)
		}
		again := &provision.Client{URL: endpoint, Store: store, HTTP: says(500, "")}
		if kept, err := again.Credentials(t.Context()); err != nil || kept.ID != got.ID ||
			string(kept.Key) != string(got.Key) || kept.Algorithm != got.Algorithm {
			t.Errorf("from the store: %v, %v", kept, err)
		}
	})
}

// Whatever the store contains, the Client has credentials, and uses only valid parts of the record.
func FuzzRecord(f *testing.F) {
	store := newMemory()
	m := &mint{lifetime: time.Hour, extra: `,"api_endpoint":"https://a.example/"`}
	name := m.client(store)
	if _, err := name.Credentials(context.Background()); err != nil {
		f.Fatal(err)
	}
	for _, data := range store.all() {
		f.Add(data)
		f.Add([]byte(strings.Replace(string(data), `}}`,
			`},"offsets_ms":{"https://user.example:443":3600000}}`, 1)))
		f.Add([]byte(strings.Replace(string(data), `"version":1`, `"version":2`, 1)))
		f.Add(data[:len(data)/2])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		store := newMemory()
		c := &provision.Client{URL: endpoint, Name: "n", Signer: ann(), Store: store,
			HTTP: says(200, `{"id":"new","key":"k"}`)}
		store.records["n"] = data
		got, err := c.Credentials(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := provision.Marshal(got); err != nil {
			t.Error(err)
		}
		if got.ID != "new" && !got.Expires.IsZero() && time.Until(got.Expires) > 24*time.Hour {
			t.Errorf("ends in %v", time.Until(got.Expires))
		}
	})
}
