package bearer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/oauth2"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/fetch"
	"github.com/countersign-go/countersign/internal/origin"
	"github.com/countersign-go/countersign/internal/place"
)

// A Login gets a token for a user and a password from the login page of a service. [Login.Token]
// fits the field Fetch of [Tokens]. A Login is safe for concurrent use if its fields are not
// changed.
//
//nolint:recvcheck // code that prints a Login by value must find Format too
type Login struct {
	// URL is the address of the login page: https, or plain http to a loopback host without a proxy
	// on another machine. Required.
	URL string

	// User and Password are the account to log in with.
	User     string
	Password creds.Secret

	// UserField and PasswordField are their names in the request. If "", username and password.
	UserField, PasswordField string

	// TokenField is the member of the response that holds the token. If "", access_token, or else
	// token.
	TokenField string

	// JSON sends User and Password as a JSON object instead of a form.
	JSON bool

	// Cookie is the name of the cookie whose value is the token. If "", the token is in the body of
	// the response.
	Cookie string

	// HTTP sends the request, with its Transport, Jar and Timeout. Token does not change it. If
	// nil, a zero http.Client.
	HTTP *http.Client
}

// Token logs in and returns a new token. It does not use the old one. It sends one POST, which
// takes at most 30 s, and reads at most 64 KiB. It follows only redirects 307 and 308 within the
// origin, and none if Cookie is set. The error is an [*Error], or reports fields that are set
// wrongly.
//
// The response must be a JSON object that holds the token as a string. It may hold expires_in, in
// seconds, as a number or a string, and refresh_token. Other members are ignored, and names are
// exact. If expires_in is absent, empty or not positive, a JSON Web Token ends at its exp, if that
// lies ahead. The exp is not verified: it only tells when to log in again.
//
// With a Cookie, Token reads only the Set-Cookie of a response with a 2xx or 3xx status; see
// [Signer.Observe] for its end. No cookie jar receives that cookie.
func (l *Login) Token(ctx context.Context, _ *oauth2.Token) (*oauth2.Token, error) {
	client, req, err := l.prepare(ctx)
	switch {
	case err != nil:
		return nil, misuse{err}
	case l.Cookie != "":
		return l.fromCookie(client, req)
	}
	return l.fromObject(client, req)
}

// prepare returns the request, and a client to send it with.
func (l *Login) prepare(ctx context.Context) (*http.Client, *http.Request, error) {
	req, err := l.request(ctx)
	if err != nil {
		return nil, nil, err
	}
	client := new(http.Client)
	if l.HTTP != nil {
		*client = *l.HTTP
	}
	if req.URL.Scheme == "http" && origin.Exposed(client.Transport, req) {
		return nil, nil, errors.New("bearer: the proxy of Login.HTTP is on another machine and " +
			"would see the password: use https for Login.URL")
	}
	return client, req, nil
}

// target returns the URL, if a password may be sent there.
func (l *Login) target() (*url.URL, error) {
	u, err := url.Parse(l.URL)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		// The text of err repeats the URL, which may hold a password.
		return nil, errors.New("bearer: Login.URL is not an address: set it to the https URL of " +
			"the login view")
	case u.User != nil:
		return nil, errors.New("bearer: Login.URL holds a user or password: set User and Password")
	case u.Scheme == "http" && !origin.Of(u).Loopback():
		return nil, errors.New("bearer: plain http would show the password on the way: use https " +
			"for Login.URL")
	}
	return u, nil
}

func (l *Login) request(ctx context.Context) (*http.Request, error) {
	u, err := l.target()
	if err != nil {
		return nil, err
	}
	if l.Cookie != "" && !place.IsWord(l.Cookie) {
		return nil, errors.New("bearer: the name of the Cookie is not a token of RFC 9110")
	}
	if l.JSON && !(utf8.ValidString(l.User) && utf8.ValidString(string(l.Password))) {
		return nil, errors.New("bearer: JSON holds UTF-8 only, and User or Password is something " +
			"else: unset JSON")
	}
	user, password := l.UserField, l.PasswordField
	if user == "" {
		user = "username"
	}
	if password == "" {
		password = "password"
	}
	form := url.Values{user: {l.User}, password: {string(l.Password)}}
	body, kind := form.Encode(), "application/x-www-form-urlencoded"
	if l.JSON {
		data, err := json.Marshal(map[string]string{user: l.User, password: string(l.Password)})
		if err != nil {
			return nil, err
		}
		body, kind = string(data), "application/json"
	}
	content := strings.NewReader(body)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), content)
	if err != nil {
		return nil, errors.New("bearer: Login.URL is not an address")
	}
	req.Header.Set("Content-Type", kind)
	if l.Cookie == "" {
		req.Header.Set("Accept", "application/json")
	}
	return req, nil
}

