package portal

import (
	"context"
	"fmt"
	"reflect"
	"unicode"
	"unicode/utf8"

	"github.com/countersign-go/countersign/creds"
)

// A Password is what somebody types in: a name and a password, both as they were given. It prints
// without the password.
type Password struct {
	User     string
	Password creds.Secret
}

// Format writes the fields with the password redacted, whatever the verb: package fmt prints what a
// pointer points to by its bytes, where the verb is not one for pointers.
func (p Password) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{User:%q Password:%v}", p.User, p.Password)
}

// A Response is a name and the answer to a challenge, as in CRAM or Digest, which can be compared
// only with an answer made from the password in clear: [Memory] checks it, and [File] and [SQL] do
// with PlainText.
type Response struct {
	User string
	// Matches reports whether the answer was made with that password. It takes the same time for
	// every password of one length, and is called also where there is no such user. Required.
	Matches func(password creds.Secret) bool
}

// Format writes the name alone: Matches holds the answer.
func (r Response) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "{User:%q}", r.User) }

// A Bearer shows a token, and each client that has it is taken for its owner. No Checker of this
// package judges it; the example of jwt.Verifier.AuthenticateToken has one. It prints without
// the token.
type Bearer struct{ Token creds.Secret }

// Format writes the token redacted, whatever the verb.
func (b Bearer) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "{Token:%v}", b.Token) }

// Anonymous is for somebody who shows nothing, and says so.
type Anonymous struct{}

// AnonymousSubject is the subject of those who came in as [Anonymous]. It begins with a control
// character, which no Checker of this package lets a name have, so neither an empty name nor
// anything that a user can type is taken for it.
const AnonymousSubject = "\x00anonymous"

// AllowAnonymous is a [Checker] that lets in everybody who shows [Anonymous], as
// [AnonymousSubject].
type AllowAnonymous struct{}

// Check returns AnonymousSubject.
func (a AllowAnonymous) Check(_ context.Context, c Credentials) (subject string, err error) {
	if _, ok := c.(Anonymous); !ok {
		return "", unhandled(c, a.Kinds())
	}
	return AnonymousSubject, nil
}

// Kinds returns the type of Anonymous.
func (AllowAnonymous) Kinds() []reflect.Type { return []reflect.Type{reflect.TypeFor[Anonymous]()} }

// kinds returns which credentials of this package can be judged by a stored password.
func passwordKinds(inClear bool) []reflect.Type {
	kinds := []reflect.Type{reflect.TypeFor[Password]()}
	if inClear {
		kinds = append(kinds, reflect.TypeFor[Response]())
	}
	return kinds
}

const (
	maxName     = 255
	maxPassword = 1 << 10 // what a password has in bytes at most
)

// isName reports whether somebody can be called that.
func isName(name string) bool {
	if name == "" || len(name) > maxName || !utf8.ValidString(name) {
		return false
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			return false
		}
	}
	return true
}

// userOf returns whose name is on credentials that a stored password can judge. ok is false for any
// others, and for a Response where no password is stored in clear.
func userOf(c Credentials, inClear bool) (user string, ok bool) {
	switch c := c.(type) {
	case Password:
		return c.User, true
	case Response:
		return c.User, inClear
	}
	return "", false
}

// matches reports whether c fits the password. It does the same work for every password.
func matches(c Credentials, password creds.Secret) bool {
	switch c := c.(type) {
	case Password:
		return sameDigest(c.Password, password)
	case Response:
		return c.Matches != nil && c.Matches(password)
	}
	return false
}
