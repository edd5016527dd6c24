package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision"
	"github.com/countersign-go/countersign/transport"
)

// getFlags are the flags of get.
type getFlags struct {
	user, passwordFile, credentialsFile string
}

// get asks a service for the lucky number.
func (p *program) get(ctx context.Context, args []string) error {
	var g getFlags
	flags := flag.NewFlagSet("get", flag.ContinueOnError)
	flags.StringVar(&g.user, "user", "demo", "")
	flags.StringVar(&g.passwordFile, "password-file", "", "")
	flags.StringVar(&g.credentialsFile, "credentials", "", "")
	n := flags.Int("n", 1, "")
	every := flags.Duration("every", 0, "")
	history := flags.Bool("history", false, "")
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	if *n < 1 {
		return usageError("-n is 1 at least")
	}
	at := "http://127.0.0.1:8080"
	if flags.NArg() > 0 {
		at = flags.Arg(0)
	}
	service, err := parseURL(at)
	if err != nil {
		return err
	}
	c := &client{service: service, base: p.base, steps: p.stepsTo(io.Discard)}
	if *history {
		c.steps = p.stepsTo(p.stderr)
	}
	source, err := p.source(ctx, c, &g)
	if err != nil {
		return advise(err, &g)
	}
	c.signWith(source)
	for i := range *n {
		if i > 0 {
			if err := wait(ctx, *every); err != nil {
				return err
			}
		}
		text, err := c.ask(ctx)
		if err != nil {
			return advise(err, &g)
		}
		fmt.Fprintln(p.stdout, text)
	}
	return nil
}

// source returns where the keys come from: a file, or the service.
func (p *program) source(ctx context.Context, c *client, g *getFlags) (
	creds.Source[*mac.Credentials], error) {
	if g.credentialsFile != "" {
		m, err := readCredentials(g.credentialsFile)
		if !errors.Is(err, fs.ErrNotExist) {
			return m, err
		}
	}
	password, err := p.password(g.passwordFile)
	if err != nil {
		return nil, err
	}
	source := c.keysFor(g.user, password)
	if g.credentialsFile == "" {
		return source, nil
	}
	m, err := source.Credentials(ctx)
	c.steps.tell(nil)
	if err != nil {
		return nil, err
	}
	return m, writeCredentials(g.credentialsFile, m)
}

// advise makes of err one sentence that says what to try.
func advise(err error, g *getFlags) error {
	if e, ok := errors.AsType[*refusedError](err); ok {
		switch last := e.last(); {
		case last.Stop == "fetch" && g.credentialsFile != "":
			return fmt.Errorf("%w: delete the --credentials file to get a new key", e)
		case last.Stop == "budget" && last.Cause == transport.Credential:
			return fmt.Errorf("%w: compare the URL with the --public-url of the service", e)
		}
		return e
	}
	if e, ok := errors.AsType[*provision.Error](err); ok {
		return e // it gives advice by itself
	}
	if errors.Is(err, transport.ErrPlainHTTP) {
		return errors.New("nothing is sent over plain http, except to this machine: use https")
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Errorf("%w: check the address, and that the service is running", e)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