// fromObject reads the token from the body of the response.
func (l *Login) fromObject(client *http.Client, req *http.Request) (*oauth2.Token, error) {
	a, err := fetch.Do(client, req)
	if err != nil {
		e, _ := errors.AsType[*fetch.Error](err) // Do returns no other type
		return nil, loginFailed(e)
	}
	names := []string{"access_token", "token"}
	if l.TokenField != "" {
		names = []string{l.TokenField}
	}
	t := new(oauth2.Token)
	for _, name := range names {
		if v, found := a.Object[name]; found {
			t.AccessToken, _ = v.(string)
			break
		}
	}
	if t.AccessToken == "" {
		return nil, noToken(a, "an answer that holds no token: check user and password, and "+
			"TokenField")
	}
	t.RefreshToken, _ = a.Object["refresh_token"].(string)
	left, err := lifeOf(a.Object["expires_in"])
	if err != nil {
		return nil, loginFailed(a.Useless(err))
	}
	if left > 0 {
		t.Expiry = a.Received.Add(seconds(left))
	} else if end, ok := endInside(t.AccessToken); ok {
		if end = localTime(a, end); end.After(a.Received) {
			t.Expiry = end
		}
	}
	return t, nil
}

// lifeOf reads expires_in (RFC 6749, section 5.1), which some services write as a string. It
// returns 0 if the member does not tell when the token ends. The member is only recommended: some
// services leave it empty, or write -1 for a token that does not end.
func lifeOf(v any) (int64, error) {
	text := "?"
	switch v := v.(type) {
	case nil:
		return 0, nil
	case json.Number:
		text = v.String()
	case string:
		text = v
	}
	if text == "" {
		return 0, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) {
		return 0, errors.New("an expires_in that is not a number of seconds")
	}
	return int64(min(max(f, 0), longest.Seconds())), nil
}

// fromCookie reads the token from a Set-Cookie of the response. The response may be a redirect to
// the page after the login, which fromCookie does not follow.
func (l *Login) fromCookie(client *http.Client, req *http.Request) (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(req.Context(), fetch.Timeout)
	defer cancel()
	taker := &cookieTaker{base: client.Transport, name: l.Cookie}
	client.Transport = taker
	client.CheckRedirect = func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}
	resp, err := client.Do(req.WithContext(ctx))
	if err != nil {
		return nil, loginFailed(&fetch.Error{Err: fetch.Plain(err)})
	}
	_ = resp.Body.Close()
	a := receivedNow(resp)
	switch {
	case a.Status < 200 || a.Status > 399:
		return nil, loginFailed(a.Useless(nil))
	case taker.found == nil:
		return nil, noToken(a, "an answer that does not set the cookie: check user and password, "+
			"and the name of the Cookie")
	}
	t, alive := cookieToken(taker.found, a)
	if !alive {
		return nil, noToken(a, "an answer that clears the cookie: check user and password")
	}
	if !t.Expiry.After(a.Received) {
		t.Expiry = time.Time{} // the hint is wrong
	}
	return t, nil
}

// A cookieTaker removes a cookie from a response before a cookie jar sees it.
type cookieTaker struct {
	base  http.RoundTripper
	name  string
	found *http.Cookie
}

func (c *cookieTaker) RoundTrip(req *http.Request) (*http.Response, error) {
	base := c.base
	if base == nil {
		base = http.DefaultTransport
	}
	resp, err := base.RoundTrip(req)
	if err == nil {
		c.found = place.TakeCookie(resp, c.name)
	}
	return resp, err
}

// noToken returns the error for a successful response that holds no token.
func noToken(a *fetch.Answer, text string) error { return loginFailed(a.Useless(errors.New(text))) }

// loginFailed converts an error of a call to an Error. A response that is neither a refusal nor a
// token is final. It may be the form again, or a redirect to it, and the same user and password
// would get the same response.
func loginFailed(err *fetch.Error) *Error {
	e := &Error{Status: err.Status, wait: err.RetryAfter(), text: err.Error(), err: err,
		transient: err.Transient()}
	switch {
	case err.Status == http.StatusUnauthorized, err.Status == http.StatusForbidden:
		e.text += ": check user and password"
	case err.Status >= 200 && err.Status <= 399 && !err.Broken:
		e.final = true
	case err.Status == 0:
		e.text = "no answer: " + quoteless(err.Err.Error())
	}
	return e
}

// Format writes the URL without its query, and the User, for every verb.
func (l Login) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{URL:%q User:%q}", l.address(), l.User)
}

// MarshalText writes the same text, also for encoding/json.
func (l Login) MarshalText() ([]byte, error) { return []byte(fmt.Sprint(l)), nil }

// address returns the URL without user and query.
func (l Login) address() string {
	u, err := url.Parse(l.URL)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
