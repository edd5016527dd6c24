// Package basic is the Basic scheme of HTTP in both directions (RFC 7617, with the charset UTF-8):
// a [Signer] sends a user name and a password, and a [Verifier] checks them.
//
// Both are sent unencrypted with every request, so serve the scheme over TLS only. A program should
// rather send a password once, to fetch other credentials with it.
package basic

import (
	"encoding/base64"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	scheme      = "Basic"
	maxField    = 8 << 10 // largest Authorization field, in bytes
	maxUser     = 255     // bytes that a Verifier takes
	maxPassword = 1 << 10 // bytes that a Verifier accepts, so that long ones can't keep a hash busy
)

// The reasons why credentials do not have the form of RFC 7617, section 2.
var (
	errColon    = errors.New("a colon in the user name, where RFC 7617 allows none")
	errNoColon  = errors.New("no colon between user name and password")
	errControl  = errors.New("a control character in the user name or password")
	errEncoding = errors.New("the user name or password is not UTF-8")
	errBase64   = errors.New("the credentials are not base64") // its cause quotes a byte of them
)

// encode returns the credentials as a token68.
func encode(user, password string) (string, error) {
	if strings.Contains(user, ":") {
		return "", errColon
	}
	if err := check(user, password); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password)), nil
}

// decode is the inverse of encode. It accepts only one text for each pair: without the checks,
// package base64 would skip newlines and, unless strict, ignore spare bits.
func decode(token68 string) (user, password string, err error) {
	text, err := base64.StdEncoding.Strict().DecodeString(token68)
	if err != nil || strings.ContainsAny(token68, "\r\n") {
		return "", "", errBase64
	}
	user, password, ok := strings.Cut(string(text), ":")
	if !ok {
		return "", "", errNoColon
	}
	return user, password, check(user, password)
}

func check(user, password string) error {
	for _, s := range []string{user, password} {
		if !utf8.ValidString(s) {
			return errEncoding
		}
		if strings.ContainsFunc(s, unicode.IsControl) {
			return errControl
		}
	}
	return nil
}
