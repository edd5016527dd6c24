package jwt

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/internal/place"
)

// loginClaim holds the time of the login, as a NumericDate: auth_time of OpenID Connect Core 1.0,
// section 2. A token without it was made at the login itself, so iat is that time.
const loginClaim = "auth_time"

// defaultMaxAge is the MaxAge of a Session that sets none.
const defaultMaxAge = 24 * time.Hour

var _ auth.Challenger = (*Session)(nil)

// A Session keeps browser users logged in with a token in a cookie. [Session.Set] begins a session
// in the login handler, and [Session.Clear] ends it in the logout handler. [Session.Handler] wraps
// all handlers of the service. The Session itself is an [auth.Authenticator].
//
// A Session must not be changed or copied after first use. It is safe for concurrent use.
type Session struct {
	// Signer makes the tokens. Its Lifetime is how long a session lasts without a new cookie. Its
	// Claims, Scheme, Header, Cookie and Encoding are not used. Required.
	Signer *Signer

	// Verifier checks the tokens. Its first Audience and its Issuer are the default aud and iss of
	// new tokens. Its Scheme, Header, Cookie and Encoding are not used. If nil, one with the Key of
	// Signer.
	//
	// If the service also accepts tokens in a header, those need another key or Audience: anyone
	// with a token can put it into a cookie.
	Verifier *Verifier

	// Name is the name of the cookie. If "", "__Host-session", or "session" with Insecure, Domains,
	// or a Path other than "/".
	Name string

	// Path is the path of the cookie. If "", "/".
	Path string

	// Domains receive the cookie, as do their subdomains. None may lie below another. If nil, only
	// the host that sets the cookie receives it.
	Domains []string

	// SameSite is the SameSite attribute of the cookie. If zero, Lax.
	SameSite http.SameSite

	// Insecure also sends the cookie over plain http, for development.
	Insecure bool

	// ReissueAfter is the age at which Handler replaces a token. If zero, tokens are not replaced.
	ReissueAfter time.Duration

	// MaxAge is how long after the login a session ends, even if it is in use. If zero, 24 hours,
	// or the Signer's Lifetime if that is longer.
	MaxAge time.Duration

	// NoIssuedAt also accepts tokens without iat. Only exp ends them.
	NoIssuedAt bool

	// DenyList holds the sessions that were logged out. If nil, a copy of the cookie stays valid
	// after a logout, until it expires.
	DenyList *DenyList

	// Encoding is how the cookie holds the token. If nil, unchanged.
	Encoding Encoding

	// CrossOrigin decides which requests come from another site, and how they are answered. If nil,
	// a zero value.
	CrossOrigin *http.CrossOriginProtection

	// Logger receives refused cookies as Info, a cookie that cannot be renewed as Warn, and a
	// Session that is set up wrongly as Error. If nil, nothing is logged.
	Logger *slog.Logger

	once sync.Once
	set  sessionSettings
	err  error // why the fields cannot be used
}

// sessionSettings are the fields of a Session after checks and defaults.
type sessionSettings struct {
	press       *press
	verifier    *Verifier
	place       place.Place
	cookies     []http.Cookie // without value
	maxAge      time.Duration
	crossOrigin *http.CrossOriginProtection
	logger      *slog.Logger
}

const (
	errCrossOrigin problem = "another site has the browser send it"
	errMaxAge      problem = "the login was too long ago"
	errNoAge       problem = "it has no iat, which tells the time of the login"
)

