package body

import (
	"bytes"
	"context"
	"io"
	"sync"
	"time"
)

const (
	headBytes = 4 << 10     // how much of a body is in its Head
	headTime  = time.Second // how long a Head waits for these bytes
)

// A Head reads the beginning of a body before the body's user does. It does not read before the
// first Read of its Reader.
type Head struct {
	ctx  context.Context //nolint:containedctx // of the answer, for a read that has none
	src  io.ReadCloser
	done chan struct{} // closed when the read ahead has ended; nil if there was none

	mu    sync.Mutex // guards the fields below
	data  []byte     // the bytes that were read ahead
	given int        // how much of it Whole has returned
	err   error      // the error with which the body ended
	stop  bool       // the time limit has passed
}

// NewHead returns the Head of src, which may be nil. A Read of the head does not wait longer than
// ctx allows.
func NewHead(ctx context.Context, src io.ReadCloser) *Head { return &Head{ctx: ctx, src: src} }

// Reader returns the head as a separate body. It may be called more than once.
func (h *Head) Reader() io.ReadCloser { return io.NopCloser(&headReader{head: h}) }

// Whole returns the whole body, including the head.
func (h *Head) Whole() io.ReadCloser {
	if h.done == nil {
		return h.src
	}
	return &wholeBody{h}
}

// read returns the bytes of the head.
func (h *Head) read() []byte {
	if h.src == nil {
		return nil
	}
	if h.done == nil {
		h.done = make(chan struct{})
		go h.fill() // since a body may send nothing for a long time
		limit := time.NewTimer(headTime)
		defer limit.Stop()
		select {
		case <-h.done:
		case <-limit.C:
		case <-h.ctx.Done():
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stop = true
	return bytes.Clone(h.data)
}

func (h *Head) fill() {
	defer close(h.done)
	p := make([]byte, headBytes)
	for left := headBytes; left > 0; {
		n, err := h.src.Read(p[:left])
		left -= n
		h.mu.Lock()
		h.data, h.err = append(h.data, p[:n]...), err
		stop := h.stop || err != nil
		h.mu.Unlock()
		if stop {
			return
		}
	}
}

type headReader struct {
	head *Head
	data *bytes.Reader
}

func (r *headReader) Read(p []byte) (int, error) {
	if r.data == nil {
		r.data = bytes.NewReader(r.head.read())
	}
	return r.data.Read(p)
}

type wholeBody struct{ head *Head }

func (w *wholeBody) Read(p []byte) (int, error) {
	h := w.head
	if n, ok := h.next(p); ok {
		return n, nil
	}
	<-h.done // at most one read is in progress
	if n, ok := h.next(p); ok {
		return n, nil
	}
	if h.err != nil {
		return 0, h.err
	}
	return h.src.Read(p)
}

func (w *wholeBody) Close() error { return w.head.src.Close() }

// next copies bytes that were read ahead into p, if any are left.
func (h *Head) next(p []byte) (n int, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n = copy(p, h.data[h.given:])
	h.given += n
	return n, n > 0 || len(p) == 0
}
