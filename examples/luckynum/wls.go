package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/portal"
	"github.com/countersign-go/countersign/raven"
	"github.com/countersign-go/countersign/raven/wls"
)

const (
	wlsAddress = "127.0.0.1:8081"
	wlsKeyID   = "1"
)

// loginFlags are the flags of serve for the way in which people log in.
type loginFlags struct{ way, wls, key string }

func (l *loginFlags) define(flags *flag.FlagSet) {
	flags.StringVar(&l.way, "login", "basic", "")
	flags.StringVar(&l.wls, "wls", "http://"+wlsAddress, "")
	flags.StringVar(&l.key, "wls-key", "", "")
}

// login returns the login that the flags describe, or nil for Basic.
func (l *loginFlags) login(flags *flag.FlagSet, logger *slog.Logger) (*raven.Login, error) {
	switch {
	case l.way == "basic" && (isSet(flags, "wls") || isSet(flags, "wls-key")):
		return nil, usageError("--wls and --wls-key are for --login raven")
	case l.way == "basic":
		return nil, nil
	case l.way != "raven":
		return nil, usageError("--login is basic or raven")
	case l.key == "":
		return nil, usageError("--login raven needs the --wls-key that luckynum wls writes")
	}
	base, err := parseURL(l.wls)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(l.key)
	if err != nil {
		return nil, fmt.Errorf("%w: luckynum wls writes it when it starts", err)
	}
	key, err := raven.ParseKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.key, err)
	}
	return &raven.Login{
		Service: &raven.Service{
			LoginURL:  base.JoinPath("auth/authenticate.html").String(),
			LogoutURL: base.JoinPath("auth/logout.html").String(),
			Keys:      raven.Keys{wlsKeyID: key},
		},
		Desc:     "Lucky numbers",
		AnyPTags: true, // every user has a number
		Logger:   logger,
	}, nil
}

// checkLogin completes the login by a login service, once the address is known. It also adds the
// address to the URL of the service's logout page, so that the page can link back here.
func (s *service) checkLogin() error {
	if s.login == nil {
		return nil
	}
	s.login.BaseURL = s.address().String()
	out, err := url.Parse(s.login.Service.LogoutURL)
	if err != nil {
		return err
	}
	out.RawQuery = url.Values{"url": {s.login.BaseURL}}.Encode()
	s.login.Service.LogoutURL = out.String()
	if err := s.login.Check(); err != nil {
		return fmt.Errorf("%w: check --wls, --address and --public-url", err)
	}
	return nil
}

// wls runs a login service until ctx ends.
func (p *program) wls(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("wls", flag.ContinueOnError)
	address := flags.String("address", wlsAddress, "")
	usersFile := flags.String("users", "", "")
	keyFile := flags.String("wls-key", "", "")
	if err := parse(flags, args, 0); err != nil {
		return err
	}
	users, err := p.users(*usersFile)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		return fmt.Errorf("%w: choose another --address", err)
	}
	defer listener.Close()
	service, err := newWLS(users)
	if err != nil {
		return err
	}
	if err := service.Check(); err != nil {
		return err
	}
	if err := p.writeKey(*keyFile, &service.Key.PublicKey); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "Logging people in at http://%s until Ctrl-C.\n", listener.Addr())
	return serveUntil(ctx, newServer(service), listener)
}

func newWLS(users portal.Checker) (*wls.Server, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	attempts := &auth.Limiter{Every: 5 * time.Second, Burst: 10}
	return &wls.Server{Checker: patient{users, attempts}, Key: key, KeyID: wlsKeyID}, nil
}

// patient is a Checker that delays clients that guess a user's password.
type patient struct {
	users    portal.Checker
	attempts *auth.Limiter // by user name
}

// Check checks the password, unless there were too many attempts for the user.
func (p patient) Check(ctx context.Context, c portal.Credentials) (string, error) {
	given, ok := c.(portal.Password)
	if !ok {
		return "", portal.ErrUnhandled
	}
	done, err := p.attempts.Attempt(given.User)
	if err != nil {
		return "", err
	}
	subject, err := p.users.Check(ctx, c)
	done(err)
	return subject, err
}

// writeKey writes a public key to a file, or to standard output if file is "".
func (p *program) writeKey(file string, key *rsa.PublicKey) error {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	if file == "" {
		_, err := p.stdout.Write(text)
		return err
	}
	old, err := os.ReadFile(file)
	if err == nil {
		if _, err := raven.ParseKey(old); err != nil {
			return fmt.Errorf("%s is something else than a public key: choose another file", file)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}
