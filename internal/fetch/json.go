package fetch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// MaxDepth is how deep an object may be nested, itself included.
const MaxDepth = 16

// Object reads data as one JSON object (RFC 8259) that has a single meaning. It refuses whatever
// two readers could understand differently: a name that occurs twice in one object, at any level,
// text that is not UTF-8, half a surrogate pair, anything but white space after the object. Names
// are compared as they are, never without case. Numbers stay a [json.Number], digit for digit.
func Object(data []byte) (map[string]any, error) { return objectUpTo(data, MaxBody) }

func objectUpTo(data []byte, maxBody int) (map[string]any, error) {
	switch {
	case len(data) > maxBody:
		return nil, fmt.Errorf("more than %d KiB", maxBody>>10)
	case !utf8.Valid(data):
		return nil, errors.New("not UTF-8")
	case !json.Valid(data):
		return nil, errors.New("not JSON")
	case halfPair(data):
		return nil, errors.New("a \\u escape that is half a surrogate pair")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	return object(d, 1)
}

// object reads up to the closing brace. The data is known to be valid JSON, so every name is a
// string and every opening delimiter has its closing one.
func object(d *json.Decoder, depth int) (map[string]any, error) {
	m := make(map[string]any)
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, ok := t.(string)
		if !ok {
			return nil, errors.New("a name that is no string")
		}
		if _, ok := m[name]; ok {
			return nil, errors.New("a name occurs twice in one object")
		}
		if m[name], err = value(d, depth); err != nil {
			return nil, err
		}
	}
	_, err := d.Token()
	return m, err
}

func array(d *json.Decoder, depth int) ([]any, error) {
	a := []any{}
	for d.More() {
		v, err := value(d, depth)
		if err != nil {
			return nil, err
		}
		a = append(a, v)
	}
	_, err := d.Token()
	return a, err
}

func value(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := t.(json.Delim)
	switch {
	case !ok:
		return t, nil
	case depth >= MaxDepth:
		return nil, fmt.Errorf("nested deeper than %d", MaxDepth)
	case delim == '{':
		return object(d, depth+1)
	default:
		return array(d, depth+1)
	}
}

// halfPair reports whether a \u escape in valid JSON stands for half a surrogate pair.
// encoding/json reads each such half as U+FFFD, which would make different names equal.
func halfPair(data []byte) bool {
	for {
		i := bytes.IndexByte(data, '\\')
		if i < 0 {
			return false
		}
		data = data[i:]
		r := escaped(data)
		switch {
		case r < 0:
			data = data[2:]
		case r >= 0xdc00 && r <= 0xdfff:
			return true
		case r >= 0xd800 && r <= 0xdbff:
			if low := escaped(data[6:]); low < 0xdc00 || low > 0xdfff {
				return true
			}
			data = data[12:]
		default:
			data = data[6:]
		}
	}
}

// escaped returns what the \u escape at the start of data stands for, or -1 if none is there.
func escaped(data []byte) int64 {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
		return -1
	}
	r, err := strconv.ParseInt(string(data[2:6]), 16, 32)
	if err != nil {
		return -1
	}
	return r
}
