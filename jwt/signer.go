package jwt

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/countersign-go/countersign/internal/jose"
	"github.com/countersign-go/countersign/internal/origin"
	"github.com/countersign-go/countersign/internal/place"
	"github.com/countersign-go/countersign/transport"
)

const (
	// defaultLifetime is long enough for a token to be worth keeping, and short enough to make a
	// leaked token of little use.
	defaultLifetime = 5 * time.Minute

	// longestLifetime is the limit for a token that any server would accept.
	longestLifetime = 24 * time.Hour

	// backdated is how far iat and nbf lie before the server's time. A strict server refuses a
	// token from the future, and the clocks of many machines differ by a few seconds. So exp also
	// comes this much earlier than Lifetime says.
	backdated = 5 * time.Second

	// maxAhead is how far ahead of this machine's clock a token may be issued that any server would
	// accept. A server states its own time. Without the limit, a malicious server could obtain a
	// token now and use it at another server next year.
	maxAhead = 24 * time.Hour

	// shortestLifetime leaves a token some time of use at a server whose clock is ahead.
	shortestLifetime = 2 * backdated
)

// A Signer makes tokens (RFC 7519), signs requests with them, and reuses each while it is valid. It
// is a transport.Signer, and also a Reader, a Refresher and an Observer of that package.
// [Signer.Token] makes a token for a login handler. Anyone who has a token can read it, so no claim
// may be a secret.
//
// A Signer must not be changed or copied after first use. It is safe for concurrent use.
type Signer struct {
	// Key signs the tokens: a secret for HS256, HS384 and HS512, otherwise a private key, as in
	// [Key.Key], or a crypto.Signer for hardware. Required.
	Key any

	// Method is the signing method, as in [Key.Method]. Required.
	Method string

	// KeyID is the kid of each token, by which verifiers find the key. If "", none.
	KeyID string

	// Claims returns the claims of a token for req, to which Sign adds iat, nbf and exp. Sign calls
	// it for each request, and reuses a token while the claims are equal. Claims must not change
	// req, and must be safe for concurrent use. If nil, none.
	Claims func(req *http.Request) (map[string]any, error)

	// Lifetime is how long a token is valid. If zero, 5 minutes. Sign needs at least 10 seconds.
	// Unless aud names the origin of the request, such as "https://api.example.com", Sign makes no
	// token that lasts over 24 hours, or begins over 24 hours ahead of this machine's clock.
	Lifetime time.Duration

	// Scheme precedes the token in the Authorization field. If "", Bearer.
	Scheme string

	// Header is the field that holds the token. If "", Authorization.
	Header string

	// Cookie is the name of the cookie that holds the token. If "", a field holds it.
	Cookie string

	// Encoding is how the Cookie holds the token. If nil, unchanged.
	Encoding Encoding

	// NoExpiry lets Token make tokens without exp, if no lifetime is given.
	NoExpiry bool

	// Weak allows keys that are too short, as in [Key.Weak].
	Weak bool

	// TokenID gives each token a random jti. Requests share tokens: for a server that accepts each
	// jti once, set a jti in Claims.
	TokenID bool

	once  sync.Once
	press *press
	err   error // why press is nil

	minted minted
}

var (
	_ transport.Signer    = (*Signer)(nil)
	_ transport.Reader    = (*Signer)(nil)
	_ transport.Refresher = (*Signer)(nil)
	_ transport.Observer  = (*Signer)(nil)
)

// An Encoding converts a token to and from the value of a cookie. Package jwt/pyramid has the
// Encoding of pyramid_jwt.
type Encoding interface {
	Encode(token string) string
	// Decode must return an error for a value that Encode cannot have written.
	Decode(value string) (token string, err error)
}

// A press is the part of a Signer that makes tokens.
type press struct {
	key   *signingKey
	head  string // the header, encoded, with its dot
	place place.Place
	err   error // why place cannot be used
}

// Format writes the Method and KeyID of a *Signer, not its Key, for every verb.
func (s *Signer) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{Method:%q KeyID:%q}", s.Method, s.KeyID)
}

// MarshalText returns an error, since the Key is a secret.
func (s *Signer) MarshalText() ([]byte, error) { return nil, errSignerMarshalled }

// MarshalBinary returns an error, since the Key is a secret.
func (s *Signer) MarshalBinary() ([]byte, error) { return nil, errSignerMarshalled }

var errSignerMarshalled = errors.New("jwt: a Signer is not marshalled: it holds a key")

// ready returns the press of s, which it makes once.
func (s *Signer) ready() (*press, error) {
	s.once.Do(func() {
		s.err = errPanic
		s.press, s.err = s.newPress()
	})
	return s.press, s.err
}

