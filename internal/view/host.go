package view

import (
	"strconv"
	"strings"
)

// SplitHost cuts a Host field (RFC 9110, section 7.2) into the host, including IPv6 brackets, and
// the port, which is "" without a colon. A port has only one spelling: a server that accepted "080"
// would sign another text than the one by which the proxy in front of it routes.
func SplitHost(authority string) (host, port string, err error) {
	if authority == "" {
		return "", "", ErrNoHost
	}
	colon := -1
	if authority[0] == '[' {
		end := strings.IndexByte(authority, ']')
		if end < 0 || !isAddress(authority[1:end]) {
			return "", "", ErrHost
		}
		if host = authority[:end+1]; end+1 < len(authority) {
			colon = end + 1
		}
	} else {
		colon = strings.IndexByte(authority, ':')
		if host = authority; colon >= 0 {
			host = authority[:colon]
		}
		if err := checkName(host); err != nil {
			return "", "", err
		}
	}
	if colon < 0 {
		return host, "", nil
	}
	if port = authority[colon+1:]; authority[colon] != ':' || !IsPort(port) {
		return "", "", ErrPort
	}
	return host, port, nil
}

func checkName(host string) error {
	good := namePrefix(host)
	switch {
	case host == "":
		return ErrNoHost
	case good == len(host):
		return nil
	case host[good] >= 0x80:
		return ErrHostASCII
	}
	return ErrHost
}

// names has the bytes of a reg-name (RFC 3986, section 3.2.2) without percent encoding. It is never
// written again.
var names = func() (table [256]bool) {
	for b := range byte(0x80) {
		table[b] = 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' ||
			strings.IndexByte("-._~!$&'()*+,;=", b) >= 0
	}
	return table
}()

// namePrefix returns how many bytes at the start of s may occur in a reg-name.
func namePrefix(s string) int {
	i := 0
	for i < len(s) && names[s[i]] {
		i++
	}
	return i
}

// isAddress reports whether s, found between brackets, consists of the characters of an IPv6
// address.
func isAddress(s string) bool {
	for i := 0; i < len(s); i++ {
		b := s[i]
		if b != ':' && b != '.' && !('0' <= b && b <= '9' || 'a' <= b|0x20 && b|0x20 <= 'f') {
			return false
		}
	}
	return s != ""
}

// IsPort reports whether s is a port number in its only spelling.
func IsPort(s string) bool {
	if s == "" || s[0] < '1' || s[0] > '9' { // ParseUint alone would accept 080
		return false
	}
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

// DefaultPort returns the port of http or https, or ErrScheme for another scheme.
func DefaultPort(scheme string) (string, error) {
	switch scheme {
	case "http":
		return "80", nil
	case "https":
		return "443", nil
	}
	return "", ErrScheme
}

// WithoutZone returns authority without the zone of an IPv6 address, as net/http writes it into the
// Host field (RFC 6874, section 4). A zone has no meaning on another machine.
func WithoutZone(authority string) string {
	if !strings.HasPrefix(authority, "[") {
		return authority
	}
	end := strings.LastIndexByte(authority, ']')
	if end < 0 {
		return authority
	}
	percent := strings.LastIndexByte(authority[:end], '%')
	if percent < 0 {
		return authority
	}
	if zone := authority[percent+1 : end]; namePrefix(zone) < len(zone) {
		return authority // net/http cuts a host at a blank or a slash, before it looks for a zone
	}
	return authority[:percent] + authority[end:]
}
