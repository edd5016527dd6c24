package jwt

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// maxCopies is how many cookies of the name Clear checks. A client without a session can make the
// server check a signature for each, which takes a millisecond with some methods.
const maxCopies = 10

var errCopies = fmt.Errorf("jwt: there are over %d cookies of the name, and not all have ended",
	maxCopies)

// Clear ends the session of req: it clears the cookie and puts the token on the DenyList, so that
// no token of the session is accepted any more. It does so for each cookie of the name. Call it for
// POST only, where [Session.Handler] refuses requests from other sites.
//
// An error means that a token may still be valid: it has no jti, the list is full, the token cannot
// be checked now, or there are over 10 cookies of the name. The cookie is cleared nevertheless,
// unless the Session is set up wrongly.
func (s *Session) Clear(w http.ResponseWriter, req *http.Request) error {
	set, err := s.ready()
	if err != nil {
		return err
	}
	set.setCookie(w.Header(), "", -1)
	if s.DenyList == nil {
		return nil
	}
	var errs []error
	tried := 0
	for value := range set.place.CookieValues(req.Header) {
		if tried++; tried > maxCopies {
			errs = append(errs, errCopies)
			break
		}
		if token, _ := set.place.CookieToken(value); token != "" {
			errs = append(errs, s.revoke(req.Context(), set, token))
		}
	}
	return errors.Join(errs...)
}

// revoke puts a token of the Session on the DenyList for as long as its session can last. It
// ignores a foreign token, and one that can never be valid again.
func (s *Session) revoke(ctx context.Context, set *sessionSettings, token string) error {
	claims, err := set.verifier.genuine(ctx, token)
	switch {
	case errors.Is(err, ErrRefused):
		return nil
	case err != nil:
		return err
	}
	_, hasID := tokenIDOf(claims)
	err = set.verifier.checkTimes(claims, time.Now())
	if errors.Is(err, errDate) || errors.Is(err, errNoExpiry) ||
		errors.Is(err, errExpired) && !hasID {
		return nil
	}
	if login := loginTime(claims); !login.IsZero() {
		claims["exp"] = numericDate(login.Add(set.maxAge))
	}
	return s.DenyList.Revoke(claims)
}
