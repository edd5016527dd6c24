package body_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/internal/body"
)

// A source is a caller's body that counts how often it is closed.
type source struct {
	io.Reader
	closed int
}

func (s *source) Close() error { s.closed++; return nil }

func request(t *testing.T, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "PUT", "https://api.example.com/", body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// lend returns the request of the next attempt, with the body of l.
func lend(t *testing.T, l *body.Lender, req *http.Request) *http.Request {
	t.Helper()
	next := *req
	if err := l.Lend(&next, nil); err != nil {
		t.Fatal(err)
	}
	return &next
}

// net/http sends a body in memory together with the header, unless it is wrapped.
func TestBodyInMemoryIsNotWrapped(t *testing.T) {
	for _, tt := range []struct {
		name  string
		body  io.Reader
		plain bool
	}{
		{"strings.Reader", strings.NewReader("x"), true},
		{"bytes.Reader", bytes.NewReader([]byte("x")), true},
		{"bytes.Buffer", bytes.NewBufferString("x"), true},
		{"another reader", io.LimitReader(strings.NewReader("x"), 1), false},
		{"another closer", &source{Reader: strings.NewReader("x")}, false},
	} {
		req := request(t, tt.body)
		if req.GetBody == nil {
			req.GetBody = func() (io.ReadCloser, error) { return &source{}, nil }
		}
		if next := lend(t, body.New(req), req); (next.Body == req.Body) != tt.plain {
			t.Errorf("%s: lent as %T", tt.name, next.Body)
		}
	}
	if l := body.New(request(t, http.NoBody)); l != nil {
		t.Error("a request without a body has one")
	}
}

type uncomparable struct {
	io.ReadCloser
	_ []int
}

// If GetBody returns nil, or the reader that was read, a body cannot be sent again.
func TestUselessGetBody(t *testing.T) {
	failed := errors.New("the file is gone")
	read, other := &source{}, &source{Reader: strings.NewReader("x")}
	for _, tt := range []struct {
		name string
		body io.ReadCloser
		err  error
		ok   bool
	}{
		{"another reader", other, nil, true},
		{"one that cannot be compared", uncomparable{ReadCloser: other}, nil, true},
		{"the same", read, nil, false},
		{"none", nil, nil, false},
		{"failure", other, failed, false},
	} {
		req := request(t, read)
		req.GetBody = func() (io.ReadCloser, error) { return tt.body, tt.err }
		l := body.New(req)
		lend(t, l, req)
		next := *req
		if err := l.Lend(&next, nil); (err == nil) != tt.ok || tt.err != nil && err != tt.err {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// Another attempt gets a body that cannot be read twice only if no part of it was read. The body is
// closed once.
func TestTakeBack(t *testing.T) {
	for _, read := range []bool{false, true} {
		src := &source{Reader: strings.NewReader("whole")}
		req := request(t, src)
		l := body.New(req)
		first := lend(t, l, req)
		if read {
			_, _ = first.Body.Read(make([]byte, 1))
		}
		if l.TakeBack() == read {
			t.Fatalf("read %v: taken back %v", read, !read)
		}
		if read {
			rest, err := io.ReadAll(first.Body)
			if string(rest) != "hole" || err != nil {
				t.Errorf("the attempt that keeps it got %q, %v", rest, err)
			}
			_ = first.Body.Close()
		} else {
			if _, err := first.Body.Read(make([]byte, 1)); err == nil {
				t.Error("the attempt from which it was taken reads on")
			}
			next := lend(t, l, req)
			_ = first.Body.Close()
			all, err := io.ReadAll(next.Body)
			if string(all) != "whole" || err != nil {
				t.Errorf("the next attempt got %q, %v", all, err)
			}
			_ = next.Body.Close()
		}
		l.Finish()
		if src.closed != 1 {
			t.Errorf("read %v: closed %d times", read, src.closed)
		}
	}
}

// A body that was taken back and not lent again can be given back.
func TestGiveBack(t *testing.T) {
	src := &source{Reader: strings.NewReader("whole")}
	req := request(t, src)
	l := body.New(req)
	first := lend(t, l, req)
	l.TakeBack()
	l.GiveBack()
	l.Finish()
	if all, err := io.ReadAll(first.Body); string(all) != "whole" || err != nil || src.closed != 0 {
		t.Errorf("%q, %v, closed %d times", all, err, src.closed)
	}
	_ = first.Body.Close()
	if src.closed != 1 {
		t.Errorf("closed %d times", src.closed)
	}
}

// Reading ahead does not change the body that attempts get, also by another Lender, and does not
// count as a read.
func TestPeek(t *testing.T) {
	for name, content := range map[string]string{"empty": "", "short": "x",
		"long": strings.Repeat("0123456789", 1000)} {
		req := request(t, &source{Reader: strings.NewReader(content)})
		below := body.New(req)
		for range 2 { // attempts
			middle := lend(t, below, req)
			l := body.New(middle)
			lend(t, l, middle)
			if l.Peek(time.Minute) != (content != "") {
				t.Errorf("%s: seen %v", name, content == "")
			}
			if !l.TakeBack() || !below.TakeBack() {
				t.Fatalf("%s: was read", name)
			}
		}
		all, err := io.ReadAll(lend(t, below, req).Body)
		if string(all) != content || err != nil {
			t.Errorf("%s: got %d bytes, %v", name, len(all), err)
		}
		if again := below.TakeBack(); again != (content == "") {
			t.Errorf("%s: after the last byte, taken back %v", name, again)
		}
	}
}

// Peek does not wait longer than its limit for a late body, and no byte of the body is lost.
func TestPeekLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		req := request(t, r)
		l := body.New(req)
		begun := time.Now()
		if l.Peek(time.Second) || time.Since(begun) != time.Second {
			t.Errorf("seen, or after %v", time.Since(begun))
		}
		first := lend(t, l, req)
		failed := make(chan error)
		go func() {
			_, err := first.Body.Read(make([]byte, 1))
			failed <- err
		}()
		synctest.Wait()
		if !l.TakeBack() {
			t.Fatal("a read that has to wait counts as one")
		}
		next := lend(t, l, req)
		if err := <-failed; err == nil {
			t.Error("the attempt from which it was taken reads on")
		}
		go func() {
			_, _ = io.WriteString(w, "whole")
			_ = w.Close()
		}()
		if all, err := io.ReadAll(next.Body); string(all) != "whole" || err != nil {
			t.Errorf("got %q, %v", all, err)
		}
	})
}

// The first read waits for the function passed to Lend, and fails with its error.
func TestLendWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := errors.New("no connection")
		for name, end := range map[string]func(*body.Lender, *http.Request){
			"finished":   func(l *body.Lender, _ *http.Request) { l.Finish() },
			"closed":     func(_ *body.Lender, req *http.Request) { _ = req.Body.Close() },
			"taken back": func(l *body.Lender, req *http.Request) { l.TakeBack(); lend(t, l, req) },
			"failed":     nil,
		} {
			req := request(t, &source{Reader: strings.NewReader("whole")})
			l := body.New(req)
			next := *req
			err := l.Lend(&next, func(over <-chan struct{}) error {
				if end == nil {
					return failed
				}
				<-over
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			got := make(chan error, 1)
			go func() {
				_, err := next.Body.Read(make([]byte, 1))
				got <- err
			}()
			synctest.Wait()
			if end != nil {
				if len(got) != 0 {
					t.Errorf("%s: the read did not wait", name)
				}
				end(l, &next)
			}
			if err := <-got; (err == nil) != (name == "finished") ||
				name == "failed" && err != failed {
				t.Errorf("%s: read with %v", name, err)
			}
		}
	})
}

