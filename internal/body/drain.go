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
	// DrainBytes is how much of a discarded answer is read, so that its connection can be used
	// again.
	DrainBytes = 64 << 10
	// DrainTime is how long reading a discarded answer may take.
	DrainTime = time.Second
)

var errSlow = errors.New("body: the body of the answer came too slowly")

// A Rest is the part of an answer's body that Drain has read, and the error with which it ended.
type Rest struct {
	data []byte
	err  error
}

// Drain reads the body of an answer that may be discarded, for at most limit, and closes it. This
// frees the connection for the next request: with a pool of one connection, that request would
// otherwise wait forever.
func Drain(ctx context.Context, limit time.Duration, body io.ReadCloser) Rest {
	closeBody := sync.OnceFunc(func() { _ = body.Close() })
	done := make(chan Rest, 1)
	go func() { // since Close does not end a read of every kind of body
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
		case r = <-done: // Close has ended the read
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

// Reader returns the part that was read, as a body. It ends with the same error as the answer's
// body, so that a truncated body does not look complete.
func (r Rest) Reader() io.ReadCloser {
	return io.NopCloser(io.MultiReader(bytes.NewReader(r.data), failingReader{r.err}))
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }
