package origin

import "net/http"

// maxWrapped is how many RoundTrippers Exposed looks through.
const maxWrapped = 32

// Exposed reports whether base sends a plain http request for this machine by way of a proxy on
// another machine. It calls the Proxy function of an *http.Transport, also if that is wrapped in
// RoundTrippers with a method Unwrap() http.RoundTripper. If base is nil, http.DefaultTransport is
// used. For any other RoundTripper, Exposed reports false.
func Exposed(base http.RoundTripper, req *http.Request) bool {
	for range maxWrapped {
		if base == nil {
			base = http.DefaultTransport
		}
		switch b := base.(type) {
		case *http.Transport:
			return b != nil && byProxy(b, req)
		case interface{ Unwrap() http.RoundTripper }:
			base = b.Unwrap()
		default:
			return false
		}
	}
	return true // a RoundTripper that unwraps to itself
}

// byProxy reports whether t sends req by way of a proxy on another machine. It reports true if the
// Proxy function fails, since the path is then unknown.
func byProxy(t *http.Transport, req *http.Request) bool {
	if t.Proxy == nil {
		return false
	}
	proxy, err := t.Proxy(req)
	return err != nil || proxy != nil && !Of(proxy).Loopback()
}
