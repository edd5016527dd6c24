package creds

import (
	"context"
	"errors"
	"iter"
)

// A Store keeps records, one under each name, for longer than a process lives and for several
// processes at once. A record is bytes that only its owner understands; as it may hold a key, it is
// never logged. A name is not secret: it may be part of a file name or an error. Implementations
// are safe for concurrent use.
//
// Load returns the record under name, or an error that wraps [ErrNotFound].
//
// Update replaces it. f is given the record as it is now, nil if there is none, and returns what is
// to be there; nil deletes it. No other Update of that name, by whatever process, runs between the
// two, so f is the place to decide whether a record that another process wrote is the better one.
// If f fails, the record stays, and Update returns that error. Update may wait for others as long
// as ctx allows; f may take long. It must not call Update for the same name, which would wait for
// itself.
type Store interface {
	Load(ctx context.Context, name string) ([]byte, error)
	Update(ctx context.Context, name string, f func(old []byte) ([]byte, error)) error
}

// A Lister is a [Store] that can enumerate its records, as file.Dir of package creds/file
// can. It is found by assertion.
type Lister interface {
	Store

	// Records must yield every record whose name begins with prefix, in any order. It may yield
	// others too, so the caller must recognize its own. A record that is added or deleted during
	// the enumeration may be yielded or not. An error stands for one record, and the enumeration
	// goes on, unless ctx has ended or the Store itself fails. Records must not hold all records in
	// memory, and the caller may use the Store, also Update, before the enumeration ends.
	Records(ctx context.Context, prefix string) iter.Seq2[[]byte, error]
}

// Errors of a [Store].
var (
	// ErrNotFound means that a Store has no record under a name.
	ErrNotFound = errors.New("creds: no record under this name")

	// ErrCorrupt means that a record is truncated or damaged. The Store has set it aside, so that
	// the next Update starts without a record. If it could not set the record aside, for instance
	// because it is read-only, the error wraps the reason too.
	ErrCorrupt = errors.New("creds: corrupt record")
)
