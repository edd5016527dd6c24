package creds

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
)

// A Secret is a key or password. It prints as [redacted] under every verb and flag of package fmt,
// in log/slog, and wherever it is marshalled as text, as in JSON. Marshalling it as binary, as
// encoding/gob does, is an error. To get the bytes, convert explicitly: []byte(s) or string(s). The
// zero value is an empty secret, and prints in the same way.
//
// The redaction is in the methods of the type. It does not apply where they are not called:
//
//   - in a named type made from Secret, which has no methods
//   - in an unexported field of a struct, where package fmt must not call them: keep a pointer
//     there, or give the struct a Format method
//   - in misuses that go vet reports, such as a verb that does not fit another field of the same
//     struct (%d for a string), %w for a value that is not an error, or %p for one without an
//     address
type Secret []byte

const redacted = "[redacted]"

// String returns [redacted].
func (Secret) String() string { return redacted }

// Format writes [redacted], whatever the verb. It implements [fmt.Formatter]; without it the verbs
// for numbers and bytes would print the key.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns [redacted]. It implements [slog.LogValuer].
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns [redacted]. It implements [encoding.TextMarshaler], which encoding/json and
// encoding/xml use, so that a value with a Secret in it can be shown. To store a key, convert it.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalText sets s to a copy of text. It does not decode base64 or hexadecimal. It returns an
// error for the text that MarshalText writes, since the key is not in it. It implements
// [encoding.TextUnmarshaler].
func (s *Secret) UnmarshalText(text []byte) error {
	if string(text) == redacted {
		return errors.New("creds: a redacted secret cannot be read back: store the key itself")
	}
	*s = slices.Clone(text)
	return nil
}

// MarshalBinary returns an error. It implements [encoding.BinaryMarshaler], which encoding/gob
// uses.
func (Secret) MarshalBinary() ([]byte, error) {
	return nil, errors.New("creds: a Secret is not written as binary: convert it to []byte")
}
