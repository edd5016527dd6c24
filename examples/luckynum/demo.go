package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
)

// A scene is a service, with a fault in most scenes, and a client that asks it a few times.
type scene struct {
	title, remark string
	service       *service
	pauses        []time.Duration // before each request of the client
	hopeless      bool            // the last request must be refused
}

func scenes() []*scene {
	const spent = 2100 * time.Millisecond
	elsewhere := &url.URL{Scheme: "https", Host: "lucky.example.com"}
	return []*scene{{
		title:   "All is well",
		remark:  "A key is had once, for a password. Then requests are signed with it.",
		service: &service{},
		pauses:  []time.Duration{0, 0, 0},
	}, {
		title:   "The clock of the service is an hour ahead",
		remark:  "It refuses the first request and says what time it is there. That is enough.",
		service: &service{skew: time.Hour},
		pauses:  []time.Duration{0, 0, 0},
	}, {
		title:   "Keys end after two seconds",
		remark:  "Clients count on five seconds at least, so this one learns it from a refusal.",
		service: &service{lifetime: 2 * time.Second},
		pauses:  []time.Duration{0, spent, 0},
	}, {
		title: "Nothing helps",
		remark: "The service takes itself for " + elsewhere.String() + ": no signature is right," +
			"\n   not even after the 3 seconds that a new key is given to become known.",
		service:  &service{publicURL: elsewhere},
		pauses:   []time.Duration{0},
		hopeless: true,
	}}
}

// demo plays all scenes, each with its own service.
func (p *program) demo(ctx context.Context) error {
	fmt.Fprintln(p.stdout, "Signed requests: each line below is one step that was really taken.")
	password := creds.Secret(rand.Text())
	all := scenes()
	handlers := make([]http.Handler, len(all))
	for i, sc := range all {
		sc.service.users = portal.Memory{"demo": password}
		handlers[i] = sc.service.handler()
	}
	if err := firstSecond(ctx); err != nil {
		return err
	}
	for i, sc := range all {
		tell := p.stepsTo(p.stdout)
		fmt.Fprintf(p.stdout, "\n%s\n   %s\n",
			tell.paint(bold, fmt.Sprintf("%d. %s", i+1, sc.title)), sc.remark)
		at, stop, err := p.host(handlers[i])
		if err != nil {
			return err
		}
		c := newClient(at, p.base, tell)
		c.signWith(c.keysFor("demo", password))
		err = sc.play(ctx, c)
		stop()
		if err != nil {
			return fmt.Errorf("scene %d: %w", i+1, err)
		}
		tell.print(counted, sc.service.String())
	}
	fmt.Fprintln(p.stdout, "\nHow both halves are made: examples/luckynum/service.go and client.go")
	return nil
}

// play sends the requests of the scene.
func (sc *scene) play(ctx context.Context, c *client) error {
	for _, pause := range sc.pauses {
		if pause > 0 {
			c.steps.print(waited, pause.String()+", so that the key has ended")
		}
		if err := wait(ctx, pause); err != nil {
			return err
		}
		text, err := c.ask(ctx)
		if e, ok := errors.AsType[*refusedError](err); ok && sc.hopeless {
			c.steps.print(refused, "what was tried for the answer is in transport.History(resp):")
			for i, attempt := range e.history {
				c.steps.print("", fmt.Sprintf("%d. %s", i+1, attempt))
			}
			return nil
		}
		if err != nil {
			return err
		}
		c.steps.print(number, text)
	}
	if sc.hopeless {
		return errors.New("the service was expected to refuse, but it did not")
	}
	return nil
}

// hostLoopback serves h to this machine only, on a free port.
func hostLoopback(h http.Handler) (at *url.URL, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, fmt.Errorf("cannot listen on a loopback port: %w", err)
	}
	server := newServer(h)
	go func() { _ = server.Serve(listener) }()
	at = &url.URL{Scheme: "http", Host: listener.Addr().String(), Path: "/"}
	return at, func() { _ = shutDown(server) }, nil
}
