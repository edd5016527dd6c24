package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/creds/file"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision"
	"github.com/countersign-go/countersign/transport"
)

// login has the flags that get, list and revoke have in common, for the user who asks.
type login struct {
	user, passwordFile string
}

func (l *login) define(flags *flag.FlagSet) {
	flags.StringVar(&l.user, "user", "demo", "")
	flags.StringVar(&l.passwordFile, "password-file", "", "")
}

// getFlags are the flags of get.
type getFlags struct {
	login
	credentialsFile, store string

	jwt, explain bool

	n int
}

// check returns an error for flags that exclude each other.
func (g *getFlags) check() error {
	switch {
	case g.n < 1:
		return usageError("-n is 1 at least")
	case g.jwt && g.credentialsFile != "":
		return usageError("--credentials holds a key, and --jwt uses none: choose one")
	case g.jwt && g.explain:
		return usageError("--explain is about signatures, and --jwt makes none: choose one")
	}
	return nil
}

const defaultURL = "http://127.0.0.1:8080"

// get asks a service for the lucky number.
func (p *program) get(ctx context.Context, args []string) error {
	var g getFlags
	flags := flag.NewFlagSet("get", flag.ContinueOnError)
	g.login.define(flags)
	flags.StringVar(&g.credentialsFile, "credentials", "", "")
	folder, noFolder := p.storeFolder()
	flags.StringVar(&g.store, "store", folder, "")
	flags.BoolVar(&g.jwt, "jwt", false, "")
	flags.IntVar(&g.n, "n", 1, "")
	every := flags.Duration("every", 0, "")
	history := flags.Bool("history", false, "")
	flags.BoolVar(&g.explain, "explain", false, "")
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	if err := g.check(); err != nil {
		return err
	}
	service, err := parseURL(cmp.Or(flags.Arg(0), defaultURL))
	if err != nil {
		return err
	}
	told := io.Discard
	if *history {
		told = p.stderr
	}
	c := newClient(service, p.base, p.stepsTo(told))
	c.logger = slog.New(storeLog{slog.NewTextHandler(p.stderr, nil)})
	switch {
	case g.credentialsFile != "": // a second copy is not needed
	case g.store != "":
		c.store = &file.Dir{Path: g.store}
	case !isSet(flags, "store"):
		fmt.Fprintf(p.stderr, "luckynum: the key is kept in memory only: %v: "+
			"choose a folder with --store\n", noFolder)
	}
	if err := p.sign(ctx, c, &g); err != nil {
		return advise(err, &g)
	}
	for i := range g.n {
		if i > 0 {
			if err := wait(ctx, *every); err != nil {
				return err
			}
		}
		text, err := c.ask(ctx)
		if err != nil {
			if g.explain {
				c.explain(err, p.stderr)
			}
			return advise(err, &g)
		}
		fmt.Fprintln(p.stdout, text)
	}
	return nil
}

// storeFolder returns the folder where keys are kept, unless a flag names another.
func (p *program) storeFolder() (string, error) {
	folder, err := p.configDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(folder, "luckynum"), nil
}

// isSet reports whether the user has set a flag, even to an empty value.
func isSet(flags *flag.FlagSet, name string) (set bool) {
	flags.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

// sign makes c sign as the flags say.
func (p *program) sign(ctx context.Context, c *client, g *getFlags) error {
	if g.jwt {
		password, err := p.password(g.passwordFile)
		if err == nil {
			c.signBy(&bearer.Signer{Source: c.tokensFor(g.user, password)})
		}
		return err
	}
	source, err := p.source(ctx, c, g)
	if err == nil {
		c.signWith(source)
	}
	return err
}

// source returns the source of the keys: a file, or the store and the service.
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

// advise turns err into one sentence that tells the user what to try.
func advise(err error, g *getFlags) error {
	if e, ok := errors.AsType[*refusedError](err); ok {
		switch last := e.last(); {
		case last.Stop == transport.StopNoCredential && g.credentialsFile != "":
			return fmt.Errorf("%w: delete the --credentials file to get a new key", e)
		case last.Stop == transport.StopBudget && last.Cause == transport.CauseCredential:
			return fmt.Errorf("%w: compare the URL with the --public-url of the service", e)
		}
		return e
	}
	if e, ok := errors.AsType[*provision.Error](err); ok {
		return e // its text has the advice
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

// A storeLog drops the records about fetches that failed: the program ends with their error.
type storeLog struct{ slog.Handler }

func (l storeLog) Handle(ctx context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "creds: fetch ") {
		return nil
	}
	return l.Handler.Handle(ctx, r)
}
