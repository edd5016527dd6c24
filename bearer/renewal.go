package bearer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/keep"
	"github.com/countersign-go/countersign/internal/place"
)

// minTokenLife is the least time for which a token is used. Without it, a token that expires at
// once would cost a fetch for each call. A token that a server refuses is replaced earlier.
const minTokenLife = 5 * time.Second

// A tokenGrant is a token and its place in the sequence of tokens. Neither is ever changed.
type tokenGrant struct {
	token *oauth2.Token

	// serial is higher than the serial of the token before, whichever process fetched that. It is
	// the time in milliseconds. It is one more than the serial before, if the clock was set back or
	// the token was not fetched. It is 0 for the token that Tokens began with.
	serial int64

	issued time.Time // by the wall clock

	reissued bool // the token was not fetched, and is not stored yet
}

func (g *tokenGrant) valid() bool {
	return g != nil && g.token != nil && g.token.AccessToken != "" &&
		(g.token.Expiry.IsZero() || time.Now().Before(g.token.Expiry))
}

// before reports whether g is older than other. A nil grant is older than any other.
func (g *tokenGrant) before(other *tokenGrant) bool {
	return other != nil && (g == nil || g.serial < other.serial)
}

// after returns a serial for a token that follows all of these.
func after(grants ...*tokenGrant) int64 {
	serial := time.Now().UnixMilli()
	for _, g := range grants {
		if g != nil {
			serial = max(serial, g.serial+1)
		}
	}
	return serial
}

// A tokenKeeper holds the working state of Tokens.
type tokenKeeper struct {
	tokens *Tokens
	record *keep.Record // nil without a Store
	seed   string       // of Tokens.Token
	cache  creds.Cache[*tokenGrant]
	begin  *tokenGrant // of Tokens.Token, or nil

	// latest is the latest token that was fetched, found in the Store or sent by a server. It is
	// nil before the first. The cache may have refused it, but its refresh token is still used.
	latest atomic.Pointer[tokenGrant]

	mu     sync.Mutex // guards the fields below
	saving bool       // a goroutine calls save
	unsaid bool       // there is a newer token to save
}

func newTokenKeeper(t *Tokens) *tokenKeeper {
	k := &tokenKeeper{tokens: t}
	if t.Token != nil {
		token := *t.Token
		k.begin, k.seed = &tokenGrant{token: &token}, seedOf(&token)
	}
	if t.Store != nil {
		k.record = &keep.Record{
			Store: t.Store, Name: recordPrefix + t.Name, Trouble: k.trouble, Works: k.works,
		}
	}
	k.cache.Logger = t.Logger
	k.cache.Fetch = k.obtain
	k.cache.Expires = func(g *tokenGrant) time.Time { return g.token.Expiry }
	k.cache.Issued = func(g *tokenGrant) time.Time { return g.issued }
	k.cache.ID = func(g *tokenGrant) string { return g.token.AccessToken }
	k.cache.Fetched = func(g *tokenGrant) {
		k.advance(g)
		if t.Fetched != nil {
			t.Fetched(g.token)
		}
		if g.reissued && k.record != nil {
			k.saveLater()
		}
	}
	return k
}

// advance sets latest to g, unless a later token is there already.
func (k *tokenKeeper) advance(g *tokenGrant) {
	for {
		latest := k.latest.Load()
		if latest != nil && !latest.before(g) || k.latest.CompareAndSwap(latest, g) {
			return
		}
	}
}

// last returns the latest token, or nil.
func (k *tokenKeeper) last() *tokenGrant {
	if g := k.latest.Load(); g != nil {
		return g
	}
	return k.begin
}

// obtain is the Fetch of the cache.
func (k *tokenKeeper) obtain(ctx context.Context) (*tokenGrant, error) {
	g, err := k.shared(ctx)
	if err != nil {
		return nil, err
	}
	k.advance(g) // even if the cache drops the token, its refresh token is not lost
	return g, nil
}

