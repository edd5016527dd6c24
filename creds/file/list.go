package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"strings"
)

// namesAtOnce is how many file names a Dir reads at a time.
const namesAtOnce = 256

// Records yields the records whose names begin with prefix; see [creds.Lister]. It compares only
// the letters and digits that are in the file names, at most the first 40, and yields more records
// where these are the same. A Dir without a folder has no records. Each error is one that Load
// returns.
func (d *Dir) Records(ctx context.Context, prefix string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if d.Path == "" {
			yield(nil, errNoPath)
			return
		}
		p, err := d.open("")
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err != nil {
			yield(nil, err)
			return
		}
		defer p.close()
		folder, err := p.root.Open(".")
		if err != nil {
			yield(nil, fmt.Errorf("file: cannot list the folder: %w", err))
			return
		}
		defer func() { _ = folder.Close() }()
		for base, err := range bases(ctx, folder, readable(prefix)) {
			if err != nil {
				yield(nil, err)
				return
			}
			record, err := d.read(place{p.root, base})
			if record == nil && err == nil {
				continue // deleted in the meantime
			}
			if !yield(record, err) {
				return
			}
		}
	}
}

// bases yields the common names of the files of all records that begin with prefix. It ends after
// an error.
func bases(ctx context.Context, folder *os.File, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for {
			names, err := folder.Readdirnames(namesAtOnce)
			for _, name := range names {
				base, ok := strings.CutSuffix(name, recordExt)
				if !ok || !strings.HasPrefix(base, prefix) || !isBase(base) {
					continue
				}
				if ctx.Err() != nil {
					yield("", ended(ctx))
					return
				}
				if !yield(base, nil) {
					return
				}
			}
			switch {
			case errors.Is(err, io.EOF):
				return
			case err != nil:
				yield("", fmt.Errorf("file: cannot list the folder: %w", err))
				return
			}
		}
	}
}
