package body

import (
	"bytes"
	"context"
	"io"
	"sync"
	"time"
)

const (
	headBytes = 4 << 10     // is how much of a body is in its Head
	headTime  = time.Second // is how long that may take to come
)

// A Head reads the beginning of a body ahead of the one who gets the body. It reads nothing before
// it is asked for.
type Head struct {
	ctx  context.Context //nolint:containedctx // of the answer, for a read that has none
	src  io.ReadCloser
	done chan struct{} // closed when nothing reads ahead any more; nil: nothing was read

	mu    sync.Mutex // guards what follows
	data  []byte     // the bytes that were read ahead
	given int        // how much of it Whole has returned
	err   error      // with which the body ended
	stop  bool       // the time is over
}

// NewHead returns the Head of a body, which may be nil. The wait for it ends with ctx.
func NewHead(ctx context.Context, src io.ReadCloser) *Head { return &Head{ctx: ctx, src: src} }

// Reader returns the head as a body of its own. It may be called again.
func (h *Head) Reader() io.ReadCloser { return io.NopCloser(&headReader{head: h}) }

// Whole returns the body with the head, as the caller gets it.
func (h *Head) Whole() io.ReadCloser {
	if h.done == nil {
		return h.src
	}
	return &wholeBody{h}
}

// read returns the head.
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
	<-h.done // at most one read is under way
	if n, ok := h.next(p); ok {
		return n, nil
	}
	if h.err != nil {
		return 0, h.err
	}
	return h.src.Read(p)
}

func (w *wholeBody) Close() error { return w.head.src.Close() }

// next returns bytes that were read ahead, if some are left.
func (h *Head) next(p []byte) (n int, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n = copy(p, h.data[h.given:])
	h.given += n
	return n, n > 0 || len(p) == 0
}
