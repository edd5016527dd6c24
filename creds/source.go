package creds

import (
	"context"
	"net/http"
)

// A Source gives the credentials to sign the next request with. It may block, as long as ctx
// allows, and is asked for every request, so it should keep what it has. Implementations are safe
// for concurrent use.
type Source[C any] interface {
	Credentials(ctx context.Context) (C, error)
}

// A Rejecter is a [Source] that can be told that a server refused its credentials. Reject marks the
// credentials that it would give next as suspect if bad reports true for them; it does not block
// for a replacement. bad is a question about one value, so that a late refusal of old credentials
// never hurts newer ones. It may be called concurrently and must not call back into the Source.
// refusal holds the header fields of the answer, for [Challenge]; nil if they are unknown.
type Rejecter[C any] interface {
	Reject(bad func(C) bool, refusal http.Header)
}

// A StepUpper is a [Source] whose next fetch may get more than the credentials now have, as the
// refusal asks for: a scope, a recent login, claims. If StepsUp reports false, or the Source has no
// such method, such a refusal goes to the caller, and no fetch is made for it.
type StepUpper interface {
	StepsUp() bool
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

// A Replacer is a [Source] that takes up credentials that a service sent without being asked. It
// puts next in the place of the current credentials if old reports true for them. Replace may be
// called concurrently and does not block. old must not call back into the Source.
type Replacer[C any] interface {
	Replace(old func(C) bool, next C)
}

// An Accounter is a [Source], or a Signer, that can name the account of its credentials, for
// instance to name a record after it. The name must not be secret. "" means that it is unknown.
type Accounter interface {
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