func (s *Signer) newPress() (*press, error) {
	key, err := newSigningKey(s.Method, s.Key, s.Weak)
	if err != nil {
		return nil, err
	}
	if key.signs == nil && !key.Symmetric() {
		return nil, errPublic
	}
	if len(s.KeyID) > jose.MaxKeyID || !utf8.ValidString(s.KeyID) {
		return nil, errBadKeyID
	}
	header := struct {
		Alg string `json:"alg"`
		Typ string `json:"typ"`
		Kid string `json:"kid,omitempty"`
	}{s.Method, "JWT", s.KeyID}
	head, err := json.Marshal(header)
	if err != nil {
		return nil, fmt.Errorf("jwt: the header of a token: %w", err)
	}
	p := &press{key: key, head: base64.RawURLEncoding.EncodeToString(head) + "."}
	if p.place, err = place.New(s.Scheme, s.Header, s.Cookie); err != nil {
		p.err = fmt.Errorf("jwt: %w", err)
	}
	if s.Cookie != "" {
		p.place.Encoding = s.Encoding
	}
	return p, nil
}

// mint returns a token with claims (RFC 7515, section 7.1).
func (p *press) mint(claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("jwt: the claims of a token: %w", err)
	}
	text := p.head + base64.RawURLEncoding.EncodeToString(payload)
	signature, err := p.key.sign(text)
	if err != nil {
		return "", err
	}
	token := text + "." + base64.RawURLEncoding.EncodeToString(signature)
	if len(token) > jose.MaxToken {
		return "", errTooLong
	}
	return token, nil
}

var (
	errNotMinted = errors.New("jwt: the request that was refused carries no token of this Signer")
	errBadKeyID  = errors.New("jwt: the KeyID is over 1024 bytes, or is not UTF-8")
	errNoURL     = errors.New("jwt: the request has no URL")
	errTooLong   = fmt.Errorf("jwt: the token is over %d bytes: use fewer claims", jose.MaxToken)
	errNoSubject = errors.New("jwt: the token has no subject: give one, or claims with a sub")
	errShort     = fmt.Errorf("jwt: the Lifetime is under %v, so that tokens could end on "+
		"their way to a server whose clock is ahead", shortestLifetime)
	errLifetime = fmt.Errorf("jwt: the Lifetime is over %v: use a shorter one, or have Claims "+
		"set aud to the origin of the request", longestLifetime)
)

// Sign puts a token into req, replacing one that is there. now is the time by the server's clock.
// Sign reuses the token of an earlier request to the same origin if it has the same claims, is not
// about to expire, and was made by a clock that agrees with now. iat, nbf and exp lie 5 seconds
// early, since strict servers refuse a token from the future.
//
// The error wraps [ErrKey], comes from Claims or the key, or reports claims that make no token.
func (s *Signer) Sign(req *http.Request, now time.Time) error {
	p, err := s.ready()
	switch {
	case err != nil:
		return err
	case p.err != nil:
		return p.err
	case req.URL == nil:
		return errNoURL
	}
	local := time.Now()
	use := purpose{origin: origin.Of(req.URL)}
	var claims map[string]any
	if s.Claims != nil {
		if claims, err = s.Claims(req); err != nil {
			return err
		}
		if use.claims, err = canonical(claims); err != nil {
			return err
		}
		asked := time.Now()
		now, local = now.Add(asked.Sub(local)), asked
	}
	// Strip the monotonic reading of now. The one of local stays, so a step of the clock can be
	// told from the passing of time.
	now = now.Round(0)
	token, ok := s.minted.find(use, now, local)
	if !ok {
		if token, err = s.mintFor(p, use, claims, now, local); err != nil {
			return err
		}
	}
	if req.Header == nil {
		req.Header = make(http.Header, 1)
	}
	if err := p.place.Put(req.Header, token); err != nil {
		return fmt.Errorf("jwt: %w", err)
	}
	return nil
}

// canonical returns claims as JSON with sorted members.
func canonical(claims map[string]any) (string, error) {
	text, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("jwt: the claims of a token: %w", err)
	}
	return string(text), nil
}

