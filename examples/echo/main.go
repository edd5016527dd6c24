// Echo is a server that says again what it is told, once somebody has logged in: the example of
// Twisted Cred, over a plain socket.
//
//	go run ./examples/echo --auth memory:user:pass
//	telnet 127.0.0.1 8000
//
// The first line is a name, a blank and a password. The server knows nothing of where passwords are
// kept; whoever starts it says so by --auth.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"reflect"
	"strconv"
	"syscall"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/portal"
)

const usage = `Echo lets people log in and repeats each line that they send.

  echo --auth TYPE[:ARGUMENT] [flags]

Flags:
  --auth TYPE[:ARGUMENT]  who may log in; it may stand several times
  --help-auth             list the types of --auth
  --help-auth-type TYPE   explain one of them
  --host ADDRESS          where to listen (127.0.0.1)
  --port NUMBER           the port to listen on, 0 for any (8000)

Passwords cross the connection in clear. So it listens on this machine alone,
unless --host says otherwise: then put a proxy with TLS in front.

Exit status: 0 for success, 1 for failure, 2 for wrong usage.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run runs the server until ctx ends, and returns the exit status. types are further ones for
// --auth.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, types ...portal.Type) int {
	err := command(ctx, args, stdout, stderr, types)
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "echo: %v\n", err)
	if _, ok := errors.AsType[usageError](err); ok {
		fmt.Fprintf(stderr, "\n%s", usage)
		return 2
	}
	return 1
}

// A usageError is the fault of who typed the command.
type usageError struct{ error }

func command(ctx context.Context, args []string, stdout, stderr io.Writer,
	types []portal.Type) error {
	login := &portal.Flags{
		Kinds: []reflect.Type{reflect.TypeFor[portal.Password]()},
		Types: types,
	}
	flags := flag.NewFlagSet("echo", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // usage lists the flags
	host := flags.String("host", "127.0.0.1", "")
	port := flags.Uint("port", 8000, "")
	login.Register(flags)
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, err = io.WriteString(stdout, usage)
		return err
	case err != nil:
		return usageError{err}
	case flags.NArg() > 0:
		return usageError{errors.New("only flags are taken")}
	}
	checkers, err := login.Checkers(stdout)
	switch {
	case err == flag.ErrHelp: //nolint:errorlint // with another error, the help was not written
		return nil
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return usageError{err}
	case len(checkers) == 0:
		return usageError{errors.New("nobody may log in: say who by --auth; see --help-auth")}
	}
	for _, checker := range checkers {
		if users, ok := checker.(portal.Memory); ok && len(users) == 0 {
			return usageError{errors.New("--auth memory: nobody is in it: name users behind it")}
		}
	}
	address := net.JoinHostPort(*host, strconv.FormatUint(uint64(*port), 10))
	return serve(ctx, address, stdout, &server{
		portal: &portal.Portal[echoer]{Realm: realm{}, Checkers: checkers},
		logins: &auth.Limiter{Burst: loginBurst, Every: loginEvery},
		log:    slog.New(slog.NewTextHandler(stderr, nil)),
	})
}

// serve listens at address, and tells where that is.
func serve(ctx context.Context, address string, stdout io.Writer, s *server) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("%w: try another --port or --host", err)
	}
	fmt.Fprintf(stdout, "Echo listens on %s. Passwords cross the connection in clear.\n",
		listener.Addr())
	if at, ok := listener.Addr().(*net.TCPAddr); ok && !at.IP.IsLoopback() {
		s.log.Warn("other machines can connect, and who is in between can read passwords")
	}
	return s.serve(ctx, listener)
}
