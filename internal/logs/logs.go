// Package logs carries the logger of a client through the context of its requests, to the fetches
// of credentials that they start.
package logs

import (
	"context"
	"log/slog"
)

type key struct{}

// With returns a copy of ctx that carries logger. If logger is nil, it returns ctx.
func With(ctx context.Context, logger *slog.Logger) context.Context {
	if logger == nil {
		return ctx
	}
	return context.WithValue(ctx, key{}, logger)
}

// From returns own, or if nil the logger that ctx carries, or else a logger that discards all
// records.
func From(ctx context.Context, own *slog.Logger) *slog.Logger {
	if own != nil {
		return own
	}
	if logger, ok := ctx.Value(key{}).(*slog.Logger); ok {
		return logger
	}
	return slog.New(slog.DiscardHandler)
}
