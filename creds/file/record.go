package file

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"sync"

	"github.com/countersign-go/countersign/creds"
)

// The file of a record is two lines of text and the bytes of the record:
//
//	countersign record, format 1: secret, do not edit
//	sha256 <64 hexadecimal digits in lower case: the SHA-256 of the record>
//
// Every future format must begin with the same words, its number and a colon.
const (
	formatWords = "countersign record, format "
	header      = formatWords + "1: secret, do not edit\nsha256 "
	hexSum      = 2 * sha256.Size
	maxFile     = len(header) + hexSum + len("\n") + maxRecord
)

// encodeRecord returns the file of a record.
func encodeRecord(record []byte) []byte {
	sum := sha256.Sum256(record)
	file := make([]byte, 0, maxFile-maxRecord+len(record))
	file = append(file, header...)
	file = hex.AppendEncode(file, sum[:])
	file = append(file, '\n')
	return append(file, record...)
}

// parseRecord returns the record in a file, [creds.ErrCorrupt] or [ErrNewer]. Each record has
// exactly one encoding, so encoding it again checks everything at once.
func parseRecord(file []byte) ([]byte, error) {
	if newer(file) {
		return nil, ErrNewer
	}
	const before = maxFile - maxRecord
	if len(file) < before || len(file) > maxFile {
		return nil, creds.ErrCorrupt
	}
	record := file[before:]
	if !bytes.Equal(file, encodeRecord(record)) {
		return nil, creds.ErrCorrupt
	}
	return record, nil
}

func newer(file []byte) bool {
	rest, ok := bytes.CutPrefix(file, []byte(formatWords))
	number, _, colon := bytes.Cut(rest[:min(len(rest), len("999999999:"))], []byte(":"))
	if !ok || !colon || bytes.HasPrefix(number, []byte("0")) {
		return false
	}
	format, err := strconv.ParseUint(string(number), 10, 32)
	return err == nil && format > 1
}

// read returns the record, or nil if it is missing.
func (p place) read() ([]byte, error) {
	// An Update may replace the file between stat and open. It takes much longer than they do, so
	// it will not do so each time.
	for range 100 {
		info, err := p.stat(recordExt)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		file, err := p.contents(info)
		if err != nil {
			return nil, fmt.Errorf("file: cannot read %s: %w", p.path(recordExt), err)
		}
		if file != nil {
			record, err := parseRecord(file)
			return record, p.explain(err)
		}
	}
	return nil, fmt.Errorf("file: %s is replaced all the time: try again", p.path(recordExt))
}

// contents returns the bytes of the record's file if it is still the file of info, or else nil. An
// [os.Root] follows no link out of the folder, but it does follow links within it.
func (p place) contents(info fs.FileInfo) ([]byte, error) {
	f, err := p.root.Open(p.base + recordExt)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	opened, err := f.Stat()
	if err != nil || !os.SameFile(info, opened) {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(f, int64(maxFile)+1))
}

// readDecoy does the work of reading a small record in place of a missing one. The folder itself
// stands in for the file, because it costs the same to open and to close. The search for a damaged
// record in missing stands in for the stat of the file.
func (p place) readDecoy() {
	f, err := p.root.Open(".")
	if err != nil {
		return
	}
	_, _ = io.ReadAll(io.LimitReader(f, int64(maxFile)+1)) // fails: it is a folder
	_ = f.Close()
	_, _ = parseRecord(decoyFile())
}

// decoyFile returns the file of a small record.
var decoyFile = sync.OnceValue(func() []byte { return encodeRecord(make([]byte, 200)) })

// missing returns the error for a missing record. It distinguishes a lost record from one that
// never existed.
func (p place) missing() error {
	if _, err := p.root.Lstat(p.base + asideExt + "1"); err == nil {
		return fmt.Errorf("%w: it was set aside as %s: %w",
			creds.ErrNotFound, p.path(asideExt+"1"), creds.ErrCorrupt)
	}
	return fmt.Errorf("%w: there is no file %s", creds.ErrNotFound, p.path(recordExt))
}

// explain adds the file and the next action to an error of parseRecord.
func (p place) explain(err error) error {
	switch {
	case errors.Is(err, ErrNewer):
		return fmt.Errorf("%w: %s: upgrade this program, or name another folder",
			err, p.path(recordExt))
	case errors.Is(err, creds.ErrCorrupt):
		return fmt.Errorf("%w: %s", err, p.path(recordExt))
	default:
		return err
	}
}

// readOrSetAside is like read, but sets a corrupt record aside.
func (h *held) readOrSetAside() ([]byte, error) {
	record, err := h.read()
	if !errors.Is(err, creds.ErrCorrupt) {
		return record, err
	}
	if failed := h.setAside(); failed != nil {
		return nil, fmt.Errorf("%w; it cannot be set aside: %w", err, failed)
	}
	return nil, fmt.Errorf("%w: set aside as %s; the next update starts afresh",
		err, h.path(asideExt+"1"))
}

// maxAside is how many corrupt records are kept of each name. More would not help to find the
// cause, and each may hold a key.
const maxAside = 3

func (h *held) setAside() error {
	for n := maxAside - 1; n > 0; n-- {
		err := h.rename(asideExt+strconv.Itoa(n), asideExt+strconv.Itoa(n+1))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return h.writing(err)
		}
	}
	if err := h.rename(recordExt, asideExt+"1"); err != nil {
		return h.writing(err)
	}
	return h.sync()
}

func (h *held) rename(from, to string) error { return h.root.Rename(h.base+from, h.base+to) }

// write replaces the record. It writes the temporary file to the disk before it renames it;
// otherwise a power failure could leave an empty file under that name.
func (h *held) write(record []byte) (err error) {
	temp := tempExt + rand.Text()
	f, err := h.root.OpenFile(h.base+temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return h.writing(err)
	}
	_, err = f.Write(encodeRecord(record))
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = h.rename(temp, recordExt)
	}
	if err != nil {
		_ = h.root.Remove(h.base + temp)
		return h.writing(err)
	}
	return h.sync()
}

// remove deletes the record, and the damaged ones that were set aside, which may also hold keys.
func (h *held) remove() error {
	for n := range maxAside {
		err := h.root.Remove(h.base + asideExt + strconv.Itoa(n+1))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return h.writing(err)
		}
	}
	if err := h.root.Remove(h.base + recordExt); err != nil {
		return h.writing(err)
	}
	return h.sync()
}

// sync makes the names in the folder outlive a power failure.
func (h *held) sync() error {
	if err := syncFolder(h.root); err != nil {
		return h.writing(err)
	}
	return nil
}

func (h *held) writing(err error) error { return writing(h.root.Name(), err) }

// writing adds the folder and the next action to an error of the operating system.
func writing(folder string, err error) error {
	switch {
	case noRoom(err):
		return fmt.Errorf("%w: %s: free some, or name another folder: %w", ErrFull, folder, err)
	case noWrite(err):
		return fmt.Errorf("%w: %s: make it so, or name another one: %w", ErrReadOnly, folder, err)
	default:
		return fmt.Errorf("file: cannot write to %s: %w", folder, err)
	}
}