// Set begins a session: it sets the cookie on the response, replacing one that is already set, and
// keeps the response out of caches. Call it after the user has proved their identity, and before
// the response is written. The token has claims plus sub, iat and exp, as with [Signer.Token]. Its
// auth_time is now, or an earlier auth_time in claims.
//
// If Set returns an error, the response is unchanged.
func (s *Session) Set(w http.ResponseWriter, subject string, claims map[string]any) error {
	set, err := s.ready()
	if err != nil {
		return err
	}
	now := time.Now()
	all, err := s.Signer.says(subject, claims, 0, now)
	if err != nil {
		return err
	}
	if s.Signer.TokenID || s.DenyList != nil {
		all["jti"] = rand.Text() // even if claims come from another session
	}
	if _, ok := all["aud"]; !ok && len(set.verifier.Audience) > 0 {
		all["aud"] = set.verifier.Audience[0]
	}
	if _, ok := all["iss"]; !ok && set.verifier.Issuer != "" {
		all["iss"] = set.verifier.Issuer
	}
	if all, err = reread(all); err == nil {
		err = set.verifier.checkClaims(all, now)
	}
	if err != nil {
		return fmt.Errorf("jwt: the claims of a session: %w", err)
	}
	login := loginTime(all)
	if !now.Before(login.Add(set.maxAge)) {
		return errEnded
	}
	all[loginClaim] = numericDate(login)
	return s.write(w.Header(), all, now)
}

// reread returns claims as a Verifier would read them, or the error that a Verifier would return.
func reread(claims map[string]any) (map[string]any, error) {
	text, err := json.Marshal(claims)
	if err != nil {
		return nil, err
	}
	if claims, err = readClaims(text); err == nil {
		_, err = subject(claims)
	}
	return claims, err
}

// Authenticate returns the user who is logged in. The claim auth_time is the time of the login,
// absent only if the token has no iat. The error wraps [auth.ErrNone] if the cookie is missing or
// refused, since browsers send cookies unasked, and [auth.ErrUnavailable] if it cannot be checked.
func (s *Session) Authenticate(req *http.Request) (*auth.Identity, error) {
	set, err := s.ready()
	if err != nil {
		return nil, setupError{err}
	}
	v := s.visit(set, req)
	return v.id, v.err
}

// Challenge adds the challenge Cookie, which browsers ignore.
func (s *Session) Challenge(h http.Header, _ *http.Request, _ error) {
	set, err := s.ready()
	if err != nil {
		h.Add("WWW-Authenticate", place.CookieScheme)
		return
	}
	h.Add("WWW-Authenticate", set.place.Challenge(set.verifier.Realm, "", ""))
}

// A visit is the result of checking the cookie of a request.
type visit struct {
	token string // or ""
	id    *auth.Identity
	err   error // why id is nil
}

type visitKey struct{ session *Session }

// visit returns the result that the Handler has stored for a request, unless the cookie has changed
// since.
func (s *Session) visit(set *sessionSettings, req *http.Request) *visit {
	if v, ok := req.Context().Value(visitKey{s}).(*visit); ok {
		if token, err := set.place.Get(req.Header); err == nil && token == v.token {
			return v
		}
	}
	return s.judge(set, req)
}

// judge checks the cookie of a request. It ignores a cookie that another site made the browser
// send, so that a service without the Handler is safe too.
func (s *Session) judge(set *sessionSettings, req *http.Request) *visit {
	v := new(visit)
	v.token, v.err = set.place.Get(req.Header)
	switch {
	case v.err != nil:
		v.err = refused(v.err)
	case v.token == "":
		v.err = auth.ErrNone
		return v
	case set.crossOrigin.Check(req) != nil:
		v.err = refused(errCrossOrigin)
	default:
		v.id, v.err = s.identify(req.Context(), set, v.token)
	}
	if errors.Is(v.err, ErrRefused) {
		set.log(req, slog.LevelInfo, "jwt: session not accepted", v.err)
		v.err = fmt.Errorf("%w: %w", auth.ErrNone, v.err)
	}
	return v
}

func (s *Session) identify(
	ctx context.Context, set *sessionSettings, token string,
) (*auth.Identity, error) {
	id, err := set.verifier.identify(ctx, token)
	if err != nil {
		return nil, err
	}
	if s.DenyList != nil {
		if revoked, _ := s.DenyList.Revoked(ctx, id.Claims); revoked {
			return nil, refused(errRevoked)
		}
	}
	switch login := loginTime(id.Claims); {
	case login.IsZero() && !s.NoIssuedAt:
		return nil, refused(errNoAge)
	case login.IsZero():
	case !time.Now().Before(login.Add(set.maxAge)):
		return nil, refused(errMaxAge)
	default:
		id.Claims[loginClaim] = numericDate(login)
	}
	id.Scheme = place.CookieScheme
	return id, nil
}

