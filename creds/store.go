package creds

import (
	"context"
	"errors"
	"iter"
)

// A Store keeps named records beyond the life of a process, and for several processes at once. A
// record is a sequence of bytes that only its owner understands. As it may hold a key, it is never
// logged. A name is not secret: it may be part of a file name or an error. Implementations must be
// safe for concurrent use.
type Store interface {
	// Load returns the record under name. Without one, it must return an error that wraps
	// [ErrNotFound].
	Load(ctx context.Context, name string) ([]byte, error)
	// Update calls f with the record under name, or with nil for a missing one, and stores the
	// record that f returns; nil deletes it. While f runs, another Update of that name must not
	// run, in this process or another. So f can decide whether a record that another process wrote
	// is the better one.
	//
	// If f fails, Update must keep the record and return that error. Update may wait for other
	// Updates for as long as ctx allows, and f may take long. f must not call Update for the same
	// name, which would wait for itself.
	Update(ctx context.Context, name string, f func(old []byte) ([]byte, error)) error
}

// A Lister is a [Store] that can enumerate its records, such as the Dir of package creds/file. Find
// it by a type assertion.
type Lister interface {
	Store

	// Records must yield every record whose name begins with prefix, in any order. It may yield
	// others too, so the caller must recognize its own. A record that is added or deleted during
	// the enumeration may be yielded or not. An error stands for one record, and the enumeration
	// goes on, unless ctx has ended or the Store itself fails. Records must not hold all records in
	// memory. The caller may use the Store, including Update, before the enumeration ends.
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
