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

// Tokens are a source of tokens that Fetch gets. All callers share a token. Tokens renew it before
// it expires, and replace it when a server refuses it, with one call of Fetch for all callers. They
// follow the rules of a [creds.Cache]. With a Store, the tokens outlive the process and are shared
// with other processes.
//
// Tokens must not be changed or copied after first use. They are safe for concurrent use.
type Tokens struct {
	// Fetch gets a new token, by the rules of Fetch in a [creds.Cache]. old is the latest token,
	// which may have expired or been refused, and whose RefreshToken may buy the next one, or nil.
	// Fetch must not change it. Under ctx, package oauth2 sends with a client that follows no
	// redirect, since a redirect could take a secret elsewhere, unless Fetch sets another client
	// (oauth2.HTTPClient). Required, unless Token never needs to be replaced.
	//
	// A token is used until its Expiry by the clock of this machine, and for at least 5 s. If
	// Expiry is zero, ExpiresIn counts. If both are zero, it is used until a server refuses it. If
	// Fetch returns a token whose Expiry has passed, the error is [creds.ErrExpired]: compare the
	// clocks of this machine and the service. A token without a RefreshToken keeps the RefreshToken
	// of old. An error of package oauth2 becomes an [*Error], which repeats no part of the
	// response.
	Fetch func(ctx context.Context, old *oauth2.Token) (*oauth2.Token, error)

	// StepUp says that Fetch reads [creds.Challenge]: it gets the scope, the recent login or the
	// claims that a server asks for there, in addition to the rights of old. If false, a refusal
	// that asks for these goes to the caller, and Fetch is not called.
	StepUp bool

	// Token is the token to begin with, or just a RefreshToken. Set its Expiry: ExpiresIn is
	// ignored, since it does not say from when it counts. A stored token that was obtained with
	// Token takes precedence, and one that was obtained with another Token is ignored. If nil,
	// Tokens begin with the stored token, if any.
	Token *oauth2.Token

	// Store keeps the tokens for later processes, and shares them with others. If nil, tokens are
	// kept in memory only.
	//
	// Fetch is called within an update of the record, with the stored refresh token, and only if no
	// other process has called it. So a refresh token that is valid for one use is used once, and
	// the next one is stored before the new token is used. The fields of a token are stored, but
	// not its Extra.
	//
	// Trouble with the Store is logged, and the tokens in memory are used. Tokens wait 5 s for a
	// read, 20 s in all for the lock, and 2 s for the write, which then goes on in the background.
	// If another process holds the lock for longer, a fetch goes on without it. With a RefreshToken
	// the fetch fails instead, since the other process may be using that up.
	Store creds.Store

	// Name is the name of the record in the Store, after the prefix "bearer-". Each account at each
	// service needs its own. Required with a Store.
	Name string

	// Fetched receives new tokens before they are used; see [creds.Cache]. A token that another
	// process has stored is new too. Fetched must not call methods of the Tokens. If nil, it is not
	// called.
	Fetched func(*oauth2.Token)

	// Logger receives failed fetches, see [creds.Cache], and trouble with the Store, at level Warn.
	// If nil, the Logger of the transport.Transport whose request started the fetch.
	Logger *slog.Logger

	once    sync.Once
	private *tokenKeeper // the working state; a pointer, so that fmt does not print it
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

// Credentials returns the current token. If another must be fetched first, it waits until ctx ends.
// The token must not be changed.
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

// Check returns why each call would fail because of the fields of t, or nil: Tokens cannot get a
// token, or have a Store without a Name. It fetches nothing.
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

// Reject replaces the current token if bad returns true for it; see [creds.Cache].
func (t *Tokens) Reject(bad func(*oauth2.Token) bool, refusal http.Header) {
	t.cache().Reject(func(g *tokenGrant) bool { return bad(g.token) }, refusal)
}

// StepsUp returns StepUp.
func (t *Tokens) StepsUp() bool { return t.StepUp }

// Accept records that a server accepted the current token, if good returns true for it; see
// [creds.Cache].
func (t *Tokens) Accept(good func(*oauth2.Token) bool) {
	t.cache().Accept(func(g *tokenGrant) bool { return good(g.token) })
}

// Wait gives a server time to learn of a new token that it refused; see [creds.Cache].
func (t *Tokens) Wait(
	ctx context.Context, refused func(*oauth2.Token) bool,
) (waited bool, err error) {
	//nolint:contextcheck // a late write outlives ctx
	return t.cache().Wait(ctx, func(g *tokenGrant) bool { return refused(g.token) })
}

// Confirm records that the current token repaired a call, if good returns true for it; see
// [creds.Cache].
func (t *Tokens) Confirm(good func(*oauth2.Token) bool) {
	t.cache().Confirm(func(g *tokenGrant) bool { return good(g.token) })
}

// Replace sets the current token to next, which the service sent unasked, if old returns true for
// the current one; see [creds.Cache]. It does not block: next is stored in the background. If next
// has the same text, Replace ignores it unless it ends much later.
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

// Err returns why the latest fetch failed, or nil if it succeeded. It tells a caller that still
// gets a refused token why it was not replaced. See [creds.Cache].
func (t *Tokens) Err() error { return t.cache().Err() }

// Account returns the Name.
func (t *Tokens) Account() string { return t.Name }

// Format writes the Name, not a token, for every verb.
func (t *Tokens) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "{Name:%q}", t.Name) }

// MarshalText writes the same text, also for encoding/json.
func (t *Tokens) MarshalText() ([]byte, error) { return []byte(fmt.Sprint(t)), nil }

func (t *Tokens) cache() *creds.Cache[*tokenGrant] {
	t.once.Do(func() { t.private = newTokenKeeper(t) })
	return &t.private.cache
}
