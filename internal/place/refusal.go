package place

import (
	"net/http"
	"strings"

	"github.com/countersign-go/countersign/internal/authparam"
)

// Refusal reads a refusal of the token that was sent in p (RFC 6750, section 3). ours reports
// whether another token may help: the answer challenges for a token in p, or for nothing at all,
// and does not say that no token of the same source would do, as "invalid_request" does and all
// that [Place.AsksForMore] reads. invalid reports that the answer says invalid_token.
//
// Of several challenges, the first that gives a known reason counts. A challenge that is malformed
// counts as one without a reason. The status is not looked at, since some services say 403 for an
// expired token.
func (p Place) Refusal(resp *http.Response) (invalid, ours bool) {
	switch code, ours := p.reason(resp); code {
	case "":
		return false, ours
	case "invalid_token":
		return true, true
	}
	return false, false
}

// AsksForMore reports whether the answer refuses a token in p that is good, and asks for one that
// holds more: a scope (RFC 6750), a login that is more recent or stronger (RFC 9470), or claims.
func (p Place) AsksForMore(resp *http.Response) bool {
	switch code, _ := p.reason(resp); code {
	case "insufficient_scope", "insufficient_user_authentication", "insufficient_claims":
		return true
	}
	return false
}

// reason returns the first known code of an error in the challenges for a token in p, "" if there
// is none. ours reports that there is such a challenge, or no challenge at all.
func (p Place) reason(resp *http.Response) (code string, ours bool) {
	lines := resp.Header["Www-Authenticate"]
	challenges, err := authparam.Parse(lines)
	if err == nil && len(challenges) == 0 {
		return "", true
	}
	for _, c := range challenges {
		if !p.challengedBy(c) {
			continue
		}
		ours = true
		switch code := c.Param("error"); code {
		case "invalid_token", "invalid_request", "insufficient_scope",
			"insufficient_user_authentication", "insufficient_claims":
			return code, true
		}
	}
	return "", ours || err != nil && p.named(lines)
}

// named reports whether these lines, which cannot all be parsed, name a scheme of a token in p.
func (p Place) named(lines []string) bool {
	return authparam.Names(lines, Bearer) ||
		p.Scheme != "" && authparam.Names(lines, p.Scheme) ||
		p.Header == "" && authparam.Names(lines, CookieScheme)
}

// challengedBy reports whether c is about a token in p. A server that takes tokens in several
// places may name the one that each of its challenges is about.
func (p Place) challengedBy(c authparam.Challenge) bool {
	if p.Header == "" && c.Is(CookieScheme) {
		name := c.Param("cookie-name")
		return name == "" || name == p.Cookie
	}
	if !c.Is(Bearer) && (p.Scheme == "" || !c.Is(p.Scheme)) {
		return false
	}
	name := c.Param("header")
	return name == "" || strings.EqualFold(name, p.Header)
}

// AuthScheme returns the scheme that a token in p is challenged for, and that names it in an
// identity.
func (p Place) AuthScheme() string {
	switch {
	case p.Header == "":
		return CookieScheme
	case p.Scheme == "":
		return Bearer
	}
	return p.Scheme
}

// Challenge returns the challenge for a token in p (RFC 6750, section 3), which names another field
// or a cookie by a parameter. The realm, the code of the error, and the scope that a token lacks
// are left out if they are "".
func (p Place) Challenge(realm, code, scope string) string {
	c := authparam.Challenge{Scheme: p.AuthScheme()}
	add := func(name, value string) {
		if value != "" {
			c.Params = append(c.Params, authparam.Param{Name: name, Value: value})
		}
	}
	add("realm", realm)
	if p.Header != Authorization {
		add("header", p.Header)
	}
	add("cookie-name", p.Cookie)
	add("error", code)
	add("scope", scope)
	return c.String()
}
