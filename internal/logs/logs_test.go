package logs_test

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/countersign-go/countersign/internal/logs"
)

func TestFrom(t *testing.T) {
	var own, carried bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&carried, nil))
	mine := slog.New(slog.NewTextHandler(&own, nil))
	plain := t.Context()
	with := logs.With(plain, logger)
	logs.From(with, mine).Warn("a")
	if own.Len() == 0 || carried.Len() != 0 {
		t.Error("its own logger does not count first")
	}
	logs.From(with, nil).Warn("b")
	if carried.Len() == 0 {
		t.Error("the logger of the context is not found")
	}
	logs.From(plain, nil).Warn("c")
	if logs.With(plain, nil) != plain {
		t.Error("no logger makes another context")
	}
}
