package transport_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/internal/testkit"
	"github.com/countersign-go/countersign/transport"
)

// An outcome is one call as the client and the handler saw it.
type outcome struct {
	status int
	body   string
	failed bool
	seen   []string // by the handler: the body of each request and its error
	took   time.Duration
}

func (o outcome) ok() bool { return !o.failed && o.status < 400 }

func (o outcome) String() string {
	return fmt.Sprintf("status %d, body %.40q, failed %v, seen %.60q, took %v",
		o.status, o.body, o.failed, o.seen, o.took)
}

// A witness records the bodies that a handler read.
type witness struct {
	mu   sync.Mutex // guards seen
	seen []string
}

func (w *witness) note(body []byte, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(body) > 100 {
		body = fmt.Appendf(nil, "%d bytes", len(body))
	}
	w.seen = append(w.seen, fmt.Sprintf("%s %v", body, err))
}

func (w *witness) readAll(req *http.Request) ([]byte, error) {
	data, err := io.ReadAll(req.Body)
	w.note(data, err)
	return data, err
}

// A sender makes a request's body. It returns the reader, the length, and a function to call when
// the answer has come.
type sender struct {
	name   string
	method string
	length int64
	mended bool // the call recovers from a refusal that comes before the body is read
	body   func() (body io.Reader, answered func())
}

// stream returns the body that write writes.
func stream(write func(w *io.PipeWriter, answered <-chan struct{})) func() (io.Reader, func()) {
	return func() (io.Reader, func()) {
		r, w := io.Pipe()
		answered := make(chan struct{})
		go func() {
			defer w.Close()
			write(w, answered)
		}()
		return r, sync.OnceFunc(func() { close(answered) })
	}
}

func senders() []sender {
	idle := func() {}
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<20/16+1)
	return []sender{
		{"no body", "POST", 0, true, func() (io.Reader, func()) { return nil, idle }},
		{"with GetBody", "POST", 0, true, func() (io.Reader, func()) {
			return strings.NewReader("one\ntwo\n"), idle
		}},
		{"short", "POST", 8, false, func() (io.Reader, func()) {
			return struct{ io.Reader }{strings.NewReader("one\ntwo\n")}, idle
		}},
		{"unknown length", "POST", -1, true, func() (io.Reader, func()) {
			return struct{ io.Reader }{strings.NewReader("one\ntwo\n")}, idle
		}},
		{"unknown length, of a GET", "GET", -1, false, func() (io.Reader, func()) {
			return struct{ io.Reader }{strings.NewReader("one\ntwo\n")}, idle
		}},
		{"long", "PUT", int64(len(large)), true, func() (io.Reader, func()) {
			return struct{ io.Reader }{bytes.NewReader(large)}, idle
		}},
		{"long, unknown length", "PUT", -1, true, func() (io.Reader, func()) {
			return struct{ io.Reader }{bytes.NewReader(large)}, idle
		}},
		{"empty", "POST", -1, true, func() (io.Reader, func()) {
			return struct{ io.Reader }{strings.NewReader("")}, idle
		}},
		{"empty after a time", "POST", -1, true,
			stream(func(*io.PipeWriter, <-chan struct{}) { time.Sleep(300 * time.Millisecond) })},
		{"slow", "POST", -1, false, stream(func(w *io.PipeWriter, _ <-chan struct{}) {
			for _, line := range []string{"one\n", "two\n"} {
				time.Sleep(300 * time.Millisecond)
				_, _ = io.WriteString(w, line)
			}
		})},
		{"in turn", "POST", -1, false, stream(func(w *io.PipeWriter, answered <-chan struct{}) {
			_, _ = io.WriteString(w, "one\n")
			<-answered
			_, _ = io.WriteString(w, "two\n")
		})},
		{"after the answer", "POST", -1, false,
			stream(func(w *io.PipeWriter, answered <-chan struct{}) {
				<-answered
				_, _ = io.WriteString(w, "one\ntwo\n")
			})},
	}
}

// A receiver is a kind of server. It has either a handler or, without HTTP/2, raw.
type receiver struct {
	name    string
	handler func(*witness) http.HandlerFunc
	raw     func(*witness) func(net.Conn, *bufio.Reader)
	extra   time.Duration // how much later than with a plain client the first answer may come
	again   bool          // the request is sent once more, without Expect
}

