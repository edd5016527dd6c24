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

// minTokenLife is how long a token counts as good at least, so that one which is said to end at
// once does not cost a fetch for each call. It is replaced when it is refused.
const minTokenLife = 5 * time.Second

// A tokenGrant is a token, and which one of the row it is. Neither is ever changed.
type tokenGrant struct {
	token *oauth2.Token

	// serial is higher than that of the token before, in whatever process that was: the time in
	// milliseconds, or what follows the one before where the clock was set back, or the token was
	// not fetched. 0: what Tokens began with.
	serial int64

	issued time.Time // by the wall clock

	reissued bool // it was not fetched, and is not stored yet
}

func (g *tokenGrant) valid() bool {
	return g != nil && g.token != nil && g.token.AccessToken != "" &&
		(g.token.Expiry.IsZero() || time.Now().Before(g.token.Expiry))
}

// before reports whether g is older than other. No grant is older than any.
func (g *tokenGrant) before(other *tokenGrant) bool {
	return other != nil && (g == nil || g.serial < other.serial)
}

// after returns the serial of a token that comes next to all of these.
func after(grants ...*tokenGrant) int64 {
	serial := time.Now().UnixMilli()
	for _, g := range grants {
		if g != nil {
			serial = max(serial, g.serial+1)
		}
	}
	return serial
}

// A tokenKeeper is Tokens at work.
type tokenKeeper struct {
	tokens *Tokens
	record *keep.Record // nil: there is no Store
	seed   string       // of Tokens.Token
	cache  creds.Cache[*tokenGrant]
	begin  *tokenGrant // of Tokens.Token; nil: there is none

	// latest is the latest token that was fetched, found in the Store or sent; nil before that. The
	// cache may have refused it, but its refresh token still counts.
	latest atomic.Pointer[tokenGrant]

	mu     sync.Mutex // guards all below
	saving bool       // save is at work
	unsaid bool       // it has something more to save
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

// advance sets latest to g, unless a later one came meanwhile.
func (k *tokenKeeper) advance(g *tokenGrant) {
	for {
		latest := k.latest.Load()
		if latest != nil && !latest.before(g) || k.latest.CompareAndSwap(latest, g) {
			return
		}
	}
}

// last returns the latest token there is, nil if there is none.
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
	k.advance(g) // whatever becomes of the token, its refresh token is not lost
	return g, nil
}

// first returns the token to begin with, if that is all there is so far, and it is good.
func (k *tokenKeeper) first() *tokenGrant {
	if k.latest.Load() == nil && k.begin.valid() {
		// From now on it is one of those that were there.
		// It may be of any age, so it is not waited for when it is refused.
		return &tokenGrant{token: k.begin.token, serial: 1, issued: time.Unix(0, 0)}
	}
	return nil
}

// alone does without the Store.
func (k *tokenKeeper) alone(ctx context.Context) (*tokenGrant, error) {
	if g := k.first(); g != nil {
		return g, nil
	}
	return k.call(ctx, k.last())
}

// call makes one call of Fetch.
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
		return nil, misuse{errors.New("bearer: there is no token any more: set the Fetch field " +
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

// notTooSoon returns the end of a token that lasts from now, for minTokenLife at least.
func notTooSoon(end, now time.Time) time.Time {
	if least := now.Add(minTokenLife); now.Before(end) && end.Before(least) {
		return least
	}
	return end
}

// checkToken refuses what could not be sent, before it is stored.
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

// reissue returns the grant for a token that takes the place of current.
func (k *tokenKeeper) reissue(current *tokenGrant, t *oauth2.Token) (*tokenGrant, bool) {
	next := *t
	next.Expiry = notTooSoon(next.Expiry, time.Now())
	if next.RefreshToken == "" {
		next.RefreshToken = current.token.RefreshToken
	}
	if next.AccessToken == current.token.AccessToken {
		// A server that says so with each answer would otherwise have it stored each time.
		end, last := next.Expiry, current.token.Expiry
		if end.IsZero() || last.IsZero() ||
			end.Sub(last) < min(time.Minute, time.Until(end)/5) {
			return nil, false
		}
	}
	// It comes next to current and no later: what another process has fetched meanwhile is newer,
	// and has the refresh token that is still good.
	return &tokenGrant{
		token: &next, serial: current.serial + 1, issued: time.Now().Round(0), reissued: true,
	}, true
}

// guarded returns a context under which package oauth2 follows no redirect, which could take what
// buys a token elsewhere.
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
