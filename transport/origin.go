package transport

import (
	"net/http"

	"github.com/countersign-go/countersign/internal/origin"
)

// isPrivate reports whether no machine on the way to the server can read the request or make up the
// answer. The scheme of the URL decides, and not the response's TLS state, which a test's stand-in
// for the network leaves out.
func (c *call) isPrivate() bool {
	return c.origin.Scheme == "https" || c.origin.Loopback() && !origin.Exposed(c.base, c.req)
}

// chainHolds reports whether every hop of the redirects that led to req was at o. A hop elsewhere
// has chosen the path of all that follow, also where they lead back to o.
func chainHolds(req *http.Request, o origin.Origin) bool {
	for resp := req.Response; resp != nil; resp = resp.Request.Response {
		if resp.Request == nil || resp.Request.URL == nil || origin.Of(resp.Request.URL) != o {
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
