package body

import (
	"io"
	"time"
)

// peekBytes is how much of a body is read ahead.
const peekBytes = 512

// A prefix is the result of the first read of a body, made before any attempt reads it.
type prefix struct {
	done  chan struct{} // closed when the read has ended
	data  []byte
	err   error
	empty bool // the body has no content
}

// Peek reads the beginning of the body ahead, and reports whether the body has content. It reports
// false if no byte came within limit. The attempts still get the whole body.
func (l *Lender) Peek(limit time.Duration) bool {
	if l == nil {
		return false
	}
	if r, ok := l.src.(*Reader); ok && r.own {
		return r.lender.Peek(limit) // so that the body does not count as read there either
	}
	p := l.peek()
	if p == nil {
		return false
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.done:
		return len(p.data) > 0
	case <-timer.C:
		return false
	}
}

func (l *Lender) peek() *prefix {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.peeked == nil && !l.read && !l.closed {
		p := &prefix{done: make(chan struct{})}
		l.peeked = p
		go func() {
			defer close(p.done)
			buf := make([]byte, peekBytes)
			n, err := l.src.Read(buf)
			p.data, p.err, p.empty = buf[:n], err, n == 0 && err == io.EOF
		}()
	}
	return l.peeked
}

// awaitPeek waits until the read ahead has ended, or over is closed. Until then, no attempt gets a
// part of the body, and the body does not count as read.
func (l *Lender) awaitPeek(over <-chan struct{}) {
	l.mu.Lock()
	p := l.peeked
	l.mu.Unlock()
	if p == nil {
		return
	}
	select {
	case <-p.done:
	case <-over:
	}
}

// isEmpty reports whether the body is known to have no content, so that it can be read any number
// of times. It is called with l.mu held.
func (l *Lender) isEmpty() bool {
	if l.peeked == nil {
		return false
	}
	select {
	case <-l.peeked.done:
		return l.peeked.empty
	default:
		return false
	}
}

// readSource reads from the caller's body.
func (l *Lender) readSource(p []byte) (int, error) {
	l.mu.Lock()
	ahead := l.peeked
	l.mu.Unlock()
	if ahead != nil {
		<-ahead.done
		if len(ahead.data) > 0 {
			n := copy(p, ahead.data)
			ahead.data = ahead.data[n:]
			return n, nil
		}
		if ahead.err != nil {
			return 0, ahead.err
		}
	}
	return l.src.Read(p)
}
