package mac

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/countersign-go/countersign/auth"
)

// ErrChanged means that a request is not any more what was signed.
var ErrChanged = errors.New("mac: request was changed after it was signed")

const (
	errUnknownChange problem = "no known distortion: compare what each RoundTripper gets, unless " +
		"the credentials were replaced just now"
	adviseOrder = ": whatever changes requests goes outside of what signs them"
)

// A Tripwire is a [http.RoundTripper] for tests and for debugging. It is the innermost one, next to
// the wire, and tells when something between the [Signer] and it has changed a request so that the
// MAC does not match any more. Requests without a MAC it passes on.
//
// The fields must not be changed after the first request. It is safe for concurrent use if Changed
// is.
type Tripwire struct {
	// Signer is the one that signs the requests. Its Source is asked for the credentials; a request
	// with another id is passed on. Required.
	Signer *Signer

	// Base sends the requests. Nil: http.DefaultTransport.
	Base http.RoundTripper

	// Changed is told what has changed. The error wraps [ErrChanged] and says what would match, as
	// an [Explanation] does. The request is sent all the same. Nil: RoundTrip returns the error,
	// and nothing is sent.
	Changed func(*http.Request, error)
}

// Format writes the type of the Base, under every verb. The fields may hold secrets.
func (t *Tripwire) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "{Base:%T}", t.Base) }

// RoundTrip compares req with its MAC, and sends it. If a digest of the body was signed, up to
// 1 MiB of it is read before.
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

// check returns the request to be sent, which is another if the body had to be read.
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
		sent.GetBody = nil // it may give what Body was before
	}
	key := &Key{Secret: c.Key, Algorithm: c.Algorithm}
	e, err := explain(sent, key, v, t.Signer.Port, time.Time{})
	if sent != req { // which is the caller's, and may be read by others
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
