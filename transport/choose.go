package transport

import (
	"errors"
	"net/http"
	"time"
)

// Choose is a [Signer] that picks another one for each request, for instance by the user or tenant
// in the context of the request. It is called once for each attempt and each hop, and must not
// change the request. Whatever becomes of the attempt is told to the Signer that it picked then,
// also where the Choose is wrapped by another Signer. An error is the error of Sign.
type Choose func(req *http.Request) (Signer, error)

var (
	_ Signer    = Choose(nil)
	_ Refuser   = Choose(nil)
	_ Reader    = Choose(nil)
	_ Refresher = Choose(nil)
	_ Observer  = Choose(nil)
)

var errNoChoice = errors.New("transport: the Choose function returned no Signer and no error")

// Sign signs with the Signer that f picks.
func (f Choose) Sign(req *http.Request, now time.Time) error {
	s, err := f(req)
	if err != nil {
		return err
	}
	if isNil(s) {
		return errNoChoice
	}
	if p := picksOf(req.Context()); p != nil {
		p.signers = append(p.signers, s)
	}
	return s.Sign(req, now)
}

// Refused asks the [Refuser] that f picks for resp.Request.
func (f Choose) Refused(resp *http.Response) bool { return f.faces(resp).refused(resp) }

// Read asks the [Reader] that f picks for resp.Request.
func (f Choose) Read(resp *http.Response) Refusal { return f.faces(resp).read(resp) }

// Refresh asks the [Refresher] that f picks for resp.Request.
func (f Choose) Refresh(resp *http.Response) (again bool, err error) {
	return f.faces(resp).refresh(resp)
}

// Observe tells the [Observer] that f picks for resp.Request.
func (f Choose) Observe(resp *http.Response, o Outcome) error {
	return f.faces(resp).observe(resp, o)
}

func (f Choose) faces(resp *http.Response) *faces {
	return facesOf(f, resp.Request, nil)
}