func flushed(w http.ResponseWriter, status int) *http.ResponseController {
	rc := http.NewResponseController(w)
	w.WriteHeader(status)
	_ = rc.Flush()
	return rc
}

func receivers() []receiver {
	echo := func(seen *witness, w http.ResponseWriter, req *http.Request) {
		data, err := seen.readAll(req)
		if err == nil {
			_, _ = w.Write(data[:min(len(data), 100)])
		}
	}
	early := func(status int, duplex bool) func(*witness) http.HandlerFunc {
		return func(seen *witness) http.HandlerFunc {
			return func(w http.ResponseWriter, req *http.Request) {
				if duplex {
					_ = http.NewResponseController(w).EnableFullDuplex()
				}
				rc := flushed(w, status)
				var all []byte
				lines := bufio.NewScanner(req.Body)
				lines.Buffer(nil, 4<<20)
				for lines.Scan() {
					all = fmt.Appendf(all, "%s\n", lines.Bytes())
					if duplex && len(all) < 100 {
						_, _ = fmt.Fprintf(w, "%s\n", lines.Bytes())
						_ = rc.Flush()
					}
				}
				seen.note(all, lines.Err())
			}
		}
	}
	unread := func(status int) func(*witness) http.HandlerFunc {
		return func(seen *witness) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				seen.note(nil, nil)
				w.WriteHeader(status)
				_, _ = io.WriteString(w, "unread")
			}
		}
	}
	dislikes := func(status int) func(*witness) http.HandlerFunc {
		return func(seen *witness) http.HandlerFunc {
			return func(w http.ResponseWriter, req *http.Request) {
				if req.Header.Get("Expect") != "" {
					w.WriteHeader(status)
					return
				}
				echo(seen, w, req)
			}
		}
	}
	// rawly serves without status 100. It closes the connection if closes says so.
	rawly := func(closes func(*http.Request) bool) func(*witness) func(net.Conn, *bufio.Reader) {
		return func(seen *witness) func(net.Conn, *bufio.Reader) {
			return func(conn net.Conn, r *bufio.Reader) {
				for {
					req, err := http.ReadRequest(r)
					if err != nil || closes(req) {
						return
					}
					data, err := seen.readAll(req)
					if err != nil {
						return
					}
					_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s",
						len(data), data)
				}
			}
		}
	}
	asked := func(req *http.Request) bool { return req.Header.Get("Expect") != "" }
	return []receiver{
		{name: "reads all", handler: func(seen *witness) http.HandlerFunc {
			return func(w http.ResponseWriter, req *http.Request) { echo(seen, w, req) }
		}},
		{name: "full duplex", handler: early(200, true)},
		{name: "full duplex with status 404", handler: early(404, true)},
		{name: "flushes before it reads", handler: early(200, false)},
		{name: "200 unread", handler: unread(200)},
		{name: "303 unread", handler: unread(303)},
		{name: "413 unread", handler: unread(413)},
		{name: "401 unread, by others", handler: func(*witness) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("WWW-Authenticate", "Other")
				w.WriteHeader(401)
				_, _ = io.WriteString(w, strings.Repeat("refused ", 20<<10))
			}
		}},
		{name: "never says 100", raw: rawly(func(*http.Request) bool { return false }),
			extra: time.Second},
		{name: "417", handler: dislikes(417), again: true},
		{name: "400", handler: dislikes(400), again: true},
		{name: "501", handler: dislikes(501), again: true},
		{name: "505", handler: dislikes(505), again: true},
		{name: "closes when asked", raw: rawly(asked), again: true,
			extra: 20 * time.Millisecond},
		{name: "always closes", raw: rawly(func(*http.Request) bool { return true }),
			extra: 20 * time.Millisecond},
		{name: "refuses once", handler: func(seen *witness) http.HandlerFunc {
			return func(w http.ResponseWriter, req *http.Request) {
				if id, _, _ := credentials(req); id == "id0" || id == "" {
					w.Header().Set("WWW-Authenticate", "Token credential")
					w.WriteHeader(401)
					return
				}
				echo(seen, w, req)
			}
		}},
	}
}

