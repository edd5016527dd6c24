// Package place says where in a request a token sits: in a field behind a scheme, alone in a field,
// or in a cookie. It reads and writes tokens there, and builds and reads the challenges of RFC 6750
// that ask for one. Its errors have no prefix: the packages that return them add their own.
package place

import (
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
	// Bearer is the scheme of a token that has no other (RFC 6750, section 2.1).
	Bearer = "Bearer"

	// CookieScheme is the scheme of a challenge that asks for a cookie.
	CookieScheme = "Cookie"

	// Authorization is the field of a token that has no other.
	Authorization = "Authorization"

	// MaxToken is the longest token that is sent or read, in bytes, and so the longest field.
	MaxToken = 8 << 10

	// MaxTaken is the longest token that is taken up, so that it can be sent with a scheme too.
	MaxTaken = MaxToken - 64
)

// A Place is where in a request a token sits. [New] returns one.
type Place struct {
	Scheme   string // the word in front of it; "": none, as in a field that is not Authorization
	Header   string // the field, in canonical form; "": it is in a cookie
	Cookie   string
	Encoding Encoding // of the cookie's value; nil: the token as it is
}

// An Encoding is how a token is written in a cookie. Decode must return an error for a value that
// Encode cannot have written.
type Encoding interface {
	Encode(token string) string
	Decode(value string) (token string, err error)
}

// New returns the Place that the fields Scheme, Header and Cookie of a signer or verifier mean.
func New(scheme, header, cookie string) (Place, error) {
	switch {
	case cookie != "" && (header != "" || scheme != ""):
		return Place{}, errors.New("both a Cookie and a Header or Scheme are set: choose one")
	case cookie != "":
		if !IsWord(cookie) {
			return Place{}, errors.New("the name of the Cookie is not a token of RFC 9110")
		}
		return Place{Cookie: cookie}, nil
	case header != "" && !IsWord(header), scheme != "" && !IsWord(scheme):
		return Place{}, errors.New("the Header or the Scheme is not a token of RFC 9110")
	}
	p := Place{Header: textproto.CanonicalMIMEHeaderKey(header), Scheme: scheme}
	switch p.Header {
	case "Cookie":
		return Place{}, errors.New("the Header is Cookie: set Cookie to the name of one")
	case "Host", "Content-Length", "Transfer-Encoding", "Trailer", "Connection":
		return Place{}, fmt.Errorf("the Header is %s, which net/http sets: choose another",
			p.Header)
	case "", Authorization:
		p.Header = Authorization
		if scheme == "" {
			p.Scheme = Bearer
		}
	default:
		p.Scheme = ""
	}
	return p, nil
}

// IsWord reports whether s is a token (RFC 9110, section 5.6.2).
func IsWord(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"(),/:;<=>?@[\\]{}", c) >= 0 {
			return false
		}
	}
	return s != ""
}

// IsToken reports whether s can stand in a field and in a cookie without a change in meaning: the
// characters of a cookie-octet (RFC 6265, section 4.1.1), of which a token of RFC 6750 and a JWT
// are part.
func IsToken(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c <= ' ', c >= 0x7f, c == '"', c == ',', c == ';', c == '\\':
			return false
		}
	}
	return s != ""
}

// Put sets token in a request, in place of what is there. header must not be nil.
func (p Place) Put(header http.Header, token string) error {
	if !IsToken(token) {
		if text := slip.Of(token, Bearer, p.Scheme); text != "" {
			return errors.New("the token " + text)
		}
		return errors.New("the token has a blank, a quote, a comma, a semicolon, a " +
			"backslash or bytes other than printable ASCII, which cannot be sent")
	}
	if p.Encoding != nil {
		if token = p.Encoding.Encode(token); !IsToken(token) {
			return errors.New("the Encoding writes what a cookie cannot hold")
		}
	}
	limit := MaxToken
	if p.Scheme != "" {
		limit -= len(p.Scheme) + 1
	}
	switch {
	case len(token) > limit:
		return fmt.Errorf("the token is over %d bytes, which servers refuse", MaxToken)
	case p.Header == "":
		p.putCookie(header, token)
		return nil
	}
	for name := range header {
		// A key that is not in canonical form would go out as a second field.
		if len(name) == len(p.Header) && name != p.Header && strings.EqualFold(name, p.Header) {
			delete(header, name)
		}
	}
	if p.Scheme != "" {
		token = p.Scheme + " " + token
	}
	header[p.Header] = []string{token}
	return nil
}

