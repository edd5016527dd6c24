package jwt

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	joselib "github.com/go-jose/go-jose/v4"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/fetch"
	"github.com/countersign-go/countersign/internal/jose"
	"github.com/countersign-go/countersign/internal/origin"
)

const (
	// maxKeySet is the largest set that is read, in bytes.
	maxKeySet = 1 << 20
	// keySetTime is how long one fetch may take.
	keySetTime = 10 * time.Second
	// keySetPause is the least time between the starts of two fetches.
	keySetPause = time.Minute
	// keySetFresh is the age at which a copy is replaced.
	keySetFresh = time.Hour
	// keySetEnd is the age at which a copy that cannot be replaced is dropped.
	keySetEnd = 24 * time.Hour
)

// A JWKS is a [KeySet] that an issuer publishes at a URL (RFC 7517, section 5). It fetches the set
// for the first token, and keeps a copy in memory, which it replaces after an hour if it is in use.
// It ignores keys that are private, symmetric, too small or not for signatures.
//
// A JWKS must not be copied after first use. It is safe for concurrent use.
type JWKS struct {
	// URL is the address of the set: https, or plain http to a loopback host. Redirects are
	// followed only within its origin. Required.
	URL string

	// HTTP fetches the set. If nil, a zero http.Client.
	HTTP *http.Client

	// Method is the method of RSA keys without alg, such as PS256. If "", RS256.
	Method string

	mu      sync.Mutex // guards the fields below; not held during a fetch
	keys    keyCopy
	tried   time.Time     // when the last fetch began
	flight  chan struct{} // closed when the running fetch ends; otherwise nil
	failure error         // why the last fetch failed; nil if it succeeded or is the first
}

// A keyCopy is a fetched key set.
type keyCopy struct {
	byID    map[string]*Key // "" is for tokens without kid; nil without a copy
	fetched time.Time
}

// Format writes the URL without its query, and the Method, for every verb.
func (s *JWKS) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{URL:%q Method:%q}", s.address(), s.Method)
}

func (s *JWKS) address() string {
	u, err := url.Parse(s.URL)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// Err returns the error of the last fetch, or nil. It is for monitoring: the copy hides a failure
// for 24 hours.
func (s *JWKS) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// VerificationKey returns the key of kid. If the copy has no such key, it fetches the set, at most
// once a minute, and waits until ctx ends. If fetches fail, the copy stays in use until 24 hours
// after the last success, and the error for an unknown kid wraps [auth.ErrUnavailable].
func (s *JWKS) VerificationKey(ctx context.Context, kid string) (*Key, error) {
	s.mu.Lock()
	now := time.Now()
	key, err := s.lookup(kid, now)
	wait := s.flight
	if s.due(key == nil, now) {
		wait = make(chan struct{})
		s.flight, s.tried = wait, now
		go s.fly(ctx, wait)
	}
	s.mu.Unlock()
	if key != nil || wait == nil {
		return key, err
	}
	select {
	case <-wait:
	case <-ctx.Done():
		return nil, unavailable("waiting for the key set", ctx.Err())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lookup(kid, time.Now())
}

// due reports whether it is time for a fetch. It is called with s.mu held.
func (s *JWKS) due(missing bool, now time.Time) bool {
	return (missing || now.Sub(s.keys.fetched) >= keySetFresh) && s.flight == nil &&
		(s.tried.IsZero() || now.Sub(s.tried) >= keySetPause)
}

// lookup finds a key in the copy. It is called with s.mu held.
func (s *JWKS) lookup(kid string, now time.Time) (*Key, error) {
	if now.Sub(s.keys.fetched) >= keySetEnd {
		s.keys = keyCopy{}
	}
	if key := s.keys.byID[kid]; key != nil {
		return key, nil
	}
	if s.keys.byID != nil && s.failure == nil {
		return nil, ErrUnknownKey
	}
	err := s.failure
	if err == nil {
		err = errors.New("it was not fetched yet")
	}
	failed := unavailable("fetching the key set of "+s.address(), err)
	if _, wrong := errors.AsType[setupError](err); wrong {
		return nil, failed // a later fetch would fail too
	}
	return nil, &outage{failed, max(0, keySetPause-now.Sub(s.tried))}
}

// An outage is an error that knows when the next fetch may start.
type outage struct {
	error
	wait time.Duration
}

func (o *outage) Unwrap() error { return o.error }

// RetryAfter returns how long no fetch may start.
func (o *outage) RetryAfter() time.Duration { return o.wait }

var (
	_ auth.DelayError  = (*outage)(nil)
	_ creds.DelayError = (*outage)(nil)
)

// fly runs one fetch for all callers that wait. It goes on if the first of them gives up.
func (s *JWKS) fly(first context.Context, landed chan struct{}) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(first), keySetTime)
	defer cancel()
	var keys map[string]*Key
	// This error remains if the HTTP client ends the goroutine instead of returning.
	err := errors.New("the HTTP client panicked, or called runtime.Goexit")
	defer func() {
		_ = recover() // the value may hold a secret of the HTTP client
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.failure = err; err == nil {
			s.keys = keyCopy{keys, time.Now()}
		}
		s.flight = nil
		close(landed)
	}()
	keys, err = s.fetch(ctx)
}

