// Package creds is where credentials come from: a [Source] gives them, and a [Cache] looks after
// those that end.
package creds

import (
	"context"
	"fmt"
	"net/http"
)

// Refresh is for a Signer whose request was refused. It has s replace the credentials for which
// refused reports true, and reports whether s now gives others, or has waited for the server to
// know them, so that signing again is worth it. With young, the server may not know the credentials
// that s gives now; if it refuses them too, call Refresh again.
//
// refusal holds the header fields of the answer; see [Challenge].
//
// s is asked for more if it is a [Waiter], a [Rejecter] or a [Failer]. refused may be called
// several times.
func Refresh[C any](
	ctx context.Context, s Source[C], refused func(C) bool, refusal http.Header,
) (again, young bool, err error) {
	w, waits := s.(Waiter[C])
	if waits {
		if waited, err := w.Wait(ctx, refused); waited || err != nil {
			return waited, waited, err
		}
	}
	if r, ok := s.(Rejecter[C]); ok {
		r.Reject(refused, refusal)
	}
	c, err := s.Credentials(ctx)
	switch f, ok := s.(Failer); {
	case err != nil:
		return false, false, err
	case !refused(c):
		return true, waits, nil
	case ok:
		err = f.Err()
	}
	return false, false, err
}

type challengeKey struct{}

// Challenge returns the header fields of the answer because of which a Fetch is made, such as
// WWW-Authenticate with the scope, the claims or the resource metadata that the server asks for
// (RFC 6750, RFC 9470, RFC 9728). ctx is the context of the Fetch. Challenge returns nil if the
// fetch is not made for a refusal, or if its fields are unknown. They come from the server that
// refused the credentials: do not ask for more than it should get, and fetch from no URL in it that
// you do not know. The map must not be changed.
func Challenge(ctx context.Context) http.Header {
	h, _ := ctx.Value(challengeKey{}).(http.Header)
	return h
}

// Static is a [Source] that always gives the same value.
type Static[C any] struct{ Value C }

// Format writes the Value as the verb %v does, under every verb. So a [Secret] in it is redacted.
func (s Static[C]) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "{Value:%v}", s.Value) }

// Credentials returns s.Value, and never an error.
func (s Static[C]) Credentials(context.Context) (C, error) { return s.Value, nil }
