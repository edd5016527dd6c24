package transport

import (
	"net/http"

	"github.com/countersign-go/countersign/internal/origin"
)

// isPrivate reports whether no machine on the path to the server can read the request or forge the
// answer. The scheme of the URL decides, not the TLS state of the response, which a RoundTripper
// made for tests does not set.
func (c *call) isPrivate() bool {
	return c.origin.Scheme == "https" || c.origin.Loopback() && !origin.Exposed(c.base, c.req)
}

// chainHolds reports whether every hop of the redirects that led to req was at o. A hop elsewhere
// has chosen the URLs of all hops after it, even of those that lead back to o.
func chainHolds(req *http.Request, o origin.Origin) bool {
	for resp := req.Response; resp != nil; resp = resp.Request.Response {
		if resp.Request == nil || resp.Request.URL == nil || origin.Of(resp.Request.URL) != o {
			return false
		}
	}
	return true
}

// linked reports whether r, which a RoundTripper says it sent for req, still leads to the hops
// before req. A request that the RoundTripper made itself does not, and would hide them from
// chainHolds.
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