// mintFor makes a token and keeps it. It holds no lock while the key signs, which may take long. A
// caller that comes in between makes another token, which is harmless.
func (s *Signer) mintFor(
	p *press, use purpose, claims map[string]any, now, local time.Time,
) (string, error) {
	lifetime := s.lifetime()
	switch {
	case lifetime < shortestLifetime:
		return "", errShort
	case lifetime > longestLifetime && !names(claims["aud"], use.origin.String()):
		return "", errLifetime
	}
	issued := now.Add(-backdated).Truncate(time.Second)
	if issued.After(local.Round(0).Add(maxAhead)) &&
		!namesOnly(claims["aud"], use.origin.String()) {
		return "", &aheadError{use.origin}
	}
	ends := issued.Add(lifetime.Truncate(time.Second))
	all := s.withID(claims)
	all["iat"], all["nbf"], all["exp"] = issued.Unix(), issued.Unix(), ends.Unix()
	token, err := p.mint(all)
	if err != nil {
		return "", err
	}
	s.minted.keep(use, &mintedToken{
		text: &token, now: now, local: local,
		renew: ends.Add(-min(time.Minute, lifetime/5)),
	})
	return token, nil
}

func (s *Signer) lifetime() time.Duration {
	if s.Lifetime == 0 {
		return defaultLifetime
	}
	return s.Lifetime
}

// withID returns a copy of claims, with a jti if TokenID is set.
func (s *Signer) withID(claims map[string]any) map[string]any {
	all := make(map[string]any, len(claims)+4)
	maps.Copy(all, claims)
	if _, ok := all["jti"]; !ok && s.TokenID {
		all["jti"] = rand.Text()
	}
	return all
}

// Read returns the Cause "credential" for error="invalid_token" (RFC 6750, section 3). It is "" for
// an error that another token would not fix, such as insufficient_scope, and if all challenges are
// for other schemes, headers and cookies. Otherwise it is "unknown".
func (s *Signer) Read(resp *http.Response) (refusal transport.Refusal) {
	if p, err := s.ready(); err == nil && p.err == nil {
		switch invalid, ours := p.place.Refusal(resp); {
		case !ours:
		case invalid:
			refusal.Cause = transport.CauseCredential
		default:
			refusal.Cause = transport.CauseUnknown
		}
	}
	return refusal
}

// Refresh drops the token that resp.Request carried. It reports whether another one is worth
// sending: not if that token was made within the last 5 seconds.
func (s *Signer) Refresh(resp *http.Response) (again bool, err error) {
	p, err := s.ready()
	switch {
	case err != nil:
		return false, err
	case resp == nil || resp.Request == nil:
		return false, errNotMinted
	}
	token, err := p.place.Get(resp.Request.Header)
	if err != nil || token == "" {
		return false, errNotMinted
	}
	return s.minted.drop(token), nil
}

// Observe removes a Set-Cookie of the Cookie's name from resp, so that no cookie jar sends the
// token to other ports.
func (s *Signer) Observe(resp *http.Response, _ transport.Outcome) error {
	if s.Cookie != "" {
		place.TakeCookie(resp, s.Cookie)
	}
	return nil
}

// Token makes a token for a login handler, by this machine's clock. The token has claims, with sub,
// iat, exp and, if an audience is given, aud set.
//
// If subject is "", claims must have a sub. If lifetime is zero, Lifetime is used; if that is zero
// too, 5 minutes, or no exp with NoExpiry. A negative lifetime makes an expired token, for tests.
// The error wraps [ErrKey], comes from the key, or reports claims that make no token.
func (s *Signer) Token(
	subject string, claims map[string]any, lifetime time.Duration, audience ...string,
) (string, error) {
	p, err := s.ready()
	if err != nil {
		return "", err
	}
	all, err := s.says(subject, claims, lifetime, time.Now())
	if err != nil {
		return "", err
	}
	switch len(audience) {
	case 0:
	case 1:
		all["aud"] = audience[0]
	default:
		all["aud"] = audience
	}
	return p.mint(all)
}

// says returns the claims of a token that Token or [Session.Set] makes.
func (s *Signer) says(
	subject string, claims map[string]any, lifetime time.Duration, now time.Time,
) (map[string]any, error) {
	all := s.withID(claims)
	if subject != "" {
		all["sub"] = subject
	}
	if sub := all["sub"]; sub == nil || sub == "" {
		return nil, errNoSubject
	}
	all["iat"] = now.Unix()
	if lifetime == 0 {
		lifetime = s.Lifetime
	}
	if lifetime == 0 && !s.NoExpiry {
		lifetime = defaultLifetime
	}
	if lifetime != 0 {
		all["exp"] = now.Unix() + wholeSeconds(lifetime)
	}
	return all, nil
}

// wholeSeconds rounds a positive d up, so that a short lifetime does not become zero.
func wholeSeconds(d time.Duration) int64 {
	s := int64(d / time.Second)
	if d%time.Second > 0 {
		s++
	}
	return s
}
