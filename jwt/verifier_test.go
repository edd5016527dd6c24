package jwt_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/jwt"
	"github.com/countersign-go/countersign/jwt/pyramid"
)

var (
	_ auth.Authenticator = (*jwt.Verifier)(nil)
	_ auth.Challenger    = (*jwt.Verifier)(nil)
)

// A keyFunc is a KeySet.
type keyFunc func(ctx context.Context, kid string) (*jwt.Key, error)

func (f keyFunc) VerificationKey(ctx context.Context, kid string) (*jwt.Key, error) {
	return f(ctx, kid)
}

// annToken returns a token for ann that is valid for an hour, with changed claims.
func annToken(t testing.TB, change map[string]any) string {
	t.Helper()
	claims := claimsOf("1", time.Hour)
	maps.Copy(claims, change)
	return mint(t, hmacKey, nil, claims)
}

func TestAuthenticate(t *testing.T) {
	v := &jwt.Verifier{
		Keys: hmacKey,
		Groups: func(_ context.Context, claims map[string]any) ([]string, error) {
			return []string{fmt.Sprint("of ", claims["sub"])}, nil
		},
	}
	end := time.Now().Add(time.Hour).Truncate(time.Second)
	header := `{"alg":"HS256","typ":"JWT"}`
	token := mint(t, hmacKey, header,
		fmt.Sprintf(`{"sub":"ann","exp":%d,"big":12345678901234567890.10}`, end.Unix()))
	id, err := v.Authenticate(withToken(token))
	if err != nil {
		t.Fatal(err)
	}
	if id.Subject != "ann" || id.Scheme != "Bearer" || !id.Expires.Equal(end) ||
		!slices.Equal(id.Groups, []string{"of ann"}) ||
		fmt.Sprint(id.Claims["big"]) != "12345678901234567890.10" || len(id.Claims) != 3 {
		t.Errorf("%+v", id)
	}
}

