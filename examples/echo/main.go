// Echo is a server that repeats the lines that a user sends after logging in. It is the example of
// Twisted Cred, over a plain socket.
//
//	go run ./examples/echo --auth memory:user:pass
//	telnet 127.0.0.1 8000
//
// The first line is a name, a space and a password. The server does not know where passwords are
// stored: the flag --auth selects that.
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

const usage = `Echo is a server that lets users log in and repeats each line that they send.

  echo --auth TYPE[:ARGUMENT] [flags]

Flags:
  --auth TYPE[:ARGUMENT]  which users can log in; give it more than once to add
                          further users
  --help-auth             list the types of --auth
  --help-auth-type TYPE   explain one type
  --host ADDRESS          the address to listen on (127.0.0.1)
  --port NUMBER           the port to listen on, 0 for any free port (8000)

The server sends no prompt. Connect to it, and send one line with the user name,
a space and the password. After that, each line that you send comes back. With
"echo --auth memory:demo:secret" in one terminal and "nc 127.0.0.1 8000" (or
telnet) in another, where you type the lines that follow >:

  > demo secret
  Login successful, please proceed.
  > Hello, echo
  Hello, echo

Passwords cross the connection in clear text. So the server listens on the
loopback address by default. For other addresses put a TLS proxy in front.

Exit status: 0 for success, 1 for failure, 2 for wrong usage.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run runs the server until ctx ends. It returns the exit status. types are added to the types of
// --auth.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, types ...portal.Type) int {
	err := command(ctx, args, stdout, stderr, types)
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "echo: %v\n", err)
	if _, ok := errors.AsType[usageError](err); ok {
		fmt.Fprintln(stderr, "See echo --help.")
		return 2
	}
	return 1
}

// A usageError is a mistake on the command line.
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
		return usageError{errors.New("there are arguments, and only flags are allowed")}
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
		return usageError{errors.New("no user can log in: name users with --auth; see --help-auth")}
	}
	for _, checker := range checkers {
		if users, ok := checker.(portal.Memory); ok && len(users) == 0 {
			return usageError{errors.New(
				"--auth memory has no users: write --auth memory:NAME:PASSWORD")}
		}
	}
	address := net.JoinHostPort(*host, strconv.FormatUint(uint64(*port), 10))
	return serve(ctx, address, stdout, &server{
		portal: &portal.Portal[echoer]{Realm: realm{}, Checkers: checkers},
		logins: &auth.Limiter{Burst: loginBurst, Every: loginEvery},
		log:    slog.New(slog.NewTextHandler(stderr, nil)),
	})
}

// serve listens at address, and prints the address.
func serve(ctx context.Context, address string, stdout io.Writer, s *server) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("%w: try another --port or --host", err)
	}
	fmt.Fprintf(stdout, "Echo listens on %s. Passwords cross the connection in clear.\n",
		listener.Addr())
	if at, ok := listener.Addr().(*net.TCPAddr); ok && !at.IP.IsLoopback() {
		s.log.Warn("other machines can connect, and the network in between can read passwords")
	}
	return s.serve(ctx, listener)
}
