package bearer

import (
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/textproto"
	"strings"

	"github.com/countersign-go/countersign/internal/authparam"
	"github.com/countersign-go/countersign/internal/slip"
)

const (
	bearerScheme  = "Bearer"
	authorization = "Authorization"

	// maxToken is the longest token that is sent or read, in bytes, and so the longest field.
	maxToken = 8 << 10

	// maxTaken is the longest token that is taken up, so that it can be sent with a scheme too.
	maxTaken = maxToken - 64
)

// A place is where in a request a token sits.
type place struct {
	scheme  string // the word in front of it; "": none, as in a field that is not Authorization
	header  string // the field, in canonical form; "": it is in a cookie
	cookie  string
	pyramid bool // the value of the cookie is in the encoding of pyramid_jwt
}

// placeOf reads the fields Scheme, Header and Cookie that the types of this package have.
func placeOf(scheme, header, cookie string) (place, error) {
	switch {
	case cookie != "" && (header != "" || scheme != ""):
		return place{}, errors.New(
			"bearer: both a Cookie and a Header or Scheme are set: choose one")
	case cookie != "":
		if !isWord(cookie) {
			return place{}, errors.New("bearer: the name of the Cookie is no token of RFC 9110")
		}
		return place{cookie: cookie}, nil
	case header != "" && !isWord(header), scheme != "" && !isWord(scheme):
		return place{}, errors.New("bearer: the Header or the Scheme is no token of RFC 9110")
	}
	p := place{header: textproto.CanonicalMIMEHeaderKey(header), scheme: scheme}
	switch p.header {
	case "Cookie":
		return place{}, errors.New("bearer: the Header is Cookie: set Cookie to the name of one")
	case "Host", "Content-Length", "Transfer-Encoding", "Trailer", "Connection":
		return place{}, fmt.Errorf("bearer: the Header is %s, which net/http sets: "+
			"choose another", p.header)
	case "", authorization:
		p.header = authorization
		if scheme == "" {
			p.scheme = bearerScheme
		}
	default:
		p.scheme = ""
	}
	return p, nil
}

// isWord reports whether s is a token (RFC 9110, section 5.6.2).
func isWord(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"(),/:;<=>?@[\\]{}", c) >= 0 {
			return false
		}
	}
	return s != ""
}

// isToken reports whether s can stand in a field and in a cookie without a change in meaning: the
// characters of a cookie-octet (RFC 6265, section 4.1.1), of which a token of RFC 6750 and a JWT
// are part.
func isToken(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c <= ' ', c >= 0x7f, c == '"', c == ',', c == ';', c == '\\':
			return false
		}
	}
	return s != ""
}

// put sets token in a request, in place of what is there. header must not be nil.
func (p place) put(header http.Header, token string) error {
	if !isToken(token) {
		if text := slip.Of(token, bearerScheme, p.scheme); text != "" {
			return errors.New("bearer: the token " + text)
		}
		return errors.New("bearer: the token has a blank, a quote, a comma, a semicolon, a " +
			"backslash or bytes other than printable ASCII, which cannot be sent")
	}
	if p.pyramid {
		token = pyramidEncode(token)
	}
	limit := maxToken
	if p.scheme != "" {
		limit -= len(p.scheme) + 1
	}
	switch {
	case len(token) > limit:
		return fmt.Errorf("bearer: the token is over %d bytes, which servers refuse", maxToken)
	case p.header == "":
		p.putCookie(header, token)
		return nil
	}
	for name := range header {
		// A key that is not in canonical form would go out as a second field.
		if len(name) == len(p.header) && name != p.header && strings.EqualFold(name, p.header) {
			delete(header, name)
		}
	}
	if p.scheme != "" {
		token = p.scheme + " " + token
	}
	header[p.header] = []string{token}
	return nil
}

// putCookie leaves the other cookies as they are, and makes one field of all.
func (p place) putCookie(header http.Header, token string) {
	var pairs []string
	for name, lines := range header {
		if !strings.EqualFold(name, "Cookie") {
			continue
		}
		for _, line := range lines {
			for pair := range strings.SplitSeq(line, ";") {
				pair = textproto.TrimString(pair)
				if name, _, _ := strings.Cut(pair, "="); pair != "" && name != p.cookie {
					pairs = append(pairs, pair)
				}
			}
		}
		delete(header, name)
	}
	pairs = append(pairs, p.cookie+"="+token)
	header["Cookie"] = []string{strings.Join(pairs, "; ")}
}

