// Package slip names the usual mistakes that occur when an identifier, a key, a token or a password
// is read from a file or an environment variable.
package slip

import "strings"

// Of returns the mistake in value and its correction, as the end of a sentence whose subject is the
// value's name. It returns "" if it does not find a mistake. schemes are names that the value must
// not begin with. The text does not contain any part of the value.
func Of(value string, schemes ...string) string {
	switch {
	case value == "":
		return "is empty: set it"
	case strings.HasPrefix(value, "\ufeff"):
		return "begins with a byte order mark: remove it"
	case strings.HasSuffix(value, "\n") || strings.HasSuffix(value, "\r"):
		return "ends in a line feed: trim it"
	case strings.TrimSpace(value) != value:
		return "begins or ends in white space: trim it"
	}
	for _, scheme := range schemes {
		if n := len(scheme); n > 0 && len(value) > n && strings.EqualFold(value[:n], scheme) &&
			(value[n] == ' ' || value[n] == ':') {
			return "begins with the name of its scheme, " + scheme + ": leave that out"
		}
	}
	if first, last := value[0], value[len(value)-1]; len(value) > 1 && first == last &&
		(first == '"' || first == '\'') {
		return "stands between quotes: leave them out"
	}
	if strings.ContainsAny(value, "\r\n") {
		return "has several lines: take one of them"
	}
	return ""
}
