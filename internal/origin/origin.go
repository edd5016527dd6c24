// Package origin tells whether two URLs lead to the same server. It decides where credentials may
// go and which answers are believed.
package origin

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// An Origin is the scheme, host and port of a URL (RFC 9110, section 4.3.1). Two URLs have the same
// origin if their Origins are equal.
//
// Hosts are compared without regard to the case of ASCII letters. A host with a byte of 0x80 or
// above equals only the same bytes. The reason is that net/http connects by the rules of IDNA,
// where for instance U+0130 is another letter than i, while Unicode maps it to i in lower case. An
// attacker could register the name that one set of rules confuses with the name of a server.
type Origin struct {
	Scheme string // in lower case
	Host   string // without brackets; in lower case if it is ASCII
	Port   string // never "" for http and https
}

// Of returns the origin of u. It does not allocate if u is in lower case.
func Of(u *url.URL) Origin {
	o := Origin{lower(u.Scheme), lower(u.Hostname()), u.Port()}
	if o.Port == "" {
		o.Port = DefaultPort(o.Scheme)
	}
	return o
}

// lower returns s in lower case if it is ASCII, or else s itself. The zone of an IPv6 address keeps
// its case, since it names an interface of this machine.
func lower(s string) string {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return s
		}
	}
	if address, zone, scoped := strings.Cut(s, "%"); scoped {
		return strings.ToLower(address) + "%" + zone
	}
	return strings.ToLower(s)
}

// Parse parses an origin as a user writes it: a URL of http or https with a host, an optional port,
// and nothing else. It reports false for any other text. It also refuses a port that is not valid,
// and a host with an asterisk, which would not match any host as the user may expect.
func Parse(s string) (Origin, bool) {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Opaque != "" ||
		u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return Origin{}, false
	}
	if strings.Contains(u.Host, "*") {
		return Origin{}, false
	}
	o := Of(u)
	port, err := strconv.ParseUint(o.Port, 10, 16)
	return o, err == nil && port > 0 && DefaultPort(o.Scheme) != ""
}

// DefaultPort returns the default port of http or https, and "" for other schemes.
func DefaultPort(scheme string) string {
	switch scheme {
	case "http":
		return "80"
	case "https":
		return "443"
	}
	return ""
}

// String returns the shortest spelling, without the default port. Parse accepts it.
func (o Origin) String() string { return o.Scheme + "://" + escapeZone(o.authority()) }

// Long returns the spelling that always has the port. Parse accepts it.
func (o Origin) Long() string {
	return o.Scheme + "://" + escapeZone(o.bracketed()) + ":" + o.Port
}

// URL returns a URL that leads to o.
func (o Origin) URL() *url.URL { return &url.URL{Scheme: o.Scheme, Host: o.authority()} }

func (o Origin) authority() string {
	if o.Port == "" || o.Port == DefaultPort(o.Scheme) {
		return o.bracketed()
	}
	return o.bracketed() + ":" + o.Port
}

func (o Origin) bracketed() string {
	if strings.Contains(o.Host, ":") {
		return "[" + o.Host + "]"
	}
	return o.Host
}

// escapeZone escapes the zone of an IPv6 address for a URL (RFC 6874, section 2).
func escapeZone(authority string) string { return strings.Replace(authority, "%", "%25", 1) }

// Loopback reports whether o names this machine. A subdomain of localhost does not count, since
// some resolvers look it up elsewhere.
func (o Origin) Loopback() bool {
	if o.Host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(o.Host)
	return err == nil && addr.Unmap().IsLoopback()
}