// The Expect field that the Transport adds never makes a call worse than with a plain client, for
// any kind of body and any kind of server.
func TestExpectNeverWorseThanPlain(t *testing.T) {
	cert, pool := testkit.Certificate()
	cells := 0
	for _, proto := range []string{testkit.HTTP11, testkit.HTTP11TLS, testkit.HTTP2} {
		for _, server := range receivers() {
			if server.raw != nil && proto == testkit.HTTP2 {
				continue // the only HTTP/2 server here is net/http, which sends status 100
			}
			for _, body := range senders() {
				if proto == testkit.HTTP2 && server.name == "full duplex with status 404" {
					// In HTTP/2, net/http stops sending a body at a final status of 300 or above.
					// With a plain client, the outcome depends on which side is faster.
					continue
				}
				cells++
				t.Run(proto+"/"+server.name+"/"+body.name, func(t *testing.T) {
					run := func(wrap func(http.RoundTripper) http.RoundTripper) (all [2]outcome) {
						synctest.Test(t, func(t *testing.T) {
							seen := new(witness)
							s := testkit.Server{Proto: proto}
							if server.raw != nil {
								s.Raw = server.raw(seen)
							} else {
								s.Handler = server.handler(seen)
							}
							base := wrap(s.Start(t, cert, pool))
							for i := range all {
								seen.seen = nil
								all[i] = call(t, base, body, proto)
								synctest.Wait()
								all[i].seen = slices.Clone(seen.seen)
							}
						})
						return all
					}
					plain := run(func(rt http.RoundTripper) http.RoundTripper { return rt })
					ours := run(func(rt http.RoundTripper) http.RoundTripper {
						return &transport.Transport{Signer: &token{}, Base: rt}
					})
					for i := range ours {
						compare(t, i, server, body, plain[i], ours[i])
					}
				})
			}
		}
	}
	t.Logf("%d cells", cells)
	if cells < 500 {
		t.Errorf("%d cells only", cells)
	}
}

// call sends one request.
func call(t *testing.T, rt http.RoundTripper, s sender, proto string) (o outcome) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	body, answered := s.body()
	url := "http://127.0.0.1/"
	if proto != testkit.HTTP11 {
		url = "https://127.0.0.1/"
	}
	req, err := http.NewRequestWithContext(ctx, s.method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	if s.length != 0 {
		req.ContentLength = s.length
	}
	if c, ok := body.(io.Closer); ok { // net/http waits for a body, even after the deadline
		defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	}
	begun := time.Now()
	resp, err := rt.RoundTrip(req)
	answered()
	if err == nil {
		o.status = resp.StatusCode
		var data []byte
		data, err = io.ReadAll(resp.Body)
		o.body = string(data)
		_ = resp.Body.Close()
	}
	o.failed = err != nil
	if o.took = time.Since(begun); ctx.Err() != nil {
		// At the deadline, the answer and the end of the context come at the same moment.
		o.failed, o.body = true, ""
	}
	return o
}

func compare(t *testing.T, call int, server receiver, body sender, plain, ours outcome) {
	late := ours.took - plain.took
	extra := 60 * time.Millisecond // to find out whether there is a body
	if call == 0 {
		extra += server.extra
	}
	mended := server.name == "refuses once"
	switch {
	case plain.ok() || !plain.failed && !mended && plain.status != 401:
		if ours.status != plain.status || ours.body != plain.body || ours.failed {
			t.Errorf("call %d\nplain %v\nours  %v", call, plain, ours)
		}
		// The handler may read more: with an Expect field, net/http does not read ahead of it.
		if !slices.Equal(ours.seen, plain.seen) && !strings.HasSuffix(server.name, "reads") {
			t.Errorf("call %d: the handler saw\nplain %q\nours  %q", call, plain.seen, ours.seen)
		}
	case mended:
		if body.mended && !ours.ok() {
			t.Errorf("call %d was not mended: %v", call, ours)
		}
	case !plain.failed && ours.failed:
		t.Errorf("call %d\nplain %v\nours  %v", call, plain, ours)
	}
	if !plain.failed && !mended && late > extra {
		t.Errorf("call %d took %v, with a plain client %v", call, ours.took, plain.took)
	}
}
