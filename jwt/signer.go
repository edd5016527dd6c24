package bearer

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

	"github.com/golang-jwt/jwt/v5"

	"github.com/countersign-go/countersign/internal/origin"
	"github.com/countersign-go/countersign/transport"
)

const (
	// defaultLifetime is long enough for a token to be worth keeping, and short enough for one that
	// leaked to be of little use.
	defaultLifetime = 5 * time.Minute

	// longestLifetime is that of a token which would be good at any server.
	longestLifetime = 24 * time.Hour

	// backdated is how far iat and nbf lie before the time of the server. Clocks that differ by no
	// more are left alone by whoever keeps them, and a strict server refuses a token of the future.
	backdated = 5 * time.Second

	// maxAhead is how far ahead of this machine's clock a token may be issued that is good at any
	// server. A server states its own time, so it could otherwise have a token made now that it can
	// use at another server next year.
	maxAhead = 24 * time.Hour

	// shortestLifetime leaves some time of use to a token for a server whose clock is ahead.
	shortestLifetime = 2 * backdated
)

// A JWT makes tokens (RFC 7519) and signs requests with them: it is a transport.Signer, and a
// Reader, a Refresher and an Observer of that package too. [JWT.Token] makes one by hand, as a
// login handler does. Whoever has a token can read it: it is signed and not encrypted, so no claim
// may be a secret. A claim whose name sounds like one is signed all the same: a name does not tell
// whether its value is secret.
//
// The iat and nbf of a token that Sign makes lie 5 seconds before the server's time, since strict
// servers refuse a token that is from a moment ahead by their clock. So its exp comes 5 seconds
// earlier than Lifetime says.
//
// With a Cookie, a Set-Cookie of that name is taken out of the answer, so that what a service makes
// of the token does not go to other ports by a cookie jar. It is not used: the JWT makes its own.
//
// The fields must not be changed after the first use. A JWT must not be copied then; it is safe for
// concurrent use, and so must Claims be.
type JWT struct {
	// Key is what tokens are signed with. For HS256 and its like it is a creds.Secret or []byte
	// with the secret. For the other methods it is a private key: a crypto.Signer, which may be a
	// piece of hardware, or a PEM file as a creds.Secret or []byte. Required.
	//
	// A creds.Secret is better than []byte: a struct that holds a JWT, and not a *JWT, is printed
	// without asking the JWT how, and so is an ed25519.PrivateKey in it.
	Key any

	// Method is how tokens are signed, as in [Key.Method]. Required.
	Method string

	// KeyID goes into the header of each token as kid, so that the other side can tell which key to
	// verify with. "": no kid.
	KeyID string

	// Claims gives what a token for req says, besides iat, nbf and exp, which are set by the clock
	// of the server. It is asked for each request, and a token is used again only while the claims
	// are the same. It must not change req. Nil: no claims.
	Claims func(req *http.Request) (jwt.MapClaims, error)

	// Lifetime is how long a token is good. Zero: 5 minutes. Less than 10 seconds is too short for
	// clocks that differ. More than 24 hours is for tokens only whose aud names the origin that
	// they are sent to, for instance "https://api.example.com". These bounds are those of Sign.
	//
	// Sign makes no token whose iat is over 24 hours ahead of this machine's clock, whatever the
	// server says the time is, unless its aud names that origin and nothing else.
	Lifetime time.Duration

	// Scheme is the word before the token in the Authorization field. "": Bearer. It is not used
	// for other fields.
	Scheme string

	// Header is the field that the token is sent in. "": Authorization.
	Header string

	// Cookie is the name of the cookie that the token is sent in, in place of a field. "": none.
	Cookie string

	// PyramidCookie writes the cookie as servers with pyramid_jwt read it.
	PyramidCookie bool

	// NoExpiry lets Token make tokens that never end, where no lifetime is given. What is signed by
	// Sign always has an end.
	NoExpiry bool

	// Weak allows keys that are too short, as in [Key.Weak].
	Weak bool

	// TokenID gives each token an id, as its jti: 128 random bits or more. A token signs several
	// requests; a server that takes each id once needs a jti of its own in Claims.
	TokenID bool

	once  sync.Once
	press *press
	err   error // why there is no press

	minted minted
}

var (
	_ transport.Signer    = (*JWT)(nil)
	_ transport.Reader    = (*JWT)(nil)
	_ transport.Refresher = (*JWT)(nil)
	_ transport.Observer  = (*JWT)(nil)
)

