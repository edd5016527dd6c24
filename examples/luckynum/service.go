package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/jwt"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/portal"
	"github.com/countersign-go/countersign/provision/issue"
	"github.com/countersign-go/countersign/raven"
)

// A userList checks the passwords of users, also for a login service.
type userList interface {
	portal.Checker
	CheckPassword(ctx context.Context, user string, password creds.Secret) (string, error)
}

// A service tells its users a lucky number at "/". Programs sign for it, by MAC or with a token.
// The key for the one they get at "/provision", the token at "/login", for their password. With a
// registry, registry.go lets them list and revoke keys. People log in, and site.go has pages for
// them.
type service struct {
	users     userList
	lifetime  time.Duration   // of a token, and a key without registry; 0: 5 minutes
	registry  *issue.Registry // remembers all keys; nil: the service keeps none
	publicURL *url.URL        // where clients reach the service; nil: where it listens
	listening string          // the URL at which it listens; "": defaultURL
	login     *raven.Login    // by which people log in; nil: by the dialog for Basic
	skew      time.Duration   // how far its clock is ahead, see skew.go
	logger    *slog.Logger    // nil: silent
	counters
}

// handler returns what serves the requests of one run of the service.
func (s *service) handler() http.Handler {
	give, keys := s.keys()
	verifier := &mac.Verifier{
		Keys:      keys,
		PublicURL: s.publicURL,
		// Which nonces were used is forgotten too, so what was signed before is not accepted.
		NotBefore: s.now(),
	}
	tokens := newTokens(s.lifetime)
	// Whoever guesses passwords is slowed down, wherever they are tried.
	guesses := &auth.Limiter{Every: 5 * time.Second, Burst: 10}
	perSubject := &auth.Limiter{Every: time.Second, Burst: 20}
	password := basic.Verifier{Realm: "luckynum", Users: s.users}
	give = s.countIssued(give)
	pages := &website{service: s, issue: give, find: keys, perSubject: perSubject}
	if pages.people = s.byDialog(password, guesses); s.login != nil {
		pages.people = s.byService()
	}
	people := &quiet{pages.people.who}
	guard := &auth.Guard{
		Stack:  auth.Stack{s.skewed(verifier), tokens.verifier, people},
		Denied: http.HandlerFunc(pages.welcome),
		Decided: func(req *http.Request, by auth.Authenticator, id *auth.Identity, err error) {
			guesses.Decided(req, by, id, err)
			if by != people && (by != nil || !wantsPage(req)) {
				s.count(err)
			}
		},
		Logger: s.logger,
	}
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", slow(guesses, guard.Handler(http.HandlerFunc(pages.tellNumber))))
	mux.Handle("POST /login", s.giveToken(tokens, guesses))
	pages.add(mux, guesses)
	mux.Handle("/provision", &issue.Handler{
		Auth:       password,
		Issue:      give,
		PerAddress: guesses,
		PerSubject: perSubject,
		Logger:     s.logger,
	})
	if s.registry != nil {
		s.addRegistry(mux, password, guesses)
	}
	return s.dated(pages.pages(mux))
}

// keys returns what makes keys, and what finds them again by their ids.
func (s *service) keys() (issueFunc, mac.KeyFunc) {
	if s.registry != nil {
		return s.registry.Issue, s.registry.Key
	}
	// The issuer needs no database: what it must know of a key later, it writes into the id, signed
	// with its secret. Here, that ends with the process, and clients get new keys by themselves.
	issuer := &issue.Issuer{
		Secrets:  []creds.Secret{creds.Secret(rand.Text())},
		Lifetime: s.lifetime,
	}
	return issuer.Issue, issuer.Key
}

// tellNumber runs behind a Guard, so there always is an identity. However it was proved, the number
// is the same; people are shown it on a page.
func (s *website) tellNumber(w http.ResponseWriter, req *http.Request) {
	id, _ := auth.FromContext(req.Context())
	if wantsPage(req) {
		s.showNumber(w, req, id)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	fmt.Fprintf(w, "Hello %s! Your lucky number for today is %d.\n",
		id.Subject, luckyNumber(id.Subject, s.now()))
}

// luckyNumber is from 1 to 100, and the same all day, so that asking again does not help.
func luckyNumber(user string, now time.Time) int {
	sum := sha256.Sum256([]byte(now.UTC().Format(time.DateOnly) + " " + user))
	return int(binary.BigEndian.Uint64(sum[:])%100) + 1
}

// counters are what the service itself knows of the requests it had.
type counters struct {
	issued   atomic.Int64 // keys
	tokens   atomic.Int64
	answered atomic.Int64 // signed requests; those refused follow, by reason
	stale    atomic.Int64
	expired  atomic.Int64
	invalid  atomic.Int64
}

// count is told of each decision about a program.
func (c *counters) count(err error) {
	switch {
	case err == nil:
		c.answered.Add(1)
	case errors.Is(err, mac.ErrStale):
		c.stale.Add(1)
	case errors.Is(err, mac.ErrExpired), errors.Is(err, jwt.ErrExpired):
		c.expired.Add(1)
	default:
		c.invalid.Add(1)
	}
}

// issueFunc is what a issue.Handler makes keys with.
type issueFunc func(context.Context, *auth.Identity) (*mac.Credentials, error)

func (c *counters) countIssued(give issueFunc) issueFunc {
	return func(ctx context.Context, id *auth.Identity) (*mac.Credentials, error) {
		m, err := give(ctx, id)
		if err == nil {
			c.issued.Add(1)
		}
		return m, err
	}
}

func (c *counters) String() string {
	text := fmt.Sprintf("issued %d, answered %d, stale %d, expired %d, invalid %d",
		c.issued.Load(), c.answered.Load(), c.stale.Load(), c.expired.Load(), c.invalid.Load())
	if n := c.tokens.Load(); n > 0 {
		text += fmt.Sprintf(", tokens %d", n)
	}
	return text
}
