package mac

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/countersign-go/countersign/internal/view"
)

// A Dialect is a way to read a request before it is signed. The header is the same in all dialects.
type Dialect int

// String returns the name of the constant.
func (d Dialect) String() string {
	switch d {
	case Draft01:
		return "Draft01"
	case WebOb:
		return "WebOb"
	case Django:
		return "Django"
	}
	return "Dialect(" + strconv.Itoa(int(d)) + ")"
}

const (
	// Draft01 follows section 3.2.1 of the draft exactly. It signs the request target and the Host
	// as they are sent, and decodes or encodes nothing.
	Draft01 Dialect = iota

	// WebOb is for servers and clients in Python that use macauthlib. They sign the path as WebOb
	// writes it: decoded, then encoded again. Some paths that differ on the wire therefore share
	// one MAC: see the package comment. A Signer also sends a Host with an explicit port.
	WebOb

	// Django is for servers that use auth_mac. They sign the decoded path without the query, so an
	// attacker can change the query. They support SHA-1 only. The dialect is for a Signer. A
	// Verifier accepts it only during a [Transition].
	Django
)

const (
	errDialect   problem = "the dialect is not one of Draft01, WebOb and Django"
	errDjango    problem = "the Django dialect is for a Signer, or a Verifier with a Transition"
	errAsterisk  problem = "the Django dialect cannot sign the target *, which it reads as /*"
	errUTF8      problem = "the path is not UTF-8, which WebOb requires"
	errPathASCII problem = "the decoded path is not printable ASCII, which Django needs"
	errDjangoExt problem = "the Django dialect leaves ext unsigned: set neither Ext nor BodyDigest"
)

// appendWebOb appends the path_qs of WebOb. The path is decoded, loses all but one of its leading
// slashes, and is encoded again. The query follows unchanged; an empty query loses its question
// mark.
func (v *reading) appendWebOb(dst []byte) ([]byte, error) {
	path := v.Path[v.Absolute:]
	if path == "" {
		path = "/" // an absolute-form target may end at its authority
	}
	if path[0] != '/' && path != "*" {
		return dst, view.ErrForm
	}
	decoded := make([]byte, 0, len(v.Prefix)+len(path))
	decoded = appendDecoded(appendDecoded(decoded, v.Prefix), path)
	if !utf8.Valid(decoded) {
		return dst, errUTF8
	}
	for len(decoded) > 1 && decoded[1] == '/' {
		decoded = decoded[1:]
	}
	const hex = "0123456789ABCDEF"
	for _, b := range decoded {
		if classes[b]&safe != 0 {
			dst = append(dst, b)
		} else {
			dst = append(dst, '%', hex[b>>4], hex[b&15])
		}
	}
	if v.Query != "" {
		dst = append(append(dst, '?'), v.Query...)
	}
	return dst, nil
}

// gap names the parts of a request that Draft01 and WebOb read differently. It returns "" if they
// read it alike, or if WebOb cannot read it.
func (v *reading) gap() string {
	requoted, err := v.appendWebOb(nil)
	if err != nil {
		return ""
	}
	path, _, _ := strings.Cut(string(requoted), "?")
	sent := v.Prefix + v.Path[v.Absolute:]
	var parts []string
	add := func(part string, differs bool) {
		if differs {
			parts = append(parts, part)
		}
	}
	add("the scheme and host of the target", v.Absolute > 0)
	add("the slashes at its start", strings.HasPrefix(sent, "//"))
	single := "/" + strings.TrimLeft(sent, "/")
	add("what is escaped in its path", sent != "" && sent[0] == '/' && path != single)
	add("the question mark without a query", v.Ask && v.Query == "")
	add("the IPv6 address without a port", v.Bare && v.Host[0] == '[')
	return strings.Join(parts, " and ")
}

// place returns the host and the port to sign. In the WebOb dialect, an IPv6 address without a port
// is cut at its last colon, so that [::1] is the host "[:" with the port "1]".
func (v *reading) place(d Dialect) (host, port string, err error) {
	if d != WebOb || !v.Bare || v.Host[0] != '[' {
		return v.Host, v.Port, nil
	}
	last := strings.LastIndexByte(v.Host, ':')
	if last < 0 {
		return "", "", view.ErrHost
	}
	return v.Host[:last], v.Host[last+1:], nil
}

// appendDjango appends the decoded path. It refuses control characters, because a line feed would
// shift the lines of the base string.
func (v *reading) appendDjango(dst []byte, ext string) ([]byte, error) {
	if ext != "" {
		return dst, errDjangoExt
	}
	switch {
	case v.Path == "*":
		return dst, errAsterisk
	case v.Path[0] != '/':
		return dst, view.ErrForm
	}
	start := len(dst)
	dst = appendDecoded(appendDecoded(dst, v.Prefix), v.Path)
	for _, b := range dst[start:] {
		if b < ' ' || b > '~' {
			return dst, errPathASCII
		}
	}
	return dst, nil
}

// appendDecoded undoes percent encoding. It copies an invalid escape, such as "%zz", unchanged.
func appendDecoded(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if high, low := unhex(s[i+1]), unhex(s[i+2]); high < 16 && low < 16 {
				dst = append(dst, high<<4|low)
				i += 2
				continue
			}
		}
		dst = append(dst, s[i])
	}
	return dst
}

// unhex returns the value of a hexadecimal digit, or 16 for any other byte.
func unhex(b byte) byte {
	switch {
	case '0' <= b && b <= '9':
		return b - '0'
	case 'a' <= b|0x20 && b|0x20 <= 'f':
		return b | 0x20 - 'a' + 10
	}
	return 16
}