// TestPlaces checks where a token is found, and under which scheme.
func TestPlaces(t *testing.T) {
	token := annToken(t, nil)
	for x := "x"; len(token)%3 == 1; x += "x" { // so that its cookie has padding
		token = annToken(t, map[string]any{"x": x})
	}
	encoded := pyramidCookie(token)
	long := strings.Repeat("x", 8<<10)
	type fields = http.Header
	type verifier = jwt.Verifier
	for _, c := range []struct {
		name string
		v    verifier
		sent fields
		want string // a scheme, "none", "refused", or "anonymous" (none, with a reason)
	}{
		{"default", verifier{}, fields{"Authorization": {"Bearer " + token}}, "Bearer"},
		{"other case", verifier{}, fields{"Authorization": {"bEARER " + token}}, "Bearer"},
		{"blanks", verifier{}, fields{"Authorization": {"Bearer   " + token}}, "Bearer"},
		{"own scheme", verifier{Scheme: "JWT"}, fields{"Authorization": {"jwt " + token}}, "JWT"},
		{"other scheme", verifier{}, fields{"Authorization": {"JWT " + token}}, "none"},
		{"longer scheme", verifier{}, fields{"Authorization": {"Bearers " + token}}, "none"},
		{"no field", verifier{}, nil, "none"},
		{"no token", verifier{}, fields{"Authorization": {"Bearer"}}, "refused"},
		{"words behind", verifier{}, fields{"Authorization": {"Bearer " + token + " x"}},
			"refused"},
		{"comma behind", verifier{}, fields{"Authorization": {"Bearer " + token + ","}},
			"refused"},
		{"tab", verifier{}, fields{"Authorization": {"Bearer\t" + token}}, "refused"},
		{"two fields, C15", verifier{}, fields{
			"Authorization": {"Bearer " + token, "Bearer " + token}}, "refused"},
		{"two schemes, C15", verifier{}, fields{
			"Authorization": {"Basic eDp5", "Bearer " + token}}, "refused"},
		{"8 KiB, S4", verifier{}, fields{"Authorization": {"Bearer " + long}}, "refused"},

		{"own field", verifier{Header: "x-token"}, fields{"X-Token": {token}}, "Bearer"},
		{"own field, and a scheme", verifier{Header: "X-Token"},
			fields{"X-Token": {"Bearer " + token}}, "refused"},
		{"own field twice", verifier{Header: "X-Token"},
			fields{"X-Token": {token, token}}, "refused"},
		{"own field empty", verifier{Header: "X-Token"}, fields{"X-Token": {""}}, "none"},
		{"own field, 8 KiB", verifier{Header: "X-Token"}, fields{"X-Token": {long + "x"}},
			"refused"},
		{"Authorization in lower case", verifier{Header: "authorization"},
			fields{"Authorization": {"Bearer " + token}}, "Bearer"},
		{"own field, sent in another", verifier{Header: "X-Token"},
			fields{"Authorization": {"Bearer " + token}}, "none"},

		{"cookie", verifier{Cookie: "s"}, fields{"Cookie": {"a=b; s=" + token}}, "Cookie"},
		{"cookie in the second field", verifier{Cookie: "s"},
			fields{"Cookie": {"a=b", "s=" + token}}, "Cookie"},
		{"no cookie", verifier{Cookie: "s"}, fields{"Cookie": {"a=b"}}, "none"},
		{"cookie of another case", verifier{Cookie: "s"}, fields{"Cookie": {"S=" + token}}, "none"},
		{"cookie empty", verifier{Cookie: "s"}, fields{"Cookie": {"s="}}, "none"},
		{"cookie, and a field", verifier{Cookie: "s"},
			fields{"Authorization": {"Bearer " + token}}, "none"},
		{"cookie garbage, J16", verifier{Cookie: "s"}, fields{"Cookie": {"s=garbage"}},
			"anonymous"},
		{"cookie in quotes", verifier{Cookie: "s"},
			fields{"Cookie": {`s="` + token + `"`}}, "Cookie"},
		{"cookie in half a pair of quotes", verifier{Cookie: "s"},
			fields{"Cookie": {`s="` + token}}, "anonymous"},
		{"cookie twice", verifier{Cookie: "s"},
			fields{"Cookie": {"s=" + token + "; s=" + token}}, "anonymous"},
		{"cookie too long", verifier{Cookie: "s"}, fields{"Cookie": {"s=" + long + "x"}},
			"anonymous"},
		{"pyramid", verifier{Cookie: "s", Encoding: pyramid.Cookie{}},
			fields{"Cookie": {"s=" + encoded}}, "Cookie"},
		{"pyramid without padding", verifier{Cookie: "s", Encoding: pyramid.Cookie{}},
			fields{"Cookie": {"s=" + strings.TrimRight(encoded, "=")}}, "anonymous"},
		{"pyramid, sent bare", verifier{Cookie: "s", Encoding: pyramid.Cookie{}},
			fields{"Cookie": {"s=" + token}}, "anonymous"},
		{"bare, sent as pyramid", verifier{Cookie: "s"}, fields{"Cookie": {"s=" + encoded}},
			"anonymous"},
	} {
		c.v.Keys = hmacKey
		id, err := c.v.Authenticate(&http.Request{Header: c.sent})
		got := kindOf(err)
		if err == nil {
			got = id.Scheme
		}
		if got != c.want {
			t.Errorf("%s: %s (%v), want %s", c.name, got, err, c.want)
		}
	}
}

// kindOf returns the kind of an error of Authenticate.
func kindOf(err error) string {
	none, refused := errors.Is(err, auth.ErrNone), errors.Is(err, jwt.ErrRefused)
	switch {
	case err == nil:
		return "accepted"
	case errors.Is(err, auth.ErrUnavailable): // even if it is of another kind too
		return "unavailable"
	case none && refused:
		return "anonymous"
	case err == auth.ErrNone:
		return "none"
	case refused:
		return "refused"
	}
	return "other"
}

