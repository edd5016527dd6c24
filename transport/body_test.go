package transport_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/transport"
)

// A closeCounter is a request body that cannot be rewound.
type closeCounter struct {
	io.Reader
	mu     sync.Mutex
	closed int
}

func (c *closeCounter) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed++
	return nil
}

func (c *closeCounter) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// The caller's body is closed once in every case, and the caller's request is not changed.
func TestCallersRequestUntouched_B8_X1(t *testing.T) {
	ok := base(func(req *http.Request) (*http.Response, error) {
		if req.Body != nil {
			_, _ = io.Copy(io.Discard, req.Body)
			if req.Header.Get("Authorization") != "" {
				_ = req.Body.Close() // base closes it once more, as net/http may do
			}
		}
		req.Header.Set("X-Downstream", "1")
		req.Header.Add("Accept", "added downstream")
		return answer(200)
	})
	refuse := func(read int64) base {
		return func(req *http.Request) (*http.Response, error) {
			if req.Body != nil {
				_, _ = io.CopyN(io.Discard, req.Body, read)
			}
			if id, _, _ := credentials(req); id == "id0" {
				return answer(401, "WWW-Authenticate", "Token credential")
			}
			return answer(200)
		}
	}
	fail := transport.SignerFunc(func(*http.Request, time.Time) error { return errBroken })
	tests := []struct {
		name   string
		signer transport.Signer
		base   http.RoundTripper
		url    string
		rewind bool
	}{
		{"accepted", &token{}, ok, "https://a.example/", false},
		{"mended, body unread", &token{}, refuse(0), "https://a.example/", false},
		{"mended, body rewound", &token{}, refuse(3), "https://a.example/", true},
		{"refused, body half read", &token{}, refuse(3), "https://a.example/", false},
		{"refused, body unread", &token{failing: errBroken}, refuse(0), "https://a.example/",
			false},
		{"not signed", &token{}, ok, "https://elsewhere.example/", false},
		{"signer fails", fail, ok, "https://a.example/", false},
		{"base fails", &token{}, base(func(*http.Request) (*http.Response, error) {
			return nil, errBroken
		}), "https://a.example/", false},
		{"plain http", &token{}, ok, "http://a.example/", false},
		{"no signer", nil, ok, "https://a.example/", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			body := &closeCounter{Reader: strings.NewReader("the body")}
			req, _ := http.NewRequest("PUT", test.url, body)
			if test.rewind {
				req.GetBody = func() (io.ReadCloser, error) {
					return io.NopCloser(strings.NewReader("the body")), nil
				}
			}
			req.Header["Accept"] = append(make([]string, 0, 4), "text/plain")
			before, url := *req, *req.URL
			header := req.Header.Clone()
			rt := &transport.Transport{Signer: test.signer, Base: test.base,
				Origins: []string{"https://a.example", "http://b.example"}}
			if test.name == "plain http" {
				rt.Origins = nil
			}
			resp, err := rt.RoundTrip(req)
			if err == nil {
				_ = resp.Body.Close()
			}
			before.GetBody, req.GetBody = nil, nil // functions cannot be compared
			before.Header = header
			if test.name != "not signed" && !reflect.DeepEqual(*req, before) ||
				!reflect.DeepEqual(*req.URL, url) {
				t.Errorf("the request was changed:\n%+v\nwas\n%+v", *req, before)
			}
			if spare := req.Header["Accept"][:4]; test.name != "not signed" && spare[1] != "" {
				t.Errorf("the caller's array was written to: %q", spare)
			}
			if n := body.count(); n != 1 {
				t.Errorf("the body was closed %d times", n)
			}
		})
	}
}

// A body with GetBody is sent whole again. If GetBody fails, the caller gets the refusal.
func TestGetBody_B2(t *testing.T) {
	var bodies []string
	b := base(func(req *http.Request) (*http.Response, error) {
		data, _ := io.ReadAll(req.Body)
		bodies = append(bodies, string(data))
		if asks(req) {
			t.Error("asked before sending a body that can be sent twice")
		}
		if id, _, _ := credentials(req); id == "id0" {
			return answer(401)
		}
		return answer(200)
	})
	req, _ := http.NewRequest("POST", "https://a.example/", strings.NewReader("whole"))
	resp, err := (&transport.Transport{Signer: &token{}, Base: b}).RoundTrip(req)
	if err != nil || resp.StatusCode != 200 || !slices.Equal(bodies, []string{"whole", "whole"}) {
		t.Errorf("%v, %v, bodies %q", resp, err, bodies)
	}

	req, _ = http.NewRequest("POST", "https://a.example/", strings.NewReader("whole"))
	req.GetBody = func() (io.ReadCloser, error) { return nil, errBroken }
	resp, err = (&transport.Transport{Signer: &token{}, Base: b}).RoundTrip(req)
	if err != nil || resp.StatusCode != 401 {
		t.Fatal(resp, err)
	}
	if h := transport.History(resp); h[0].Stop != "body" || !errors.Is(h[0].Err, errBroken) {
		t.Errorf("history %v", h)
	}
}

