package keep_test

import (
	"errors"
	"testing"
	"time"

	"github.com/countersign-go/countersign/internal/keep"
)

// The same error is reported once, until another fetch begins or the Store works again.
func TestToldOnce(t *testing.T) {
	r, told := record(&slow{})
	disk, room := errors.New("bad disk"), errors.New("no room")
	ctx := t.Context()
	for _, step := range []struct {
		do   func()
		want string
	}{
		{func() { r.Worked(ctx, "read") }, ""},
		{func() { r.Failed(ctx, "read", disk) }, "read: bad disk"},
		{func() { r.Failed(ctx, "update", disk) }, "read: bad disk"},
		{func() { r.Failed(ctx, "update", room) }, "read: bad disk, update: no room"},
		{func() { r.Failed(ctx, "update", room) }, "read: bad disk, update: no room"},
		{r.Begin, "read: bad disk, update: no room"},
		{func() { r.Failed(ctx, "update", room) },
			"read: bad disk, update: no room, update: no room"},
		{func() { r.Worked(ctx, "read") }, // and cannot be written yet
			"read: bad disk, update: no room, update: no room"},
		{func() { r.Worked(ctx, "update") },
			"read: bad disk, update: no room, update: no room, works: again"},
		{func() { r.Worked(ctx, "update") },
			"read: bad disk, update: no room, update: no room, works: again"},
		{func() { r.Failed(ctx, "update", room) },
			"read: bad disk, update: no room, update: no room, works: again, update: no room"},
	} {
		step.do()
		if got := told.String(); got != step.want {
			t.Errorf("told %q, want %q", got, step.want)
		}
	}
}

// An update that leaves the record unchanged does not write, and does not show that the Store can
// be written to again.
func TestRecordThatStaysIsNoRecovery(t *testing.T) {
	store := new(slow)
	r, told := record(store)
	update := func(data []byte, err error) {
		r.Update(t.Context(), time.Now().Add(time.Minute), func([]byte) ([]byte, error) {
			return data, err
		})
	}
	for _, step := range []struct {
		room bool
		err  error
		want string
	}{
		{false, nil, "update: no room"},
		{true, keep.ErrStays, "update: no room"},
		{true, nil, "update: no room, works: again"},
	} {
		store.err = nil
		if !step.room {
			store.err = errors.New("no room")
		}
		update([]byte("new"), step.err)
		if got := told.String(); got != step.want {
			t.Errorf("told %q, want %q", got, step.want)
		}
	}
}
