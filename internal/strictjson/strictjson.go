// Package strictjson reads a JSON object (RFC 8259) that has a single meaning.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	// MaxDepth is how deep an object may be nested. The object itself counts as 1.
	MaxDepth = 16

	// MaxSize is the size in bytes of the largest object that [Object] reads.
	MaxSize = 64 << 10
)

// Limits bound the size of an object, and so the work for an object from an unknown sender.
type Limits struct {
	// Size is the largest size in bytes. If zero, MaxSize.
	Size int

	// Values is the largest number of values in the object, at all levels. If zero, any number.
	Values int
}

// Object reads data as one JSON object of up to MaxSize bytes.
//
// It refuses everything that two readers could understand differently: a name that occurs twice in
// one object, at any level; text that is not UTF-8; half a surrogate pair; anything other than
// white space after the object. Names are compared byte for byte. Numbers stay a [json.Number],
// digit for digit. Object reads data once, from the start to the first fault.
func Object(data []byte) (map[string]any, error) { return Limits{}.Object(data) }

// Object is the function [Object] with other limits.
func (l Limits) Object(data []byte) (map[string]any, error) {
	if l.Size == 0 {
		l.Size = MaxSize
	}
	left := l.Values
	if left == 0 {
		left = math.MaxInt
	}
	if len(data) > l.Size {
		return nil, fmt.Errorf("more than %d KiB", l.Size>>10)
	}
	r := reader{data: data, left: left}
	m, err := r.only()
	switch {
	case errors.Is(err, errValues):
		return nil, fmt.Errorf("more than %d values", l.Values)
	case err != nil:
		return nil, err
	}
	return m, nil
}

var (
	errSyntax = errors.New("not JSON")
	errUTF8   = errors.New("not UTF-8")
	errHalf   = errors.New("a \\u escape that is half a surrogate pair")
	errTwice  = errors.New("a name occurs twice in one object")
	errDepth  = fmt.Errorf("nested deeper than %d", MaxDepth)
	errValues = errors.New("too many values")
)

// A reader reads JSON from left to right.
type reader struct {
	data []byte
	at   int
	left int // how many more values may come
}

// peek returns the next byte, or 0 at the end. JSON does not contain a 0.
func (r *reader) peek() byte {
	if r.at < len(r.data) {
		return r.data[r.at]
	}
	return 0
}

// next returns the next byte that is not white space, or 0 at the end.
func (r *reader) next() byte {
	for {
		switch c := r.peek(); c {
		case ' ', '\t', '\r', '\n':
			r.at++
		default:
			return c
		}
	}
}

// only reads the object that must be the whole of the data.
func (r *reader) only() (map[string]any, error) {
	switch c := r.next(); {
	case r.at == len(r.data):
		return nil, errors.New("nothing in it")
	case strings.IndexByte("[\"-0123456789tfn", c) >= 0:
		return nil, errors.New("not a JSON object")
	case c != '{' && !utf8.Valid(r.data):
		return nil, errUTF8
	case c != '{':
		return nil, errSyntax
	}
	m, err := r.object(1)
	if err != nil {
		return nil, err
	}
	if r.next(); r.at < len(r.data) {
		return nil, errSyntax
	}
	return m, nil
}

func (r *reader) object(depth int) (map[string]any, error) {
	if depth > MaxDepth {
		return nil, errDepth
	}
	m := make(map[string]any)
	r.at++
	if r.next() == '}' {
		r.at++
		return m, nil
	}
	for {
		if r.next() != '"' {
			return nil, errSyntax
		}
		name, err := r.text()
		if err != nil {
			return nil, err
		}
		if _, ok := m[name]; ok {
			return nil, errTwice
		}
		if r.next() != ':' {
			return nil, errSyntax
		}
		r.at++
		if m[name], err = r.value(depth); err != nil {
			return nil, err
		}
		if more, err := r.more('}'); !more {
			return m, err
		}
	}
}

func (r *reader) array(depth int) ([]any, error) {
	if depth > MaxDepth {
		return nil, errDepth
	}
	a := []any{}
	r.at++
	if r.next() == ']' {
		r.at++
		return a, nil
	}
	for {
		v, err := r.value(depth)
		if err != nil {
			return nil, err
		}
		a = append(a, v)
		if more, err := r.more(']'); !more {
			return a, err
		}
	}
}

