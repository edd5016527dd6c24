package body

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

const (
	// DrainBytes is how much of an answer is read before it is given up, so that its connection
	// can be used again.
	DrainBytes = 64 << 10
	// DrainTime is how long that may take.
	DrainTime = time.Second
)

var errSlow = errors.New("body: the body of the answer came too slowly")

// A Rest is the part of an answer's body that Drain has read, and the error with which it ended.
type Rest struct {
	data []byte
	err  error
}

// Drain reads an answer that may be given up, for at most limit, and closes it. It frees the
// connection before the next request is sent, which may need it: a pool of one connection would
// wait for itself.
func Drain(ctx context.Context, limit time.Duration, body io.ReadCloser) Rest {
	closeBody := sync.OnceFunc(func() { _ = body.Close() })
	done := make(chan Rest, 1)
	go func() { // since closing a body does not end the read of every kind of body
		data, err := io.ReadAll(io.LimitReader(body, DrainBytes+1))
		closeBody()
		done <- Rest{data, err}
	}()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var r Rest
	select {
	case r = <-done:
	case <-ctx.Done():
		closeBody()
		wait := time.NewTimer(DrainTime / 10)
		defer wait.Stop()
		select {
		case r = <-done: // closing has ended the read
		case <-wait.C:
			r.err = errSlow
		}
	}
	switch {
	case len(r.data) > DrainBytes:
		r.data, r.err = r.data[:DrainBytes], io.ErrUnexpectedEOF
	case r.err == nil:
		r.err = io.EOF
	}
	return r
}

// Reader returns the part that was read, as a body. It ends as the answer's body did, so that one
// that was cut off does not look whole.
func (r Rest) Reader() io.ReadCloser {
	return io.NopCloser(io.MultiReader(bytes.NewReader(r.data), failingReader{r.err}))
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }
