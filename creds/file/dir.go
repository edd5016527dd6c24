package file

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/countersign-go/countersign/creds"
)

// The errors of a [Dir], beside [creds.ErrNotFound] and [creds.ErrCorrupt]. The text of an error
// that wraps one of these names the file and says how to repair it. If the operating system
// reported an error, that is wrapped too.
var (
	// ErrType means that a file has the wrong type: a symbolic link, or another file that is not a
	// regular one, has the name of a file of the Dir, the Dir itself is not a folder, or a Secret
	// is not a file.
	ErrType = errors.New("file: wrong type of file")

	// ErrOwner means that a file of the Dir, or the Dir, belongs to another user.
	ErrOwner = errors.New("file: foreign owner of a file")

	// ErrMode means that other users may read or write a file of the Dir, or enter the Dir. They
	// may have read the record, so consider revoking the credentials in it.
	ErrMode = errors.New("file: loose permissions of a file")

	// ErrNewer means that a newer version of this package wrote the record. The record is left
	// unchanged.
	ErrNewer = errors.New("file: record of a newer format")

	// ErrReadOnly means that this process must not write to the Dir.
	ErrReadOnly = errors.New("file: folder is not writable")

	// ErrFull means that a record could not be written because the disk, the quota or the largest
	// file size of this process was exhausted.
	ErrFull = errors.New("file: no room for a record")
)

var errNoPath = errors.New("file: a Dir needs the Path of a folder: this one is empty")

// maxRecord is the size of the largest record that a Dir accepts, in bytes. A set of credentials
// has a few hundred bytes, and one with a certificate chain a few thousand.
const maxRecord = 64 << 10

// A Dir is a [creds.Store] and a [creds.Lister] that keeps its records in one folder, each in a
// file. Several processes may share the folder. The package comment describes the files.
//
// A program uses one Dir for each folder, by pointer, from any number of goroutines. Two Dirs of
// one Path are also safe, since an Update locks the record against all others. However, they wait
// longer for each other, as two processes do, and each looks for the files of killed processes. A
// Dir must not be copied after its first use.
type Dir struct {
	// Path is the folder. The first Update creates it, with its parents. It should hold nothing
	// else. A relative Path is below the current folder. The empty Path is an error. Path must not
	// change after the first use.
	Path string

	queues queues
}

var _ creds.Lister = (*Dir)(nil)

// The files of a record have a common name and these extensions.
const (
	recordExt = ".record"
	lockExt   = ".lock"
	tempExt   = ".tmp-"     // followed by random text
	asideExt  = ".corrupt-" // followed by a number, 1 for the latest
)

// Load returns the record under name. Its error wraps [creds.ErrNotFound], [ErrType], [ErrOwner],
// [ErrMode], [creds.ErrCorrupt], [ErrNewer], or an error of the operating system. If a record was
// set aside and none has been stored since, the error wraps both creds.ErrNotFound and
// creds.ErrCorrupt. Load does not block, and fails if ctx has ended. A missing record costs as much
// work as a small one, so that the time of a server's answer does not reveal which names have a
// record.
func (d *Dir) Load(ctx context.Context, name string) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, ended(ctx)
	}
	base, err := d.base(name)
	if err != nil {
		return nil, err
	}
	p, err := d.open(base)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: there is no folder %s", creds.ErrNotFound, d.Path)
	}
	if err != nil {
		return nil, err
	}
	defer p.close()
	record, err := d.read(p)
	if err == nil && record == nil {
		p.readDecoy()
		err = p.missing()
	}
	return record, err
}

// read returns the record in a place, or nil if it is missing. It sets a corrupt record aside.
func (d *Dir) read(p place) ([]byte, error) {
	record, err := p.read()
	if errors.Is(err, creds.ErrCorrupt) {
		return d.recheck(p.base, err)
	}
	return record, err
}

// recheck sets a corrupt record aside. It does so under the record's lock, which ensures that the
// record has not been replaced since. If another holder has the lock, that is an Update, which will
// either replace the record or find the damage itself.
func (d *Dir) recheck(base string, found error) ([]byte, error) {
	h, err := d.tryLock(base)
	if err != nil {
		return nil, fmt.Errorf("%w; it cannot be set aside: %w", found, err)
	}
	if h == nil {
		return nil, found
	}
	defer h.release()
	return h.readOrSetAside()
}

// Update replaces the record under name; see [creds.Store]. f may change the bytes that it is
// given. Once f has returned, the record is written even if ctx has ended.
//
// The error of Update is the error of f, or it wraps [ErrReadOnly], [ErrFull], or an error that
// Load returns except for creds.ErrNotFound. If ctx ended while Update waited, it wraps both the
// error and the cause of ctx. After an error the record is still the old one, unless only the last
// step failed, which makes the new one outlive a power failure.
func (d *Dir) Update(
	ctx context.Context, name string, f func(old []byte) ([]byte, error),
) error {
	base, err := d.base(name)
	if err != nil {
		return err
	}
	h, err := d.lock(ctx, base)
	if err != nil {
		return err
	}
	defer h.release()
	if d.queues.sweepDue(time.Now()) {
		d.sweep(h)
	}
	old, err := h.readOrSetAside()
	if err != nil {
		return err
	}
	record, err := f(slices.Clone(old))
	switch {
	case err != nil:
		return err
	case record == nil && old == nil, old != nil && record != nil && bytes.Equal(record, old):
		return nil
	case record == nil:
		return h.remove()
	case len(record) > maxRecord:
		return fmt.Errorf("file: a record of %d bytes is too large: the most is %d",
			len(record), maxRecord)
	}
	return h.write(record)
}

// base returns the common name of the files of a record.
func (d *Dir) base(name string) (string, error) {
	switch {
	case d.Path == "":
		return "", errNoPath
	case name == "":
		return "", errors.New("file: a record needs a name: this one is empty")
	}
	sum := sha256.Sum256([]byte(name))
	return strings.TrimLeft(readable(name)+"-"+hex.EncodeToString(sum[:]), "-"), nil
}

// readable returns the part of a file name that is for people. Only the hash makes names unique.
func readable(name string) string {
	// Lower case and hyphens only: some systems ignore case, and Windows reserves the part of a
	// name before a dot.
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	text := strings.Join(words, "-")
	if len(text) > maxReadable {
		text = strings.TrimRight(text[:maxReadable], "-")
	}
	return text
}

// maxReadable is the length of the readable part. With the hash and the longest extension, a name
// stays far below the 255 bytes that a file name may have. Of the 260 bytes that a path may have on
// some systems, most are left to the folder.
const maxReadable = 40

// ended returns the error for a caller whose context has ended.
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return fmt.Errorf("file: no longer waiting for a record: %w", cause)
	}
	return fmt.Errorf("file: no longer waiting for a record: %w: %w", err, cause)
}