// get returns the token that the header of a request holds at p. It returns "" and no error where
// there is none, and an error for what can be none.
func (p place) get(header http.Header) (string, error) {
	if p.header == "" {
		return p.getCookie(header)
	}
	lines := header[p.header]
	if p.scheme == "" {
		switch {
		case len(lines) == 0:
			return "", nil
		case len(lines) > 1:
			return "", errSeveral
		case len(lines[0]) > maxToken:
			return "", errLong
		case lines[0] == "":
			return "", nil
		case !isToken(lines[0]):
			return "", errNoToken
		}
		return lines[0], nil
	}
	ours := false
	for _, line := range lines {
		ours = ours || authparam.IsFor(line, p.scheme)
	}
	switch {
	case !ours:
		return "", nil
	case len(lines) > 1:
		return "", errSeveral
	case len(lines[0]) > maxToken:
		return "", errLong
	}
	token, ok := authparam.Cut(lines[0], p.scheme)
	if !ok || !isToken(token) {
		return "", errNoToken
	}
	return token, nil
}

var (
	errSeveral = errors.New("more than one token")
	errLong    = fmt.Errorf("a field of over %d bytes", maxToken)
	errNoToken = errors.New("something else than a token")
)

// getCookie refuses two cookies of the same name: one of them may have been set by a neighbour in
// the same domain.
func (p place) getCookie(header http.Header) (string, error) {
	value, found := "", false
	for v := range p.cookieValues(header) {
		if found {
			return "", errSeveral
		}
		value, found = v, true
	}
	return p.cookieToken(value)
}

// cookieValues returns the values of all cookies of the name, without the quotes that may stand
// around one (RFC 6265, section 4.1.1). It searches for the name, since a field may hold thousands
// of other cookies.
func (p place) cookieValues(header http.Header) iter.Seq[string] {
	return func(yield func(string) bool) {
		name := p.cookie + "="
		for _, line := range header["Cookie"] {
			for at := 0; ; {
				found := strings.Index(line[at:], name)
				if found < 0 {
					break
				}
				found, at = at+found, at+found+len(name)
				if !startsPair(line, found) {
					continue // a part of another name or value
				}
				value, _, _ := strings.Cut(line[at:], ";")
				if at += len(value); !yield(unquoted(strings.TrimRight(value, " \t\r\n"))) {
					return
				}
			}
		}
	}
}

// startsPair reports whether only blanks are between i and the semicolon or start before it.
func startsPair(line string, i int) bool {
	for i--; i >= 0; i-- {
		switch line[i] {
		case ' ', '\t', '\r', '\n':
		default:
			return line[i] == ';'
		}
	}
	return true
}

func unquoted(value string) string {
	if n := len(value); n > 1 && value[0] == '"' && value[n-1] == '"' {
		return value[1 : n-1]
	}
	return value
}

// cookieToken returns the token that a cookie of that value holds, "" if it is empty.
func (p place) cookieToken(value string) (string, error) {
	switch {
	case value == "":
		return "", nil
	case len(value) > maxToken:
		return "", errLong
	case !isToken(value):
		return "", errNoToken
	case p.pyramid:
		return pyramidDecode(value)
	}
	return value, nil
}

// pyramidEncode writes a token as pyramid_jwt has it in its cookies: the base64 of its JSON text. A
// token holds nothing that JSON would have to escape.
func pyramidEncode(token string) string {
	return base64.URLEncoding.EncodeToString([]byte(`"` + token + `"`))
}

func pyramidDecode(value string) (string, error) {
	text, err := base64.URLEncoding.Strict().DecodeString(value)
	if err != nil {
		return "", errNoToken
	}
	// In JSON, a token stands between quotes and needs no escapes.
	token, opened := strings.CutPrefix(string(text), `"`)
	token, closed := strings.CutSuffix(token, `"`)
	if !opened || !closed || !isToken(token) {
		return "", errNoToken
	}
	return token, nil
}
