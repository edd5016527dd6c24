package transport

import (
	"context"
	"net/http"
)

// maxWraps ends the search in Signers that wrap each other in a circle.
const maxWraps = 100

// faces are the optional faces of a Signer. Any may be nil.
type faces struct {
	refuser   Refuser
	reader    Reader
	refresher Refresher
	observer  Observer
	none      bool // there is no Signer for the request
}

// facesOf finds the faces of s for a request. p are the Signers that its Choose functions gave when
// the request was signed; a Choose beyond these is asked.
func facesOf(s Signer, req *http.Request, p *picks) *faces {
	f := new(faces)
	var picked []Signer
	if p != nil {
		picked = p.signers
	}
	for range maxWraps {
		switch v := s.(type) {
		case nil:
			f.none = *f == faces{}
			return f
		case ByOrigin:
			s = v.signer(req)
			continue
		case Choose:
			if len(picked) > 0 {
				s, picked = picked[0], picked[1:]
			} else if s, _ = v(req); s == nil {
				return f // why not is told when a request is signed
			}
			continue
		}
		f.add(s)
		if s = unwrap(s); s == nil {
			break
		}
	}
	return f
}

// add takes the faces of s that no Signer around it has.
func (f *faces) add(s Signer) {
	if f.refuser == nil {
		f.refuser, _ = s.(Refuser)
	}
	if f.reader == nil {
		f.reader, _ = s.(Reader)
	}
	if f.refresher == nil {
		f.refresher, _ = s.(Refresher)
	}
	if f.observer == nil {
		f.observer, _ = s.(Observer)
	}
}

// unwrap returns the Signer in s, nil if there is none.
func unwrap(s Signer) Signer {
	if w, ok := s.(interface{ Unwrap() Signer }); ok {
		return w.Unwrap()
	}
	return nil
}

// checkAll returns the first error of s, and of those that it wraps, by their Check methods.
func checkAll(s Signer) error {
	for range maxWraps {
		if c, ok := s.(interface{ Check() error }); ok {
			if err := c.Check(); err != nil {
				return err
			}
		}
		if s = unwrap(s); s == nil {
			break
		}
	}
	return nil
}

func (f *faces) refused(resp *http.Response) bool {
	if f.refuser != nil {
		return f.refuser.Refused(resp)
	}
	return resp.StatusCode == http.StatusUnauthorized
}

func (f *faces) read(resp *http.Response) Refusal {
	switch {
	case f.none:
		return Refusal{}
	case f.reader == nil:
		return Refusal{Cause: CauseUnknown}
	}
	return f.reader.Read(resp)
}

func (f *faces) refresh(resp *http.Response) (again bool, err error) {
	if f.refresher == nil {
		return false, nil
	}
	return f.refresher.Refresh(resp)
}

func (f *faces) observe(resp *http.Response, o Outcome) error {
	if f.observer == nil {
		return nil
	}
	return f.observer.Observe(resp, o)
}

// lookInto returns the first ByOrigin in s, and whether a Choose is in s.
func lookInto(s Signer) (several ByOrigin, chooses bool) {
	for range maxWraps {
		switch v := s.(type) {
		case nil:
			return nil, false
		case Choose:
			return nil, true
		case ByOrigin:
			for _, s := range v {
				_, one := lookInto(s)
				chooses = chooses || one
			}
			return v, chooses
		}
		s = unwrap(s)
	}
	return nil, false
}

// picks are the Signers that the Choose functions gave while an attempt was signed, the outermost
// first. They ride on the context of the request.
type picks struct{ signers []Signer }

type picksKey struct{}

func picksOf(ctx context.Context) *picks {
	p, _ := ctx.Value(picksKey{}).(*picks)
	return p
}
