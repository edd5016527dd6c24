package place

import "net/http"

// TakeCookie removes the Set-Cookie fields for the cookie name from resp and returns the last one,
// which is the one that counts (RFC 6265, section 5.3). It returns nil if there is none. The
// removal keeps a cookie jar, which does not distinguish ports, from sending the token to another
// server.
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
	// A Base that answers from memory may use one map for several responses.
	resp.Header = resp.Header.Clone()
	delete(resp.Header, "Set-Cookie")
	if rest != nil {
		resp.Header["Set-Cookie"] = rest
	}
	return found
}

// namedCookie returns the cookie that a Set-Cookie line sets, or nil if it has another name.
func namedCookie(line, name string) *http.Cookie {
	c, err := http.ParseSetCookie(line)
	if err != nil || c.Name != name {
		return nil
	}
	return c
}
