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

// loginClaim is when the user logged in, as a NumericDate: auth_time of OpenID Connect Core 1.0,
// section 2. Where it is absent, a token is that of the login, and iat is that time.
const loginClaim = "auth_time"

// defaultMaxAge ends a session that has no MaxAge of its own a day after the login.
const defaultMaxAge = 24 * time.Hour

var _ auth.Challenger = (*Session)(nil)

// A Session keeps the users of browsers logged in by a token in a cookie. [Session.Set] begins it
// and [Session.Clear] ends it, in the handlers of a login and a logout. [Session.Handler] goes in
// front of all handlers: it refuses requests that another site made the browser send, and replaces
// cookies in time. The Session itself is an [auth.Authenticator].
//
// Browsers send cookies unasked, so a cookie that has ended, or was not made by this Session, makes
// a request anonymous.
//
// The fields must not be changed after the first use. A Session must not be copied then; it is safe
// for concurrent use.
type Session struct {
	// Signer makes the tokens. Its Lifetime is how long a session goes on without a new cookie. Its
	// Claims and its place in a request are not used. Required.
	Signer *Signer

	// Verifier checks the tokens. Its place in a request is not used. A new token gets the first of
	// its Audience as aud, and its Issuer as iss, unless the claims have their own. If nil, one
	// with the Key of Signer.
	//
	// If the service takes tokens in a header too, give the two different keys or Audiences:
	// anyone who has a token can put it into a cookie.
	Verifier *Verifier

	// Name is the name of the cookie. If "", "__Host-session", or "session" with Insecure, a Path
	// or Domains, with which browsers refuse the prefix.
	Name string

	// Path is the path below which browsers send the cookie. If "", "/".
	Path string

	// Domains are sent the cookie with all their subdomains: one cookie is set for each. None may
	// lie below another. If nil, only the host that sets the cookie.
	Domains []string

	// SameSite says which requests that begin at other sites have the cookie. If zero, Lax.
	SameSite http.SameSite

	// Insecure lets the cookie travel over plain http, for the machine of a developer.
	Insecure bool

	// ReissueAfter is the age from which on a token is replaced, so that a session lasts as long as
	// it is used. If zero, tokens are not replaced.
	ReissueAfter time.Duration

	// MaxAge is how long after the login a session ends, however much it is used. If zero, 24
	// hours, or the Lifetime of Signer if that is longer.
	MaxAge time.Duration

	// NoIssuedAt also accepts tokens without iat, which do not tell when the login was. They end by
	// their exp alone.
	NoIssuedAt bool

	// DenyList has the sessions that were logged out. If nil, a copy of the cookie is good until it
	// ends, also after a logout.
	DenyList *DenyList

	// Encoding is how the token is written in the cookie. If nil, the token as it stands.
	Encoding Encoding

	// CrossOrigin says which requests come from another site, and how they are answered. If nil, a
	// zero one.
	CrossOrigin *http.CrossOriginProtection

	// Logger is told why a cookie was not accepted, as information, and how the Session is set up
	// wrongly, as an error. If nil, nothing is logged.
	Logger *slog.Logger

	once sync.Once
	set  sessionSettings
	err  error // what is wrong with the fields
}

// sessionSettings are the fields of a Session as requests need them.
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

// Set begins a session: it sets the cookie on the answer, in place of one that is there already,
// and has the answer kept out of caches. Call it once the user has proved who they are, and before
// the answer is written. The token has claims and, as with [Signer.Token], sub, iat and exp. Its
// auth_time is now, or an earlier auth_time of claims.
//
// If the error is not nil, the answer is unchanged: the Session is set up wrongly, or would not
// accept the claims itself.
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
		all["jti"] = rand.Text() // also where claims are those of another session
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

// reread returns claims as a Verifier reads them, or the reason why it does not.
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

// Authenticate returns the user who is logged in. The claim auth_time is the time of the login; it
// is absent only if the token has no iat. The error wraps [auth.ErrNone] if there is no cookie, or
// one that is not accepted, and [auth.ErrUnavailable] if that cannot be told.
func (s *Session) Authenticate(req *http.Request) (*auth.Identity, error) {
	set, err := s.ready()
	if err != nil {
		return nil, setupError{err}
	}
	v := s.visit(set, req)
	return v.id, v.err
}

// Challenge adds the challenge Cookie, with the name of the cookie. Browsers ignore it.
func (s *Session) Challenge(h http.Header, _ *http.Request, _ error) {
	set, err := s.ready()
	if err != nil {
		h.Add("WWW-Authenticate", place.CookieScheme)
		return
	}
	h.Add("WWW-Authenticate", set.place.Challenge(set.verifier.Realm, "", ""))
}

// A visit is what the cookie of a request says.
type visit struct {
	token string // "": none
	id    *auth.Identity
	err   error // why there is no id
}

type visitKey struct{ session *Session }

// visit returns what the Handler has found out about a request, unless its cookie is another one by
// now.
func (s *Session) visit(set *sessionSettings, req *http.Request) *visit {
	if v, ok := req.Context().Value(visitKey{s}).(*visit); ok {
		if token, err := set.place.Get(req.Header); err == nil && token == v.token {
			return v
		}
	}
	return s.judge(set, req)
}

// judge looks at the cookie of a request. A cookie that another site made the browser send is
// ignored, so that a service without the Handler is safe too.
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

// loginTime returns when the session began, or the zero time if the claims do not tell. A login
// after the token was made does not count.
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

// Handler returns a handler that stands in front of next, and in front of any [auth.Guard]. It
// answers 403 to a request with our cookie that another site made the browser send and that may
// change something; CrossOrigin decides. It replaces the cookie of a session that is due for
// another one. If the Session is set up wrongly, it answers 500.
//
// A request without our cookie is let through. So a login needs an [http.CrossOriginProtection] in
// front of it, since another site could log its visitors in as another user.
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
				// The old cookie is still good, and the next request tries again.
				set.log(req, slog.LevelWarn, "jwt: session not prolonged", err)
			}
		}
		known := req.WithContext(context.WithValue(req.Context(), visitKey{s}, v))
		// What net/http cleans up after a request, it looks for in the original.
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

// reissue sets another cookie if it is time: with the same claims and the same lifetime, but not
// beyond the end of the session. A token that lives by the leeway of the Verifier alone has ended.
func (s *Session) reissue(
	set *sessionSettings, header http.Header, claims map[string]any,
) error {
	now := time.Now()
	made, hasMade, _ := date(claims, "iat") // the Verifier has seen that it is a date
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

// write sets the cookie that says claims, but no longer than a session may be.
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