// TestVerifierCrossOrigin_S16 has browsers send a valid cookie, and programs a valid token.
func TestVerifierCrossOrigin_S16(t *testing.T) {
	token := annToken(t, nil)
	for _, c := range []struct {
		name, method, site, origin string
		want                       string // of a cookie; in a field, all are accepted
	}{
		{"another site", "POST", "cross-site", "https://evil.example", "anonymous"},
		{"a neighbour", "DELETE", "same-site", "https://blog.example.org", "anonymous"},
		{"an old browser", "POST", "", "https://evil.example", "anonymous"},
		{"of no origin", "PUT", "", "null", "anonymous"},
		{"to look only", "GET", "cross-site", "", "accepted"},
		{"same origin", "POST", "same-origin", "https://app.example.org", "accepted"},
		{"an old browser, same origin", "POST", "", "https://app.example.org", "accepted"},
		{"no browser", "POST", "", "", "accepted"},
	} {
		req := httptest.NewRequestWithContext(t.Context(), c.method, siteURL, nil)
		req.Header.Set("Cookie", "s="+token)
		req.Header.Set("Authorization", "Bearer "+token)
		for name, value := range map[string]string{"Sec-Fetch-Site": c.site, "Origin": c.origin} {
			if value != "" {
				req.Header.Set(name, value)
			}
		}
		_, err := (&jwt.Verifier{Keys: hmacKey, Cookie: "s"}).Authenticate(req)
		if got := kindOf(err); got != c.want {
			t.Errorf("%s: %s (%v), want %s", c.name, got, err, c.want)
		}
		if _, err := (&jwt.Verifier{Keys: hmacKey}).Authenticate(req); err != nil {
			t.Errorf("%s, in a field: %v", c.name, err)
		}
	}
}

var errDown = errors.New("the database is down")

// TestHooks checks the effect of the results of Keys, Revoked and Groups, with the token in a field
// and in a cookie.
func TestHooks(t *testing.T) {
	keys := func(key *jwt.Key, err error) jwt.KeySet {
		return keyFunc(func(context.Context, string) (*jwt.Key, error) { return key, err })
	}
	groups := func(err error) jwt.Verifier {
		return jwt.Verifier{Keys: hmacKey,
			Groups: func(context.Context, map[string]any) ([]string, error) { return nil, err }}
	}
	revoked := func(yes bool, err error) jwt.Verifier {
		return jwt.Verifier{Keys: hmacKey,
			Revoked: func(context.Context, map[string]any) (bool, error) { return yes, err }}
	}
	wrap := func(err error) error { return fmt.Errorf("wrapped: %w", err) }
	lookup := func(keys jwt.KeySet) jwt.Verifier { return jwt.Verifier{Keys: keys} }
	unknown := wrap(jwt.ErrUnknownKey)
	both := errors.Join(jwt.ErrUnknownKey, auth.ErrUnavailable)
	other := &jwt.Key{Method: "HS256", Key: []byte(strings.Repeat("k", 32))}
	for name, c := range map[string]struct {
		v              jwt.Verifier
		header, cookie string
	}{
		"no key":            {lookup(keys(nil, nil)), "refused", "anonymous"},
		"unknown key":       {lookup(keys(nil, unknown)), "refused", "anonymous"},
		"no map":            {lookup(jwt.KeyMap(nil)), "refused", "anonymous"},
		"another key":       {lookup(other), "refused", "anonymous"},
		"keys down, S9":     {lookup(keys(nil, errDown)), "unavailable", "unavailable"},
		"keys in no time":   {lookup(keys(nil, context.Canceled)), "unavailable", "unavailable"},
		"unknown, and down": {lookup(keys(nil, both)), "unavailable", "unavailable"},
		"unusable key":      {lookup(&jwt.Key{Method: "HS256"}), "unavailable", "unavailable"},

		"revoked":                {revoked(true, nil), "refused", "anonymous"},
		"not revoked":            {revoked(false, nil), "accepted", "accepted"},
		"revoked or not, S9":     {revoked(true, errDown), "unavailable", "unavailable"},
		"revoked or not, unsure": {revoked(false, auth.ErrNone), "unavailable", "unavailable"},

		"groups":            {groups(nil), "accepted", "accepted"},
		"groups refuse":     {groups(errDown), "refused", "anonymous"},
		"groups down, S9":   {groups(wrap(auth.ErrUnavailable)), "unavailable", "unavailable"},
		"groups in no time": {groups(wrap(context.DeadlineExceeded)), "unavailable", "unavailable"},
		"groups say none":   {groups(wrap(auth.ErrNone)), "refused", "anonymous"},
		"groups say denied": {groups(wrap(jwt.ErrExpired)), "refused", "anonymous"},
	} {
		token := annToken(t, nil)
		_, err := c.v.Authenticate(withToken(token))
		if got := kindOf(err); got != c.header {
			t.Errorf("%s: %s (%v), want %s", name, got, err, c.header)
		}
		if errors.Is(err, jwt.ErrExpired) {
			t.Errorf("%s: another decision was made of the error: %v", name, err)
		}
		c.v.Cookie = "s"
		_, err = c.v.Authenticate(&http.Request{Header: http.Header{"Cookie": {"s=" + token}}})
		if got := kindOf(err); got != c.cookie {
			t.Errorf("%s, cookie: %s (%v), want %s", name, got, err, c.cookie)
		}
	}
}

