package creds

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// poll is how often a lock is tried that somebody holds. A wait in the operating system would not
// end with a context. It is the same for all who wait, so that nobody has worse chances for having
// waited longer.
const poll = 5 * time.Millisecond

// A held place is one under its lock.
type held struct {
	place
	lock *flock.Flock
}

// lock waits for the lock of a record, and makes the folder if there is none.
func (d Dir) lock(ctx context.Context, base string) (*held, error) {
	for {
		if ctx.Err() != nil {
			return nil, ended(ctx)
		}
		if err := d.make(); err != nil {
			return nil, err
		}
		if h, err := d.tryLock(base); h != nil || err != nil {
			return h, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(poll):
		}
	}
}

// tryLock returns nil if somebody else has the lock of the record.
func (d Dir) tryLock(base string) (*held, error) {
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
		return &held{p, lock}, nil
	}
	_ = lock.Unlock()
	p.close()
	return nil, nil
}

// counts reports whether a lock protects the record. A lock belongs to a file, not to its name, and
// a holder may remove that file. So a lock counts only if its file still has its name, and has it
// in the folder that is open: then whoever else has a lock that counts has it on the same file.
func (p place) counts(lock *flock.Flock) bool {
	locked, err := lock.Stat()
	named, err2 := p.stat(lockExt)
	return err == nil && err2 == nil && os.SameFile(locked, named)
}

// release ends the lock. Its file goes with the record, so that those who keep many records for a
// while do not gather files. Where a file in use cannot be removed, it stays; that does no harm.
func (h *held) release() {
	if _, err := h.root.Lstat(h.base + recordExt); errors.Is(err, fs.ErrNotExist) {
		_ = h.root.Remove(h.base + lockExt)
	}
	_ = h.lock.Unlock()
	h.close()
}

// sweep removes the temporary files that killed writers left, of all records. As only a holder of
// the lock has one, that of a living writer is never touched. It is not worth an error: if files
// cannot be removed, the record cannot be written, which is one.
func (d Dir) sweep(h *held) {
	for _, name := range h.list() {
		base, _, found := strings.Cut(name, tempExt)
		switch {
		case !found || !isBase(base):
		case base == h.base:
			_ = h.root.Remove(name)
		default:
			if other, err := d.tryLock(base); other != nil && err == nil {
				_ = other.root.Remove(name)
				other.release()
			}
		}
	}
}

// isBase reports whether s may be the common name of the files of a record: it ends in a SHA-256.
func isBase(s string) bool {
	hash := s[strings.LastIndexByte(s, '-')+1:]
	return len(hash) == hexSum && strings.Trim(hash, "0123456789abcdef") == ""
}
