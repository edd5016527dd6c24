package transport

import (
	"context"
	"net/http"
)

// maxWraps ends the search if Signers wrap each other in a cycle.
const maxWraps = 100

// faces holds the optional interfaces of a Signer. Any of them may be nil.
type faces struct {
	refuser   Refuser
	reader    Reader
	refresher Refresher
	observer  Observer
	none      bool // the request has no Signer
}

// facesOf returns the faces of s for a request. p holds the Signers that the Choose functions in s
// picked when the request was signed. A Choose for which p has no Signer is called.
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
				return f // Sign returns the error
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

// add adds the faces of s that no Signer around it has.
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

// unwrap returns the Signer that s wraps, or nil.
func unwrap(s Signer) Signer {
	if w, ok := s.(interface{ Unwrap() Signer }); ok {
		return w.Unwrap()
	}
	return nil
}

// checkAll returns the first error of the Check methods of s and of the Signers that it wraps.
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

// lookInto returns the first ByOrigin in s, and reports whether there is a Choose in s.
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

// picks holds the Signers that the Choose functions picked while an attempt was signed, the
// outermost first. The context of the request carries it.
type picks struct{ signers []Signer }

type picksKey struct{}

func picksOf(ctx context.Context) *picks {
	p, _ := ctx.Value(picksKey{}).(*picks)
	return p
}
