package mac

import "strings"

// A class is a set of bytes. Every byte of a header and of a target is looked up once or twice per
// request, which a table makes cheaper than comparisons.
type class uint8

const (
	plain   class = 1 << iota // plain-string: printable ASCII without quote, backslash (section 2)
	visible                   // printable ASCII without the blank: a target (RFC 9112, section 3.2)
	bare                      // what may stand in a value without quotes
	safe                      // what WebOb leaves alone in a path
	lower
)

// classes is never written again.
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

// prefix is how many bytes at the start of s belong to c. Four at a time are twice as fast.
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
