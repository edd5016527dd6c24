package creds

import (
	"context"
	"net/http"
)

// A Source gives the credentials to sign the next request with. Its implementations must be safe
// for concurrent use.
type Source[C any] interface {
	// Credentials returns the current credentials. It may block for as long as ctx allows. It is
	// called for every request, so it should keep the credentials between calls.
	Credentials(ctx context.Context) (C, error)
}

// A Rejecter is a [Source] that can be told that a server refused its credentials.
type Rejecter[C any] interface {
	// Reject must mark the credentials that the Source would give next as suspect if bad reports
	// true for them. It must not wait for a replacement. As bad judges one value, a late refusal of
	// old credentials does not affect newer ones. refusal holds the header fields of the answer,
	// for [Challenge], and is nil if they are unknown.
	Reject(bad func(C) bool, refusal http.Header)
}

// A StepUpper is a [Source] that may fetch credentials with more rights than the current ones, as a
// refusal asks for: a scope, a recent login, claims.
type StepUpper interface {
	// StepsUp reports whether the next fetch may get those rights. If it reports false, or the
	// Source is not a StepUpper, such a refusal goes to the caller without a fetch.
	StepsUp() bool
}

// An Accepter is a [Source] that wants to know that a server accepted its credentials.
type Accepter[C any] interface {
	// Accept is called by a Signer once for each set of credentials, with a function that reports
	// true for them.
	Accept(good func(C) bool)
}

// A Confirmer is a [Source] that wants to know that its credentials repaired a refused call.
type Confirmer[C any] interface {
	// Confirm is called after the call has succeeded with credentials for which good reports true.
	Confirm(good func(C) bool)
}

// A Waiter is a [Source] that knows when its credentials are so new that a server may not know them
// yet.
type Waiter[C any] interface {
	// Wait must give the server some time, as long as ctx allows, and report true if refused
	// reports true for such new credentials: the caller then sends the same ones again. It must
	// report false if waiting is useless, with an error if the credentials should not be replaced
	// either.
	Wait(ctx context.Context, refused func(C) bool) (waited bool, err error)
}

// A Failer is a [Source] that can report why it still gives refused credentials.
type Failer interface {
	// Err returns the error of the latest attempt to get other credentials, or nil if it succeeded.
	Err() error
}

// A Replacer is a [Source] that takes credentials that a service sent without a request for them.
type Replacer[C any] interface {
	// Replace must make next the current credentials if old reports true for those it replaces. It
	// must not block.
	Replace(old func(C) bool, next C)
}

// An Accounter is a [Source] or a Signer that can name the account of its credentials.
type Accounter interface {
	// Account returns the name of the account, for instance to name a record after it, or "" if it
	// is unknown. The name must not be secret.
	Account() string
}

var (
	_ Source[int]    = (*Cache[int])(nil)
	_ Rejecter[int]  = (*Cache[int])(nil)
	_ StepUpper      = (*Cache[int])(nil)
	_ Accepter[int]  = (*Cache[int])(nil)
	_ Confirmer[int] = (*Cache[int])(nil)
	_ Waiter[int]    = (*Cache[int])(nil)
	_ Failer         = (*Cache[int])(nil)
)
