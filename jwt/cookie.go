package jwt

import (
	"context"
	"crypto"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/countersign-go/countersign/internal/jose"
	"github.com/countersign-go/countersign/internal/place"
)

// maxCookie is how many bytes the name and the value of a cookie may have together. Browsers
// discard longer ones (RFC 6265bis, section 5.6).
const maxCookie = 4096

var (
	errCookieSize = fmt.Errorf("jwt: the cookie is over %d bytes, which browsers do not keep: "+
		"use fewer claims", maxCookie)
	errEnded = errors.New("jwt: the session would have ended already")
)

// ready checks the fields once.
func (s *Session) ready() (*sessionSettings, error) {
	s.once.Do(func() {
		s.err = errPanic
		s.err = s.configure(&s.set)
	})
	return &s.set, s.err
}

func (s *Session) configure(set *sessionSettings) (err error) {
	if set.logger = s.Logger; set.logger == nil {
		set.logger = slog.New(slog.DiscardHandler)
	}
	if set.crossOrigin = s.CrossOrigin; set.crossOrigin == nil {
		set.crossOrigin = new(http.CrossOriginProtection)
	}
	if s.Signer == nil {
		return errors.New("jwt: the Session has no Signer")
	}
	if set.press, err = s.Signer.ready(); err != nil {
		return err
	}
	if set.verifier = s.Verifier; set.verifier == nil {
		set.verifier = &Verifier{
			Keys:     &Key{Method: s.Signer.Method, Key: s.Signer.Key, Weak: s.Signer.Weak},
			NoExpiry: s.Signer.NoExpiry,
		}
	}
	if _, err := set.verifier.place(); err != nil {
		return err
	}
	if !jose.IsKind("JWT", set.verifier.Type) {
		return errors.New("jwt: the Type of the Session's Verifier does not name a JWT")
	}
	if err := set.checkKeys(s.Signer.KeyID); err != nil {
		return err
	}
	if err := s.configureTimes(set); err != nil {
		return err
	}
	return s.configureCookies(set)
}

// checkKeys refuses a Signer whose tokens the Verifier would not accept. It does not look at keys
// that may change or must be fetched.
func (set *sessionSettings) checkKeys(kid string) error {
	switch set.verifier.Keys.(type) {
	case *Key, KeyMap:
	default:
		return nil
	}
	key, err := set.verifier.Keys.VerificationKey(context.Background(), kid)
	if err == nil && key == nil {
		err = ErrUnknownKey
	}
	if err != nil {
		return fmt.Errorf("jwt: the Session's Verifier has not the key of its Signer: %w", err)
	}
	ready, err := key.prepared()
	if err != nil {
		return err
	}
	// Compare the keys instead of signing: the private key may be in a remote service.
	own := set.press.key
	if !jose.Same(own.Name, ready.Name) || !equalKeys(own.verifies, ready.verifies) {
		return errors.New("jwt: the Session's Verifier has another key or Method than its Signer")
	}
	return nil
}

// equalKeys reports whether a and b, public keys or secrets for the same method, are equal.
func equalKeys(a, b any) bool {
	if secret, ok := a.([]byte); ok {
		other, ok := b.([]byte)
		return ok && subtle.ConstantTimeCompare(secret, other) == 1
	}
	public, ok := a.(interface {
		Equal(key crypto.PublicKey) bool
	})
	return ok && public.Equal(b)
}

func (s *Session) configureTimes(set *sessionSettings) error {
	lifetime := s.Signer.lifetime()
	endless := s.Signer.NoExpiry && s.Signer.Lifetime == 0
	if set.maxAge = s.MaxAge; s.MaxAge == 0 {
		set.maxAge = max(defaultMaxAge, lifetime)
	}
	switch {
	case lifetime < 0 || s.MaxAge < 0 || s.ReissueAfter < 0:
		return errors.New("jwt: the Session has a negative Lifetime, MaxAge or ReissueAfter")
	case !endless && s.ReissueAfter >= lifetime:
		return errors.New("jwt: ReissueAfter is not below the Lifetime of the Signer, " +
			"so no cookie would be replaced in time")
	}
	return nil
}

