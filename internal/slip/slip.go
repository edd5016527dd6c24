// Package slip names the usual slips with which an identifier, a key, a token or a password comes
// out of a file or an environment variable.
package slip

import "strings"

// Of names the slip in value, and the cure, as the end of a sentence whose subject is the value's
// name. It is "" if it finds no slip. schemes are names that the value must not begin
// with. The text holds nothing of the value.
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
