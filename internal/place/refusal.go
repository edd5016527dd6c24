package bearer

import (
	"net/http"
	"strings"

	"github.com/countersign-go/countersign/internal/authparam"
	"github.com/countersign-go/countersign/transport"
)

// cookieScheme is the scheme of a challenge that asks for a cookie.
const cookieScheme = "Cookie"

// Read says what a refusal means (RFC 6750, section 3): error="invalid_token" is about the token.
// With "insufficient_scope", "invalid_request" or "insufficient_user_authentication" (RFC 9470), no
// other token of the same source would do, so the Cause is "", and nothing more is tried. It is
// "unknown" for any other error, for a challenge without one, and without any challenge at all. Of
// several challenges, the first that gives a known reason counts. Challenges are looked at if their
// scheme is Bearer, or the one that the Signer sends, or Cookie if it sends a cookie; but not where
// they name another header or cookie. If there are only others, the Cause is "". It is "unknown"
// too if such a challenge is malformed, alone or beside others.
func (s *Signer) Read(resp *http.Response) (refusal transport.Refusal) {
	if p, err := s.place(); err == nil {
		refusal.Cause = readRefusal(p, resp)
	}
	return refusal
}

// readRefusal returns the cause of a refusal of what was sent in p. It looks at no status, since
// some services say 403 for an expired token.
func readRefusal(p place, resp *http.Response) (cause transport.Cause) {
	lines := resp.Header["Www-Authenticate"]
	challenges, err := authparam.Parse(lines)
	if err == nil && len(challenges) == 0 {
		return transport.CauseUnknown
	}
	for _, c := range challenges {
		if !p.challengedBy(c) {
			continue
		}
		cause = transport.CauseUnknown
		switch c.Param("error") {
		case "invalid_token":
			return transport.CauseCredential
		case "insufficient_scope", "invalid_request", "insufficient_user_authentication":
			return ""
		}
	}
	if err != nil && p.named(lines) {
		return transport.CauseUnknown
	}
	return cause
}

// named reports whether these lines, which cannot all be read, name a scheme of what is sent in p.
func (p place) named(lines []string) bool {
	return authparam.Names(lines, bearerScheme) ||
		p.scheme != "" && authparam.Names(lines, p.scheme) ||
		p.header == "" && authparam.Names(lines, cookieScheme)
}

// challengedBy reports whether c is about what is sent in p. A server that takes tokens in several
// places may name the one that each of its challenges is about.
func (p place) challengedBy(c authparam.Challenge) bool {
	if p.header == "" && c.Is(cookieScheme) {
		name := c.Param("cookie-name")
		return name == "" || name == p.cookie
	}
	if !c.Is(bearerScheme) && (p.scheme == "" || !c.Is(p.scheme)) {
		return false
	}
	name := c.Param("header")
	return name == "" || strings.EqualFold(name, p.header)
}