// A press makes tokens.
type press struct {
	key   *signingKey
	head  string // the header, encoded, with its dot
	place place
	err   error // why there is no place to put tokens
}

// Format writes the Method and the KeyID and not the Key of a *JWT, whatever the verb.
func (j *JWT) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{Method:%q KeyID:%q}", j.Method, j.KeyID)
}

// MarshalText returns an error: the Key is a secret. It implements [encoding.TextMarshaler], which
// encoding/json and encoding/xml ask for.
func (j *JWT) MarshalText() ([]byte, error) { return nil, errJWTMarshalled }

// MarshalBinary returns an error. It implements [encoding.BinaryMarshaler], which encoding/gob asks
// for.
func (j *JWT) MarshalBinary() ([]byte, error) { return nil, errJWTMarshalled }

var errJWTMarshalled = errors.New("bearer: a JWT is not marshalled: it holds a key")

// ready returns what makes the tokens of j.
func (j *JWT) ready() (*press, error) {
	j.once.Do(func() {
		j.err = errPanic
		j.press, j.err = j.newPress()
	})
	return j.press, j.err
}

func (j *JWT) newPress() (*press, error) {
	key, err := newSigningKey(j.Method, j.Key, j.Weak)
	if err != nil {
		return nil, err
	}
	if _, secret := key.verifies.([]byte); !secret && key.signs == nil {
		return nil, fmt.Errorf("%w: a public key cannot sign", ErrKey)
	}
	if len(j.KeyID) > maxKeyID || !utf8.ValidString(j.KeyID) {
		return nil, errBadKeyID
	}
	header := struct {
		Alg string `json:"alg"`
		Typ string `json:"typ"`
		Kid string `json:"kid,omitempty"`
	}{j.Method, "JWT", j.KeyID}
	head, err := json.Marshal(header)
	if err != nil {
		return nil, fmt.Errorf("bearer: the header of a token: %w", err)
	}
	p := &press{key: key, head: base64.RawURLEncoding.EncodeToString(head) + "."}
	p.place, p.err = placeOf(j.Scheme, j.Header, j.Cookie)
	p.place.pyramid = j.PyramidCookie && j.Cookie != ""
	return p, nil
}

// mint returns the token that says claims (RFC 7515, section 7.1).
func (p *press) mint(claims jwt.MapClaims) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("bearer: the claims of a token: %w", err)
	}
	text := p.head + base64.RawURLEncoding.EncodeToString(payload)
	signature, err := p.key.sign(text)
	if err != nil {
		return "", err
	}
	token := text + "." + base64.RawURLEncoding.EncodeToString(signature)
	if len(token) > maxToken {
		return "", errTooLong
	}
	return token, nil
}

var (
	errNotMinted = errors.New("bearer: the request that was refused carries no token of this JWT")
	errBadKeyID  = errors.New("bearer: the KeyID is over 1024 bytes, or is not UTF-8")
	errNoURL     = errors.New("bearer: the request has no URL")
	errTooLong   = fmt.Errorf("bearer: the token is over %d bytes: use fewer claims", maxToken)
	errNoSubject = errors.New("bearer: a token of nobody: give a subject, or claims with a sub")
	errShort     = fmt.Errorf("bearer: the Lifetime is under %v, so that tokens could end on "+
		"their way to a server whose clock is ahead", shortestLifetime)
	errLifetime = fmt.Errorf("bearer: the Lifetime is over %v: use a shorter one, or have Claims "+
		"set aud to the origin of the request", longestLifetime)
)

// Sign puts a token into req, in place of what is there. now is the time by the server's clock; the
// time that Claims takes is added to it. The token is that of an earlier request to the same origin
// if it says the same, is not about to end, and was made by a clock that agrees with now.
//
// Errors wrap [ErrKey], or are those of Claims and of the key, or tell that the claims make no
// token that a server would take.
func (j *JWT) Sign(req *http.Request, now time.Time) error {
	p, err := j.ready()
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
	var claims jwt.MapClaims
	if j.Claims != nil {
		if claims, err = j.Claims(req); err != nil {
			return err
		}
		if use.claims, err = canonical(claims); err != nil {
			return err
		}
		asked := time.Now()
		now, local = now.Add(asked.Sub(local)), asked
	}
	// Without its monotonic part, so that a step of the clock can be told from the passing of time.
	now = now.Round(0)
	token, ok := j.minted.find(use, now, local)
	if !ok {
		if token, err = j.mintFor(p, use, claims, now, local); err != nil {
			return err
		}
	}
	if req.Header == nil {
		req.Header = make(http.Header, 1)
	}
	return p.place.put(req.Header, token)
}