// asks reports whether a request has an Expect field, in any spelling.
func asks(req *http.Request) bool {
	for name, values := range req.Header {
		if strings.EqualFold(name, "Expect") && slices.Contains(values, "100-continue") {
			return true
		}
	}
	return false
}

// The server is asked first only if the body cannot be read twice and is long or of unknown length.
func TestExpect_B4(t *testing.T) {
	tests := []struct {
		name   string
		method string
		length int64
		header string
		body   string
		want   bool
	}{
		{"short", "PUT", 8, "", "x", false},
		{"1 MiB", "PUT", 1 << 20, "", "x", false},
		{"longer", "PUT", 1<<20 + 1, "", "x", true},
		{"unknown", "PUT", -1, "", "x", true},
		{"unknown, as NewRequest leaves it", "POST", 0, "", "x", true},
		{"unknown, and it is empty", "POST", 0, "", "", false},
		{"unknown, and most likely empty", "GET", -1, "", "x", false},
		{"the caller's own", "PUT", -1, "200-ok", "x", false},
		{"the caller wants none", "PUT", -1, "none", "x", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			body := io.NopCloser(struct{ io.Reader }{strings.NewReader(test.body)})
			req, _ := http.NewRequest(test.method, "http://127.0.0.1/", body)
			req.ContentLength = test.length
			switch test.header {
			case "":
			case "none":
				req.Header["Expect"] = nil
			default:
				req.Header.Set("Expect", test.header)
			}
			rt := &transport.Transport{Signer: &token{},
				Base: base(func(req *http.Request) (*http.Response, error) {
					if asks(req) != test.want || req.Close {
						t.Errorf("header %v, Close %v", req.Header, req.Close)
					}
					return answer(200)
				})}
			if _, err := rt.RoundTrip(req); err != nil {
				t.Error(err)
			}
		})
	}
}

// A server that could not be reached has not shown whether it supports an Expect field. It is asked
// the next time.
func TestExpectAfterFailedDial(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if asks(req) {
			asked.Add(1)
		}
		if id, _, _ := credentials(req); id == "id0" {
			w.Header().Set("WWW-Authenticate", "Token credential")
			w.WriteHeader(401)
			return
		}
		_, _ = io.Copy(w, req.Body)
	}))
	defer server.Close()
	dials := 0
	base := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (
		net.Conn, error) {
		if dials++; dials == 1 {
			return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
	defer base.CloseIdleConnections()
	client := &http.Client{Transport: &transport.Transport{Signer: new(token), Base: base}}
	post := func() (*http.Response, error) {
		body := struct{ io.Reader }{strings.NewReader("whole")}
		return client.Post(server.URL, "text/plain", body)
	}
	if resp, err := post(); err == nil || dials != 1 {
		t.Fatalf("%v, %v after %d dials", resp, err, dials)
	}
	resp, err := post()
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if string(data) != "whole" || err != nil || asked.Load() != 2 {
		t.Errorf("%q, %v, asked %d times: %v", data, err, asked.Load(), transport.History(resp))
	}
}

// A late read for an attempt that is over takes nothing from the attempt that follows.
func TestLateRead_B9(t *testing.T) {
	var late io.ReadCloser
	n := 0
	rt := &transport.Transport{Signer: &token{},
		Base: rawBase(func(req *http.Request) (*http.Response, error) {
			if n++; n == 1 {
				late = req.Body
				return answer(401)
			}
			if data, err := io.ReadAll(late); err == nil || len(data) > 0 {
				t.Errorf("the late read got %q, %v", data, err)
			}
			_ = late.Close()
			data, err := io.ReadAll(req.Body)
			if string(data) != "whole" || err != nil {
				t.Errorf("the second attempt sent %q, %v", data, err)
			}
			_ = req.Body.Close()
			return answer(200)
		})}
	body := &closeCounter{Reader: strings.NewReader("whole")}
	req, _ := http.NewRequest("POST", "https://a.example/", body)
	resp, err := rt.RoundTrip(req)
	if err != nil || resp.StatusCode != 200 || body.count() != 1 {
		t.Errorf("%v, %v, closed %d times", resp, err, body.count())
	}
}

// rawBase leaves the body to the function.
type rawBase func(*http.Request) (*http.Response, error)

func (b rawBase) RoundTrip(req *http.Request) (*http.Response, error) { return b(req) }

// If a server refuses before it reads, over real connections, the body arrives whole in exactly one
// attempt, or the caller gets the refusal and the history gives the body as the reason. No
// goroutine or connection is leaked.
func TestUnrewindableBody_B1_B5(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		for _, size := range []int{100, 300 << 10, 2 << 20} {
			t.Run(fmt.Sprintf("http2=%v %d bytes", http2, size), func(t *testing.T) {
				unrewindable(t, http2, size)
			})
		}
	}
}

