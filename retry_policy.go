package countersign

import (
	"errors"
	"net/http"
	"strings"

	"github.com/countersign-go/countersign/internal/lost"
	"github.com/countersign-go/countersign/transport"
)

// safe reports whether req may be executed twice (RFC 9110, section 9.2.2). A key that is not sent
// protects nothing, so an empty one does not count.
func safe(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace,
		http.MethodPut, http.MethodDelete:
		return true
	}
	return hasKey(req, "Idempotency-Key") || hasKey(req, "X-Idempotency-Key")
}

// hasKey ignores blanks, which net/http does not send.
func hasKey(req *http.Request, name string) bool {
	return strings.TrimSpace(req.Header.Get(name)) != ""
}

// mayPass reports whether the last attempt failed for a reason that may pass by itself, and whether
// the request may be sent again. A refusal does not pass: the Transport has done what can be done
// about it.
func (c *call) mayPass() bool {
	if c.err != nil {
		if _, ok := errors.AsType[*transport.SignError](c.err); ok {
			return false // the Signer may have called some other service
		}
		_, unsent := errors.AsType[*unsentError](c.err)
		return (unsent || safe(c.req)) && lost.Connection(unmarked(c.err)) != nil
	}
	if c.resp == nil || !safe(c.req) { // no answer, from a Base that was sent a request unsigned
		return false
	}
	switch c.resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable,
		http.StatusGatewayTimeout:
		return !refused(c.resp)
	}
	return false
}

// refused reports whether the Transport took resp for a refusal.
func refused(resp *http.Response) bool {
	h := transport.History(resp)
	return len(h) > 0 && h[len(h)-1].Cause != ""
}
