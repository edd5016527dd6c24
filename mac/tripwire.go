package mac

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/countersign-go/countersign/auth"
)

// ErrChanged means that a request was changed after it was signed.
var ErrChanged = errors.New("mac: request was changed after it was signed")

const (
	errUnknownChange problem = "no known distortion: compare what each RoundTripper gets, unless " +
		"the credentials were replaced just now"
	adviseOrder = ": whatever changes requests goes outside of what signs them"
)

// A Tripwire is an [http.RoundTripper] for tests and debugging. It belongs next to the wire, inside
// all other RoundTrippers. It reports when code between the [Signer] and the Tripwire has changed a
// request so that the MAC no longer matches. It does not check requests without a MAC.
//
// The fields must not be changed after the first request. A Tripwire is safe for concurrent use if
// Changed is.
type Tripwire struct {
	// Signer is the Signer that signs the requests. The Tripwire gets the credentials from its
	// Source, and does not check a request with another id. Required.
	Signer *Signer

	// Base sends the requests. If nil, http.DefaultTransport.
	Base http.RoundTripper

	// Changed is called with the error for a request that does not pass. The error wraps
	// [ErrChanged] and describes a request that would match, as an [Explanation] does. It wraps
	// [ErrCredentials] if Signer has no Source. The request is sent nevertheless. If Changed is
	// nil, RoundTrip returns the error and sends nothing.
	Changed func(*http.Request, error)
}

// Format writes the type of Base, whatever the verb. The fields may hold secrets.
func (t *Tripwire) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "{Base:%T}", t.Base) }

// RoundTrip compares req with its MAC, and sends it. If a digest of the body was signed, RoundTrip
// first reads up to 1 MiB of the body.
func (t *Tripwire) RoundTrip(req *http.Request) (*http.Response, error) {
	req, err := t.check(req)
	switch {
	case err == nil:
	case t.Changed == nil:
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	default:
		t.Changed(req, err)
	}
	if t.Base == nil {
		return http.DefaultTransport.RoundTrip(req)
	}
	return t.Base.RoundTrip(req)
}

// check returns the request to send. It is a copy if the body had to be read.
func (t *Tripwire) check(req *http.Request) (*http.Request, error) {
	line, err := findHeader(req.Header)
	if errors.Is(err, auth.ErrNone) {
		return req, nil
	}
	if err != nil {
		return req, because(ErrChanged, err)
	}
	h, err := parseHeader(line)
	if err != nil {
		return req, because(ErrChanged, err)
	}
	if t.Signer == nil || t.Signer.Source == nil {
		return req, because(ErrCredentials, errNoSource)
	}
	c, err := t.Signer.Source.Credentials(req.Context())
	if err != nil || c == nil || c.ID != h.id {
		return req, nil //nolint:nilerr // it was signed, so there were credentials: they have ended
	}
	v := &Verifier{Dialect: t.Signer.Dialect, BodyDigest: hasDigest(h.ext)}
	sent := req
	if v.BodyDigest && req.Body != nil {
		sent = req.WithContext(req.Context())
		sent.GetBody = nil // it may return an earlier body
	}
	key := &Key{Secret: c.Key, Algorithm: c.Algorithm}
	e, err := explain(sent, key, v, t.Signer.Port, time.Time{})
	if sent != req { // req is the caller's, and other goroutines may read it
		sent.GetBody = req.GetBody
	}
	switch {
	case err != nil:
		return sent, because(ErrChanged, err)
	case !e.Matches:
		return sent, because(ErrChanged, errUnknownChange)
	case len(e.findings) > 0:
		return sent, because(ErrChanged, problem(e.with()+adviseOrder))
	}
	return sent, nil
}
