// Package creds is where credentials come from: a [Source] gives them, and a [Cache] looks after
// those that end.
package creds

import (
	"context"
	"fmt"
)

// A Source gives the credentials to sign the next request with. It may block, as long as ctx
// allows, and is asked for every request, so it should keep what it has. Implementations are safe
// for concurrent use.
type Source[C any] interface {
	Credentials(ctx context.Context) (C, error)
}

// A Rejecter is a [Source] that can be told that a server refused what it gave. Reject marks the
// credentials it would give next as suspect if bad reports true for them; it does not block for a
// replacement. bad is a question about one value, so that a late refusal of old credentials never
// hurts newer ones. It may be called concurrently and must not call back into the Source.
type Rejecter[C any] interface {
	Reject(bad func(C) bool)
}

// An Accepter is a [Source] that wants to know that a server accepted its credentials. A Signer
// calls Accept once for each set of them, with a function that reports true for it. Accept may be
// called concurrently, and good must not call back into the Source.
type Accepter[C any] interface {
	Accept(good func(C) bool)
}

// A Confirmer is a [Source] that wants to know that its credentials mended a call: one that had
// been refused succeeded with credentials for which good reports true. Confirm may be called
// concurrently, and good must not call back into the Source.
type Confirmer[C any] interface {
	Confirm(good func(C) bool)
}

// A Waiter is a [Source] that knows when its credentials are so new that a server may not know them
// yet. If refused reports true for such credentials, Wait gives the server some time, as long as
// ctx allows, and reports true: then the same credentials should be sent again. It reports false if
// waiting is of no use, and then an error if they should not be replaced either. Wait may be called
// concurrently, and refused must not call back into the Source.
type Waiter[C any] interface {
	Wait(ctx context.Context, refused func(C) bool) (waited bool, err error)
}

// A Failer is a [Source] that can tell why it still gives credentials that were refused. Err
// returns the error of its latest attempt to get others, or nil if that succeeded.
type Failer interface {
	Err() error
}

// Refresh is for a Signer whose request was refused. It has s replace the credentials for which
// refused reports true, and reports whether s now gives others, or has waited for the server to
// know them, so that signing again is worth it. With young, the server may not know the credentials
// that s gives now; if it refuses them too, call Refresh again.
//
// s is asked for more if it is a [Waiter], a [Rejecter] or a [Failer]. refused may be called
// several times.
func Refresh[C any](
	ctx context.Context, s Source[C], refused func(C) bool,
) (again, young bool, err error) {
	w, waits := s.(Waiter[C])
	if waits {
		if waited, err := w.Wait(ctx, refused); waited || err != nil {
			return waited, waited, err
		}
	}
	if r, ok := s.(Rejecter[C]); ok {
		r.Reject(refused)
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

// Static is a [Source] that always gives the same value.
type Static[C any] struct{ Value C }

// Format writes the Value as the verb %v does, under every verb. So a [Secret] in it is redacted.
func (s Static[C]) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "{Value:%v}", s.Value) }

// Credentials returns s.Value, and never an error.
func (s Static[C]) Credentials(context.Context) (C, error) { return s.Value, nil }
