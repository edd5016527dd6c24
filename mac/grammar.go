package mac

import "strings"

// A class is a set of bytes. Each request looks up every byte of its header and target once or
// twice. A table makes this cheaper than comparisons.
type class uint8

const (
	plain   class = 1 << iota // plain-string: printable ASCII without quote, backslash (section 2)
	visible                   // printable ASCII except the blank: a target (RFC 9112, section 3.2)
	bare                      // allowed in a value without quotes
	safe                      // left unescaped in a path by WebOb
	lower
)

// classes must not be written after initialization.
var classes = func() (table [256]class) {
	for b := range byte(0x80) {
		alphanumeric := 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9'
		in := func(set string) bool { return strings.IndexByte(set, b) >= 0 }
		for c, member := range map[class]bool{
			plain:   ' ' <= b && b <= '~' && b != '"' && b != '\\',
			visible: ' ' < b && b <= '~',
			bare:    alphanumeric || in("-_"),
			safe:    alphanumeric || in("-._~/!$&'()*+,;=:@"),
			lower:   'a' <= b && b <= 'z',
		} {
			if member {
				table[b] |= c
			}
		}
	}
	return table
}()

// all reports whether every byte of s belongs to c.
func (c class) all(s string) bool { return c.prefix(s) == len(s) }

// any reports whether a byte of s belongs to c.
func (c class) any(s string) bool {
	for i := 0; i < len(s); i++ {
		if classes[s[i]]&c != 0 {
			return true
		}
	}
	return false
}

// prefix returns how many bytes at the start of s belong to c. Testing four at a time is twice as
// fast.
func (c class) prefix(s string) int {
	i := 0
	for ; i+4 <= len(s); i += 4 {
		four := s[i : i+4]
		if classes[four[0]]&classes[four[1]]&classes[four[2]]&classes[four[3]]&c == 0 {
			break
		}
	}
	for ; i < len(s) && classes[s[i]]&c != 0; i++ {
	}
	return i
}
