// Package creds gives signers their credentials. A [Source] returns them for each request, and a
// [Cache] keeps and renews credentials that expire.
//
// A Source may implement more of the interfaces here. Their methods may be called concurrently. A
// function passed to one of them judges one set of credentials, and must not call back into the
// Source. A Cache calls that function at most once, and does not recover its panics.
package creds

import (
	"context"
	"fmt"
	"net/http"
)

// Refresh helps a Signer whose request was refused. It has s replace the credentials for which
// refused reports true. again reports whether signing again is worthwhile: s now gives other
// credentials, or has waited for the server to know the same ones. young reports that the server
// may still not know the credentials that s gives now; if it refuses them too, call Refresh again.
//
// refusal holds the header fields of the answer; see [Challenge]. Refresh uses the methods of a
// [Waiter], a [Rejecter] and a [Failer] if s has them. It may call refused several times.
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

// Challenge returns the header fields of the refusal that a Fetch is made for, such as a
// WWW-Authenticate with the scope, the claims or the resource metadata that the server asks for
// (RFC 6750, RFC 9470, RFC 9728). ctx is the context of the Fetch. Challenge returns nil if the
// fetch is not made for a refusal, or if its fields are unknown. The caller must not change the
// map.
//
// The fields come from the server that refused the credentials. Do not request more than that
// server should get, and do not fetch from an unknown URL in them.
func Challenge(ctx context.Context) http.Header {
	h, _ := ctx.Value(challengeKey{}).(http.Header)
	return h
}

// Static is a [Source] that always gives the same value.
type Static[C any] struct{ Value C }

// Format writes s as the verb %v does, whatever the verb, so a [Secret] in it is redacted.
func (s Static[C]) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "{Value:%v}", s.Value) }

// Credentials returns s.Value. It never returns an error.
func (s Static[C]) Credentials(context.Context) (C, error) { return s.Value, nil }