func (s *Session) configureCookies(set *sessionSettings) (err error) {
	//nolint:gosec // it is Secure unless a field says otherwise
	cookie := http.Cookie{
		Name: s.Name, Path: s.Path, Secure: !s.Insecure, HttpOnly: true, SameSite: s.SameSite,
	}
	if cookie.Path == "" {
		cookie.Path = "/"
	}
	if cookie.SameSite == 0 {
		cookie.SameSite = http.SameSiteLaxMode
	}
	ofHost := cookie.Path == "/" && len(s.Domains) == 0 && cookie.Secure
	if cookie.Name == "" {
		if cookie.Name = "session"; ofHost {
			cookie.Name = "__Host-session"
		}
	}
	if err := checkCookie(&cookie, ofHost); err != nil {
		return err
	}
	set.cookies = []http.Cookie{cookie}
	if len(s.Domains) > 0 {
		set.cookies = nil
	}
	for _, domain := range s.Domains {
		cookie.Domain = domain
		if err := cookie.Valid(); err != nil || domain == "" {
			return fmt.Errorf("jwt: the Domains of the Session: %q is none", domain)
		}
		for _, c := range set.cookies {
			if overlap(c.Domain, domain) {
				return fmt.Errorf("jwt: the Domains of the Session: browsers would send two "+
					"cookies where %q and %q meet", c.Domain, domain)
			}
		}
		set.cookies = append(set.cookies, cookie)
	}
	if set.place, err = place.New("", "", cookie.Name); err != nil {
		return fmt.Errorf("jwt: %w", err)
	}
	set.place.Encoding = s.Encoding
	return nil
}

// overlap reports whether a is b, or either lies below the other.
func overlap(a, b string) bool {
	a = "." + strings.ToLower(strings.Trim(a, "."))
	b = "." + strings.ToLower(strings.Trim(b, "."))
	return strings.HasSuffix(a, b) || strings.HasSuffix(b, a)
}

// checkCookie refuses a cookie that browsers would not accept (RFC 6265bis, section 5.7). Browsers
// compare the prefixes of names without case. ofHost means that the cookie meets the conditions of
// the __Host- prefix.
func checkCookie(c *http.Cookie, ofHost bool) error {
	name := strings.ToLower(c.Name)
	switch {
	case strings.HasPrefix(name, "__host-") && !ofHost:
		return errors.New("jwt: browsers refuse a __Host- cookie with a Path other than /, " +
			"with Domains, or one that is Insecure")
	case (strings.HasPrefix(name, "__secure-") || strings.HasPrefix(name, "__http-")) && !c.Secure:
		return errors.New("jwt: browsers refuse a cookie of that name that is Insecure")
	case c.SameSite == http.SameSiteNoneMode && !c.Secure:
		return errors.New("jwt: browsers refuse a cookie that is Insecure and of SameSite None")
	case c.Path[0] != '/':
		return errors.New("jwt: the Path of a cookie begins with a slash")
	}
	if err := c.Valid(); err != nil {
		return fmt.Errorf("jwt: the cookie of the Session: %w", err)
	}
	return nil
}

// setCookie sets the cookie for each domain, and removes those that are set already. It forbids
// caching, since a cache could give the cookie to another user.
func (set *sessionSettings) setCookie(header http.Header, value string, maxAge int) {
	var lines []string
	for _, line := range header["Set-Cookie"] {
		if !set.isOurs(line) {
			lines = append(lines, line)
		}
	}
	for _, c := range set.cookies { //nolint:gosec // they are as configureCookies made them
		c.Value, c.MaxAge = value, maxAge
		lines = append(lines, c.String())
	}
	header["Set-Cookie"] = lines
	header["Cache-Control"] = []string{"no-store"}
}

// isOurs reports whether a Set-Cookie line sets the cookie of the Session.
func (set *sessionSettings) isOurs(line string) bool {
	name, _, _ := strings.Cut(line, "=")
	return strings.TrimSpace(name) == set.place.Cookie
}

func (set *sessionSettings) log(req *http.Request, level slog.Level, message string, reason error) {
	set.logger.LogAttrs(req.Context(), level, message,
		slog.String("method", req.Method),
		slog.String("path", req.URL.Path),
		slog.String("remote", req.RemoteAddr),
		slog.Any("reason", reason))
}
