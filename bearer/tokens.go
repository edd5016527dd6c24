package bearer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"golang.org/x/oauth2"

	"github.com/countersign-go/countersign/creds"
)

// Tokens are a source of tokens that are fetched. A [creds.Cache], whose rules they follow, shares
// them among all callers, renews them before they expire, and replaces them when they were refused,
// with one call of Fetch for all.
//
// A token that Fetch gave counts as good until its Expiry, by the clock of this machine, and for 5
// s at least; if that is zero, for as long as its ExpiresIn says; if both are, until it is refused.
// One whose Expiry has passed is not used: the error is [creds.ErrExpired], and the clocks of this
// machine and the service are worth a look. A token without a RefreshToken keeps that of the one
// before. An error of package oauth2 becomes an [*Error], which repeats nothing of the answer.
//
// With a Store, tokens outlive the process, and all processes that share the Store share one call:
// it is made within an update of the record, by the one who finds there that nobody else has made
// it, with the refresh token that it finds there. So a refresh token that is good for one use only
// is used once, and the next one is stored before the new token is used. Trouble with the Store is
// told to the Logger and fails no call: then the tokens in memory count. It waits 5 s for a record
// to be read, 20 s in all for its turn to write it, and 2 s for the write, which then goes on in
// the background. If the turn does not come, since another process is at it for so long, a fetch
// goes on without; but one with a RefreshToken fails, as the other process may be using that up.
// What is stored are the fields of the token, and nothing that its Extra gives.
//
// The fields must not be changed once Tokens are in use, and Tokens must not be copied. They are
// safe for concurrent use.
type Tokens struct {
	// Fetch gets a new token. old is the latest one there is, expired or refused maybe, whose
	// RefreshToken may buy the next one; nil if there was none. It must not be changed. The rules
	// are those of Fetch in a [creds.Cache]. Under ctx, package oauth2 sends with a client that
	// follows no redirect, since a redirect could take a secret elsewhere, unless Fetch sets
	// another one (oauth2.HTTPClient). Required, unless Token is all there ever is.
	Fetch func(ctx context.Context, old *oauth2.Token) (*oauth2.Token, error)

	// StepUp says that Fetch looks at [creds.Challenge]: it gets a token with the scope, the recent
	// login or the claims that a server asks for there, beside what the old token had. If false, a
	// refusal that asks for these goes to the caller, and no fetch is made for it.
	StepUp bool

	// Token is what to begin with: a token, or just a RefreshToken. Set its Expiry: ExpiresIn is
	// not looked at, as nobody knows since when. A stored token that came of it counts more; one
	// that came of another Token is not used. Nil: nothing, or what is stored.
	Token *oauth2.Token

	// Store keeps the tokens for the next process, and for others. Nil: in memory only.
	Store creds.Store

	// Name is what the record in the Store is called, after a prefix of "bearer-". Give each
	// account at each service its own. Required with a Store.
	Name string

	// Fetched is told of new tokens before they are used; see [creds.Cache]. Those that another
	// process has stored are new too. It must not ask the Tokens. Nil: nobody is told.
	Fetched func(*oauth2.Token)

	// Logger is told of fetches that failed, see [creds.Cache], and of trouble with the Store, at
	// level Warn. If nil, the Logger of the transport.Transport whose request started the fetch.
	Logger *slog.Logger

	once    sync.Once
	private *tokenKeeper // what follows from the fields; a pointer, so that fmt does not read it
}

var (
	_ creds.Source[*oauth2.Token]    = (*Tokens)(nil)
	_ creds.Rejecter[*oauth2.Token]  = (*Tokens)(nil)
	_ creds.StepUpper                = (*Tokens)(nil)
	_ creds.Accepter[*oauth2.Token]  = (*Tokens)(nil)
	_ creds.Confirmer[*oauth2.Token] = (*Tokens)(nil)
	_ creds.Waiter[*oauth2.Token]    = (*Tokens)(nil)
	_ creds.Replacer[*oauth2.Token]  = (*Tokens)(nil)
	_ creds.Failer                   = (*Tokens)(nil)
	_ creds.Accounter                = (*Tokens)(nil)
)

// Credentials returns the current token. It waits where another must be fetched first, but not
// beyond the end of ctx. The token must not be changed.
func (t *Tokens) Credentials(ctx context.Context) (*oauth2.Token, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	g, err := t.cache().Credentials(ctx) //nolint:contextcheck // a late write outlives ctx
	if err != nil {
		return nil, err
	}
	return g.token, nil
}

// Check returns why each call would fail, because of the fields of t, or nil: there is no way to
// get a token, or a Store without a Name. It fetches nothing. Call it when a program starts.
func (t *Tokens) Check() error {
	switch {
	case t.Store != nil && t.Name == "":
		return misuse{errors.New("bearer: Tokens with a Store need a Name: set it, and give " +
			"each account its own")}
	case t.Fetch == nil && (t.Token == nil || t.Token.AccessToken == ""):
		return misuse{errors.New("bearer: Tokens without a token cannot get one: set their " +
			"Fetch field")}
	}
	return nil
}

// Reject has the current token replaced if bad reports true for it; see [creds.Cache].
func (t *Tokens) Reject(bad func(*oauth2.Token) bool, refusal http.Header) {
	t.cache().Reject(func(g *tokenGrant) bool { return bad(g.token) }, refusal)
}

// StepsUp returns StepUp.
func (t *Tokens) StepsUp() bool { return t.StepUp }

// Accept tells that a server accepted the current token if good reports true for it; see
// [creds.Cache].
func (t *Tokens) Accept(good func(*oauth2.Token) bool) {
	t.cache().Accept(func(g *tokenGrant) bool { return good(g.token) })
}

// Wait gives a server some time to learn of a new token that was refused; see [creds.Cache].
func (t *Tokens) Wait(
	ctx context.Context, refused func(*oauth2.Token) bool,
) (waited bool, err error) {
	//nolint:contextcheck // a late write outlives ctx
	return t.cache().Wait(ctx, func(g *tokenGrant) bool { return refused(g.token) })
}

// Confirm tells that the current token mended a call if good reports true for it; see
// [creds.Cache].
func (t *Tokens) Confirm(good func(*oauth2.Token) bool) {
	t.cache().Confirm(func(g *tokenGrant) bool { return good(g.token) })
}

// Replace puts a token that the service sent without being asked in the place of the current one,
// if old reports true for that; see [creds.Cache]. It is stored in the background. The same token
// again counts only if it ends a good deal later. Replace does not block.
func (t *Tokens) Replace(old func(*oauth2.Token) bool, next *oauth2.Token) {
	if checkToken(next) != nil {
		return
	}
	t.cache().Replace(func(current *tokenGrant) (*tokenGrant, bool) {
		if !old(current.token) {
			return nil, false
		}
		return t.private.reissue(current, next)
	})
}

// Err returns why the latest fetch failed, nil if it did not: with it, one who is still given a
// token that was refused learns why there is no other. See [creds.Cache].
func (t *Tokens) Err() error { return t.cache().Err() }

// Account returns the Name.
func (t *Tokens) Account() string { return t.Name }

// Format writes the Name, and no token, whatever the verb.
func (t *Tokens) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "{Name:%q}", t.Name) }

// MarshalText writes the same, also for encoding/json.
func (t *Tokens) MarshalText() ([]byte, error) { return []byte(fmt.Sprint(t)), nil }

func (t *Tokens) cache() *creds.Cache[*tokenGrant] {
	t.once.Do(func() { t.private = newTokenKeeper(t) })
	return &t.private.cache
}