func unrewindable(t *testing.T, http2 bool, size int) {
	before := runtime.NumGoroutine()
	want := bytes.Repeat([]byte("0123456789"), size/10)
	var whole, broken atomic.Int32
	handler := func(w http.ResponseWriter, req *http.Request) {
		if id, _, _ := credentials(req); id == "id0" {
			w.Header().Set("WWW-Authenticate", "Token credential")
			w.WriteHeader(401)
			return
		}
		if data, err := io.ReadAll(req.Body); err == nil && bytes.Equal(data, want) {
			whole.Add(1)
		} else {
			broken.Add(1)
		}
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(handler))
	open := countConnections(server)
	if server.EnableHTTP2 = http2; http2 {
		server.StartTLS()
	} else {
		server.Start()
	}
	client := server.Client()
	client.Transport.(*http.Transport).ExpectContinueTimeout = time.Second
	mended, returned := 0, 0
	for range 50 {
		rt := &transport.Transport{Signer: &token{}, Base: client.Transport}
		req, _ := http.NewRequest("PUT", server.URL, io.NopCloser(bytes.NewReader(want)))
		req.ContentLength = int64(len(want))
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		switch history := transport.History(resp); {
		case resp.StatusCode == 200 && len(history) == 2:
			mended++
		case resp.StatusCode == 401 && history[0].Stop == "body":
			returned++
		default:
			t.Errorf("status %d, history %v", resp.StatusCode, history)
		}
	}
	t.Logf("%d mended, %d returned", mended, returned)
	if int(whole.Load()) != mended || broken.Load() != 0 {
		t.Errorf("%d whole and %d broken bodies for %d mended calls",
			whole.Load(), broken.Load(), mended)
	}
	if size > 1<<20 && mended != 50 {
		t.Errorf("a long body is asked for first: all 50 should have been mended, not %d", mended)
	}
	client.CloseIdleConnections()
	server.Close()
	if n := open.Load(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

func countConnections(server *httptest.Server) *atomic.Int32 {
	var open atomic.Int32
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed, http.StateHijacked:
			open.Add(-1)
		case http.StateActive, http.StateIdle: // it is counted as open already
		}
	}
	return &open
}

// A pool of one connection does not block the fetch: the refusal's connection is freed before the
// fetch begins.
func TestPoolOfOne_B6(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if id, _, _ := credentials(req); id == "id0" {
			w.WriteHeader(401)
			_, _ = io.WriteString(w, strings.Repeat("no", 10000))
		}
	}))
	defer server.Close()
	pool := &http.Transport{MaxConnsPerHost: 1}
	defer pool.CloseIdleConnections()
	signer := &fetching{token: &token{}, fetch: func() error {
		resp, err := (&http.Client{Transport: pool, Timeout: 10 * time.Second}).Get(server.URL)
		if err == nil {
			_ = resp.Body.Close()
		}
		return err
	}}
	resp, err := get(&transport.Transport{Signer: signer, Base: pool}, server.URL)
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("%v, %v", transport.History(resp), err)
	}
	_ = resp.Body.Close()
}

type fetching struct {
	*token
	fetch func() error
}

func (f *fetching) Refresh(resp *http.Response) (bool, error) {
	if err := f.fetch(); err != nil {
		return false, err
	}
	return f.token.Refresh(resp)
}

