// Luckynum is a service that tells its users a lucky number, and a client that asks it: one small
// program that shows both sides of signed requests.
//
//	go run ./examples/luckynum
//
// plays both sides at once and tells, step by step, what happens when a clock is wrong, a key ends,
// or nothing helps. To read it, begin with the two halves: service.go and client.go.
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
  luckynum list [flags] [URL]  list your keys, but not what is secret of them
  luckynum revoke [flags] ID [URL]
                               end one of them, at once
  luckynum wls [flags]         run a login service for people, to try it
  luckynum help                show this text

Flags of serve:
  --address ADDRESS      where to listen (127.0.0.1:8080)
  --users FILE           who may ask, a name:password on each line (without:
                         the user demo, with the password in LUCKYNUM_PASSWORD)
  --lifetime DURATION    how long a key is good for (5m, with --registry 24h),
                         and a token (5m)
  --registry             remember each key, so that users can list and revoke
                         theirs
  --store FOLDER         remember them in FOLDER (without: in memory)
  --skew DURATION        how far the clock of the service is ahead, to try what
                         happens (0s)
  --public-url URL       where clients reach the service, if that is a proxy
  --login WAY            how people log in with a browser: basic, which is its
                         own dialog, or raven, which is a login service (basic)
  --wls URL              where that login service is (http://127.0.0.1:8081)
  --wls-key FILE         its public key, which it signs with

Flags of wls, a login service for tests:
  --address ADDRESS      where to listen (127.0.0.1:8081)
  --users FILE           as for serve
  --wls-key FILE         where to write its public key, a new one at each start
                         (without: to standard output)

Flags of get, list and revoke:
  --user NAME            who asks (demo)
  --password-file FILE   where the password is, - for standard input (without:
                         in LUCKYNUM_PASSWORD)

Flags of get alone:
  --store FOLDER         keep the key, and how far the clock of the service is
                         off, in FOLDER for the next run; '' keeps nothing
                         (luckynum in the folder that you have for settings)
  --credentials FILE     sign with the key in FILE, which takes no password and
                         no store; if there is no such file, get a key first
                         and write it
  -n NUMBER              ask that many times (1)
  --every DURATION       wait that long in between (0s)
  --jwt                  log in for a token, and sign with that
  --history              tell each step on standard error
  --explain              if the service refuses, tell on standard error what was
                         signed, to be compared with what the service reads

No flag takes a password, since everybody on a machine can read its command
lines. Files with passwords or keys must be readable by their owner alone, as
after chmod 600.

Services that were started with --registry have keys to list and revoke. An ID
that begins with - goes after --.

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

// A program is what the commands need of the world. Tests give them another one.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string

	base      http.RoundTripper // by which clients send; nil: the network
	host      func(http.Handler) (at *url.URL, stop func(), err error)
	configDir func() (string, error) // where programs keep what belongs to the user
}

// run runs the command that args name, and returns the exit status.
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
		fmt.Fprintf(p.stderr, "\n%s", usage)
		return 2
	}
	return 1
}

// A usageError is the fault of who typed the command.
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

// parse reads the flags of a command, after which there may be up to most arguments.
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
