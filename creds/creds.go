// Package creds is where credentials come from: a [Source] gives them, and a [Cache] looks after
// those that end.
package creds

import "context"

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

// A Confirmer is a [Source] that wants to know that its credentials mended a call: one that had
// been refused succeeded with credentials for which good reports true. Confirm may be called
// concurrently, and good must not call back into the Source.
type Confirmer[C any] interface {
	Confirm(good func(C) bool)
}

// Static is a [Source] that always gives the same value.
type Static[C any] struct{ Value C }

// Credentials returns s.Value, and never an error.
func (s Static[C]) Credentials(context.Context) (C, error) { return s.Value, nil }