// putCookie leaves the other cookies as they are, and makes one field of all.
func (p Place) putCookie(header http.Header, token string) {
	var pairs []string
	for name, lines := range header {
		if !strings.EqualFold(name, "Cookie") {
			continue
		}
		for _, line := range lines {
			for pair := range strings.SplitSeq(line, ";") {
				pair = textproto.TrimString(pair)
				if name, _, _ := strings.Cut(pair, "="); pair != "" && name != p.Cookie {
					pairs = append(pairs, pair)
				}
			}
		}
		delete(header, name)
	}
	pairs = append(pairs, p.Cookie+"="+token)
	header["Cookie"] = []string{strings.Join(pairs, "; ")}
}

// Get returns the token that the header of a request holds at p. It returns "" and no error where
// there is none, and an error for a text that cannot be a token.
func (p Place) Get(header http.Header) (string, error) {
	if p.Header == "" {
		return p.getCookie(header)
	}
	lines := header[p.Header]
	if p.Scheme == "" {
		switch {
		case len(lines) == 0:
			return "", nil
		case len(lines) > 1:
			return "", ErrSeveral
		case len(lines[0]) > MaxToken:
			return "", ErrLong
		case lines[0] == "":
			return "", nil
		case !IsToken(lines[0]):
			return "", ErrNoToken
		}
		return lines[0], nil
	}
	ours := false
	for _, line := range lines {
		ours = ours || authparam.IsFor(line, p.Scheme)
	}
	switch {
	case !ours:
		return "", nil
	case len(lines) > 1:
		return "", ErrSeveral
	case len(lines[0]) > MaxToken:
		return "", ErrLong
	}
	token, ok := authparam.Cut(lines[0], p.Scheme)
	if !ok || !IsToken(token) {
		return "", ErrNoToken
	}
	return token, nil
}

// The errors of Get. No text holds anything of the request.
var (
	ErrSeveral = errors.New("more than one token")
	ErrLong    = fmt.Errorf("a field of over %d bytes", MaxToken)
	ErrNoToken = errors.New("something else than a token")
)

// getCookie refuses two cookies of the same name: one of them may have been set by a neighbour in
// the same domain.
func (p Place) getCookie(header http.Header) (string, error) {
	value, found := "", false
	for v := range p.CookieValues(header) {
		if found {
			return "", ErrSeveral
		}
		value, found = v, true
	}
	return p.CookieToken(value)
}

// CookieValues returns the values of all cookies of the name, without the quotes that may stand
// around one (RFC 6265, section 4.1.1). It searches for the name, since a field may hold thousands
// of other cookies.
func (p Place) CookieValues(header http.Header) iter.Seq[string] {
	return func(yield func(string) bool) {
		name := p.Cookie + "="
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
				if at += len(value); !yield(Unquoted(strings.TrimRight(value, " \t\r\n"))) {
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

// Unquoted returns the value of a cookie without the quotes that may stand around it.
func Unquoted(value string) string {
	if n := len(value); n > 1 && value[0] == '"' && value[n-1] == '"' {
		return value[1 : n-1]
	}
	return value
}

// CookieToken returns the token that a cookie of that value holds, "" if it is empty.
func (p Place) CookieToken(value string) (string, error) {
	switch {
	case value == "":
		return "", nil
	case len(value) > MaxToken:
		return "", ErrLong
	case !IsToken(value):
		return "", ErrNoToken
	case p.Encoding != nil:
		return p.Encoding.Decode(value)
	}
	return value, nil
}

// Raw returns the text that stands where a token should, whatever it is.
func (p Place) Raw(header http.Header) string {
	if p.Header != "" {
		line := header.Get(p.Header)
		return strings.TrimLeft(line[min(len(p.Scheme), len(line)):], " ")
	}
	for _, line := range header["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			if name, value, _ := strings.Cut(textproto.TrimString(pair), "="); name == p.Cookie {
				return value
			}
		}
	}
	return ""
}
