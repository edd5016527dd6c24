// Package rewind tells what reading a request body twice takes.
package rewind

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
)

var errGetBody = errors.New("rewind: GetBody gave no reader, or the one it gave before")

var nopClosers = [...]reflect.Type{
	reflect.TypeOf(io.NopCloser(nil)),
	reflect.TypeOf(io.NopCloser(new(bytes.Reader))), // the one for an io.WriterTo
}

// InMemory reports whether r is one of the readers that http.NewRequest makes a GetBody for. Those
// share nothing with what GetBody gives, and net/http sends them together with the header, if it
// sees them as they are.
func InMemory(r io.ReadCloser) bool {
	v := reflect.ValueOf(r)
	if v.Type() != nopClosers[0] && v.Type() != nopClosers[1] {
		return false
	}
	switch v.Field(0).Interface().(type) {
	case *bytes.Reader, *bytes.Buffer, *strings.Reader:
		return true
	}
	return false
}

// Body returns another reader from getBody. One that was read already would send nothing, or a
// part.
func Body(getBody func() (io.ReadCloser, error), read io.ReadCloser) (io.ReadCloser, error) {
	r, err := getBody()
	if err != nil {
		return nil, err
	}
	if r == nil || reflect.TypeOf(r).Comparable() && r == read {
		return nil, errGetBody
	}
	return r, nil
}
