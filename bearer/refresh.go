package bearer

import (
	"errors"
	"net/http"

	"golang.org/x/oauth2"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/transport"
)

var errNotOurs = errors.New("bearer: the request that was refused carries no token of this Signer")

// Refresh rejects the token that resp.Request carried, if Source can do so, and reports whether
// Source now gives another. Where it does not, err is that of the Source, or what its method
// Err() error gives, as a [creds.Cache] has it, since a Source may give a refused token on while
// there is no other.
func (s *Signer) Refresh(resp *http.Response) (again bool, err error) {
	refused, err := s.sent(resp)
	if err != nil {
		return false, err
	}
	if r, ok := s.Source.(creds.Rejecter[*oauth2.Token]); ok {
		r.Reject(refused.is)
	}
	t, err := s.token(resp.Request.Context())
	if err != nil {
		return false, err
	}
	if !refused.is(t) {
		return true, nil
	}
	if f, ok := s.Source.(interface{ Err() error }); ok {
		err = f.Err()
	}
	return false, err
}

// Observe tells a Source that is a [creds.Confirmer] that its token mended a call. With a Cookie,
// it also takes up the Set-Cookie fields of the answer; see [Signer].
func (s *Signer) Observe(resp *http.Response, o transport.Outcome) error {
	sent, err := s.sent(resp)
	if err != nil {
		return nil
	}
	if o == transport.OutcomeMended {
		if c, ok := s.Source.(creds.Confirmer[*oauth2.Token]); ok {
			c.Confirm(sent.is)
		}
	}
	if s.Cookie != "" {
		s.observeCookie(resp, sent)
	}
	return nil
}

// A sentToken is what a request carried when it was sent. It answers for exactly that token, so
// that a late refusal never hurts a newer one.
type sentToken string

func (s sentToken) is(t *oauth2.Token) bool { return t != nil && t.AccessToken == string(s) }

func (s *Signer) sent(resp *http.Response) (sentToken, error) {
	p, err := s.place()
	if err != nil || s.Source == nil || resp == nil || resp.Request == nil {
		return "", errNotOurs
	}
	text, err := p.get(resp.Request.Header)
	if err != nil || text == "" {
		return "", errNotOurs
	}
	return sentToken(text), nil
}