// The other rules of http.RoundTripper are kept.
func TestRoundTripperManners(t *testing.T) {
	idle := &idleBase{}
	(&transport.Transport{Signer: &token{}, Base: idle}).CloseIdleConnections()
	if !idle.closed {
		t.Error("CloseIdleConnections was not passed on")
	}
	(&transport.Transport{Signer: &token{}, Base: base(nil)}).CloseIdleConnections()

	saved := http.DefaultTransport
	defer func() { http.DefaultTransport = saved }()
	rt := &transport.Transport{Signer: &token{}}
	for _, status := range []int{200, 204} { // the default transport is looked up for each request
		http.DefaultTransport = base(func(*http.Request) (*http.Response, error) {
			return answer(status)
		})
		if resp, err := get(rt, "https://a.example/"); err != nil || resp.StatusCode != status {
			t.Errorf("%v, %v", resp, err)
		}
	}

	rt = &transport.Transport{Signer: &token{},
		Base: base(func(*http.Request) (*http.Response, error) { return nil, nil })}
	if _, err := get(rt, "https://a.example/"); err == nil {
		t.Error("no response and no error is no error")
	}

	rt = &transport.Transport{Signer: &token{failing: errBroken},
		Base: base(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 401}, nil // no header, no body, no request
		})}
	resp, err := get(rt, "https://a.example/")
	if err != nil || resp.Body == nil || resp.Request == nil {
		t.Errorf("%v, %v", resp, err)
	}
	req := &http.Request{URL: resp.Request.URL} // no header at all
	if _, err := rt.RoundTrip(req); err != nil || req.Header != nil {
		t.Errorf("%v, header %v", err, req.Header)
	}
}

type idleBase struct {
	service
	closed bool
}

func (b *idleBase) CloseIdleConnections() { b.closed = true }

// Many goroutines may share one request, as scripts do.
func TestSharedRequest_X1(t *testing.T) {
	rt := &transport.Transport{Signer: &token{}, Base: &service{off: time.Hour}}
	req, _ := http.NewRequest("GET", "https://a.example/", nil)
	req.Header["Accept"] = append(make([]string, 0, 2), "text/plain")
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			if resp, err := rt.RoundTrip(req); err != nil || resp.StatusCode != 200 {
				t.Errorf("%v, %v", resp, err)
			}
		})
	}
	wg.Wait()
}

// Concurrent streams over HTTP/2, none of them refused, need no further connection and cause no
// error.
func TestStreamsOverHTTP2(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(
		func(_ http.ResponseWriter, req *http.Request) { _, _ = io.Copy(io.Discard, req.Body) }))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	client := server.Client()
	client.Transport.(*http.Transport).ExpectContinueTimeout = time.Second
	rt := &transport.Transport{Signer: &token{}, Base: client.Transport}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 20 {
				body := struct{ io.Reader }{strings.NewReader("abc")}
				req, _ := http.NewRequest("POST", server.URL, body)
				resp, err := rt.RoundTrip(req)
				if err != nil {
					t.Error(err)
					return
				}
				_ = resp.Body.Close()
			}
		})
	}
	wg.Wait()
}

// A server that does not support the field gets the request without it, since the caller did not
// set it.
func TestExpectationFailed_B4(t *testing.T) {
	sends := 0
	rt := &transport.Transport{Signer: &token{},
		Base: base(func(req *http.Request) (*http.Response, error) {
			if sends++; asks(req) {
				return answer(417)
			}
			if data, _ := io.ReadAll(req.Body); string(data) != "whole" {
				t.Errorf("sent %q", data)
			}
			return answer(200)
		})}
	body := &closeCounter{Reader: strings.NewReader("whole")}
	req, _ := http.NewRequest("PUT", "https://a.example/", body)
	resp, err := rt.RoundTrip(req)
	if err != nil || resp.StatusCode != 200 || sends != 2 || body.count() != 1 {
		t.Errorf("%v, %v after %d requests, closed %d times", resp, err, sends, body.count())
	}
	req.Header.Set("Expect", "100-continue") // the caller set it, so the caller gets the refusal
	if resp, err = rt.RoundTrip(req); err != nil || resp.StatusCode != 417 {
		t.Errorf("%v, %v", resp, err)
	}
}

// A body in memory reaches the base unwrapped, so that net/http can send it together with the
// header.
func TestPlainBody(t *testing.T) {
	for _, r := range []io.Reader{
		strings.NewReader("x"), bytes.NewReader([]byte("x")), bytes.NewBufferString("x"),
	} {
		req, _ := http.NewRequest("POST", "https://a.example/", r)
		rt := &transport.Transport{Signer: &token{},
			Base: base(func(sent *http.Request) (*http.Response, error) {
				if sent.Body != req.Body {
					t.Errorf("%T was wrapped", r)
				}
				return answer(200)
			})}
		if _, err := rt.RoundTrip(req); err != nil {
			t.Error(err)
		}
	}
}