// loginTime returns the time of the login, or the zero time if the claims do not tell. It ignores
// an auth_time later than iat.
func loginTime(claims map[string]any) time.Time {
	made, ok, err := date(claims, "iat")
	if !ok || err != nil {
		return time.Time{}
	}
	if login, ok, err := date(claims, loginClaim); ok && err == nil && login.Before(made) {
		return login
	}
	return made
}

func numericDate(t time.Time) json.Number { return json.Number(strconv.FormatInt(t.Unix(), 10)) }

// Handler returns a handler to put in front of next, and in front of any [auth.Guard]. It answers
// 403 to a request with the session's cookie that another site made the browser send and that may
// change state, as CrossOrigin decides. It replaces cookies that are due. If the Session is set up
// wrongly, it answers 500.
//
// A login request has no cookie yet, so it needs its own [http.CrossOriginProtection]: another site
// could otherwise log its visitors in as another user.
func (s *Session) Handler(next http.Handler) http.Handler {
	set, err := s.ready()
	if err != nil {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			set.log(req, slog.LevelError, "jwt: the Session is set up wrongly", err)
			http.Error(w, "the session is set up wrongly", http.StatusInternalServerError)
		})
	}
	inner := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		v := s.judge(set, req)
		if v.id != nil {
			if err := s.reissue(set, w.Header(), v.id.Claims); err != nil {
				// The old cookie is still valid, and the next request tries again.
				set.log(req, slog.LevelWarn, "jwt: session not prolonged", err)
			}
		}
		known := req.WithContext(context.WithValue(req.Context(), visitKey{s}, v))
		// After a request, net/http removes the files of the form of the original request, so the
		// original must have the form.
		defer func() { req.MultipartForm = known.MultipartForm }()
		u := &uncachedWriter{ResponseWriter: w, set: set}
		defer u.private() // if next writes nothing
		next.ServeHTTP(u, known)
	})
	guarded := set.crossOrigin.Handler(inner)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if token, err := set.place.Get(req.Header); token == "" && err == nil {
			inner.ServeHTTP(w, req)
			return
		}
		guarded.ServeHTTP(w, req)
	})
}

// reissue sets a new cookie if it is time. The token has the same claims and the same lifetime, but
// does not outlast the session. A token that only the Leeway of the Verifier keeps valid is not
// replaced.
func (s *Session) reissue(
	set *sessionSettings, header http.Header, claims map[string]any,
) error {
	now := time.Now()
	made, hasMade, _ := date(claims, "iat") // the Verifier has checked that it is a date
	if s.ReissueAfter <= 0 || !hasMade || now.Before(made.Add(s.ReissueAfter)) {
		return nil
	}
	next := maps.Clone(claims)
	next["iat"] = numericDate(now)
	next[loginClaim] = numericDate(loginTime(claims))
	if exp, ok, _ := date(claims, "exp"); ok {
		end := now.Add(exp.Sub(made))
		if last := loginTime(claims).Add(set.maxAge); end.After(last) {
			end = last
		}
		if !now.Before(exp) || !end.After(exp) {
			return nil
		}
		next["exp"] = numericDate(end)
	}
	return s.write(header, next, now)
}

// write sets a cookie with claims. It moves an exp after the end of the session to that end.
func (s *Session) write(header http.Header, claims map[string]any, now time.Time) error {
	set := &s.set
	maxAge := 0 // until the browser is closed
	exp, ok, err := date(claims, "exp")
	switch {
	case err != nil:
		return fmt.Errorf("jwt: the claims of a session: %w", err)
	case ok:
		if last := loginTime(claims).Add(set.maxAge); exp.After(last) {
			exp = last
			claims["exp"] = numericDate(exp)
		}
		if maxAge = int(exp.Unix() - now.Unix()); maxAge <= 0 {
			return errEnded
		}
	}
	token, err := set.press.mint(claims)
	if err != nil {
		return err
	}
	if s.Encoding != nil {
		token = s.Encoding.Encode(token)
	}
	if len(set.place.Cookie)+len(token) > maxCookie {
		return errCookieSize
	}
	set.setCookie(header, token, maxAge)
	return nil
}
