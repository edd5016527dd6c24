package provision

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"time"

	"github.com/countersign-go/countersign/internal/keep"
	"github.com/countersign-go/countersign/internal/origin"
)

// noteTime is how long a call that has succeeded may wait for its clock offset to be stored.
const noteTime = 100 * time.Millisecond

// finishTime is how long the Store may take to write it in the background.
const finishTime = 10 * time.Second

// moved is called with each new offset that a server has accepted. It waits a moment for the offset
// to be stored before the answer reaches the caller: a script may exit right after that. If an
// update is under way, it does not wait, as the answer may be a part of that update.
func (f *fetcher) moved(u *url.URL, offset time.Duration) {
	f.mu.Lock()
	at := origin.Of(u).Long()
	if _, known := f.offsets[at]; !known && len(f.offsets) >= maxOffsets {
		for other := range f.offsets { // bounded, as other parties may choose the origins
			delete(f.offsets, other)
			break
		}
	}
	f.offsets[at] = offset
	f.unsaved = true
	noted := f.noted
	if f.writers == 0 {
		f.writers++
		noted = make(chan struct{})
		f.noted = noted
		go f.noteApart(noted)
	}
	f.mu.Unlock()
	if noted == nil {
		return
	}
	wait := time.NewTimer(noteTime)
	defer wait.Stop()
	select {
	case <-noted:
	case <-wait.C:
	}
}

func (f *fetcher) noteApart(noted chan struct{}) {
	defer close(noted)
	slow := time.AfterFunc(finishTime, func() { f.record.Forsake(noted) })
	defer slow.Stop()
	f.end()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.noted == noted {
		f.noted = nil
	}
}

// begin notes that an update of the record is under way, or about to be.
func (f *fetcher) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writers++
}

// end notes that an update is over. The last one stores the offsets that are in no record yet. So
// moved, which may be called in the middle of an update, does not wait for itself.
func (f *fetcher) end() {
	for {
		f.mu.Lock()
		late := f.writers == 1 && f.unsaved
		if !late {
			f.writers--
		}
		f.mu.Unlock()
		if !late {
			return
		}
		f.note()
	}
}

// known returns the offsets that this process has learned, for a record that is about to be
// written.
func (f *fetcher) known() map[string]time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unsaved = false
	return maps.Clone(f.offsets)
}

// note adds the offsets to the record, if there is one. Otherwise the next record gets them.
func (f *fetcher) note() {
	offsets := f.known()
	ctx, cancel := context.WithTimeoutCause(context.Background(), finishTime, keep.ErrSlow)
	defer cancel()
	err := keep.Guarded(func() error {
		return f.store.Update(ctx, f.place.name, func(old []byte) ([]byte, error) {
			r, err := f.read(ctx, old)
			if err != nil {
				return nil, err
			}
			if r == nil {
				return nil, keep.ErrStays
			}
			return r.with(offsets).encode()
		})
	})
	if err != nil && !errors.Is(err, keep.ErrStays) {
		f.record.Failed(ctx, "update", err)
	} else {
		f.record.Worked(ctx, "update")
	}
}
