// Package recovery carries one fact from the transport to the schemes, which must not import it:
// that a request succeeded with credentials that were fetched because others had been refused
// earlier in the same call.
package recovery

import "context"

type key struct{}

// Mark returns a context for the request of a mended call.
func Mark(ctx context.Context) context.Context { return context.WithValue(ctx, key{}, true) }

// Mended reports whether the request that ctx belongs to mended its call.
func Mended(ctx context.Context) bool { return ctx.Value(key{}) != nil }
