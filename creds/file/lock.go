package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// poll is how often Update tries a lock that another holder has. A wait in the operating system
// would not end with a context. The interval never grows, so a process that has waited longer does
// not have worse chances.
const poll = 5 * time.Millisecond

// A held is a place whose lock is held.
type held struct {
	place
	lock  *flock.Flock
	leave func() // ends the turn in the queue; nil for a lock without one
}

// lock waits for the lock of a record. It creates the folder if necessary.
func (d *Dir) lock(ctx context.Context, base string) (*held, error) {
	leave, pause, err := d.queues.enter(ctx, base)
	if err != nil {
		return nil, err
	}
	h, err := d.pollLock(ctx, base, pause)
	if err != nil {
		leave()
		return nil, err
	}
	h.leave = leave
	return h, nil
}

func (d *Dir) pollLock(ctx context.Context, base string, pause time.Duration) (*held, error) {
	for {
		if pause > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		}
		if ctx.Err() != nil {
			return nil, ended(ctx)
		}
		if err := d.make(); err != nil {
			return nil, err
		}
		if h, err := d.tryLock(base); h != nil || err != nil {
			return h, err
		}
		pause = poll
	}
}

// tryLock returns nil if another holder has the lock of the record. It may be called without a turn
// in the queue, and two Dirs of one Path have two queues, so the lock must also exclude other
// holders in this process.
func (d *Dir) tryLock(base string) (*held, error) {
	if !fileLocks {
		return nil, fmt.Errorf("file: no locks of files on %s: use another creds.Store: %w",
			runtime.GOOS, errors.ErrUnsupported)
	}
	p, err := d.open(base)
	if err != nil {
		return nil, err
	}
	if _, err := p.stat(lockExt); err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.close()
		return nil, err
	}
	lock := flock.New(filepath.Join(p.root.Name(), base+lockExt),
		flock.SetFlag(os.O_CREATE|os.O_RDWR|noFollow), flock.SetPermissions(0o600))
	locked, err := lock.TryLock()
	if err != nil {
		p.close()
		return nil, writing(p.root.Name(), err)
	}
	if locked && p.counts(lock) {
		return &held{place: p, lock: lock}, nil
	}
	_ = lock.Unlock()
	p.close()
	return nil, nil
}

// counts reports whether a lock protects the record. A lock belongs to a file, not to its name, and
// a holder may remove that file. So a lock counts only if its file still has its name in the open
// folder. Then any other lock that counts is on the same file.
func (p place) counts(lock *flock.Flock) bool {
	locked, err := lock.Stat()
	named, err2 := p.stat(lockExt)
	return err == nil && err2 == nil && os.SameFile(locked, named)
}

// release ends the lock. It removes the lock's file if the record is gone, so that programs that
// keep many records for a short time do not accumulate files. Some systems cannot remove a file in
// use; the file then stays, which does no harm.
func (h *held) release() {
	if _, err := h.root.Lstat(h.base + recordExt); errors.Is(err, fs.ErrNotExist) {
		_ = h.root.Remove(h.base + lockExt)
	}
	_ = h.lock.Unlock()
	h.close()
	if h.leave != nil {
		h.leave()
	}
}

// sweep removes the files that killed writers of any record left: temporary files, and locks
// without a record. Only a holder of the lock has a temporary file, so sweep never removes the one
// that a living writer uses. It does not return an error: if files cannot be removed, the record
// cannot be written either, and that is an error.
func (d *Dir) sweep(h *held) {
	names := h.list()
	recorded := make(map[string]bool, len(names)/2)
	for _, name := range names {
		if base, ok := strings.CutSuffix(name, recordExt); ok {
			recorded[base] = true
		}
	}
	for _, name := range names {
		base, _, temporary := strings.Cut(name, tempExt)
		lockBase, lock := strings.CutSuffix(name, lockExt)
		switch {
		case temporary && base == h.base:
			_ = h.root.Remove(name)
		case temporary && isBase(base):
			d.sweepOther(base, name)
		case lock && !recorded[lockBase] && lockBase != h.base && isBase(lockBase):
			d.sweepOther(lockBase, "")
		}
	}
}

// sweepOther removes the files of another record, unless a living writer holds its lock: the
// temporary file, if one is named, and the lock's file if there is still no record.
func (d *Dir) sweepOther(base, temporary string) {
	other, err := d.tryLock(base)
	if other == nil || err != nil {
		return
	}
	if temporary != "" {
		_ = other.root.Remove(temporary)
	}
	other.release() // removes the lock's file too
}

// isBase reports whether s may be the common name of the files of a record, because it ends in a
// SHA-256.
func isBase(s string) bool {
	hash := s[strings.LastIndexByte(s, '-')+1:]
	return len(hash) == hexSum && strings.Trim(hash, "0123456789abcdef") == ""
}