// Reading a discarded answer is limited in bytes and in time.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent, _ := io.Pipe()
		for _, tt := range []struct {
			name string
			body io.Reader
			want int
			err  error
			took time.Duration
		}{
			{"short", strings.NewReader("short"), 5, nil, 0},
			{"long", io.LimitReader(zeros{}, 1<<20), 64 << 10, io.ErrUnexpectedEOF, 0},
			{"cut off", io.MultiReader(strings.NewReader("x"), failing{}), 1,
				io.ErrUnexpectedEOF, 0},
			{"silent", silent, 0, io.ErrClosedPipe, time.Second},
		} {
			begun := time.Now()
			src := &closer{Reader: tt.body}
			r := body.Drain(context.Background(), body.DrainTime, src)
			for range 2 {
				data, err := io.ReadAll(r.Reader())
				if len(data) != tt.want || err != tt.err {
					t.Errorf("%s: %d bytes, %v", tt.name, len(data), err)
				}
			}
			if time.Since(begun) != tt.took || src.closed != 1 {
				t.Errorf("%s: took %v, closed %d times", tt.name, time.Since(begun), src.closed)
			}
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// A closer closes its reader too, if that can be closed.
type closer struct {
	io.Reader
	closed int
}

func (c *closer) Close() error {
	c.closed++
	if r, ok := c.Reader.(io.Closer); ok {
		return r.Close()
	}
	return nil
}