// canonical returns claims as JSON, whose members are sorted.
func canonical(claims jwt.MapClaims) (string, error) {
	text, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("bearer: the claims of a token: %w", err)
	}
	return string(text), nil
}

// mintFor makes a token and keeps it. Nothing is locked while the key signs, which may take a
// while; whoever comes meanwhile makes another token, which does no harm.
func (j *JWT) mintFor(
	p *press, use purpose, claims jwt.MapClaims, now, local time.Time,
) (string, error) {
	lifetime := j.lifetime()
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
	all := j.withID(claims)
	all["iat"], all["nbf"], all["exp"] = issued.Unix(), issued.Unix(), ends.Unix()
	token, err := p.mint(all)
	if err != nil {
		return "", err
	}
	j.minted.keep(use, &mintedToken{
		text: &token, now: now, local: local,
		renew: ends.Add(-min(time.Minute, lifetime/5)),
	})
	return token, nil
}

func (j *JWT) lifetime() time.Duration {
	if j.Lifetime == 0 {
		return defaultLifetime
	}
	return j.Lifetime
}

// withID returns a copy of claims, with an id if tokens have one.
func (j *JWT) withID(claims jwt.MapClaims) jwt.MapClaims {
	all := make(jwt.MapClaims, len(claims)+4)
	maps.Copy(all, claims)
	if _, ok := all["jti"]; !ok && j.TokenID {
		all["jti"] = rand.Text()
	}
	return all
}

// Read says what a refusal means, as [Signer.Read] does: the Cause is "credential" where the token
// is not accepted. A server that says no more by that than that its clock differs is understood by
// package transport, which looks at the time of the answer first.
func (j *JWT) Read(resp *http.Response) (refusal transport.Refusal) {
	if p, err := j.ready(); err == nil && p.err == nil {
		refusal.Cause = readRefusal(p.place, resp)
	}
	return refusal
}

// Refresh drops the token that resp.Request carried, and reports whether another one is worth
// sending: not if that token was made within the last 5 seconds, most likely for this very request.
func (j *JWT) Refresh(resp *http.Response) (again bool, err error) {
	p, err := j.ready()
	switch {
	case err != nil:
		return false, err
	case resp == nil || resp.Request == nil:
		return false, errNotMinted
	}
	token, err := p.place.get(resp.Request.Header)
	if err != nil || token == "" {
		return false, errNotMinted
	}
	return j.minted.drop(token), nil
}

// Observe takes a Set-Cookie of the name of the Cookie out of resp; see [JWT].
func (j *JWT) Observe(resp *http.Response, _ transport.Outcome) error {
	if j.Cookie != "" {
		takeCookie(resp, j.Cookie)
	}
	return nil
}

// Token makes a token for a login handler, by the clock of this machine. It says claims, and then
// what wins over them: sub, iat, exp and, if an audience is given, aud.
//
// A subject of "" leaves the sub of claims, which must be there then, and may be a number.
// A lifetime of zero means that of j; where that is zero too, it is 5 minutes, or, with NoExpiry,
// no exp but that of claims. A negative one makes a token that has ended already, for tests. The
// bounds of Lifetime do not apply here. One audience is written as a text, several are as a list.
//
// Errors wrap [ErrKey], or are those of the key, or tell that the claims make no token.
func (j *JWT) Token(
	subject string, claims jwt.MapClaims, lifetime time.Duration, audience ...string,
) (string, error) {
	p, err := j.ready()
	if err != nil {
		return "", err
	}
	all, err := j.says(subject, claims, lifetime, time.Now())
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

// says returns what a token made by hand says.
func (j *JWT) says(
	subject string, claims jwt.MapClaims, lifetime time.Duration, now time.Time,
) (jwt.MapClaims, error) {
	all := j.withID(claims)
	if subject != "" {
		all["sub"] = subject
	}
	if sub := all["sub"]; sub == nil || sub == "" {
		return nil, errNoSubject
	}
	all["iat"] = now.Unix()
	if lifetime == 0 {
		lifetime = j.Lifetime
	}
	if lifetime == 0 && !j.NoExpiry {
		lifetime = defaultLifetime
	}
	if lifetime != 0 {
		all["exp"] = now.Unix() + wholeSeconds(lifetime)
	}
	return all, nil
}

// wholeSeconds rounds up what is positive, so that no lifetime becomes none.
func wholeSeconds(d time.Duration) int64 {
	s := int64(d / time.Second)
	if d%time.Second > 0 {
		s++
	}
	return s
}
