package origin

import "net/http"

// maxWrapped is how many RoundTrippers Exposed looks through.
const maxWrapped = 32

// Exposed reports whether base sends a plain http request for this machine by way of a proxy on
// another one. It asks the Proxy of an *http.Transport, nil standing for http.DefaultTransport, and
// looks through a RoundTripper with a method Unwrap() http.RoundTripper. It cannot see into any
// other RoundTripper.
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
	return true // one that unwraps to itself
}

// byProxy counts a failure as a proxy: nothing is known of the way.
func byProxy(t *http.Transport, req *http.Request) bool {
	if t.Proxy == nil {
		return false
	}
	proxy, err := t.Proxy(req)
	return err != nil || proxy != nil && !Of(proxy).Loopback()
}
