package authparam

import "strings"

// IsFor reports whether field, an Authorization field, holds credentials of a scheme, even
// malformed ones. They must not pass for another scheme's credentials, since a request with those
// counts as anonymous. So "MAC", "mac id=1", "MAC: id=1", "MACid=1" and "MAC," are for MAC.
//
// A longer word is the name of another scheme only if a space and its credentials follow it, as in
// "Macaroon dG9rZW4". A longer word alone, such as "BearerdG9rZW4", is credentials of this scheme
// without the space.
func IsFor(field, scheme string) bool {
	s := scanner{line: field}
	s.blanks()
	word := s.run(isToken)
	if len(word) < len(scheme) || !strings.EqualFold(word[:len(scheme)], scheme) {
		return false
	}
	if len(word) == len(scheme) || s.peek() != ' ' {
		return true
	}
	s.blanks()
	return s.done() || s.peek() == '='
}

// Cut returns the rest of field, an Authorization field, after the scheme and its spaces. It
// reports false if field does not begin with them (RFC 9110, section 11.4).
func Cut(field, scheme string) (credentials string, ok bool) {
	if len(field) <= len(scheme) || !strings.EqualFold(field[:len(scheme)], scheme) ||
		field[len(scheme)] != ' ' {
		return "", false
	}
	return strings.TrimLeft(field[len(scheme):], " "), true
}

// Names reports whether one of the lines of a WWW-Authenticate field names a scheme at a place
// where a challenge may begin: at the start of a line, after a comma, or after a quoted string and
// a blank. Use it for lines for which [Parse] returned an error, since it takes text between quotes
// for a challenge.
func Names(lines []string, scheme string) bool {
	for _, line := range lines {
		start := true
		for i := 0; i < len(line); i++ {
			switch c := line[i]; {
			case c == ',':
				start = true
			case isBlank(c):
				start = start || i > 0 && line[i-1] == '"'
			case !start:
			case isChallenge(line[i:], scheme):
				return true
			default:
				start = false
			}
		}
	}
	return false
}

// isChallenge reports whether line begins with the name of scheme, perhaps with a parameter
// attached to it without a space. A longer word is another scheme.
func isChallenge(line, scheme string) bool {
	s := scanner{line: line}
	word := s.run(isToken)
	return len(word) >= len(scheme) && strings.EqualFold(word[:len(scheme)], scheme) &&
		(len(word) == len(scheme) || s.peek() == '=')
}