// first returns the token to begin with, if it is the latest one and still valid.
func (k *tokenKeeper) first() *tokenGrant {
	if k.latest.Load() == nil && k.begin.valid() {
		// From now on it counts as a token that was obtained. It may be of any age, so when a
		// server refuses it, no caller waits for the server to learn of it.
		return &tokenGrant{token: k.begin.token, serial: 1, issued: time.Unix(0, 0)}
	}
	return nil
}

// alone gets a token without the Store.
func (k *tokenKeeper) alone(ctx context.Context) (*tokenGrant, error) {
	if g := k.first(); g != nil {
		return g, nil
	}
	return k.call(ctx, k.last())
}

// call calls Fetch once.
func (k *tokenKeeper) call(ctx context.Context, old *tokenGrant) (*tokenGrant, error) {
	t, err := k.fetch(ctx, old)
	if err != nil {
		return nil, err
	}
	serial := after(old, k.latest.Load())
	return &tokenGrant{token: t, serial: serial, issued: time.Now().Round(0)}, nil
}

func (k *tokenKeeper) fetch(ctx context.Context, old *tokenGrant) (*oauth2.Token, error) {
	if k.tokens.Fetch == nil {
		return nil, misuse{errors.New("bearer: no token is left: set the Fetch field " +
			"of Tokens")}
	}
	var before oauth2.Token
	var given *oauth2.Token
	if old != nil {
		before = *old.token
		clone := before
		given = &clone
	}
	fetched, err := k.tokens.Fetch(guarded(ctx), given)
	if err != nil {
		if err = newError(err); before.RefreshToken != "" && spends(err) {
			err = spent{err}
		}
		return nil, err
	}
	if err := checkToken(fetched); err != nil {
		return nil, err
	}
	t := *fetched
	if t.RefreshToken == "" {
		t.RefreshToken = before.RefreshToken
	}
	now := time.Now()
	if t.Expiry.IsZero() && t.ExpiresIn > 0 {
		t.Expiry = now.Add(seconds(t.ExpiresIn))
	}
	t.Expiry = notTooSoon(t.Expiry, now)
	return &t, nil
}

// notTooSoon returns the end of a token, moved to at least minTokenLife after now, unless the token
// has ended already.
func notTooSoon(end, now time.Time) time.Time {
	if least := now.Add(minTokenLife); now.Before(end) && end.Before(least) {
		return least
	}
	return end
}

// checkToken refuses a token that cannot be sent, before it is stored.
func checkToken(t *oauth2.Token) error {
	switch {
	case t == nil:
		return errors.New("bearer: Fetch returned nil, and no error")
	case t.AccessToken == "":
		return errors.New("bearer: the token has no AccessToken")
	case !place.IsToken(t.AccessToken) || len(t.AccessToken) > place.MaxTaken:
		return fmt.Errorf("bearer: the token holds what cannot be sent, or is over %d bytes",
			place.MaxTaken)
	}
	return nil
}

// reissue returns the grant for a token that replaces current.
func (k *tokenKeeper) reissue(current *tokenGrant, t *oauth2.Token) (*tokenGrant, bool) {
	next := *t
	next.Expiry = notTooSoon(next.Expiry, time.Now())
	if next.RefreshToken == "" {
		next.RefreshToken = current.token.RefreshToken
	}
	if next.AccessToken == current.token.AccessToken {
		// Without this check, a server that sends the token with each response would cause a write
		// each time.
		end, last := next.Expiry, current.token.Expiry
		if end.IsZero() || last.IsZero() ||
			end.Sub(last) < min(time.Minute, time.Until(end)/5) {
			return nil, false
		}
	}
	// It follows current directly: a token that another process has fetched since is newer, and its
	// refresh token is the valid one.
	return &tokenGrant{
		token: &next, serial: current.serial + 1, issued: time.Now().Round(0), reissued: true,
	}, true
}

// guarded returns a context under which package oauth2 follows no redirect. A redirect could take a
// secret that buys tokens elsewhere.
func guarded(ctx context.Context) context.Context {
	var client http.Client
	if given, ok := ctx.Value(oauth2.HTTPClient).(*http.Client); ok && given != nil {
		client = *given
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}
	return context.WithValue(ctx, oauth2.HTTPClient, &client)
}
