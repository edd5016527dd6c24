package transport

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// An origin is where a credential may go (RFC 9110, section 4.3.1): compared whole, so that another
// port or another scheme of the same host is another place.
type origin struct {
	scheme, host, port string
}

// originOf does not allocate for a URL that is in lower case.
func originOf(u *url.URL) origin {
	o := origin{strings.ToLower(u.Scheme), strings.ToLower(u.Hostname()), u.Port()}
	if o.port == "" {
		o.port = defaultPort(o.scheme)
	}
	return o
}

// defaultPort returns "" for a scheme that is not of HTTP.
func defaultPort(scheme string) string {
	switch scheme {
	case "http":
		return "80"
	case "https":
		return "443"
	}
	return ""
}

// parseOrigin reads an origin as a person writes it. It refuses whatever would be silently ignored.
func parseOrigin(s string) (origin, bool) {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Opaque != "" ||
		u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return origin{}, false
	}
	o := originOf(u)
	return o, o.scheme == "https" || o.scheme == "http"
}

// String returns the shortest spelling: the default port is left out.
func (o origin) String() string { return o.scheme + "://" + o.authority() }

func (o origin) authority() string {
	host := o.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if o.port == "" || o.port == defaultPort(o.scheme) {
		return host
	}
	return host + ":" + o.port
}

// loopback reports whether requests stay on this machine. A name below localhost does not count,
// since not every resolver keeps those local.
func (o origin) loopback() bool {
	if o.host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(o.host)
	return err == nil && addr.Unmap().IsLoopback()
}

// private reports whether nobody on the way can have made up what comes from o. The scheme of the
// URL decides, and not the response's TLS state, which a test's stand-in for the network leaves
// out.
func (o origin) private() bool { return o.scheme == "https" || o.loopback() }

// chainHolds reports whether every hop of the redirects that led to req was at o. A hop elsewhere
// has chosen the path of all that follow, also where they lead back to o.
func chainHolds(req *http.Request, o origin) bool {
	for resp := req.Response; resp != nil; resp = resp.Request.Response {
		if resp.Request == nil || resp.Request.URL == nil || originOf(resp.Request.URL) != o {
			return false
		}
	}
	return true
}

// linked reports whether r, which a RoundTripper says it sent for req, still leads to the hops
// before req. One that was built afresh does not, and would hide them from chainHolds.
func linked(r, req *http.Request) bool {
	for r != nil && r.URL != nil {
		if r.Response == req.Response {
			return true
		}
		if r.Response == nil {
			return false
		}
		r = r.Response.Request
	}
	return false
}