// GetBody may rewind the file that the first attempt is still reading. So the second attempt begins
// when that read has ended, and the first attempt cannot read again.
func TestSeekingGetBody_B9(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := &slowFile{text: "0123456789"}
		n := 0
		rt := &transport.Transport{Signer: &token{},
			Base: rawBase(func(req *http.Request) (*http.Response, error) {
				if n++; n == 1 {
					go func() { // as net/http does after an early answer
						_, _ = io.Copy(io.Discard, req.Body)
						_ = req.Body.Close()
					}()
					synctest.Wait()
					return answer(401)
				}
				data, err := io.ReadAll(req.Body)
				if string(data) != file.text || err != nil {
					t.Errorf("the second attempt sent %q, %v", data, err)
				}
				return answer(200)
			})}
		req, _ := http.NewRequest("PUT", "https://a.example/", file)
		req.GetBody = func() (io.ReadCloser, error) {
			file.at = 0
			return io.NopCloser(file), nil
		}
		if resp, err := rt.RoundTrip(req); err != nil || resp.StatusCode != 200 {
			t.Errorf("%v, %v", resp, err)
		}
	})
}

// If that read does not end, the caller gets the refusal.
func TestStuckBody_B9(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := &slowFile{text: "0123456789", pause: time.Hour}
		rt := &transport.Transport{Signer: &token{},
			Base: rawBase(func(req *http.Request) (*http.Response, error) {
				go func() {
					_, _ = io.Copy(io.Discard, req.Body)
					_ = req.Body.Close()
				}()
				synctest.Wait()
				return answer(401)
			})}
		req, _ := http.NewRequest("PUT", "https://a.example/", file)
		req.GetBody = func() (io.ReadCloser, error) { return file, nil }
		resp, err := rt.RoundTrip(req)
		if err != nil || resp.StatusCode != 401 || transport.History(resp)[0].Stop != "body" {
			t.Errorf("%v, %v", transport.History(resp), err)
		}
		time.Sleep(5 * time.Hour) // until the reads have ended
	})
}

// A slowFile gives four bytes at a time.
type slowFile struct {
	text  string
	at    int
	pause time.Duration // if zero, half a second
}

func (f *slowFile) Read(p []byte) (int, error) {
	start := f.at
	<-time.After(max(f.pause, time.Second/2))
	n := copy(p[:min(4, len(p))], f.text[start:])
	if f.at = start + n; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (*slowFile) Close() error { return nil }

// If GetBody returns nil, or a reader that was read already, the body is not sent again.
func TestUselessGetBody_B2(t *testing.T) {
	for _, same := range []bool{true, false} {
		body := &closeCounter{Reader: strings.NewReader("whole")}
		req, _ := http.NewRequest("PUT", "https://a.example/", body)
		req.GetBody = func() (io.ReadCloser, error) {
			if same {
				return body, nil
			}
			return nil, nil
		}
		rt := &transport.Transport{Signer: &token{},
			Base: base(func(req *http.Request) (*http.Response, error) {
				_, _ = io.Copy(io.Discard, req.Body)
				return answer(401)
			})}
		resp, err := rt.RoundTrip(req)
		if err != nil || resp.StatusCode != 401 || transport.History(resp)[0].Stop != "body" {
			t.Errorf("%v, %v", transport.History(resp), err)
		}
	}
}

// The body of a refusal is closed once. If its Close blocks, the call does not block.
func TestDiscardedBodyOfAnyKind_B7(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		for _, closes := range []bool{true, false} {
			body := &stuckBody{release: release, closes: closes}
			rt := &transport.Transport{Signer: &token{},
				Base: base(func(req *http.Request) (*http.Response, error) {
					if id, _, _ := credentials(req); id != "id0" {
						return answer(200)
					}
					resp, _ := answer(401)
					resp.Body = body
					return resp, nil
				})}
			begin := time.Now()
			resp, err := get(rt, "https://a.example/")
			if err != nil || resp.StatusCode != 200 || time.Since(begin) > 2*time.Second {
				t.Errorf("%v, %v after %v", resp, err, time.Since(begin))
			}
			if body.closed.Load() != 1 {
				t.Errorf("closed %d times", body.closed.Load())
			}
		}
		close(release)
	})
}

type stuckBody struct {
	release chan struct{}
	closes  bool
	once    sync.Once
	done    chan struct{}
	closed  atomic.Int32
}

func (b *stuckBody) ended() chan struct{} {
	b.once.Do(func() { b.done = make(chan struct{}) })
	return b.done
}

func (b *stuckBody) Read([]byte) (int, error) {
	select {
	case <-b.release:
	case <-b.ended():
	}
	return 0, io.EOF
}

func (b *stuckBody) Close() error {
	if b.closed.Add(1) == 1 && b.closes {
		close(b.ended())
	}
	return nil
}
