package transport

import (
	"net/http"

	"github.com/countersign-go/countersign/internal/origin"
)

// private reports whether nobody on the way can have made up what comes from o. The scheme of the
// URL decides, and not the response's TLS state, which a test's stand-in for the network leaves
// out.
func private(o origin.Origin) bool { return o.Scheme == "https" || o.Loopback() }

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
