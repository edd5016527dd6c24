package clock_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/internal/clock"
)

func TestNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		if got := clock.Now(ctx); !got.Equal(time.Now()) {
			t.Errorf("without another clock: %v", got)
		}
		ahead := clock.NewContext(ctx, func() time.Time { return time.Now().Add(time.Hour) })
		noon := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
		for range 2 {
			if got := clock.Now(ahead); !got.Equal(time.Now().Add(time.Hour)) {
				t.Errorf("an hour ahead: %v at %v", got, time.Now())
			}
			if got := clock.Now(clock.At(ahead, noon)); !got.Equal(noon) {
				t.Errorf("at noon: %v", got)
			}
			time.Sleep(time.Minute)
		}
		child, cancel := context.WithCancel(ahead)
		defer cancel()
		if got := clock.Now(child); got.Equal(time.Now()) {
			t.Error("the clock is lost in a context that was derived")
		}
	})
}
