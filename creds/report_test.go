package creds_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/logs"
)

// A journal is a log without the times of its records.
type journal struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

// lines returns the records since the last call.
func (j *journal) lines() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	defer j.text.Reset()
	return j.text.String()
}

type traceKey struct{}

// tracing is a handler that adds a value of the context to each record.
type tracing struct{ slog.Handler }

func (h tracing) Handle(ctx context.Context, r slog.Record) error {
	if id, ok := ctx.Value(traceKey{}).(string); ok {
		r.AddAttrs(slog.String("trace", id))
	}
	return h.Handler.Handle(ctx, r)
}

func (j *journal) logger() *slog.Logger {
	return slog.New(tracing{slog.NewTextHandler(j, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			switch {
			case a.Key == slog.TimeKey:
				return slog.Attr{}
			case a.Value.Kind() == slog.KindTime:
				return slog.Time(a.Key, a.Value.Time().UTC())
			}
			return a
		},
	})})
}

// Each failed fetch writes one record, even in the background. The first success after a failure
// also writes one.
func TestFailedFetchIsLogged(t *testing.T) {
	for _, own := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			e := &endpoint{lifetime: time.Hour}
			c := e.cache()
			j := new(journal)
			ctx := context.WithValue(t.Context(), traceKey{}, "id-1")
			if own {
				c.Logger = j.logger()
			} else {
				ctx = logs.With(ctx, j.logger())
			}
			expect := func(when, want string) {
				t.Helper()
				synctest.Wait()
				if got := j.lines(); got != want {
					t.Errorf("%s: the log says\n%swant\n%s", when, got, want)
				}
			}
			get := func(ok bool) {
				t.Helper()
				if _, err := c.Credentials(ctx); (err == nil) != ok {
					t.Error(err)
				}
			}
			e.fails = errors.New("it is down")
			get(false)
			get(false)
			expect("the first fetch", "level=WARN msg=\"creds: fetch failed\" err=\"it is down\" "+
				"next=2000-01-01T00:00:01.000Z trace=id-1\n")
			e.fails = nil
			time.Sleep(time.Second)
			get(true)
			expect("a success", "level=INFO msg=\"creds: fetch succeeded again\" "+
				"ends=2000-01-01T01:00:01.000Z trace=id-1\n")
			e.fails = errors.New("it is down again")
			time.Sleep(time.Hour - 10*time.Second)
			get(true)
			expect("in the background",
				"level=WARN msg=\"creds: fetch failed\" err=\"it is down again\" "+
					"next=2000-01-01T00:59:52.000Z ends=2000-01-01T01:00:01.000Z trace=id-1\n")
			e.fails = nil
			time.Sleep(5 * time.Second)
			get(true)
			synctest.Wait()
			if got := j.lines(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "again") {
				t.Errorf("after the renewal: %s", got)
			}
			time.Sleep(time.Hour - 10*time.Second)
			get(true)
			expect("a renewal as any other", "")
		})
	}
}

// A postponed fetch has not failed. A fetch that hangs or panics has.
func TestOtherEndsOfAFetch(t *testing.T) {
	for _, test := range []struct {
		name  string
		fetch func(context.Context) (string, error)
		want  string // part of the record; "" if a record must not be written
	}{
		{"postponed", func(context.Context) (string, error) {
			return "", outage{postponed: true}
		}, ""},
		{"hangs", func(context.Context) (string, error) {
			time.Sleep(time.Hour)
			return "", nil
		}, "given up"},
		{"panics", func(context.Context) (string, error) { panic("canary-pan1c") }, "panic in"},
	} {
		synctest.Test(t, func(t *testing.T) {
			j := new(journal)
			c := &creds.Cache[string]{Fetch: test.fetch, Logger: j.logger()}
			if _, err := c.Credentials(t.Context()); err == nil {
				t.Errorf("%s: no error", test.name)
			}
			time.Sleep(2 * time.Hour)
			got := j.lines()
			if !strings.Contains(got, test.want) || (got == "") != (test.want == "") ||
				strings.Count(got, "\n") > 1 {
				t.Errorf("%s: the log says %q, want %q", test.name, got, test.want)
			}
		})
	}
}

// A handler that panics or asks the Cache does not affect callers.
func TestHandlerOfTheUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &creds.Cache[string]{}
		c.Fetch = func(context.Context) (string, error) { return "", errors.New("it is down") }
		calls := 0
		c.Logger = slog.New(handlerFunc(func(ctx context.Context) {
			calls++
			_, _ = c.Credentials(ctx)
			panic("a handler")
		}))
		if _, err := c.Credentials(t.Context()); err == nil {
			t.Error("no error")
		}
		synctest.Wait()
		if calls != 1 {
			t.Errorf("the handler was called %d times", calls)
		}
	})
}

type handlerFunc func(context.Context)

func (h handlerFunc) Enabled(context.Context, slog.Level) bool        { return true }
func (h handlerFunc) Handle(ctx context.Context, _ slog.Record) error { h(ctx); return nil }
func (h handlerFunc) WithAttrs([]slog.Attr) slog.Handler              { return h }
func (h handlerFunc) WithGroup(string) slog.Handler                   { return h }
