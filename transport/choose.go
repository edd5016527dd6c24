package transport

import (
	"errors"
	"net/http"
	"time"
)

// Choose is a [Signer] that picks another Signer for each request, for instance by the user or
// tenant in the context of the request. It is called once for each attempt and each hop, must not
// change the request, and must be safe for concurrent use. The answer to an attempt is passed to
// the Signer that was picked for that attempt, also if another Signer wraps the Choose. If the
// function returns an error, Sign returns that error.
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

// Refused calls the [Refuser] that f picks for resp.Request.
func (f Choose) Refused(resp *http.Response) bool { return f.faces(resp).refused(resp) }

// Read calls the [Reader] that f picks for resp.Request.
func (f Choose) Read(resp *http.Response) Refusal { return f.faces(resp).read(resp) }

// Refresh calls the [Refresher] that f picks for resp.Request.
func (f Choose) Refresh(resp *http.Response) (again bool, err error) {
	return f.faces(resp).refresh(resp)
}

// Observe calls the [Observer] that f picks for resp.Request.
func (f Choose) Observe(resp *http.Response, o Outcome) error {
	return f.faces(resp).observe(resp, o)
}

func (f Choose) faces(resp *http.Response) *faces {
	return facesOf(f, resp.Request, nil)
}
