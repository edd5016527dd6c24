// Luckynum is a service that tells its users a lucky number, and a client that asks it for one. It
// is a small program that shows both sides of signed requests.
//
//	go run ./examples/luckynum
//
// plays both sides at once, and shows step by step what they do when a clock is wrong, a key ends,
// or recovery is not possible. To read the code, begin with the two halves: service.go and
// client.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const usage = `Luckynum tells each user a lucky number a day, to show signed requests at work.

  luckynum                     show it: a service, a client and their troubles
  luckynum serve [flags]       run the service
  luckynum get [flags] [URL]   ask a service, at http://127.0.0.1:8080 or at URL
  luckynum list [flags] [URL]  list your credentials, without their keys
  luckynum revoke [flags] ID [URL]
                               end one of them at once
  luckynum wls [flags]         run a login service, to try the pages for people
  luckynum help                show this text

Credentials are an ID and a secret key. They sign requests, and they end.

Flags of serve:
  --address ADDRESS      the address to listen on (127.0.0.1:8080)
  --users FILE           the users, a name:password on each line (without it:
                         the user demo, with the password in LUCKYNUM_PASSWORD)
  --lifetime DURATION    how long credentials last (5m, with --registry 24h),
                         and tokens (5m)
  --registry             remember all credentials, so that users can list and
                         revoke theirs
  --store FOLDER         remember them in FOLDER (without it: in memory)
  --skew DURATION        how far the service's clock is ahead, to try a wrong
                         clock (0s)
  --public-url URL       the address that clients use, if that is a proxy's
  --login WAY            how people log in with a browser: basic, by a dialog of
                         the browser, or raven, by a login service (basic)
  --wls URL              the address of that login service
                         (http://127.0.0.1:8081)
  --wls-key FILE         its public key, which checks its answers

Flags of wls, a login service for tests:
  --address ADDRESS      the address to listen on (127.0.0.1:8081)
  --users FILE           the users, as for serve
  --wls-key FILE         where to write its public key, a new one at each start
                         (without it: to standard output)

Flags of get, list and revoke:
  --user NAME            the user who asks (demo)
  --password-file FILE   the file with the password, or - for standard input
                         (without it: the password is in LUCKYNUM_PASSWORD)

Flags of get alone:
  --store FOLDER         keep the credentials and the offset of the service's
                         clock in FOLDER for the next run; '' keeps nothing
                         (luckynum in your folder for settings)
  --credentials FILE     sign with the credentials in FILE, which needs no
                         password and no store; if there is no such file, get
                         credentials first and write it
  -n NUMBER              how many times to ask (1)
  --every DURATION       how long to wait in between (0s)
  --jwt                  log in for a token, and sign with that
  --history              print each step on standard error
  --explain              if the service refuses, print the text that was signed
                         on standard error, to compare it with the service's

No flag takes a password, since every user of a machine can read its command
lines. A file with passwords or keys must be readable by its owner alone, as
after chmod 600.

Only a service that was started with --registry can list and revoke credentials.
Write -- before an ID that begins with -.

To try the pages for people, set LUCKYNUM_PASSWORD, run these two commands, and
log in as demo at http://127.0.0.1:8080:

  luckynum wls --wls-key wls.pem
  luckynum serve --registry --login raven --wls-key wls.pem

Exit status: 0 for success, 1 for failure, 2 for wrong usage.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
}

// A program is the environment of the commands. Tests set another one.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string

	base      http.RoundTripper // sends the clients' requests; if nil, http.DefaultTransport
	host      func(http.Handler) (at *url.URL, stop func(), err error)
	configDir func() (string, error) // the folder for the user's settings
}

// run runs the command that args name. It returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer,
	getenv func(string) string) int {
	p := &program{
		stdin: stdin, stdout: stdout, stderr: stderr, getenv: getenv,
		host: hostLoopback, configDir: os.UserConfigDir,
	}
	return p.run(ctx, args)
}

func (p *program) run(ctx context.Context, args []string) int {
	err := p.command(ctx, args)
	if errors.Is(err, flag.ErrHelp) {
		_, err = io.WriteString(p.stdout, usage)
	}
	if err == nil {
		return 0
	}
	fmt.Fprintf(p.stderr, "luckynum: %v\n", err)
	if _, ok := errors.AsType[usageError](err); ok {
		fmt.Fprintln(p.stderr, "See luckynum help.")
		return 2
	}
	return 1
}

// A usageError is a mistake on the command line.
type usageError string

func (e usageError) Error() string { return string(e) }

func (p *program) command(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return p.demo(ctx)
	}
	switch args[0] {
	case "serve":
		return p.serve(ctx, args[1:])
	case "get":
		return p.get(ctx, args[1:])
	case "list":
		return p.list(ctx, args[1:])
	case "revoke":
		return p.revoke(ctx, args[1:])
	case "wls":
		return p.wls(ctx, args[1:])
	case "help", "-h", "-help", "--help":
		return flag.ErrHelp
	}
	return usageError("there is no such command")
}

// parse reads the flags of a command, and allows up to most arguments after them.
func parse(flags *flag.FlagSet, args []string, most int) error {
	flags.SetOutput(io.Discard) // usage lists the flags of all commands
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return usageError(err.Error())
	case flags.NArg() > most:
		return usageError("too many arguments: flags come before the URL")
	}
	return nil
}

// parseURL reads the URL of a service.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" ||
		u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, usageError("a URL is like http://127.0.0.1:8080, without user and query")
	}
	return u.JoinPath("/"), nil
}

// stepsTo returns steps that are printed to w.
func (p *program) stepsTo(w io.Writer) *steps {
	return &steps{w: w, colorful: isColorful(w, p.getenv)}
}

// wait returns after d, or with an error when ctx ends first.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
