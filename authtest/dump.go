package authtest

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/countersign-go/countersign/internal/authparam"
)

// Dump returns req in the form of HTTP/1.1, for a golden file: its target, its Host, its fields in
// the order of their names, and its body. The text holds no credentials, and it does not depend on
// the signer's keys or on the time. Only the form of credentials is left:
//
//	Authorization: MAC id="ID", ts="TS", nonce="NONCE", mac="MAC"
//	Authorization: Bearer CREDENTIALS
//	Cookie: session=COOKIE
//
// A scheme is printed if a space follows it, and a cookie's name if an equals sign does. The ext of
// a MAC is printed, since it is text of the program or a digest of the body. Dump does not
// recognize secrets in the target, in the body, or in other fields.
//
// Dump reads the body from GetBody and omits it if GetBody is nil. It returns an error if the URL
// is nil, if GetBody fails, or if the body cannot be read.
func Dump(req *http.Request) (string, error) {
	if req.URL == nil {
		return "", errNoURL
	}
	var b strings.Builder
	r := received(req)
	fmt.Fprintf(&b, "%s %s HTTP/1.1\nHost: %s\n", r.Method, r.RequestURI, r.Host)
	names := make([]string, 0, len(req.Header))
	for name := range req.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range req.Header[name] {
			fmt.Fprintf(&b, "%s: %s\n", name, plain(name, value))
		}
	}
	b.WriteByte('\n')
	if req.GetBody == nil {
		return b.String(), nil
	}
	body, err := req.GetBody()
	if err != nil {
		return "", err
	}
	defer body.Close()
	if _, err = io.Copy(&b, body); err != nil {
		return "", err
	}
	return b.String(), nil
}

// plain returns the value of a field without credentials.
func plain(name, value string) string {
	switch http.CanonicalHeaderKey(name) {
	case "Authorization", "Proxy-Authorization":
		return plainCredentials(value)
	case "Cookie", "Set-Cookie":
		var pairs []string
		for pair := range strings.SplitSeq(value, ";") {
			name, _, ok := strings.Cut(strings.TrimSpace(pair), "=")
			if !ok {
				pairs = append(pairs, "COOKIE") // a cookie with a value but no name
				continue
			}
			pairs = append(pairs, name+"=COOKIE")
		}
		return strings.Join(pairs, "; ")
	}
	return value
}

// plainCredentials keeps the scheme and the names of the parameters. A single word counts as
// credentials without a scheme.
func plainCredentials(value string) string {
	scheme, _, ok := strings.Cut(value, " ")
	if !ok || !isToken(scheme) {
		return "CREDENTIALS"
	}
	all, err := authparam.Parse([]string{value})
	if err != nil || len(all) != 1 || len(all[0].Params) == 0 {
		return scheme + " CREDENTIALS"
	}
	for i, p := range all[0].Params {
		if p.Name != "ext" {
			all[0].Params[i].Value = strings.ToUpper(p.Name)
		}
	}
	return all[0].String()
}

// isToken reports whether s is a token (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
}