// TestHooksAreAskedLast_S10 checks that hooks are called only for tokens that are genuine, valid
// now and for this service.
func TestHooksAreAskedLast_S10(t *testing.T) {
	asked := 0
	v := &jwt.Verifier{
		Keys: hmacKey, Audience: []string{"api"},
		Revoked: func(context.Context, map[string]any) (bool, error) {
			asked++
			return false, nil
		},
		Groups: func(context.Context, map[string]any) ([]string, error) {
			asked++
			return nil, nil
		},
	}
	good := annToken(t, map[string]any{"aud": "api"})
	for _, token := range []string{
		good[:len(good)-4], "x", annToken(t, nil),
		annToken(t, map[string]any{"aud": "api", "exp": 1}),
	} {
		if _, err := v.Authenticate(withToken(token)); err == nil || asked != 0 {
			t.Errorf("%v, and %d hooks were asked", err, asked)
		}
	}
	if _, err := v.Authenticate(withToken(good)); err != nil || asked != 2 {
		t.Errorf("%v, and %d hooks were asked", err, asked)
	}
}

// TestSetup checks that a Verifier that is set up wrongly answers 503 to every token.
func TestSetup(t *testing.T) {
	for want, v := range map[string]*jwt.Verifier{
		"no Keys":          {},
		"Leeway is not":    {Keys: hmacKey, Leeway: 5*time.Minute + 1},
		"Leeway is not f":  {Keys: hmacKey, Leeway: -1},
		"empty name":       {Keys: hmacKey, Audience: []string{"api", ""}},
		"but no Cookie":    {Keys: hmacKey, Encoding: pyramid.Cookie{}},
		"choose one":       {Keys: hmacKey, Cookie: "s", Header: "X"},
		"RFC 9110":         {Keys: hmacKey, Scheme: "Be arer"},
		"Header is Cookie": {Keys: hmacKey, Header: "cookie"},
	} {
		for _, token := range []string{annToken(t, nil), "x"} {
			_, err := v.Authenticate(withToken(token))
			_, err2 := v.Verify(context.Background(), token)
			for _, err := range []error{err, err2} {
				if kindOf(err) != "unavailable" || !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %v", want, err)
				}
			}
		}
	}
}

// forged changes one character in the middle of a token's signature.
func forged(token string) string {
	i := strings.LastIndexByte(token, '.') + 20
	other := "A"
	if token[i] == 'A' {
		other = "B"
	}
	return token[:i] + other + token[i+1:]
}

// TestChallenge_J15 checks that the challenge is the same for all faults of a token.
func TestChallenge_J15(t *testing.T) {
	v := &jwt.Verifier{Keys: jwt.KeyMap{"": hmacKey}}
	good := annToken(t, nil)
	for name, token := range map[string]string{
		"expired":     annToken(t, map[string]any{"exp": 1}),
		"forged":      forged(good),
		"garbage":     "x",
		"unknown key": mint(t, hmacKey, `{"alg":"HS256","kid":"x"}`, `{}`),
		"for another": annToken(t, map[string]any{"aud": "x"}),
	} {
		_, err := v.Authenticate(withToken(token))
		if c := challenge(v, err); c != `Bearer error="invalid_token"` {
			t.Errorf("%s: %s for %v", name, c, err)
		}
	}
	// An expired token that is forged is not reported as expired, since it is not known to be
	// genuine.
	old := annToken(t, map[string]any{"exp": 1})
	_, err := v.Authenticate(withToken(forged(old)))
	if err == nil || errors.Is(err, jwt.ErrExpired) {
		t.Errorf("forged and expired: %v", err)
	}
}

