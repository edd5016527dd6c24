package place

import "net/http"

// TakeCookie returns the last Set-Cookie of that name, which is the one that counts (RFC 6265,
// section 5.3), and takes all of them out of resp. So no cookie jar, which knows no ports, sends
// the token elsewhere.
func TakeCookie(resp *http.Response, name string) (found *http.Cookie) {
	lines := resp.Header["Set-Cookie"]
	for _, line := range lines {
		if c := namedCookie(line, name); c != nil {
			found = c
		}
	}
	if found == nil {
		return nil
	}
	var rest []string
	for _, line := range lines {
		if namedCookie(line, name) == nil {
			rest = append(rest, line)
		}
	}
	// A Base that answers from memory may share the map among its answers.
	resp.Header = resp.Header.Clone()
	delete(resp.Header, "Set-Cookie")
	if rest != nil {
		resp.Header["Set-Cookie"] = rest
	}
	return found
}

// namedCookie reads one Set-Cookie, and returns nil if that is about another cookie.
func namedCookie(line, name string) *http.Cookie {
	c, err := http.ParseSetCookie(line)
	if err != nil || c.Name != name {
		return nil
	}
	return c
}
