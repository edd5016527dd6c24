package retry

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/countersign-go/countersign/internal/httptime"
	"github.com/countersign-go/countersign/internal/lost"
	"github.com/countersign-go/countersign/transport"
)

// safe reports whether req may be executed twice (RFC 9110, section 9.2.2). An empty key is not
// sent, so it does not count.
func safe(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace,
		http.MethodPut, http.MethodDelete:
		return true
	}
	return hasKey(req, "Idempotency-Key") || hasKey(req, "X-Idempotency-Key")
}

// hasKey treats a value of blanks as empty, since net/http does not send them.
func hasKey(req *http.Request, name string) bool {
	return strings.TrimSpace(req.Header.Get(name)) != ""
}

// mayPass reports whether the last attempt failed for a reason that may pass by itself, and whether
// the request may be sent again.
func (c *call) mayPass() bool {
	switch {
	case c.err != nil:
		return c.failedBelow() && (c.safe || c.unsent()) && c.chosen()
	case c.resp == nil: // a Base may return nil for an unsigned request
		return false
	}
	return c.safe && !c.refused() && c.chosen()
}

// failedBelow reports whether the error comes from the network, and not from the Transport that
// signs or from its Signer, which may have called another service.
func (c *call) failedBelow() bool {
	if _, ok := errors.AsType[*transport.SignError](c.err); ok {
		return false
	}
	if c.trial == nil {
		return true
	}
	failed, _ := c.trial.Failed()
	return failed
}

// unsent reports whether no byte of the request was sent.
func (c *call) unsent() bool {
	_, unsent := c.trial.Failed()
	return unsent || lost.Dial(c.err) != nil
}

// refused reports whether the answer is a refusal of the credentials. A refusal does not pass by
// itself: the Transport that signs has already tried to correct it.
func (c *call) refused() bool {
	h := transport.History(c.resp)
	return len(h) > 0 && h[len(h)-1].Cause != ""
}

// chosen reports whether Check, or the default policy if Check is nil, chooses to repeat the
// attempt.
func (c *call) chosen() bool {
	if c.t.Check == nil {
		if c.err != nil {
			return lost.Connection(c.err) != nil
		}
		switch c.resp.StatusCode {
		case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable,
			http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	var shown error
	if c.err != nil {
		shown = asOfClient(c.req, c.err)
	}
	again, err := c.t.Check(c.req.Context(), c.resp, shown)
	if c.err != nil && !again && err != nil && err != shown { //nolint:errorlint // that very one
		c.err = err
	}
	return again
}

// asOfClient wraps err as an http.Client does, since policies recognize some errors by that form.
// It leaves out the query and the user of the URL.
func asOfClient(req *http.Request, err error) error {
	u := url.URL{Scheme: req.URL.Scheme, Host: req.URL.Host, Path: req.URL.Path}
	op := cmp.Or(req.Method, http.MethodGet)
	return &url.Error{Op: op[:1] + strings.ToLower(op[1:]), URL: u.String(), Err: err}
}

// wait returns how long to wait after an attempt, counted from 1. resp is nil after an error. It
// reports false if the answer asks for a longer wait than WaitMax, since a wait is never shortened.
func (t *Transport) wait(attempt int, resp *http.Response) (wait time.Duration, ok bool) {
	shortest, longest := cmp.Or(t.WaitMin, defaultWaitMin), cmp.Or(t.WaitMax, defaultWaitMax)
	if resp != nil {
		// Zero seconds and a date in the past are ignored: if many clients obeyed them, all would
		// send again at once.
		if wait = httptime.RetryAfter(resp.Header, time.Now()); wait > 0 {
			return wait, wait <= longest
		}
	}
	if t.Backoff != nil {
		return max(0, t.Backoff(shortest, longest, attempt-1, withoutRetryAfter(resp))), true
	}
	// The wait is random, so that clients that failed at the same time do not send again at the
	// same time.
	wait = retryablehttp.LinearJitterBackoff(shortest, 2*shortest, attempt-1, nil)
	return max(0, min(wait, longest)), true
}

// withoutRetryAfter returns resp without its Retry-After field, which was read already. A back-off
// function might read the field in another way, and let the server decide how long the client
// sleeps.
func withoutRetryAfter(resp *http.Response) *http.Response {
	if resp == nil || len(resp.Header["Retry-After"]) == 0 {
		return resp
	}
	r := *resp
	r.Header = resp.Header.Clone()
	r.Header.Del("Retry-After")
	return &r
}
