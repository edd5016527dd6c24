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

// A Login gets a token for a user and a password from the login view of a service. Its method Token
// fits the Fetch field of [Tokens].
//
// The request is a POST to an https URL, or to a loopback host without a proxy on another machine.
// It follows no redirect, but for 307
// and 308 within the origin where a token is awaited. It takes 30 s at most, and reads 64 KiB at
// most. What goes wrong with it is an [*Error].
//
// The answer is a JSON object that holds the token as text, and, where the service tells,
// expires_in (seconds, as a number or its text) and refresh_token. Without expires_in, or if it is
// empty or not positive, the token ends at the exp inside, if it is a JWT and that lies ahead: it
// is not verified, and just tells when to log in again. Other members are ignored; names are exact.
//
// With a Cookie, the token is the value of that cookie instead, and of an answer with a 2xx or 3xx
// status, only the Set-Cookie is read; see [Signer] for its end. No cookie jar gets it.
//
// A Login is safe for concurrent use, as long as nobody changes its fields.
//
//nolint:recvcheck // what prints a Login by value must find Format too
type Login struct {
	// URL is the address of the login view. Required.
	URL string

	// User and Password are who logs in.
	User     string
	Password creds.Secret

	// UserField and PasswordField are what the service calls them. "": username and password.
	UserField, PasswordField string

	// TokenField is the member of the answer that holds the token. "": access_token, or else token.
	TokenField string

	// JSON has both sent as a JSON object, and not as a form.
	JSON bool

	// Cookie is the name of the cookie that is the token. "": the token is in the answer itself.
	Cookie string

	// HTTP sends the request. Its Transport, Jar and Timeout hold; it is not changed. Nil: a client
	// of its own.
	HTTP *http.Client
}

// Token logs in. The old token is not used.
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

// target returns the URL, if a password may go there.
func (l *Login) target() (*url.URL, error) {
	u, err := url.Parse(l.URL)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		// The text of err repeats the URL, where a password may be.
		return nil, errors.New("bearer: Login.URL is no address: set it to the https URL of the " +
			"login view")
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
		return nil, errors.New("bearer: the name of the Cookie is no token of RFC 9110")
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
		return nil, errors.New("bearer: Login.URL is no address")
	}
	req.Header.Set("Content-Type", kind)
	if l.Cookie == "" {
		req.Header.Set("Accept", "application/json")
	}
	return req, nil
}

// fromObject reads the token from the body of the answer.
func (l *Login) fromObject(client *http.Client, req *http.Request) (*oauth2.Token, error) {
	a, err := fetch.Do(client, req)
	if err != nil {
		e, _ := errors.AsType[*fetch.Error](err) // which it always is
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

// lifeOf reads expires_in (RFC 6749, section 5.1), which some services write as text. It returns 0
// if the member does not tell the end of the token: it is only recommended, and some services leave
// it empty, or write -1 for a token that does not end.
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

// fromCookie reads the token from a Set-Cookie of the answer, which may well be a redirect to the
// page after the login: that is left alone.
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

// A cookieTaker takes a cookie out of an answer before a cookie jar sees it.
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

// noToken returns the error for an answer that says yes and brings nothing.
func noToken(a *fetch.Answer, text string) error { return loginFailed(a.Useless(errors.New(text))) }

// loginFailed tells an error of a call in the words of this package. An answer that is no refusal,
// and no token either, is final: it may be the form again, or a redirect to it, and with the same
// user and password, the next one will be the same.
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

// Format writes where and who logs in, whatever the verb.
func (l Login) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{URL:%q User:%q}", l.address(), l.User)
}

// MarshalText writes the same, also for encoding/json.
func (l Login) MarshalText() ([]byte, error) { return []byte(fmt.Sprint(l)), nil }

// address returns the URL without user and query.
func (l Login) address() string {
	u, err := url.Parse(l.URL)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
