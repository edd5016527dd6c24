package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/countersign-go/countersign/internal/lost"
	"github.com/countersign-go/countersign/internal/origin"
)

const (
	// expectAbove is the length above which the Transport asks the server before it sends a body
	// that cannot be read twice. For a shorter body, the round trip costs more than the body.
	expectAbove = 1 << 20
	// expectWait is how long a body waits for the server's permission.
	expectWait = time.Second
	// peekWait is how long a body of unknown length may take to return its first byte.
	peekWait = 50 * time.Millisecond
	// connWait is how often a wait checks whether the connection has ended.
	connWait = 10 * time.Millisecond
	// informBytes limits the total size of the informational answers to one request.
	informBytes = 1 << 20
)

// errUnasked is returned by a read of the body if the connection ended before the server asked for
// the body.
var errUnasked = fmt.Errorf(
	"transport: the connection ended before the server asked for the body: %w", io.EOF)

// An asking is an attempt with an Expect field that the Transport added, to ask the server whether
// it wants the body (RFC 9110, section 10.1.1). The asking waits for the answer in place of
// net/http, which in HTTP/1.1 cannot send the body after a final answer.
type asking struct {
	origin  origin.Origin
	manners *manners
	ctx     context.Context //nolint:containedctx // of one attempt, for a read that has none
	yes     chan struct{}   // closed by status 100
	once    sync.Once
	wrote   atomic.Bool // the header was written
	final   atomic.Bool // the final answer has come, or an error
	conn    atomic.Pointer[net.Conn]
	inform  atomic.Int64 // bytes of informational answers
}

// expects reports whether the Transport should ask the server before it sends the body. If the body
// cannot be read twice, the request can only be sent again if the refusal comes before the body.
func (c *call) expects(req *http.Request) bool {
	if c.unasked || c.body == nil || req.GetBody != nil || !c.t.manners.ask(c.origin) {
		return false
	}
	for _, name := range [...]string{"Expect", "expect"} {
		if _, has := req.Header[name]; has {
			return false // the caller decides
		}
	}
	if req.ContentLength > 0 {
		return req.ContentLength > expectAbove
	}
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodOptions:
		return false // these rarely have a body
	}
	return c.body.Peek(peekWait)
}

// ask adds the Expect field to req. It returns a copy of req whose context traces the events of the
// connection.
func (c *call) ask(req *http.Request) (*http.Request, *asking) {
	a := &asking{
		origin: c.origin, manners: &c.t.manners, ctx: req.Context(), yes: make(chan struct{}),
	}
	// The case of a field name does not matter to servers, but net/http looks only for "Expect". So
	// it does not wait itself.
	req.Header["expect"] = []string{"100-continue"}
	return req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn:        func(info httptrace.GotConnInfo) { a.conn.Store(&info.Conn) },
		WroteHeaders:   func() { a.wrote.Store(true) },
		Got1xxResponse: a.informed,
	})), a
}

func (a *asking) informed(code int, header textproto.MIMEHeader) error {
	if code == http.StatusContinue {
		a.manners.answers(a.origin)
		a.once.Do(func() { close(a.yes) })
	}
	size := 0
	for name, values := range header {
		for _, value := range values {
			size += len(name) + len(value)
		}
	}
	if a.inform.Add(int64(size+32)) > informBytes { // net/http has no limit if this function is set
		return fmt.Errorf("transport: informational answers of over %d bytes", informBytes)
	}
	return nil
}

// end records that the final answer has come, or an error.
func (a *asking) end() {
	if a != nil {
		a.final.Store(true)
	}
}

// wait returns when the body may be read: the server has asked for it, has sent another answer
// (over is closed), or has not answered for too long.
func (a *asking) wait(over <-chan struct{}) error {
	if !a.wrote.Load() {
		return nil // the Base reads the body before it sends, or it is not net/http
	}
	var conn syscall.RawConn
	if c := a.conn.Load(); c != nil {
		conn = rawConn(*c)
	}
	limit := time.NewTimer(expectWait)
	defer limit.Stop()
	look := time.NewTicker(connWait)
	defer look.Stop()
	for {
		select {
		case <-a.yes:
			return nil
		case <-over:
			return nil
		case <-a.ctx.Done():
			return context.Cause(a.ctx)
		case <-limit.C:
			if !a.final.Load() {
				a.manners.silent(a.origin)
			}
			return nil
		case <-look.C:
			// In HTTP/1.1, net/http does not close the body when it has lost the connection, but
			// waits for the read.
			if conn != nil && errors.Is(conn.Control(func(uintptr) {}), net.ErrClosed) {
				return errUnasked
			}
		}
	}
}

// rawConn returns the syscall.RawConn of conn, which can tell whether conn was closed on this side.
// It returns nil if there is none.
func rawConn(conn net.Conn) syscall.RawConn {
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = t.NetConn()
	}
	s, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// unwelcome reports whether an attempt may have failed because of the Transport's Expect field, and
// can be made again without it, since no part of the body was sent. Status 417 always means that.
// Other failures count only for an origin that has never answered 100.
func (c *call) unwelcome(resp *http.Response, err error) bool {
	if c.asks == nil {
		return false
	}
	switch {
	case err != nil:
		// Before the header was written, the server had not seen the field.
		if !c.asks.wrote.Load() || lost.Connection(err) == nil || c.asks.ctx.Err() != nil {
			return false
		}
	case resp.StatusCode == http.StatusExpectationFailed:
		return c.body.TakeBack()
	case resp.StatusCode == http.StatusBadRequest,
		resp.StatusCode == http.StatusNotImplemented,
		resp.StatusCode == http.StatusHTTPVersionNotSupported:
		if c.refused(resp) {
			return false
		}
	default:
		return false
	}
	return !c.t.manners.answered(c.origin) && c.body.TakeBack()
}

// A manners remembers how servers respond to an Expect field, so that not every request has to wait
// or fail.
type manners struct{ m origin.Map[manner] }

type manner struct {
	answers bool      // it has answered 100
	until   time.Time // it is not asked before this time
}

// mannersKept is how long the Transport does not ask a server that does not support the field.
const mannersKept = 10 * time.Minute

func (m *manners) ask(o origin.Origin) bool { return !time.Now().Before(m.m.Get(o).until) }

func (m *manners) answered(o origin.Origin) bool { return m.m.Get(o).answers }

func (m *manners) answers(o origin.Origin) { m.m.Put(o, manner{answers: true}, false) }

// silent records that o does not support the field. It is not asked again for some time.
func (m *manners) silent(o origin.Origin) {
	m.m.Put(o, manner{m.answered(o), time.Now().Add(mannersKept)}, false)
}
