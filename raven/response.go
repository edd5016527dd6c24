package raven

import (
	"fmt"
	"slices"
	"time"
)

// maxAnswer is the longest answer that is looked at, in bytes.
const maxAnswer = 8 << 10

// A Response is what the service says (section 3 of the protocol). Principal, PTags, Auth, SSO and
// Life belong to a success and are zero otherwise.
type Response struct {
	Version int    // 1, 2 or 3
	Status  Status // StatusSuccess, or why not
	Msg     string // for the user; may be empty
	Issue   time.Time
	ID      string // no other answer with this Issue has it; it can be guessed
	URL     string // that of the request

	Principal string   // who the user is
	PTags     []string // what else is known of him; those of the Service in versions 1 and 2
	Auth      string   // how he has proved it just now; "" if he has not
	SSO       []string // how he had proved it before, in this browser
	// Life is how much longer the service remembers him, if HasLife. It can be zero.
	Life    time.Duration
	HasLife bool

	Params string // that of the request
	KeyID  string // the key that signed this; "" if it is not signed
}

// Parse reads an answer, the decoded value of the parameter WLS-Response, and verifies its
// signature. A success that it returns is signed by one of s.Keys. An answer of another status may
// have been written by anybody if KeyID is empty. The error wraps one of those of this package, and
// does not repeat the answer.
func (s *Service) Parse(answer string) (*Response, error) {
	f, err := split(answer)
	if err != nil {
		return nil, err
	}
	// Nothing of an answer is interpreted before its signature that does not have to be.
	if err := f.verify(s.Keys); err != nil {
		return nil, err
	}
	r, err := f.response()
	if err != nil {
		return nil, err
	}
	if r.Status == StatusSuccess && r.Version < 3 {
		r.PTags = slices.Clone(s.PTags)
	}
	if err := s.checkAuthTypes(r); err != nil {
		return nil, err
	}
	return r, nil
}

func (s *Service) authTypes() []string {
	if s.AuthTypes == nil {
		return []string{AuthPassword}
	}
	return s.AuthTypes
}

func (s *Service) checkAuthTypes(r *Response) error {
	known := s.authTypes()
	if r.Auth != "" && !slices.Contains(known, r.Auth) {
		return fmt.Errorf("%w %.32q in auth", ErrAuthType, r.Auth)
	}
	for _, t := range r.SSO {
		if !slices.Contains(known, t) {
			return fmt.Errorf("%w %.32q in sso", ErrAuthType, t)
		}
	}
	return nil
}

// Satisfies reports whether the user has proved who he is in the way that a [Request] with this
// IAct and this AAuth asks for. It is false for what is not a success.
func (r *Response) Satisfies(iact Interaction, aauth []string) bool {
	wanted := func(t string) bool { return aauth == nil || slices.Contains(aauth, t) }
	now := r.Auth != "" && wanted(r.Auth)
	before := slices.ContainsFunc(r.SSO, wanted)
	switch iact {
	case AsNeeded:
		return now || before
	case Must:
		return now
	case MustNot:
		return r.Auth == "" && before
	default:
		return false
	}
}