func (s *JWKS) fetch(ctx context.Context) (map[string]*Key, error) {
	req, method, err := s.request(ctx)
	if err != nil {
		return nil, setupError{err}
	}
	answer, err := fetch.DoUpTo(s.client(), req, maxKeySet)
	if err != nil {
		return nil, err
	}
	return readKeySet(answer.Object, method)
}

// request returns the request for the set, and the method of RSA keys without alg.
func (s *JWKS) request(ctx context.Context) (req *http.Request, method string, err error) {
	method = s.Method
	if method == "" {
		method = "RS256"
	}
	if a, _ := jose.ByName(method); !a.IsRSA() {
		return nil, "", errors.New(
			"its Method is not one of RSA: set it to that of keys without alg")
	}
	u, err := url.Parse(s.URL)
	if err != nil || u.User != nil || u.Hostname() == "" ||
		u.Scheme != "https" && (u.Scheme != "http" || !origin.Of(u).Loopback()) {
		return nil, "", errors.New("its URL is not like https://issuer.example/keys")
	}
	req, err = http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		return nil, "", errors.New("its URL cannot be asked")
	}
	if u.Scheme == "http" && origin.Exposed(s.client().Transport, req) {
		return nil, "", errors.New("the proxy of its HTTP is on another machine: use https")
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	return req, method, nil
}

func (s *JWKS) client() *http.Client {
	if s.HTTP == nil {
		return new(http.Client)
	}
	return s.HTTP
}

func readKeySet(object map[string]any, rsaMethod string) (map[string]*Key, error) {
	list, ok := object["keys"].([]any)
	if !ok {
		return nil, errors.New("it has no list of keys")
	}
	byID := make(map[string]keyGroup)
	var all keyGroup
	for _, entry := range list {
		if kid, key := readJWK(entry, rsaMethod); key != nil {
			all = all.with(key)
			if kid != "" {
				byID[kid] = byID[kid].with(key)
			}
		}
	}
	byID[""] = all // a token without kid may be signed by any of them
	keys := make(map[string]*Key)
	for kid, group := range byID {
		if key := group.key(); key != nil {
			keys[kid] = key
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("none of its %d keys can be used", len(list))
	}
	return keys, nil
}

// A keyGroup holds the keys with one kid. A kid, a key type and a method together name a key, and
// each method has one key type (RFC 7517, section 4.5).
type keyGroup []*keyEntry

// A keyEntry is the only key for a method. The key is nil if there are several.
type keyEntry struct {
	method string
	key    *Key
}

// with returns the group with key added, unless the group holds it already.
func (g keyGroup) with(key *Key) keyGroup {
	for _, entry := range g {
		if !jose.Same(entry.method, key.Method) {
			continue
		}
		if entry.key != nil && !equalKeys(entry.key.ready.key.verifies, key.ready.key.verifies) {
			entry.key = nil
		}
		return g
	}
	return append(g, &keyEntry{key.Method, key})
}

// key returns a key that stands for the whole group, or nil if each method has several keys.
func (g keyGroup) key() *Key {
	var keys []*Key
	for _, entry := range g {
		if entry.key != nil {
			keys = append(keys, entry.key)
		}
	}
	if len(keys) < 2 {
		return append(keys, nil)[0]
	}
	first := keys[0]
	return &Key{Method: first.Method, Key: first.Key, more: keys[1:]}
}

// readJWK reads one key (RFC 7517, section 4). It returns nil for a key to ignore.
func readJWK(entry any, rsaMethod string) (kid string, _ *Key) {
	object, ok := entry.(map[string]any)
	if !ok {
		return "", nil
	}
	// Some encoders write null for an absent member.
	object = maps.Clone(object)
	maps.DeleteFunc(object, func(_ string, value any) bool { return value == nil })
	if uses, limited := object["key_ops"]; limited {
		list, _ := uses.([]any)
		if !slices.Contains(list, any("verify")) {
			return "", nil
		}
	}
	// The original was parsed strictly, so the JSON text that is written here has only one meaning.
	text, err := json.Marshal(object)
	if err != nil {
		return "", nil
	}
	var jwk joselib.JSONWebKey
	if err := jwk.UnmarshalJSON(text); err != nil || !jwk.IsPublic() ||
		jwk.Use != "" && jwk.Use != "sig" || len(jwk.KeyID) > jose.MaxKeyID {
		return "", nil
	}
	key := &Key{Method: jwk.Algorithm, Key: jwk.Key}
	if key.Method == "" {
		key.Method = usualMethod(jwk.Key, rsaMethod)
	}
	if _, err := key.prepared(); err != nil {
		return "", nil
	}
	return jwk.KeyID, key
}

// usualMethod returns the method of a key without alg.
func usualMethod(key any, rsaMethod string) string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return rsaMethod
	case ed25519.PublicKey:
		return "EdDSA"
	case *ecdsa.PublicKey:
		return jose.OfCurve(k.Curve.Params().BitSize)
	}
	return ""
}
