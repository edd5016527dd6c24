// Package logs carries the logger of a client through the context of its requests, to the fetches
// of credentials that they start.
package logs

import (
	"context"
	"log/slog"
)

type key struct{}

// With returns a copy of ctx that carries logger; ctx itself if logger is nil.
func With(ctx context.Context, logger *slog.Logger) context.Context {
	if logger == nil {
		return ctx
	}
	return context.WithValue(ctx, key{}, logger)
}

// From returns own, else the logger that ctx carries, else one that discards all records.
func From(ctx context.Context, own *slog.Logger) *slog.Logger {
	if own != nil {
		return own
	}
	if logger, ok := ctx.Value(key{}).(*slog.Logger); ok {
		return logger
	}
	return slog.New(slog.DiscardHandler)
}