// challenge returns the WWW-Authenticate field with which c answers err.
func challenge(c auth.Challenger, err error) string {
	h := http.Header{}
	c.Challenge(h, httptest.NewRequest("GET", "/", nil), err)
	return h.Get("WWW-Authenticate")
}

func TestChallenge(t *testing.T) {
	refused := fmt.Errorf("wrapped: %w", jwt.ErrRefused)
	anonymous := fmt.Errorf("%w: %w", auth.ErrNone, jwt.ErrRefused)
	for _, c := range []struct {
		v    jwt.Verifier
		err  error
		want string
	}{
		{jwt.Verifier{}, auth.ErrNone, `Bearer`},
		{jwt.Verifier{}, nil, `Bearer`},
		{jwt.Verifier{}, refused, `Bearer error="invalid_token"`},
		{jwt.Verifier{Realm: `the "api"`}, auth.ErrNone, `Bearer realm="the \"api\""`},
		{jwt.Verifier{Realm: "api"}, refused, `Bearer realm="api", error="invalid_token"`},
		{jwt.Verifier{Scheme: "JWT"}, refused, `JWT error="invalid_token"`},
		{jwt.Verifier{Header: "x-token"}, auth.ErrNone, `Bearer header="X-Token"`},
		{jwt.Verifier{Header: "X-Token", Realm: "api"}, refused,
			`Bearer realm="api", header="X-Token", error="invalid_token"`},
		{jwt.Verifier{Cookie: "s"}, anonymous, `Cookie cookie-name="s"`},
		{jwt.Verifier{Cookie: "s", Realm: "api"}, auth.ErrNone,
			`Cookie realm="api", cookie-name="s"`},
		{jwt.Verifier{Cookie: "s p"}, refused, `Bearer`},
		{jwt.Verifier{Realm: "r"}, fmt.Errorf("wrapped: %w", &auth.ScopeError{Scope: "a b"}),
			`Bearer realm="r", error="insufficient_scope", scope="a b"`},
		{jwt.Verifier{}, &auth.ScopeError{}, `Bearer error="insufficient_scope"`},
	} {
		c.v.Keys = hmacKey
		if got := challenge(&c.v, c.err); got != c.want {
			t.Errorf("%+v, %v: %s, want %s", c.v, c.err, got, c.want)
		}
	}
}

// TestAuthenticateToken checks that a token gets the same result as in a request.
func TestAuthenticateToken(t *testing.T) {
	claims := func(sub string) string {
		return mint(t, hmacKey, nil, map[string]any{"sub": sub, "exp": time.Now().Unix() + 60})
	}
	v := &jwt.Verifier{Keys: hmacKey, Cookie: "session",
		Revoked: func(_ context.Context, claims map[string]any) (bool, error) {
			if claims["sub"] == "store is down" {
				return false, errDown
			}
			return claims["sub"] == "withdrawn", nil
		},
		Groups: func(_ context.Context, claims map[string]any) ([]string, error) {
			if claims["sub"] == "left" {
				return nil, errDown
			}
			return []string{"staff"}, nil
		},
	}
	for _, tt := range []struct {
		token string
		want  error
	}{
		{claims("ann"), nil},
		{claims("withdrawn"), jwt.ErrRefused},
		{claims("store is down"), auth.ErrUnavailable},
		{claims("left"), jwt.ErrRefused},
		{"", jwt.ErrRefused},
		{"Bearer " + claims("ann"), jwt.ErrRefused},
		{mint(t, hmacKey, nil, map[string]any{"sub": "ann", "exp": 1}), jwt.ErrExpired},
	} {
		id, err := v.AuthenticateToken(t.Context(), tt.token)
		if !errors.Is(err, tt.want) || (id == nil) != (err != nil) || errors.Is(err, auth.ErrNone) {
			t.Errorf("%.40q: %v, want %v", tt.token, err, tt.want)
		}
		if id != nil && (id.Subject != "ann" || !slices.Equal(id.Groups, []string{"staff"}) ||
			id.Scheme != "Cookie" || id.Expires.IsZero()) {
			t.Errorf("identity %+v", id)
		}
	}
	if _, err := new(jwt.Verifier).AuthenticateToken(t.Context(), claims("ann")); !errors.Is(err,
		auth.ErrUnavailable) {
		t.Errorf("a Verifier that is not set up: %v", err)
	}
}
