// Package digest hashes the bodies of requests: before a client sends them, and while a server
// reads them.
package digest

import (
	"bufio"
	"bytes"
	"crypto/subtle"
	"errors"
	"hash"
	"io"
	"net/http"
	"sync"
)

const (
	chunkSize = 32 << 10

	// MaxBuffer is the largest body, in bytes, that is checked before a handler runs.
	MaxBuffer = 1 << 20
)

// ErrNoGetBody means that a body cannot be read before it is sent.
var ErrNoGetBody = errors.New("digest: the request has a body without GetBody")

// A Hasher hashes the bodies of requests before they are sent. The zero value is ready for use. A
// Hasher is safe for concurrent use, and must not be copied after its first use.
type Hasher struct {
	chunks sync.Pool // of *[chunkSize]byte
}

// Hash writes the body of req to h, without buffering it. It reads the body from GetBody, and
// returns ErrNoGetBody if there is a body and no GetBody.
func (d *Hasher) Hash(h hash.Hash, req *http.Request) error {
	if req.Body == nil || req.Body == http.NoBody {
		return nil
	}
	if req.GetBody == nil {
		return ErrNoGetBody
	}
	body, err := req.GetBody()
	if err != nil {
		return err
	}
	chunk, _ := d.chunks.Get().(*[chunkSize]byte)
	if chunk == nil {
		chunk = new([chunkSize]byte)
	}
	_, err = io.CopyBuffer(h, body, chunk[:])
	d.chunks.Put(chunk)
	return errors.Join(err, body.Close())
}

// Check compares the body of req, which a server received, with want, its sum by h. A body of up to
// MaxBuffer is read before Check returns. A longer body is compared while the handler reads it: the
// handler gets bad instead of io.EOF. Check returns bad if a short body differs, and leaves that
// body whole in req.Body. It returns nil if the body cannot be read, since the handler will get
// that error.
//
// Call it only after the credentials were found to be right, so that a stranger cannot make the
// server read a body.
func Check(req *http.Request, h hash.Hash, want []byte, bad error) error {
	if req.Body == nil || req.Body == http.NoBody {
		if !equal(h, want) {
			return bad
		}
		return nil
	}
	body := &checked{
		body: req.Body, all: bufio.NewReader(io.TeeReader(req.Body, h)),
		hash: h, want: want, bad: bad,
	}
	if req.ContentLength > MaxBuffer {
		req.Body = body
		return nil
	}
	var start bytes.Buffer
	_, _ = io.Copy(&start, io.LimitReader(body, MaxBuffer+1))
	if body.wrong {
		read := io.MultiReader(&start, bytes.NewReader(body.held), req.Body)
		req.Body = readCloser{read, req.Body}
		return bad
	}
	// The handler learns of a body that is too short, or that a limit cuts off.
	req.Body = readCloser{io.MultiReader(&start, body), body}
	return nil
}

type readCloser struct {
	io.Reader
	io.Closer
}

// A checked is a body that ends with an error if it is not the expected one. It returns data only
// once it knows that more data follows or that the body is right: io.ReadFull and similar functions
// ignore an error that is returned with the last bytes.
type checked struct {
	body io.ReadCloser
	all  *bufio.Reader // reads body into hash
	hash hash.Hash
	want []byte
	bad  error

	end   error  // returned by every Read from now on
	wrong bool   // the body differs
	held  []byte // read from body, but not returned because the body differs
}

func (b *checked) Read(p []byte) (int, error) {
	if b.end != nil || len(p) == 0 {
		return 0, b.end
	}
	n, err := b.all.Read(p)
	if err == nil {
		_, err = b.all.Peek(1)
	}
	if err == io.EOF && !equal(b.hash, b.want) {
		b.wrong, b.held = true, bytes.Clone(p[:n])
		n, err = 0, b.bad
	}
	b.end = err
	return n, err
}

func (b *checked) Close() error { return b.body.Close() }

func equal(h hash.Hash, want []byte) bool {
	return subtle.ConstantTimeCompare(h.Sum(nil), want) == 1
}
