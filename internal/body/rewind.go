package body

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
)

var errGetBody = errors.New("body: GetBody gave no reader, or the one it gave before")

var nopClosers = [...]reflect.Type{
	reflect.TypeOf(io.NopCloser(nil)),
	reflect.TypeOf(io.NopCloser(new(bytes.Reader))), // the type for an io.WriterTo
}

// inMemory reports whether r is one of the readers for which http.NewRequest sets GetBody. They
// share no state with the readers from GetBody. net/http sends their content together with the
// header, unless they are wrapped.
func inMemory(r io.ReadCloser) bool {
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

// again returns another reader from getBody. It fails if getBody returns nil, or the reader that
// was read, since the next attempt would then send only a part of the body, or nothing.
func again(getBody func() (io.ReadCloser, error), read io.ReadCloser) (io.ReadCloser, error) {
	r, err := getBody()
	if err != nil {
		return nil, err
	}
	if r == nil || reflect.TypeOf(r).Comparable() && r == read {
		return nil, errGetBody
	}
	return r, nil
}
