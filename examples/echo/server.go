package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
)

// An echoer is what somebody can do here who has come in.
type echoer interface {
	echo(line string) (answer string)
}

// A parrot is an echoer.
type parrot struct{}

func (parrot) echo(line string) string { return line }

// A realm has a parrot for everybody.
type realm struct{}

func (realm) Avatar(_ context.Context, _ string, kinds ...reflect.Type) (echoer, func(), error) {
	for _, kind := range kinds {
		if kind == reflect.TypeFor[echoer]() {
			return parrot{}, nil, nil
		}
	}
	return nil, nil, portal.ErrNoAvatar
}

// What a stranger can take of this server. One address can take all connections: a proxy in front
// can see to that.
const (
	maxLine        = 2 << 10 // bytes of a line
	maxConnections = 100
	loginTime      = 10 * time.Second // from connecting to having logged in
	idleTime       = 5 * time.Minute  // between two lines
	writeTime      = 10 * time.Second // for the client to take one line

	loginBurst = 30               // from one address, right or wrong
	loginEvery = 10 * time.Second // until there is room for one more
)

// A server speaks the protocol: lines, of which the first is a name and a password. It knows the
// portal, and nothing behind it.
type server struct {
	portal *portal.Portal[echoer]
	logins *auth.Limiter // by address; nil: no bound
	log    *slog.Logger
}

// serve serves until ctx ends or the listener fails. Then it says goodbye to everybody, and returns
// once all have gone.
func (s *server) serve(ctx context.Context, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(ctx, func() { _ = listener.Close() })
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	free := make(chan struct{}, maxConnections)
	for {
		// Those over the bound wait where the system keeps new connections.
		select {
		case free <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		conn, err := s.accept(ctx, listener)
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = conn.Close()
			}
			return nil
		case err != nil:
			return err
		}
		all.Go(func() {
			defer func() { <-free }()
			s.handle(ctx, conn)
		})
	}
}

// accept waits for the next connection. Where there are no more files to open, it waits for some to
// be closed.
func (s *server) accept(ctx context.Context, listener net.Listener) (net.Conn, error) {
	for {
		conn, err := listener.Accept()
		if !tooManyFiles(err) {
			return conn, err
		}
		s.log.Error("no more connections for now", "error", err)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// handle serves one connection, and closes it.
func (s *server) handle(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	// An end of the server interrupts whoever waits for a line.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(0, 0)) })
	defer stop()
	log := s.log.With("from", conn.RemoteAddr())
	c := &client{conn: conn, lines: bufio.NewReaderSize(conn, maxLine)}

	session, err := s.login(ctx, c)
	if err != nil {
		log.Info("not logged in", "error", err)
		return
	}
	defer session.Logout()
	log.Info("logged in", "subject", session.Subject)
	for {
		line, err := c.read(ctx, idleTime)
		if err == nil {
			err = c.write(session.Avatar.echo(line))
		}
		if err != nil {
			log.Info("gone", "subject", session.Subject, "reason", err)
			return
		}
	}
}

// login reads the first line, and answers it.
func (s *server) login(ctx context.Context, c *client) (*portal.Session[echoer], error) {
	ctx, cancel := context.WithTimeout(ctx, loginTime)
	defer cancel()
	line, err := c.read(ctx, loginTime)
	if err != nil {
		return nil, err
	}
	if _, ok := s.logins.Allow(network(c.conn.RemoteAddr())); !ok {
		return nil, c.goodbye(errors.New("too many logins from your address, try again later"))
	}
	user, password, _ := strings.Cut(line, " ")
	session, err := s.portal.Login(ctx,
		portal.Password{User: user, Password: creds.Secret(password)}, reflect.TypeFor[echoer]())
	answer := "Login successful, please proceed."
	switch {
	case errors.Is(err, portal.ErrUnauthorized), errors.Is(err, portal.ErrDenied):
		answer = "Login denied, goodbye."
	case err != nil:
		answer = "Logins are not possible now, try again later."
	}
	if writing := c.write(answer); writing != nil && err == nil {
		session.Logout()
		return nil, writing
	}
	return session, err
}

// network is what one sender has: an address of IPv4, or the /64 of IPv6.
func network(from net.Addr) string {
	at, err := netip.ParseAddrPort(from.String())
	if err != nil {
		return from.String()
	}
	address := at.Addr().Unmap().WithZone("")
	if address.Is4() {
		return address.String()
	}
	net64, _ := address.Prefix(64) // IPv6 has as many bits
	return net64.String()
}

// A client is the other end of a connection.
type client struct {
	conn  net.Conn
	lines *bufio.Reader
}

var errStopped = errors.New("the server stops")

// read returns the next line without its end. What is behind the last end of line is no line.
func (c *client) read(ctx context.Context, within time.Duration) (string, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		return "", err
	}
	// Had ctx ended before, its deadline would have been replaced by this one.
	if ctx.Err() != nil {
		return "", c.goodbye(errStopped)
	}
	line, err := c.lines.ReadSlice('\n')
	switch {
	case err == nil:
		return strings.TrimRight(string(line), "\r\n"), nil
	case errors.Is(err, io.EOF):
		return "", err
	case errors.Is(err, bufio.ErrBufferFull):
		return "", c.goodbye(errors.New("the line is too long"))
	case ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "", c.goodbye(errStopped)
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		err = c.goodbye(errors.New("no line was sent for too long"))
	}
	return "", err
}

// goodbye tells the client why, and returns it. Whether that arrives makes no difference any more.
func (c *client) goodbye(why error) error {
	_ = c.write("Goodbye: " + why.Error() + ".")
	return why
}

func (c *client) write(line string) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	_, err := io.WriteString(c.conn, line+"\r\n")
	return err
}
