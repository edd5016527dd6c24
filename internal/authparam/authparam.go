// Package authparam reads and writes the grammar that all HTTP authentication schemes share
// (RFC 9110, section 11): a scheme, then either a token68 or a list of parameters.
package authparam

import (
	"fmt"
	"strings"
)

const (
	maxLine       = 8 << 10 // bytes of a field line
	maxChallenges = 64      // of one field, to limit its size in memory
	maxParams     = 16      // of one challenge, so that looking for duplicates stays linear
)

// A Param is one auth-param (RFC 9110, section 11.2).
type Param struct {
	Name  string // in lower case, since names are compared without case
	Value string // without quotes and escapes
}

// A Challenge is one challenge, or the credentials that answer it: both have the same form
// (RFC 9110, sections 11.3 and 11.4).
type Challenge struct {
	Scheme  string  // in the letters of the field; see [Challenge.Is]
	Token68 string  // if not empty, Params is empty
	Params  []Param // in the order of the field, no name twice
}

// Is reports whether c has this scheme, compared without case.
func (c Challenge) Is(scheme string) bool { return strings.EqualFold(c.Scheme, scheme) }

// Param returns the value of the parameter with this name, given in lower case, or "" if it is
// absent.
func (c Challenge) Param(name string) string {
	for _, p := range c.Params {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// String returns c as a field contains it, with each value quoted.
func (c Challenge) String() string {
	if c.Token68 != "" {
		return c.Scheme + " " + c.Token68
	}
	var b strings.Builder
	b.WriteString(c.Scheme)
	for i, p := range c.Params {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte(' ')
		b.WriteString(p.Name)
		b.WriteByte('=')
		b.WriteString(Quote(p.Value))
	}
	return b.String()
}

// Quote returns s as a quoted-string (RFC 9110, section 5.6.4). A quoted-string cannot contain a
// control character, escaped or not, so each one becomes a blank. So a value cannot end the field.
func Quote(s string) string {
	b := make([]byte, 0, len(s)+2)
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case !isText(c):
			b = append(b, ' ')
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}

// Parse reads the lines of a WWW-Authenticate or Proxy-Authenticate field, each with any number of
// challenges. It accepts everything that RFC 9110 requires of a recipient: empty list elements
// (section 5.6.1.2) and blanks around "=" (section 11.2).
//
// Every line is read, so that a line which another server broke does not hide a different one. Of a
// malformed line, Parse keeps the challenges before the fault. It drops the challenge that contains
// the fault or stands right before it, and the rest of the line. The error gives the position of
// the first fault, but never quotes the text there.
//
// These are also faults: a parameter that occurs twice, as two readers could take different ones, a
// line over 8 KiB, a challenge of more than 16 parameters, and the 65th challenge.
func Parse(lines []string) ([]Challenge, error) {
	var all []Challenge
	var first error
	for i, line := range lines {
		read, at, fault := parseLine(line, maxChallenges-len(all))
		all = append(all, read...)
		if fault != "" && first == nil {
			first = fmt.Errorf("authparam: line %d, byte %d: %s", i+1, at+1, fault)
		}
	}
	return all, first
}

// parseLine returns the challenges of one line, at most room of them, and the position and text of
// its fault, which is "" if the line is correct.
func parseLine(line string, room int) (read []Challenge, at int, fault string) {
	if len(line) > maxLine {
		return nil, maxLine, fmt.Sprintf("longer than %d bytes", maxLine)
	}
	s := scanner{line: line}
	open := false // whether the last challenge in read can take a parameter
	for fault == "" {
		s.blanks()
		switch {
		case s.done():
			return read, 0, ""
		case s.eat(','):
			continue
		case s.atParam():
			if fault = "a parameter that belongs to no challenge"; open {
				fault = s.param(&read[len(read)-1])
			}
		case len(read) == room:
			fault = "too many challenges"
		default:
			var c Challenge
			if c, open, fault = s.challenge(); c.Scheme != "" {
				read = append(read, c)
			}
		}
		if s.blanks(); fault == "" && !s.done() && s.peek() != ',' {
			fault = "expected a comma"
		}
	}
	if len(read) > 0 {
		read = read[:len(read)-1]
	}
	return read, s.i, fault
}
