package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"reflect"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/portal"
)

// connect gives a server one connection, which is a pipe without a buffer.
func connect(t *testing.T, r portal.Realm[echoer]) (net.Conn, *bufio.Reader) {
	t.Helper()
	s := &server{
		portal: &portal.Portal[echoer]{
			Realm:    r,
			Checkers: portal.Checkers{portal.Memory{"user": []byte("pass")}},
		},
		log: slog.New(slog.DiscardHandler),
	}
	ours, theirs := net.Pipe()
	go s.handle(t.Context(), theirs)
	t.Cleanup(func() { ours.Close() })
	return ours, bufio.NewReader(ours)
}

func TestTimes(t *testing.T) {
	const silence = "Goodbye: no line was sent for too long.\r\n"
	for _, tt := range []struct {
		reason, say string
		after       time.Duration
		last        string
	}{
		{"nothing at all", "", loginTime, silence},
		{"half a line", "user pa", loginTime, silence},
		{"nothing more", "user pass\r\n", idleTime, silence},
		{"who does not read", "user pass\r\nHi\n", writeTime, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			conn, lines := connect(t, realm{})
			began := time.Now()
			go io.WriteString(conn, tt.say)
			if tt.after != loginTime {
				if line, err := lines.ReadString('\n'); line != welcome+"\r\n" {
					t.Errorf("%s: %q, %v", tt.reason, line, err)
				}
			}
			if tt.last == "" {
				time.Sleep(writeTime + time.Second) // before it reads again
			}
			line, err := lines.ReadString('\n')
			took := time.Since(began)
			if line != tt.last || tt.last != "" && took != tt.after ||
				tt.last == "" && !errors.Is(err, io.EOF) {
				t.Errorf("%s: %q, %v after %v", tt.reason, line, err, took)
			}
		})
	}
}

// Each session that began ends, even if the client does not read the answer.
func TestLogout(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			in, out := 0, 0
			conn, lines := connect(t, portal.RealmFunc[echoer](
				func(context.Context, string, ...reflect.Type) (echoer, func(), error) {
					in++
					return parrot{}, func() { out++ }, nil
				}))
			go io.WriteString(conn, "user pass\n")
			if !deaf {
				lines.ReadString('\n')
			}
			synctest.Wait()
			conn.Close()
			synctest.Wait()
			if in != 1 || out != 1 {
				t.Errorf("deaf %t: %d in, %d out", deaf, in, out)
			}
		})
	}
}

func TestDenied(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{portal.ErrDenied, denied},
		{errors.New("down"), "Logins are not possible now, try again later."},
	} {
		synctest.Test(t, func(t *testing.T) {
			conn, lines := connect(t, portal.RealmFunc[echoer](
				func(context.Context, string, ...reflect.Type) (echoer, func(), error) {
					return nil, nil, tt.err
				}))
			go io.WriteString(conn, "user pass\n")
			if line, err := lines.ReadString('\n'); line != tt.want+"\r\n" {
				t.Errorf("%v: %q, %v", tt.err, line, err)
			}
		})
	}
}

// A server that stops just before it waits for a line does not wait.
func TestStopBeforeLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		ours, theirs := net.Pipe()
		s := &server{log: slog.New(slog.DiscardHandler)}
		began := time.Now()
		go s.handle(ctx, &slow{Conn: theirs, interrupted: make(chan struct{})})
		line, err := bufio.NewReader(ours).ReadString('\n')
		if took := time.Since(began); line != "Goodbye: the server stops.\r\n" || took > 0 {
			t.Errorf("%q, %v after %v", line, err, took)
		}
	})
}

// slow is a connection that sets a deadline for reading only after a deadline in the past has
// interrupted it.
type slow struct {
	net.Conn
	interrupted chan struct{}
}

func (s *slow) SetReadDeadline(at time.Time) error {
	if at.Before(time.Now()) {
		defer close(s.interrupted)
	} else {
		<-s.interrupted
	}
	return s.Conn.SetReadDeadline(at)
}

// Connections over the limit wait until others are closed.
func TestConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		listener := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		s := &server{
			portal: &portal.Portal[echoer]{Realm: realm{}},
			log:    slog.New(slog.DiscardHandler),
		}
		ended := make(chan error)
		go func() { ended <- s.serve(ctx, listener) }()
		var ours []net.Conn
		for range maxConnections {
			mine, theirs := net.Pipe()
			listener.conns <- theirs
			ours = append(ours, mine)
		}
		mine, theirs := net.Pipe()
		defer mine.Close()
		select {
		case listener.conns <- theirs:
			t.Error("one too many")
		case <-time.After(time.Second):
		}
		ours[0].Close()
		listener.conns <- theirs
		for _, conn := range ours {
			conn.Close()
		}
		cancel()
		go io.Copy(io.Discard, mine)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// A listener that fails ends the server, and with it the connections. If it fails for lack of
// files, it is tried again.
func TestAcceptError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := &pipes{
			conns: make(chan net.Conn), closed: make(chan struct{}), errs: make(chan error),
		}
		s := &server{
			portal: &portal.Portal[echoer]{Realm: realm{}},
			log:    slog.New(slog.DiscardHandler),
		}
		ended := make(chan error, 1)
		go func() { ended <- s.serve(t.Context(), listener) }()
		for _, err := range []error{syscall.EMFILE, syscall.ENFILE} {
			began := time.Now()
			listener.errs <- &net.OpError{Op: "accept", Err: os.NewSyscallError("accept", err)}
			mine, theirs := net.Pipe()
			defer mine.Close()
			listener.conns <- theirs
			if took := time.Since(began); took != time.Second {
				t.Errorf("%v: asked again after %v", err, took)
			}
			go io.Copy(io.Discard, mine)
		}
		broken := errors.New("broken")
		listener.errs <- broken
		synctest.Wait()
		select {
		case err := <-ended:
			if err != broken {
				t.Error(err)
			}
		default:
			t.Error("it waits for those who are there")
		}
		select {
		case <-listener.closed:
		default:
			t.Error("it listens on")
		}
	})
}

// pipes is a listener to which the test connects.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	errs   chan error // the errors of Accept; may be nil
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case err := <-p.errs:
		return nil, err
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error { close(p.closed); return nil }
func (*pipes) Addr() net.Addr { return &net.TCPAddr{} }

func TestNetwork(t *testing.T) {
	for from, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1", "[::ffff:192.0.2.1]:80": "192.0.2.1",
		"[2001:db8:1:2:3:4:5:6]:80": "2001:db8:1:2::/64", "[fe80::1%eth0]:80": "fe80::/64",
		"@": "@",
	} {
		if got := network(address(from)); got != want {
			t.Errorf("%s: %s, want %s", from, got, want)
		}
	}
}

type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }
