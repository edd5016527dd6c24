package raven

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/countersign-go/countersign/internal/origin"
)

const (
	defaultMaxLife     = 2 * time.Hour
	defaultIssueBefore = 15 * time.Second
	defaultIssueAfter  = 5 * time.Second
)

// settings are the fields of a Login in the form that requests need, with their defaults.
type settings struct {
	base          string // BaseURL without a trailing slash
	login, logout string // URLs; login ends in ? or &
	sessions      *scs.SessionManager
	maxLife       time.Duration // if negative, no limit
	before, after time.Duration
	ptags         []string
	cookieKeys    [][]byte // the first one signs
	crossOrigin   *http.CrossOriginProtection
	logger        *slog.Logger
	answers       memory  // the accepted answers
	ended         *memory // the ended logins, by their answers
}

// ready checks the fields once, and returns the settings.
func (l *Login) ready() (*settings, error) {
	l.once.Do(func() { l.err = l.configure(&l.set) })
	return &l.set, l.err
}

func (l *Login) configure(set *settings) error {
	if set.logger = l.Logger; set.logger == nil {
		set.logger = slog.New(slog.DiscardHandler)
	}
	base, err := l.configureBase(set)
	if err != nil {
		return err
	}
	if err := l.configureService(set); err != nil {
		return err
	}
	if err := l.configureLimits(set); err != nil {
		return err
	}
	if err := checkCookieKeys(l.CookieKeys); err != nil {
		return err
	}
	if set.cookieKeys = l.CookieKeys; l.CookieKeys == nil {
		set.cookieKeys = [][]byte{processKey()}
	}
	if _, err := l.request(set.base+"/", "").Query(); err != nil {
		return fmt.Errorf("raven: the Login asks for what cannot be: %w", err)
	}
	if set.sessions = l.Sessions; set.sessions == nil {
		set.sessions = ownSessions(base.Scheme == "https")
	}
	if set.sessions.Store == nil || set.sessions.Codec == nil || set.sessions.Lifetime <= 0 {
		return errors.New("raven: Sessions has no Store, Codec or Lifetime; make it by scs.New")
	}
	set.ended = endedOf(set.sessions)
	return checkCookie(&set.sessions.Cookie, base.Scheme == "https")
}

func (l *Login) configureBase(set *settings) (*url.URL, error) {
	if l.BaseURL == "" {
		return nil, errors.New("raven: the Login has no BaseURL; " +
			"what requests say of their host cannot be trusted")
	}
	base, err := url.Parse(l.BaseURL)
	switch {
	case err != nil || base.Hostname() == "" || base.User != nil || base.Opaque != "" ||
		strings.ContainsAny(l.BaseURL, "?# ") || !isHost(base):
		return nil, errors.New("raven: the BaseURL of the Login is not a URL of the form " +
			"https://host, perhaps with a port and a path")
	case !isSafe(base):
		return nil, errors.New("raven: the BaseURL of the Login is neither https nor on a " +
			"loopback host")
	}
	set.base = strings.TrimRight(l.BaseURL, "/")
	// An old browser sends only an Origin field. A proxy may have changed the Host that this field
	// would be compared with.
	set.crossOrigin = new(http.CrossOriginProtection)
	if err := set.crossOrigin.AddTrustedOrigin(base.Scheme + "://" + base.Host); err != nil {
		return nil, fmt.Errorf("raven: the BaseURL of the Login: %w", err)
	}
	return base, nil
}

// isHost reports whether a URL names one host, and a valid port or none.
func isHost(u *url.URL) bool {
	if _, err := strconv.ParseUint(u.Port(), 10, 16); err != nil && u.Port() != "" {
		return false
	}
	return !strings.HasSuffix(u.Host, ":") && !strings.ContainsAny(u.Hostname(), ",;'\"*()!$&+=~")
}

func (l *Login) configureService(set *settings) error {
	if l.Service == nil {
		return errors.New("raven: the Login has no Service")
	}
	if len(l.Service.Keys) == 0 {
		return errors.New("raven: the Service of the Login has no Keys, so nobody could log in")
	}
	for kid, key := range l.Service.Keys {
		switch {
		case key == nil || key.N == nil:
			return fmt.Errorf("raven: the Service of the Login has no key %q", kid)
		case !isKeyID(kid):
			return fmt.Errorf("raven: the Service of the Login has a key %q, "+
				"which is no key identifier (1 to 8 digits, the first not 0)", kid)
		}
		if err := checkSize(key); err != nil {
			return fmt.Errorf("raven: the key %q of the Service: %w", kid, err)
		}
	}
	if known := l.Service.authTypes(); len(l.AAuth) > 0 &&
		!slices.ContainsFunc(l.AAuth, func(t string) bool { return slices.Contains(known, t) }) {
		return errors.New("raven: none of AAuth is among the AuthTypes of the Service, " +
			"so nobody could log in")
	}
	login, err := serviceURL("LoginURL", l.Service.LoginURL)
	if err != nil {
		return err
	}
	if set.login = login + "?"; strings.Contains(login, "?") {
		set.login = login + "&"
	}
	if l.Service.LogoutURL == "" {
		set.logout = set.base + "/"
		return nil
	}
	set.logout, err = serviceURL("LogoutURL", l.Service.LogoutURL)
	return err
}

func serviceURL(name, text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || !isSafe(u) {
		return "", fmt.Errorf("raven: the %s of the Service is not an https URL", name)
	}
	return u.String(), nil
}

// isSafe reports whether requests to a URL are protected from other machines on the way: it is
// https, or http on a loopback host.
func isSafe(u *url.URL) bool {
	if u.Scheme == "https" {
		return true
	}
	return u.Scheme == "http" && origin.Of(u).Loopback()
}

func (l *Login) configureLimits(set *settings) error {
	if set.maxLife = l.MaxLife; l.MaxLife == 0 {
		set.maxLife = defaultMaxLife
	}
	set.before = bound(l.IssueBounds[0], defaultIssueBefore)
	set.after = bound(l.IssueBounds[1], defaultIssueAfter)
	if set.ptags = l.RequirePTags; l.RequirePTags == nil {
		set.ptags = []string{"current"}
	}
	switch {
	case l.InactiveTimeout < 0:
		return errors.New("raven: the Login has a negative InactiveTimeout")
	case 0 < l.InactiveTimeout && l.InactiveTimeout < time.Second:
		return errors.New("raven: the Login has an InactiveTimeout of less than a second")
	case 0 < l.MaxLife && l.MaxLife < time.Second:
		return errors.New("raven: the Login has a MaxLife of less than a second")
	case l.AnyPTags && l.RequirePTags != nil:
		return errors.New("raven: the Login has AnyPTags and RequirePTags, which contradict")
	}
	return nil
}

func bound(given, otherwise time.Duration) time.Duration {
	if given == 0 {
		return otherwise
	}
	return max(given, 0)
}

// ownSessions returns the session manager of a Login that has no Sessions. The store's cleanup
// goroutine runs until the process ends, which is also how long a Login is used.
func ownSessions(secure bool) *scs.SessionManager {
	sessions := scs.New()
	sessions.HashTokenInStore = true
	sessions.Cookie.Name = "raven" // the application's sessions may use the default name
	if sessions.Cookie.Secure = secure; secure {
		sessions.Cookie.Name = "__Host-raven" // a cookie that no other host can set
	}
	return sessions
}

// checkCookie returns an error for a cookie that scripts or other machines can read, or that
// browsers do not keep or do not send.
func checkCookie(c *scs.SessionCookie, secure bool) error {
	name := strings.ToLower(c.Name) // as browsers compare prefixes (RFC 6265bis, section 4.1.3)
	switch {
	case secure && !c.Secure:
		return errors.New("raven: the cookie of Sessions is not Secure")
	case !c.HttpOnly:
		return errors.New("raven: the cookie of Sessions is not HttpOnly")
	case c.SameSite == http.SameSiteStrictMode:
		return errors.New("raven: the cookie of Sessions is SameSite Strict; it has to be Lax, " +
			"as a browser comes back from another site when somebody has logged in")
	case c.SameSite != http.SameSiteLaxMode:
		return errors.New("raven: the cookie of Sessions is not SameSite Lax")
	case c.Path == "":
		return errors.New("raven: the cookie of Sessions has no Path")
	case strings.HasPrefix(name, "__host-") && (!c.Secure || c.Path != "/" || c.Domain != ""):
		return errors.New("raven: browsers refuse a __Host- cookie that is not Secure, " +
			"has a Domain, or a Path other than /")
	case strings.HasPrefix(name, "__secure-") && !c.Secure:
		return errors.New("raven: browsers refuse a __Secure- cookie that is not Secure")
	}
	return nil
}
