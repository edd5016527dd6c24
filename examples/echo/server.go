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

// An echoer is the avatar of a user who has logged in.
type echoer interface {
	echo(line string) (answer string)
}

// A parrot is an echoer.
type parrot struct{}

func (parrot) echo(line string) string { return line }

// A realm has a parrot for every user.
type realm struct{}

func (realm) Avatar(_ context.Context, _ string, kinds ...reflect.Type) (echoer, func(), error) {
	for _, kind := range kinds {
		if kind == reflect.TypeFor[echoer]() {
			return parrot{}, nil, nil
		}
	}
	return nil, nil, portal.ErrNoAvatar
}

// Limits for a client that has not logged in. A client at one address can still take all
// connections; a proxy in front can prevent that.
const (
	maxLine        = 2 << 10 // bytes of a line
	maxConnections = 100
	loginTime      = 10 * time.Second // from connecting to having logged in
	idleTime       = 5 * time.Minute  // between two lines
	writeTime      = 10 * time.Second // for sending one line to the client

	loginBurst = 30               // logins from one address, right or wrong
	loginEvery = 10 * time.Second // until one more is allowed
)

// A server implements the protocol: lines, of which the first is a name and a password. It uses the
// portal, and does not know its checkers and its realm.
type server struct {
	portal *portal.Portal[echoer]
	logins *auth.Limiter // by address; if nil, not limited
	log    *slog.Logger
}

// serve serves until ctx ends or the listener fails. Then it sends every client a goodbye, and
// returns when all connections are closed.
func (s *server) serve(ctx context.Context, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(ctx, func() { _ = listener.Close() })
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	free := make(chan struct{}, maxConnections)
	for {
		// Connections over the limit wait in the system's queue of new connections.
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

// accept waits for the next connection. If no more files can be opened, it tries again each second.
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
	// The end of ctx interrupts a read of the next line.
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

// network returns the part of an address that stands for one client: an IPv4 address, or the /64 of
// an IPv6 address.
func network(from net.Addr) string {
	at, err := netip.ParseAddrPort(from.String())
	if err != nil {
		return from.String()
	}
	address := at.Addr().Unmap().WithZone("")
	if address.Is4() {
		return address.String()
	}
	net64, _ := address.Prefix(64) // cannot fail: IPv6 has more than 64 bits
	return net64.String()
}

// A client is the other end of a connection.
type client struct {
	conn  net.Conn
	lines *bufio.Reader
}

var errStopped = errors.New("the server stops")

// read returns the next line without its end. Text after the last end of line is not a line.
func (c *client) read(ctx context.Context, within time.Duration) (string, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		return "", err
	}
	// If ctx ended before this, its deadline has been replaced by the new one.
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

// goodbye sends the reason to the client, and returns it. A failed write does not matter at this
// point.
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
