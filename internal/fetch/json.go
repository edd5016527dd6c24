package fetch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
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
	r := reader{data: data}
	if r.next() != '{' {
		return nil, errors.New("not a JSON object")
	}
	return r.object(1)
}

// A reader reads values from valid JSON, so it always finds what the grammar asks for.
type reader struct {
	data []byte
	at   int
}

// next returns the first byte of what follows, behind white space.
func (r *reader) next() byte {
	for {
		switch c := r.data[r.at]; c {
		case ' ', '\t', '\r', '\n':
			r.at++
		default:
			return c
		}
	}
}

// more reports whether there is another member in an object or array that ends with end. It steps
// over the comma, or over the end.
func (r *reader) more(end byte) bool {
	c := r.next()
	if c == ',' || c == end {
		r.at++
	}
	return c != end
}

func (r *reader) object(depth int) (map[string]any, error) {
	m := make(map[string]any)
	r.at++
	for r.more('}') {
		r.next()
		name, err := r.text()
		if err != nil {
			return nil, err
		}
		if _, ok := m[name]; ok {
			return nil, errors.New("a name occurs twice in one object")
		}
		r.next()
		r.at++ // the colon
		if m[name], err = r.value(depth); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (r *reader) array(depth int) ([]any, error) {
	a := []any{}
	r.at++
	for r.more(']') {
		v, err := r.value(depth)
		if err != nil {
			return nil, err
		}
		a = append(a, v)
	}
	return a, nil
}

func (r *reader) value(depth int) (any, error) {
	c := r.next()
	if (c == '{' || c == '[') && depth >= MaxDepth {
		return nil, fmt.Errorf("nested deeper than %d", MaxDepth)
	}
	switch c {
	case '{':
		return r.object(depth + 1)
	case '[':
		return r.array(depth + 1)
	case '"':
		return r.text()
	case 't':
		r.at += len("true")
		return true, nil
	case 'f':
		r.at += len("false")
		return false, nil
	case 'n':
		r.at += len("null")
		return nil, nil
	}
	start := r.at
	for strings.IndexByte("+-.0123456789Ee", r.data[r.at]) >= 0 {
		r.at++
	}
	return json.Number(r.data[start:r.at]), nil
}

// text reads a string. What escapes mean, encoding/json knows.
func (r *reader) text() (text string, err error) {
	start, escapes := r.at, false
	for r.at++; r.data[r.at] != '"'; r.at++ {
		if r.data[r.at] == '\\' {
			escapes = true
			r.at++
		}
	}
	r.at++
	if !escapes {
		return string(r.data[start+1 : r.at-1]), nil
	}
	err = json.Unmarshal(r.data[start:r.at], &text)
	return text, err
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
