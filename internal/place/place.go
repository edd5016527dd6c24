// Package place defines where in a request a token is: in a field after a scheme, alone in a field,
// or in a cookie. It reads and writes tokens there, and it builds and reads the challenges of RFC
// 6750 that ask for one. Its errors have no prefix: the packages that return them add their own.
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
	// Bearer is the default scheme of a token (RFC 6750, section 2.1).
	Bearer = "Bearer"

	// CookieScheme is the scheme of a challenge that asks for a cookie.
	CookieScheme = "Cookie"

	// Authorization is the default field of a token.
	Authorization = "Authorization"

	// MaxToken is the length of the longest token or field that is sent or read, in bytes.
	MaxToken = 8 << 10

	// MaxTaken is the length of the longest token that is accepted from a server, in bytes. It
	// leaves room for a scheme when the token is sent.
	MaxTaken = MaxToken - 64
)

// A Place is a position of a token in a request. [New] returns one.
type Place struct {
	Scheme   string // the word before the token; "" if none, as in fields other than Authorization
	Header   string // the field, in canonical form; "" if the token is in a cookie
	Cookie   string
	Encoding Encoding // of the cookie's value; if nil, the value is the token
}

// An Encoding converts between a token and the value of a cookie.
type Encoding interface {
	Encode(token string) string
	// Decode must return an error for a value that Encode cannot have written.
	Decode(value string) (token string, err error)
}

// New returns the Place for the fields Scheme, Header and Cookie of a signer or verifier. It
// returns an error if they are invalid or contradict each other.
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

// IsToken reports whether s can be in a field and in a cookie without a change of meaning. It
// allows the characters of a cookie-octet (RFC 6265, section 4.1.1). Tokens of RFC 6750 and JWTs
// use no others.
func IsToken(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c <= ' ', c >= 0x7f, c == '"', c == ',', c == ';', c == '\\':
			return false
		}
	}
	return s != ""
}

// Put sets token in the header of a request, and replaces the token that is there. header must not
// be nil.
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
		// A key that is not in canonical form would be sent as a second field.
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

// putCookie leaves the other cookies unchanged, and joins all of them to one field.
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

// Get returns the token at p in the header of a request, or "" and a nil error if the request has
// none. It returns an error if the text there cannot be a token.
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

// The errors of Get. Their texts contain nothing from the request.
var (
	ErrSeveral = errors.New("more than one token")
	ErrLong    = fmt.Errorf("a field of over %d bytes", MaxToken)
	ErrNoToken = errors.New("something else than a token")
)

// getCookie refuses two cookies of the same name: another host of the same domain may have set one
// of them.
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

// CookieValues returns the values of all cookies with the name p.Cookie, without the quotes that
// may enclose them (RFC 6265, section 4.1.1). It searches for the name instead of parsing the
// field, which may hold thousands of other cookies.
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

// startsPair reports whether line has only white space between i and the semicolon before it, or
// the start of line.
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

// Unquoted returns the value of a cookie without the quotes that may enclose it.
func Unquoted(value string) string {
	if n := len(value); n > 1 && value[0] == '"' && value[n-1] == '"' {
		return value[1 : n-1]
	}
	return value
}

// CookieToken returns the token in the value of a cookie, or "" if the value is empty.
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

// Raw returns the text at p, even if it is not a token.
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
