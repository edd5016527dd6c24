// Package clock tells the present time. A test can replace it for one request, through the context.
package clock

import (
	"context"
	"time"
)

type key struct{}

// Now returns the present time for work under ctx.
func Now(ctx context.Context) time.Time {
	if now, ok := ctx.Value(key{}).(func() time.Time); ok {
		return now()
	}
	return time.Now()
}

// NewContext returns a copy of ctx under which [Now] calls now.
func NewContext(ctx context.Context, now func() time.Time) context.Context {
	return context.WithValue(ctx, key{}, now)
}

// At returns a copy of ctx under which the time is always now.
func At(ctx context.Context, now time.Time) context.Context {
	return NewContext(ctx, func() time.Time { return now })
}
