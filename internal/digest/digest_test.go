package digest_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/countersign-go/countersign/internal/digest"
)

var errBad = errors.New("test: another body")

// closing is a body that counts the calls of Close and returns err from them.
type closing struct {
	io.Reader
	err    error
	closed *int
}

func (c closing) Close() error {
	*c.closed++
	return c.err
}

// TestHash hashes the kinds of bodies that a request may have.
func TestHash(t *testing.T) {
	text := bytes.Repeat([]byte("body"), 20<<10)
	req := func(body io.Reader) *http.Request {
		r, err := http.NewRequest("POST", "http://example.com/", body)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	broken := errors.New("test: broken")
	closed := 0
	giving := func(body func() io.Reader, open, end error) *http.Request {
		r := req(bytes.NewReader(text))
		r.GetBody = func() (io.ReadCloser, error) { return closing{body(), end, &closed}, open }
		return r
	}
	whole := func() io.Reader { return bytes.NewReader(text) }
	failing := func() io.Reader { return iotest.ErrReader(broken) }
	for _, tt := range []struct {
		reason string
		req    *http.Request
		want   []byte
		err    error
	}{
		{"no body", req(nil), nil, nil},
		{"an empty one", req(strings.NewReader("")), nil, nil},
		{"a long one", req(bytes.NewReader(text)), text, nil},
		{"one that is read once", req(io.MultiReader(bytes.NewReader(text))), nil,
			digest.ErrNoGetBody},
		{"one that cannot be opened", giving(whole, broken, nil), nil, broken},
		{"one that breaks", giving(failing, nil, nil), nil, broken},
		{"one that cannot be closed", giving(whole, nil, broken), nil, broken},
		{"one that is right", giving(whole, nil, nil), text, nil},
	} {
		var d digest.Hasher
		for range 2 { // the second time with a used chunk
			h := sha256.New()
			err := d.Hash(h, tt.req)
			if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
				t.Errorf("%s: %v, want %v", tt.reason, err, tt.err)
			}
			if sum := sha256.Sum256(tt.want); err == nil && !bytes.Equal(h.Sum(nil), sum[:]) {
				t.Errorf("%s: another sum", tt.reason)
			}
		}
	}
	if closed != 6 {
		t.Errorf("%d bodies are closed, want 6", closed)
	}
}

// TestCheck checks bodies of about MaxBuffer bytes.
func TestCheck(t *testing.T) {
	for _, size := range []int{0, 1, 100, digest.MaxBuffer, digest.MaxBuffer + 1} {
		body := bytes.Repeat([]byte("b"), size)
		sum := sha256.Sum256(body)
		for reason, sent := range map[string][]byte{
			"the same": body, "longer": append(bytes.Clone(body), 'c'), "cut": body[:size/2],
		} {
			same := len(sent) == size
			for _, announced := range []bool{true, false} {
				closed := 0
				req := httptest.NewRequest("POST", "/", nil)
				req.Body = closing{bytes.NewReader(sent), nil, &closed}
				if req.ContentLength = -1; announced {
					req.ContentLength = int64(len(sent))
				}
				err := digest.Check(req, sha256.New(), sum[:], errBad)
				early := len(sent) <= digest.MaxBuffer
				if !announced { // the end is found only after MaxBuffer
					early = len(sent) <= digest.MaxBuffer+1
				}
				if (err == nil) != (same || !early) || err != nil && err != errBad {
					t.Errorf("%d bytes, %s: %v", size, reason, err)
				}
				read, late := io.ReadAll(req.Body)
				switch {
				case same && (late != nil || !bytes.Equal(read, sent)):
					t.Errorf("%d bytes, %s: read %d, %v", size, reason, len(read), late)
				case !same && early && !bytes.Equal(read, sent):
					t.Errorf("%d bytes, %s: %d bytes are left in the body", size, reason, len(read))
				case !same && !early && (late != errBad || len(read) >= len(sent)):
					t.Errorf("%d bytes, %s: read %d, %v", size, reason, len(read), late)
				}
				if err := req.Body.Close(); err != nil || closed != 1 {
					t.Errorf("%d bytes, %s: closed %d times, %v", size, reason, closed, err)
				}
			}
		}
	}
}

// TestCheckReads reads exactly the length, reads nothing, and reads again at the end.
func TestCheckReads(t *testing.T) {
	body := bytes.Repeat([]byte("b"), digest.MaxBuffer+1)
	sum := sha256.Sum256([]byte("another"))
	req := httptest.NewRequest("POST", "/", bytes.NewReader(body))
	if err := digest.Check(req, sha256.New(), sum[:], errBad); err != nil {
		t.Fatal(err)
	}
	if n, err := req.Body.Read(nil); n != 0 || err != nil {
		t.Errorf("%d, %v for nothing", n, err)
	}
	if _, err := io.ReadFull(req.Body, make([]byte, len(body))); err == nil {
		t.Error("a wrong body is read whole without an error")
	}
	for range 2 {
		if n, err := req.Body.Read(make([]byte, 1)); n != 0 || err != errBad {
			t.Errorf("%d, %v at the end", n, err)
		}
	}
}

// TestCheckWithoutBody checks requests without a body.
func TestCheckWithoutBody(t *testing.T) {
	empty, other := sha256.Sum256(nil), sha256.Sum256([]byte("x"))
	for _, body := range []io.ReadCloser{nil, http.NoBody} {
		req := httptest.NewRequest("GET", "/", nil)
		req.Body = body
		if err := digest.Check(req, sha256.New(), empty[:], errBad); err != nil {
			t.Errorf("%v: %v", body, err)
		}
		if err := digest.Check(req, sha256.New(), other[:], errBad); err != errBad {
			t.Errorf("%v: %v, want errBad", body, err)
		}
	}
}

// TestCheckUnreadable checks a body that breaks off: the handler gets the error, and the sender
// does not.
func TestCheckUnreadable(t *testing.T) {
	broken := errors.New("test: broken")
	sum := sha256.Sum256([]byte("start and more"))
	req := httptest.NewRequest("POST", "/", nil)
	req.Body = io.NopCloser(io.MultiReader(strings.NewReader("start"), iotest.ErrReader(broken)))
	if err := digest.Check(req, sha256.New(), sum[:], errBad); err != nil {
		t.Fatal(err)
	}
	if read, err := io.ReadAll(req.Body); err != broken || string(read) > "start" {
		t.Errorf("%q, %v", read, err)
	}
}
