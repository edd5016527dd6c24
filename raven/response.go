package raven

import (
	"fmt"
	"slices"
	"time"
)

// maxAnswer is the longest answer that Parse accepts, in bytes.
const maxAnswer = 8 << 10

// A Response is an answer of the service (section 3 of the protocol). Principal, PTags, Auth, SSO
// and Life belong to a success and are zero otherwise.
type Response struct {
	Version int    // 1, 2 or 3
	Status  Status // StatusSuccess, or the reason of the failure
	Msg     string // for the user; may be empty
	Issue   time.Time
	ID      string // unique among the answers with this Issue; it can be guessed
	URL     string // the URL of the request

	Principal string   // the user
	PTags     []string // attributes of the user; in versions 1 and 2, the PTags of the Service
	Auth      string   // how the user authenticated for this answer; "" if they did not
	SSO       []string // how the user had authenticated before, in this browser
	// Life is how much longer the service keeps the user logged in, if HasLife. It can be zero.
	Life    time.Duration
	HasLife bool

	Params string // the Params of the request
	KeyID  string // the key that signed this; "" if it is not signed
}

// Parse reads an answer, the decoded value of the parameter WLS-Response, and verifies its
// signature. If it returns a success, one of s.Keys signed it. An answer of another status whose
// KeyID is empty is not signed, so an attacker may have written it. The error wraps [ErrMalformed],
// [ErrUnsigned], [ErrUnknownKey], [ErrSignature] or [ErrAuthType]; its text does not repeat the
// answer.
func (s *Service) Parse(answer string) (*Response, error) {
	f, err := split(answer)
	if err != nil {
		return nil, err
	}
	// Verify the signature first, before the other fields are interpreted.
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

// Satisfies reports whether the user authenticated in the way that a [Request] with this IAct and
// AAuth asks for. It returns false if r is not a success.
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
