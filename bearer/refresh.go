package bearer

import (
	"errors"
	"net/http"
	"sync/atomic"

	"golang.org/x/oauth2"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/transport"
)

var errNotOurs = errors.New("bearer: the request that was refused carries no token of this Signer")

// Refused reports whether resp refuses the token. Status 401 does. Status 403 does if it asks for a
// token with more rights, and Source is a [creds.StepUpper] that can get one.
func (s *Signer) Refused(resp *http.Response) bool {
	return resp.StatusCode == http.StatusUnauthorized ||
		resp.StatusCode == http.StatusForbidden && s.mayStepUp(resp)
}

// mayStepUp reports whether resp asks for a token with more rights, and Source can get one.
func (s *Signer) mayStepUp(resp *http.Response) bool {
	up, ok := s.Source.(creds.StepUpper)
	if !ok || !up.StepsUp() {
		return false
	}
	p, err := s.place()
	return err == nil && p.AsksForMore(resp)
}

// Read returns the Cause "credential" for error="invalid_token" (RFC 6750, section 3). It does so
// too for an error that asks for a token with more rights, such as "insufficient_scope", if Source
// is a [creds.StepUpper] that can get one. The Cause is "" if no other token of the same source
// would help, and if all challenges are for other schemes, headers and cookies. It is "unknown" for
// all other refusals, such as those with a malformed challenge.
func (s *Signer) Read(resp *http.Response) (refusal transport.Refusal) {
	p, err := s.place()
	if err != nil {
		return refusal
	}
	switch invalid, ours := p.Refusal(resp); {
	case invalid, s.mayStepUp(resp):
		refusal.Cause = transport.CauseCredential
	case ours:
		refusal.Cause = transport.CauseUnknown
	}
	return refusal
}

// Refresh calls [creds.Refresh], so that Source replaces the token that resp.Request carried.
func (s *Signer) Refresh(resp *http.Response) (again bool, err error) {
	refused, err := s.sent(resp)
	if err != nil {
		return false, err
	}
	if a, ok := s.Source.(creds.Accepter[*oauth2.Token]); ok && s.mayStepUp(resp) {
		a.Accept(refused.is) // the server knows the token, so do not wait until it does
	}
	again, young, err := creds.Refresh(
		resp.Request.Context(), s.Source, refused.is, resp.Header)
	if young {
		err = transport.ErrYoung
	}
	return again, err
}

// Observe tells Source that a server accepted its token, if Source is a [creds.Accepter], or that
// the token repaired a call, if Source is a [creds.Confirmer].
//
// With a Cookie, it removes the Set-Cookie of that name from the response, since a cookie jar,
// which ignores ports, would send it elsewhere. If the request carried the current token and Source
// has a method
//
//	Replace(old func(*oauth2.Token) bool, next *oauth2.Token)
//
// as [Tokens] does, the new value replaces the old token. It ends at its Max-Age or Expires, or
// else at the exp in it, if it is a JSON Web Token. A response that clears the cookie rejects the
// token. Domain, Path and Secure are ignored.
func (s *Signer) Observe(resp *http.Response, o transport.Outcome) error {
	news := o == transport.OutcomeMended || o == transport.OutcomeAccepted && s.unaccepted()
	if !news && s.Cookie == "" {
		return nil
	}
	sent, err := s.sent(resp)
	if err != nil {
		return nil //nolint:nilerr // the request carried nothing of this Signer
	}
	if news {
		s.accept(sent, o)
	}
	if s.Cookie != "" {
		s.observeCookie(resp, sent)
	}
	return nil
}

// A givenToken is the token that Source returned last.
type givenToken struct {
	token    *oauth2.Token
	accepted atomic.Bool // whether Source knows that a server accepted it
}

// note remembers the token that is sent, if Source wants to know whether a server accepted it.
func (s *Signer) note(t *oauth2.Token) {
	if g := s.given.Load(); g != nil && g.token == t {
		return
	}
	if _, ok := s.Source.(creds.Accepter[*oauth2.Token]); ok {
		s.given.Store(&givenToken{token: t})
	}
}

// unaccepted reports whether Source does not know yet that a server accepted its token.
func (s *Signer) unaccepted() bool {
	g := s.given.Load()
	return g != nil && !g.accepted.Load()
}

func (s *Signer) accept(sent sentToken, o transport.Outcome) {
	if o == transport.OutcomeMended {
		if c, ok := s.Source.(creds.Confirmer[*oauth2.Token]); ok {
			c.Confirm(sent.is)
		}
		return
	}
	if g := s.given.Load(); g != nil && sent.is(g.token) {
		g.accepted.Store(true)
		if a, ok := s.Source.(creds.Accepter[*oauth2.Token]); ok {
			a.Accept(sent.is)
		}
	}
}

// A sentToken is the token that a request carried when it was sent. It matches exactly that token,
// so a late refusal cannot reject a newer one.
type sentToken string

func (s sentToken) is(t *oauth2.Token) bool { return t != nil && t.AccessToken == string(s) }

func (s *Signer) sent(resp *http.Response) (sentToken, error) {
	p, err := s.place()
	if err != nil || s.Source == nil || resp == nil || resp.Request == nil {
		return "", errNotOurs
	}
	text, err := p.Get(resp.Request.Header)
	if err != nil || text == "" {
		return "", errNotOurs
	}
	return sentToken(text), nil
}
