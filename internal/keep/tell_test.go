package keep_test

import (
	"errors"
	"testing"
)

// The same error is told once, until another fetch begins or the Store works again.
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
