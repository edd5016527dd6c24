package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/countersign-go/countersign/basic"
)

// list prints a user's credentials.
func (p *program) list(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("list", flag.ContinueOnError)
	c, err := p.loggedIn(flags, args, 0)
	if err != nil {
		return err
	}
	data, err := c.send(ctx, http.MethodGet, c.service.JoinPath("credentials"))
	if err != nil {
		return adviseLogin(err)
	}
	var keys []keyEntry
	if err := json.Unmarshal(data, &keys); err != nil {
		return errors.New("the answer is not a list of credentials: check the address")
	}
	if len(keys) == 0 {
		fmt.Fprintln(p.stdout, "no credentials")
		return nil
	}
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tCREATED\tEXPIRES")
	for _, k := range keys {
		fmt.Fprintf(table, "%s\t%s\t%s\n", k.ID,
			k.Created.UTC().Format(time.RFC3339), k.Expires.UTC().Format(time.RFC3339))
	}
	return table.Flush()
}

// revoke ends one of a user's credentials.
func (p *program) revoke(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("revoke", flag.ContinueOnError)
	c, err := p.loggedIn(flags, args, 1)
	if err != nil {
		return err
	}
	id := flags.Arg(0)
	u := c.service.JoinPath("credentials", url.PathEscape(id))
	if _, err := c.send(ctx, http.MethodDelete, u); err != nil {
		return adviseLogin(err)
	}
	fmt.Fprintf(p.stdout, "Revoked %s.\n", id)
	return nil
}

// loggedIn returns a client that sends the password with each request. It is for a command with the
// given number of arguments before the URL.
func (p *program) loggedIn(flags *flag.FlagSet, args []string, before int) (*client, error) {
	var l login
	l.define(flags)
	if err := parse(flags, args, before+1); err != nil {
		return nil, err
	}
	if flags.NArg() < before || before > 0 && flags.Arg(0) == "" {
		return nil, usageError("the ID is missing: luckynum list shows the ID of each credential")
	}
	service, err := parseURL(cmp.Or(flags.Arg(before), defaultURL))
	if err != nil {
		return nil, err
	}
	password, err := p.password(l.passwordFile)
	if err != nil {
		return nil, err
	}
	c := newClient(service, p.base, p.stepsTo(io.Discard))
	c.signBy(basic.Signer{User: l.user, Password: password})
	return c, nil
}

// adviseLogin turns err into one sentence that tells the user what to try.
func adviseLogin(err error) error {
	e, ok := errors.AsType[*refusedError](err)
	if !ok {
		return advise(err, new(getFlags))
	}
	switch e.status {
	case http.StatusUnauthorized:
		return fmt.Errorf("%w: check user and password", e)
	case http.StatusNotFound:
		return fmt.Errorf("%w: you have no such credential, or the service has no --registry", e)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return fmt.Errorf("%w: try again later", e)
	}
	return e
}
