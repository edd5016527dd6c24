package creds

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
)

// A Secret is a key or password. It prints as [redacted] under every verb and flag of package fmt,
// in log/slog, and wherever it is marshalled as text, as in JSON; marshalling it as binary, as
// encoding/gob does, is an error. The bytes are had by conversion, []byte(s) or string(s), and by
// nothing else. The zero value is an empty secret; it prints in the same way.
//
// The redaction is in the methods of the type, so it ends where nobody asks for them: in a named
// type made from Secret, which has none; in an unexported field of a struct, where package fmt
// must not call them (hold it there behind a pointer, or give the struct a Format method); and in
// misuses that go vet reports: the verb %w for what is no error, %p for what has no address, and a
// verb that does not fit another field of the same struct, such as %d for one with a string.
type Secret []byte

const redacted = "[redacted]"

// String returns [redacted].
func (Secret) String() string { return redacted }

// Format writes [redacted], whatever the verb. It implements [fmt.Formatter], since without it the
// verbs for numbers and bytes would print the key.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns [redacted]. It implements [slog.LogValuer].
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns [redacted]. It implements [encoding.TextMarshaler], which encoding/json and
// encoding/xml ask for, so that a value that holds a Secret can be shown. To store a key, convert
// it.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalText sets s to a copy of text as it is: base64 and hex are not decoded. It refuses what
// MarshalText wrote, which has lost its key. It implements [encoding.TextUnmarshaler].
func (s *Secret) UnmarshalText(text []byte) error {
	if string(text) == redacted {
		return errors.New("creds: a redacted secret cannot be read back: store the key itself")
	}
	*s = slices.Clone(text)
	return nil
}

// MarshalBinary returns an error. It implements [encoding.BinaryMarshaler], which encoding/gob asks
// for.
func (Secret) MarshalBinary() ([]byte, error) {
	return nil, errors.New("creds: a Secret is not written as binary: convert it to []byte")
}
