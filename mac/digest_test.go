package mac_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/countersign-go/countersign/mac"
)

// A readCloser is a body whose Close returns err.
type readCloser struct {
	io.Reader
	err error
}

func (r readCloser) Close() error { return r.err }

const mib = 1 << 20

func digestSigner() *mac.Signer { return &mac.Signer{Source: testCreds, BodyDigest: true} }

func postRequest(t testing.TB, body []byte) *http.Request {
	t.Helper()
	req, err := http.NewRequest("POST", "http://example.com/", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// TestBodyDigest_C23 swaps bodies of all sizes, below and above the size up to which a Verifier
// checks them first.
func TestBodyDigest_C23(t *testing.T) {
	v := newVerifier()
	v.BodyDigest = true
	for _, size := range []int{0, 1, 100, 32 << 10, mib - 1, mib, mib + 1, 3*mib + 7} {
		body := bytes.Repeat([]byte("b"), size)
		req := postRequest(t, body)
		if err := digestSigner().Sign(req, testTime); err != nil {
			t.Fatal(err)
		}
		swapped := bytes.Clone(body)
		if size > 0 {
			swapped[size-1] ^= 1
		}
		bodies := map[string]struct {
			sent []byte
			ok   bool
		}{
			"the same": {body, true},
			"longer":   {append(bytes.Clone(body), 'c'), false},
			"swapped":  {swapped, size == 0},
			"cut":      {body[:size/2], size == 0},
		}
		for name, b := range bodies {
			for _, chunked := range []bool{false, true} {
				got := received(req)
				got.Body = readCloser{bytes.NewReader(b.sent), nil}
				got.ContentLength = int64(len(b.sent))
				if chunked {
					got.ContentLength = -1
				}
				err := authenticate(v, got)
				if early := len(b.sent) <= mib; early && err == nil && !b.ok {
					t.Errorf("%d bytes, %s: %v from Authenticate", size, name, err)
				}
				if err == nil {
					var read []byte
					read, err = io.ReadAll(got.Body)
					if b.ok && !bytes.Equal(read, b.sent) || len(read) == len(b.sent) && !b.ok {
						t.Errorf("%d bytes, %s: the handler reads %d bytes", size, name, len(read))
					}
					_, again := got.Body.Read(make([]byte, 1))
					if (again == io.EOF) != (err == nil) {
						t.Errorf("%d bytes, %s: read again: %v after %v", size, name, again, err)
					}
				}
				if b.ok != (err == nil) || !b.ok && !errors.Is(err, mac.ErrDigest) {
					t.Errorf("%d bytes, %s, chunked %t: %v", size, name, chunked, err)
				}
			}
		}
	}
}

// TestDigestInExt sends each ext with the body "x" and without a body.
func TestDigestInExt(t *testing.T) {
	const (
		ofX       = "sha-256=:LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE=:"
		ofNothing = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"
	)
	tests := []struct {
		ext         string
		with, empty bool // accepted with the body "x", and without a body
	}{
		{ofX, true, false},
		{ofNothing, false, true},
		{"", false, true},
		{"a b", false, true},
		{"a b " + ofX, true, false},
		{ofX + " a", true, false},
		{"sha-512=:LXE=: " + ofX, true, false},
		{ofX + " " + ofX, false, false},
		{ofX + " " + ofNothing, false, false},
		{"x" + ofX, false, true}, // another word
		{strings.TrimSuffix(ofX, ":"), false, false},
		{strings.Replace(ofX, "=:", "=", 1), false, false},
		{strings.Replace(ofX, "=:", "", 2), false, true},
		{"sha-256=:fQXt3p4wCZ4hdRBQ0FQB1kZyWxo=:", false, false}, // 20 bytes
		{strings.Replace(ofX, "E=:", "F=:", 1), false, false},    // spare bits
		{"sha-256=::", false, false},
	}
	for _, test := range tests {
		for body, ok := range map[string]bool{"x": test.with, "": test.empty} {
			req := postRequest(t, []byte(body))
			s := &mac.Signer{Source: testCreds, Ext: fixed(test.ext)}
			if err := s.Sign(req, testTime); err != nil {
				t.Fatal(err)
			}
			v := newVerifier()
			if err := authenticate(v, received(req)); err != nil {
				t.Errorf("%q, not looked at: %v", test.ext, err)
			}
			v.BodyDigest = true
			err := authenticate(v, received(req))
			if ok != (err == nil) || !ok && !errors.Is(err, mac.ErrDigest) {
				t.Errorf("%q with body %q: %v", test.ext, body, err)
			}
		}
	}
}

func TestSignerDigest(t *testing.T) {
	req := postRequest(t, []byte("Hello World!"))
	s := digestSigner()
	s.Ext = fixed("user words")
	if err := s.Sign(req, testTime); err != nil {
		t.Fatal(err)
	}
	want := "user words sha-256=:f4OxZX/x/FO5LcGBSKHWXfwtSx+j1ncoSt3SABJtkGk=:"
	if got := params(t, req.Header.Get("Authorization"))["ext"]; got != want {
		t.Errorf("ext %q, want %q", got, want)
	}
	if text, err := io.ReadAll(req.Body); string(text) != "Hello World!" {
		t.Errorf("the body was read: %q, %v", text, err)
	}

	s.Ext = fixed("a sha-256=x")
	if err := s.Sign(req, testTime); !errors.Is(err, mac.ErrUnsignable) {
		t.Errorf("a digest of the user's: %v, want ErrUnsignable", err)
	}
	s.Ext = nil
	req.GetBody = nil
	err := s.Sign(req, testTime)
	if !errors.Is(err, mac.ErrUnsignable) || !strings.Contains(err.Error(), "GetBody") {
		t.Errorf("no GetBody: %v, want ErrUnsignable that names it", err)
	}
	broken := errors.New("broken pipe")
	for what, get := range map[string]func() (io.ReadCloser, error){
		"GetBody": func() (io.ReadCloser, error) { return nil, broken },
		"Read": func() (io.ReadCloser, error) {
			return readCloser{iotest.ErrReader(broken), nil}, nil
		},
		"Close": func() (io.ReadCloser, error) {
			return readCloser{strings.NewReader(""), broken}, nil
		},
	} {
		req.GetBody = get
		if err := s.Sign(req, testTime); !errors.Is(err, broken) {
			t.Errorf("%s fails: %v", what, err)
		}
	}
	s.Ext = func(*http.Request) (string, error) { return "", broken }
	if err := s.Sign(req, testTime); !errors.Is(err, broken) {
		t.Errorf("Ext fails: %v", err)
	}
}

// TestBodyReadError has a client that goes away, and a handler that closes what it got.
func TestBodyReadError(t *testing.T) {
	req := postRequest(t, bytes.Repeat([]byte("b"), 2*mib))
	if err := digestSigner().Sign(req, testTime); err != nil {
		t.Fatal(err)
	}
	v := newVerifier()
	v.BodyDigest = true
	gone, closed := errors.New("client gone"), errors.New("closed")
	for _, length := range []int64{-1, 100, 2 * mib} {
		got := received(req)
		got.ContentLength = length
		halves := io.MultiReader(strings.NewReader("b"), iotest.ErrReader(gone))
		got.Body = readCloser{halves, closed}
		err := authenticate(v, got)
		if err == nil {
			_, err = io.ReadAll(got.Body)
		}
		if !errors.Is(err, gone) {
			t.Errorf("length %d: %v, want the client's error", length, err)
		}
		if err := got.Body.Close(); err != closed {
			t.Errorf("length %d: closing the body gives %v", length, err)
		}
	}
}

// TestDigestMemory has a body that must not be held in memory to be signed.
func TestDigestMemory(t *testing.T) {
	s := digestSigner()
	req := postRequest(t, nil)
	req.Body = io.NopCloser(strings.NewReader("not read"))
	req.GetBody = func() (io.ReadCloser, error) {
		return io.NopCloser(io.LimitReader(zeros{}, 16*mib)), nil
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := s.Sign(req, testTime); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > mib {
		t.Errorf("%d bytes to sign a body of 16 MiB", used)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