// more skips the comma before another member, or end. It reports whether there is another member.
func (r *reader) more(end byte) (bool, error) {
	c := r.next()
	if c != ',' && c != end {
		return false, errSyntax
	}
	r.at++
	return c == ',', nil
}

// value reads a value inside an object or array at depth.
func (r *reader) value(depth int) (any, error) {
	if r.left--; r.left < 0 {
		return nil, errValues
	}
	switch r.next() {
	case '{':
		return r.object(depth + 1)
	case '[':
		return r.array(depth + 1)
	case '"':
		return r.text()
	case 't':
		return true, r.word("true")
	case 'f':
		return false, r.word("false")
	case 'n':
		return nil, r.word("null")
	}
	return r.number()
}

func (r *reader) word(word string) error {
	if !bytes.HasPrefix(r.data[r.at:], []byte(word)) {
		return errSyntax
	}
	r.at += len(word)
	return nil
}

// number reads a number (RFC 8259, section 6).
func (r *reader) number() (json.Number, error) {
	start := r.at
	if r.peek() == '-' {
		r.at++
	}
	if r.peek() == '0' {
		r.at++
	} else if !r.digits() {
		return "", errSyntax
	}
	if r.peek() == '.' {
		r.at++
		if !r.digits() {
			return "", errSyntax
		}
	}
	if c := r.peek(); c == 'e' || c == 'E' {
		r.at++
		if c := r.peek(); c == '+' || c == '-' {
			r.at++
		}
		if !r.digits() {
			return "", errSyntax
		}
	}
	return json.Number(r.data[start:r.at]), nil
}

// digits skips digits, and reports whether there was at least one.
func (r *reader) digits() bool {
	start := r.at
	for c := r.peek(); c >= '0' && c <= '9'; c = r.peek() {
		r.at++
	}
	return r.at > start
}

// text reads a string (RFC 8259, section 7).
func (r *reader) text() (string, error) {
	r.at++
	start := r.at
	var before []byte // the text before start, which ends with an escape
	for ; r.at < len(r.data); r.at++ {
		switch c := r.data[r.at]; {
		case c == '"':
			text := r.data[start:r.at]
			if before != nil {
				text = append(before, text...)
			}
			r.at++
			if !utf8.Valid(text) {
				return "", errUTF8
			}
			return string(text), nil
		case c == '\\':
			before = append(before, r.data[start:r.at]...)
			char, size, err := unescape(r.data[r.at:])
			if err != nil {
				return "", err
			}
			before = utf8.AppendRune(before, char)
			start = r.at + size
			r.at = start - 1
		case c < ' ':
			return "", errSyntax
		}
	}
	return "", errSyntax
}

// unescape reads the escape at the start of data, which takes size bytes. Half a surrogate pair is
// an error: encoding/json reads each as U+FFFD, which would make different names equal.
func unescape(data []byte) (char rune, size int, err error) {
	if len(data) < 2 {
		return 0, 0, errSyntax
	}
	if i := strings.IndexByte(`"\/bfnrt`, data[1]); i >= 0 {
		return rune("\"\\/\b\f\n\r\t"[i]), 2, nil
	}
	char, ok := escaped(data)
	switch {
	case !ok:
		return 0, 0, errSyntax
	case !utf16.IsSurrogate(char):
		return char, 6, nil
	}
	low, ok := escaped(data[6:])
	if char = utf16.DecodeRune(char, low); !ok || char == utf8.RuneError {
		return 0, 0, errHalf
	}
	return char, 12, nil
}

// escaped returns the UTF-16 code unit of the \u escape at the start of data.
func escaped(data []byte) (unit rune, ok bool) {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
		return 0, false
	}
	for _, c := range data[2:6] {
		switch {
		case c >= '0' && c <= '9':
			unit = unit<<4 + rune(c-'0')
		case c|' ' >= 'a' && c|' ' <= 'f':
			unit = unit<<4 + rune(c|' '-'a'+10)
		default:
			return 0, false
		}
	}
	return unit, true
}
