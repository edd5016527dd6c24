package place

import (
	"net/http"
	"strings"

	"github.com/countersign-go/countersign/internal/authparam"
)

// Refusal reads the response to a request whose token in p was refused (RFC 6750, section 3). ours
// reports whether another token may help: the response has a challenge for a token in p, or no
// challenge at all, and does not rule out all tokens of the same source. The error invalid_request
// rules them out, as do the errors that [Place.AsksForMore] reads. invalid reports whether the
// error is invalid_token.
//
// If there are several challenges, the first one with a known error counts. A malformed challenge
// counts as one without an error. The status is ignored, since some services send 403 for an
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

// AsksForMore reports whether the response refuses a valid token in p and asks for one that grants
// more: a scope (RFC 6750), a more recent or stronger login (RFC 9470), or claims.
func (p Place) AsksForMore(resp *http.Response) bool {
	switch code, _ := p.reason(resp); code {
	case "insufficient_scope", "insufficient_user_authentication", "insufficient_claims":
		return true
	}
	return false
}

// reason returns the first known error code in the challenges for a token in p, or "" if there is
// none. ours reports whether there is such a challenge, or no challenge at all.
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

// named reports whether lines, which cannot be parsed completely, name a scheme of a token in p.
func (p Place) named(lines []string) bool {
	return authparam.Names(lines, Bearer) ||
		p.Scheme != "" && authparam.Names(lines, p.Scheme) ||
		p.Header == "" && authparam.Names(lines, CookieScheme)
}

// challengedBy reports whether c asks for a token in p. A server that accepts tokens in several
// places may name the place in each challenge.
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

// AuthScheme returns the scheme of the challenge for a token in p, which is also the Scheme of an
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

// Challenge returns the challenge for a token in p (RFC 6750, section 3). A parameter names the
// field if it is not Authorization, or the cookie. The realm, the error code, and the scope that a
// token lacks are omitted if they are "".
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
