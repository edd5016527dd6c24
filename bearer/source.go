package bearer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/oauth2"

	"github.com/countersign-go/countersign/creds"
)

// StaticToken returns a source of a token that does not change, such as a personal access token or
// an API key. It cannot be replaced, so a refusal of it goes to the caller. It prints as
// [redacted].
func StaticToken(token creds.Secret) creds.Source[*oauth2.Token] {
	return &staticToken{&oauth2.Token{AccessToken: string(token)}}
}

type staticToken struct{ token *oauth2.Token }

func (s *staticToken) Credentials(context.Context) (*oauth2.Token, error) {
	if s.token.AccessToken == "" {
		return nil, errors.New("bearer: the StaticToken is empty")
	}
	return s.token, nil
}

// Format writes [redacted], for every verb.
func (*staticToken) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }

// FromTokenSource returns [Tokens] for a source that takes no context. Callers stop waiting for a
// call of ts after 30 s, but ts is not called again before that call returns. See [creds.Cache] for
// the other rules.
//
// ts must return a new token for each call. So it must not be conf.TokenSource(ctx) of a Config of
// package oauth2, nor any other oauth2.ReuseTokenSource: these return the same token until it
// expires. When a server refuses that token, it cannot be replaced, and the error is
// [creds.ErrSame]. Use [Tokens] instead, with a Fetch that calls
//
//	conf.Token(ctx)                // clientcredentials.Config
//	conf.TokenSource(ctx).Token()  // jwt.Config
//	conf.TokenSource(ctx, &oauth2.Token{RefreshToken: old.RefreshToken}).Token() // oauth2.Config
//
// The last one needs the field Token, since old is nil without it.
//
// A ts of package oauth2 follows redirects, with the secret that buys the token. Fetch of [Tokens]
// receives a context under which package oauth2 follows none.
func FromTokenSource(ts oauth2.TokenSource) creds.Source[*oauth2.Token] {
	c := &contextless{source: ts}
	return &Tokens{Fetch: c.fetch}
}

// A contextless calls a TokenSource, one call at a time.
type contextless struct {
	source oauth2.TokenSource

	mu   sync.Mutex // guards call
	call *sourceCall
}

// A sourceCall is one call of a TokenSource. Its result may be read once done is closed.
type sourceCall struct {
	done  chan struct{}
	token *oauth2.Token
	err   error
}

// fetch waits for a new call, or for one that an earlier fetch no longer waits for. So a
// TokenSource that hangs blocks one goroutine, and not another one for each fetch.
func (c *contextless) fetch(ctx context.Context, _ *oauth2.Token) (*oauth2.Token, error) {
	if c.source == nil {
		return nil, errors.New("bearer: FromTokenSource was given nil")
	}
	c.mu.Lock()
	call := c.call
	if call == nil || call.stale() {
		call = &sourceCall{done: make(chan struct{})}
		c.call = call
		go call.run(c.source)
	}
	c.mu.Unlock()
	select {
	case <-call.done:
	case <-ctx.Done():
		return nil, fmt.Errorf("bearer: the TokenSource did not return in time: %w", ctx.Err())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.call = nil
	return call.token, call.err
}

// stale reports whether the result came too late to be used.
func (call *sourceCall) stale() bool {
	select {
	case <-call.done:
		return call.err != nil || !(&tokenGrant{token: call.token}).valid()
	default:
		return false
	}
}

func (call *sourceCall) run(source oauth2.TokenSource) {
	defer close(call.done)
	// This error remains if Token ends the goroutine instead of returning.
	call.err = errors.New("bearer: runtime.Goexit was called in the TokenSource")
	defer func() {
		if v := recover(); v != nil { // its value may hold a secret
			call.token, call.err = nil, fmt.Errorf("bearer: the TokenSource panicked with a %T", v)
		}
	}()
	call.token, call.err = source.Token()
}
