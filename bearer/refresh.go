package bearer

import (
	"errors"
	"net/http"

	"golang.org/x/oauth2"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/recovery"
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

// Observe tells Source that its new token was accepted, if resp ended a call that had been refused
// with another one, and Source has a method Confirm(func(*oauth2.Token) bool), as a [creds.Cache]
// does. With a Cookie, it also takes up what the answer says about it; see [Signer].
func (s *Signer) Observe(resp *http.Response) {
	sent, err := s.sent(resp)
	if err != nil {
		return
	}
	if recovery.Mended(resp.Request) {
		if c, ok := s.Source.(confirmer); ok {
			c.Confirm(sent.is)
		}
	}
	if s.Cookie != "" {
		s.observeCookie(resp, sent)
	}
}

// confirmer is a Source that wants to know that a token which replaced another was accepted.
type confirmer interface {
	Confirm(good func(*oauth2.Token) bool)
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
