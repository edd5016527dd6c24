package mac

import (
	"strconv"
	"strings"
)

const (
	errNoHost    problem = "the request names no host"
	errHost      problem = "the host is not a name or an address"
	errHostASCII problem = "the host is not ASCII: write it in punycode (xn--...)"
	errPort      problem = "the port is not a number from 1 to 65535 without leading zeros"
	errScheme    problem = "the scheme is neither http nor https, so it has no default port"
)

// splitHost cuts a Host field (RFC 9110, section 7.2) into the host, IPv6 brackets included, and
// the port, which is "" if there is no colon. One spelling per port: a server that let "080" pass
// would sign another text than the proxy in front of it routed by.
func splitHost(authority string) (host, port string, err error) {
	if authority == "" {
		return "", "", errNoHost
	}
	colon := -1
	if authority[0] == '[' {
		end := strings.IndexByte(authority, ']')
		if end < 0 || !isAddress(authority[1:end]) {
			return "", "", errHost
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
	if port = authority[colon+1:]; authority[colon] != ':' || !isPort(port) {
		return "", "", errPort
	}
	return host, port, nil
}

func checkName(host string) error {
	good := name.prefix(host)
	switch {
	case host == "":
		return errNoHost
	case good == len(host):
		return nil
	case host[good] >= 0x80:
		return errHostASCII
	}
	return errHost
}

// isAddress reports whether s, found between brackets, has the letters of an IPv6 address.
func isAddress(s string) bool {
	for i := 0; i < len(s); i++ {
		b := s[i]
		if b != ':' && b != '.' && !('0' <= b && b <= '9' || 'a' <= b|0x20 && b|0x20 <= 'f') {
			return false
		}
	}
	return s != ""
}

func isPort(s string) bool {
	if s == "" || s[0] < '1' || s[0] > '9' { // ParseUint alone would take 080
		return false
	}
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

func defaultPort(scheme string) (string, error) {
	switch scheme {
	case "http":
		return "80", nil
	case "https":
		return "443", nil
	}
	return "", errScheme
}

// withoutZone strips the zone of an IPv6 address, as net/http does before it writes the Host field
// (RFC 6874, section 4): it means nothing on another machine.
func withoutZone(authority string) string {
	if !strings.HasPrefix(authority, "[") {
		return authority
	}
	end := strings.LastIndexByte(authority, ']')
	if end < 0 {
		return authority
	}
	zone := strings.LastIndexByte(authority[:end], '%')
	if zone < 0 || !name.all(authority[zone+1:end]) {
		return authority // net/http cuts a host at a blank or a slash, before it looks for a zone
	}
	return authority[:zone] + authority[end:]
}
