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
// With their password, they get a key for MAC at "/provision" and a token at "/login". With a
// registry, registry.go lets them list and revoke keys. People log in, and site.go has pages for
// them.
type service struct {
	users     userList
	lifetime  time.Duration   // of tokens, and of keys without registry; if zero, 5 minutes
	registry  *issue.Registry // remembers all keys; nil if the service keeps none
	publicURL *url.URL        // where clients reach the service; if nil, where it listens
	listening string          // the URL at which it listens; if empty, defaultURL
	login     *raven.Login    // by which people log in; if nil, the dialog for Basic
	skew      time.Duration   // how far its clock is ahead; see skew.go
	logger    *slog.Logger    // if nil, nothing is logged
	counters
}

// handler returns the handler for one run of the service.
func (s *service) handler() http.Handler {
	give, keys := s.keys()
	verifier := &mac.Verifier{
		Keys:      keys,
		PublicURL: s.publicURL,
		// The used nonces of an earlier run are forgotten, so refuse requests that were signed
		// then.
		NotBefore: s.now(),
	}
	tokens := newTokens(s.lifetime)
	// One limit for clients that guess passwords, wherever they try them.
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

// keys returns a function that makes keys, and one that finds them by their ids.
func (s *service) keys() (issueFunc, mac.KeyFunc) {
	if s.registry != nil {
		return s.registry.Issue, s.registry.Key
	}
	// The issuer needs no database: the id contains the user and the expiry of a key, signed with
	// the issuer's secret. Here the secret ends with the process, and clients then get new keys by
	// themselves.
	issuer := &issue.Issuer{
		Secrets:  []creds.Secret{creds.Secret(rand.Text())},
		Lifetime: s.lifetime,
	}
	return issuer.Issue, issuer.Key
}

// tellNumber answers with the number. It runs behind a Guard, so there always is an identity. The
// number does not depend on the scheme. People are shown a page.
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

// luckyNumber returns a number from 1 to 100. It is the same all day, so that asking again does not
// help.
func luckyNumber(user string, now time.Time) int {
	sum := sha256.Sum256([]byte(now.UTC().Format(time.DateOnly) + " " + user))
	return int(binary.BigEndian.Uint64(sum[:])%100) + 1
}

// counters are the service's own counts of requests.
type counters struct {
	issued   atomic.Int64 // keys
	tokens   atomic.Int64
	answered atomic.Int64 // signed requests; the refused ones follow, by reason
	stale    atomic.Int64
	expired  atomic.Int64
	invalid  atomic.Int64
}

// count counts the decision about a program's request.
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

// issueFunc is the type of the Issue of an issue.Handler.
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
