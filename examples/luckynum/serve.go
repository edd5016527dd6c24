package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// serve runs the service until ctx ends.
func (p *program) serve(ctx context.Context, args []string) error {
	s, address, err := p.newService(args)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("%w: choose another --address", err)
	}
	defer listener.Close()
	s.listening = "http://" + listener.Addr().String()
	if err := s.checkLogin(); err != nil {
		return err
	}
	server := newServer(s.handler())
	server.ErrorLog = slog.NewLogLogger(s.logger.Handler(), slog.LevelWarn)
	if err := firstSecond(ctx); err != nil {
		return nil // the service has not begun
	}
	fmt.Fprintf(p.stdout, "Serving lucky numbers at %s until Ctrl-C.\n", s.listening)
	if err := serveUntil(ctx, server, listener); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "Served: %s.\n", s)
	return nil
}

// serveUntil serves until ctx ends, and then completes the requests in progress.
func serveUntil(ctx context.Context, server *http.Server, listener net.Listener) error {
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	return shutDown(server)
}

// newService returns the service that the flags of serve describe.
func (p *program) newService(args []string) (s *service, address string, err error) {
	s = &service{logger: slog.New(slog.NewTextHandler(p.stderr, nil))}
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	flags.StringVar(&address, "address", "127.0.0.1:8080", "")
	flags.DurationVar(&s.lifetime, "lifetime", 0, "")
	flags.DurationVar(&s.skew, "skew", 0, "")
	usersFile := flags.String("users", "", "")
	publicURL := flags.String("public-url", "", "")
	registry := flags.Bool("registry", false, "")
	store := flags.String("store", "", "")
	var by loginFlags
	by.define(flags)
	if err := parse(flags, args, 0); err != nil {
		return nil, "", err
	}
	switch {
	case s.lifetime < time.Second && isSet(flags, "lifetime"):
		return nil, "", usageError("--lifetime is a second at least, like 5m")
	case *store != "" && !*registry:
		return nil, "", usageError("--store is where --registry remembers keys: give both")
	}
	if s.login, err = by.login(flags, s.logger); err != nil {
		return nil, "", err
	}
	if *registry {
		if s.registry, err = openRegistry(*store, s.lifetime); err != nil {
			return nil, "", err
		}
	}
	if *publicURL != "" {
		if s.publicURL, err = parseURL(*publicURL); err != nil {
			return nil, "", err
		}
	}
	s.users, err = p.users(*usersFile)
	return s, address, err
}

// newServer returns a server with limits for slow clients.
func newServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
}

// shutDown lets the server complete the requests in progress.
func shutDown(server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return server.Shutdown(ctx)
}

// firstSecond waits for the end of the second in which the service started. Until then every
// timestamp is refused: the request could have been signed before the start.
func firstSecond(ctx context.Context) error {
	now := time.Now()
	return wait(ctx, now.Truncate(time.Second).Add(time.Second).Sub(now))
}
