// Package recovery carries one fact from the transport to the schemes, which must not import it:
// that a request succeeded with credentials that were fetched because others had been refused
// earlier in the same call.
package recovery

import (
	"context"
	"net/http"
)

type key struct{}

// A mark names its request, so that one made with the same context later does not bear it too.
type mark struct{ req *http.Request }

// Mark returns a copy of req, which has mended its call.
func Mark(req *http.Request) *http.Request {
	m := new(mark)
	m.req = req.WithContext(context.WithValue(req.Context(), key{}, m))
	return m.req
}

// Mended reports whether req has mended its call.
func Mended(req *http.Request) bool {
	m, _ := req.Context().Value(key{}).(*mark)
	return m != nil && m.req == req
}
