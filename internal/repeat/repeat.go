// Package repeat carries the attempts that the root package has repeated to the transport, which
// must not import it and whose type they have.
package repeat

import "context"

type key struct{}

// With returns a context for an attempt that comes after these attempts.
func With(ctx context.Context, attempts any) context.Context {
	return context.WithValue(ctx, key{}, attempts)
}

// Before returns the attempts that came before, nil if there are none.
func Before(ctx context.Context) any { return ctx.Value(key{}) }
