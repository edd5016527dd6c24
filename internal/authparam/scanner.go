package authparam

import "strings"

// A scanner reads one field line from left to right. Its methods that return a fault return "" if
// they succeed.
type scanner struct {
	line string
	i    int
}

func (s *scanner) done() bool { return s.i == len(s.line) }

// peek returns the next byte, or 0 at the end; the grammar does not contain a NUL.
func (s *scanner) peek() byte {
	if s.done() {
		return 0
	}
	return s.line[s.i]
}

func (s *scanner) eat(c byte) bool {
	if s.done() || s.line[s.i] != c {
		return false
	}
	s.i++
	return true
}

// run reads all bytes for which ok reports true.
func (s *scanner) run(ok func(byte) bool) string {
	start := s.i
	for !s.done() && ok(s.line[s.i]) {
		s.i++
	}
	return s.line[start:s.i]
}

func (s *scanner) blanks() { s.run(isBlank) }

// atParam reports whether an auth-param comes next. A token without a "=" after it is a scheme.
func (s *scanner) atParam() bool {
	ahead := *s
	if ahead.run(isToken) == "" {
		return false
	}
	ahead.blanks()
	return ahead.peek() == '='
}

// challenge reads a scheme and its parameters or token68 up to the first comma. open reports
// whether more parameters may follow that comma.
func (s *scanner) challenge() (c Challenge, open bool, fault string) {
	if c.Scheme = s.run(isToken); c.Scheme == "" {
		return c, false, "expected a scheme"
	}
	if s.peek() != ' ' { // section 11.3 asks for a space, not for any blank
		return c, false, ""
	}
	s.blanks()
	if s.done() || s.peek() == ',' {
		return c, true, ""
	}
	if c.Token68 = s.token68(); c.Token68 != "" {
		return c, false, ""
	}
	return c, true, s.param(&c)
}

// token68 reads a token68 (section 11.2), which must be a whole list element: `abc=` is one, and
// `abc=d` is a parameter. If the next element is not a token68, it returns "" and does not move.
func (s *scanner) token68() string {
	ahead := *s
	if ahead.run(isToken68) == "" {
		return ""
	}
	ahead.run(func(c byte) bool { return c == '=' })
	end := ahead.i
	ahead.blanks()
	if !ahead.done() && ahead.peek() != ',' {
		return ""
	}
	start := s.i
	s.i = end
	return s.line[start:end]
}

// param reads an auth-param and adds it to c.
func (s *scanner) param(c *Challenge) (fault string) {
	start := s.i
	name := strings.ToLower(s.run(isToken))
	s.blanks()
	if name == "" || !s.eat('=') {
		return "expected a parameter"
	}
	s.blanks()
	value, fault := s.value()
	if fault != "" {
		return fault
	}
	for _, p := range c.Params {
		if p.Name == name {
			s.i = start
			return "a parameter for the second time"
		}
	}
	if len(c.Params) == maxParams {
		s.i = start
		return "too many parameters"
	}
	c.Params = append(c.Params, Param{name, value})
	return ""
}

func (s *scanner) value() (value, fault string) {
	if s.eat('"') {
		return s.quoted()
	}
	if value = s.run(isToken); value == "" {
		return "", "expected a value"
	}
	return value, ""
}

// quoted reads the rest of a quoted-string (section 5.6.4), after its first quote.
func (s *scanner) quoted() (value, fault string) {
	if value = s.run(isPlain); s.eat('"') {
		return value, "" // a part of the line, without allocation
	}
	b := []byte(value)
	for !s.eat('"') {
		s.eat('\\')
		c := s.peek()
		if !isText(c) {
			return "", "expected a closing quote"
		}
		b = append(b, c)
		s.i++
		b = append(b, s.run(isPlain)...)
	}
	return string(b), ""
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func isToken(c byte) bool { return isAlnum(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0 }

func isToken68(c byte) bool { return isAlnum(c) || strings.IndexByte("-._~+/", c) >= 0 }

// isText reports whether c may occur in a quoted-string, alone or after a backslash.
func isText(c byte) bool { return c == '\t' || c >= ' ' && c != 0x7f }

func isPlain(c byte) bool { return isText(c) && c != '"' && c != '\\' }
