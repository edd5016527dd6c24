package portal

import (
	"context"
	"fmt"
	"reflect"
	"unicode"
	"unicode/utf8"

	"github.com/countersign-go/countersign/creds"
)

// A Password is a user name and a password, both exactly as the user typed them. It prints without
// the password.
type Password struct {
	User     string
	Password creds.Secret
}

// Format writes the fields with the password redacted, under every verb. Without it, package fmt
// would print the bytes of a field that a pointer leads to, for verbs that are not meant for
// pointers.
func (p Password) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{User:%q Password:%v}", p.User, p.Password)
}

// A Response is a name and the answer to a challenge, as in CRAM or Digest. It can be compared only
// with an answer made from the password in clear text: [Memory] checks it, and so do [File] and
// [SQL] if PlainText is set.
type Response struct {
	User string
	// Matches must report whether the answer was made with that password. It must take the same
	// time for every password of the same length. It is also called for unknown users. Required.
	Matches func(password creds.Secret) bool
}

// Format writes only the name, since Matches holds the answer.
func (r Response) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "{User:%q}", r.User) }

// A Bearer holds a token, and every client that has the token counts as its owner. None of the
// Checkers of this package handles it; the example of jwt.Verifier.AuthenticateToken has one that
// does. It prints without the token.
type Bearer struct{ Token creds.Secret }

// Format writes the token redacted, under every verb.
func (b Bearer) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "{Token:%v}", b.Token) }

// Anonymous is for a client that explicitly logs in without proof of identity.
type Anonymous struct{}

// AnonymousSubject is the subject of clients that logged in with [Anonymous]. It begins with a
// control character, which the Checkers of this package do not allow in names. So neither an empty
// name nor any text that a user can type is mistaken for it.
const AnonymousSubject = "\x00anonymous"

// AllowAnonymous is a [Checker] that accepts every [Anonymous], as [AnonymousSubject].
type AllowAnonymous struct{}

// Check returns AnonymousSubject if c is an Anonymous, and an error that wraps [ErrUnhandled]
// otherwise.
func (a AllowAnonymous) Check(_ context.Context, c Credentials) (subject string, err error) {
	if _, ok := c.(Anonymous); !ok {
		return "", unhandled(c, a.Kinds())
	}
	return AnonymousSubject, nil
}

// Kinds returns the type of Anonymous.
func (AllowAnonymous) Kinds() []reflect.Type { return []reflect.Type{reflect.TypeFor[Anonymous]()} }

// passwordKinds returns the types of credentials that can be checked against a stored password.
func passwordKinds(inClear bool) []reflect.Type {
	kinds := []reflect.Type{reflect.TypeFor[Password]()}
	if inClear {
		kinds = append(kinds, reflect.TypeFor[Response]())
	}
	return kinds
}

const (
	maxName     = 255
	maxPassword = 1 << 10 // the longest password, in bytes
)

// isName reports whether name is allowed as a user name.
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

// userOf returns the user name in credentials that can be checked against a stored password. ok is
// false for all other types, and for a Response if passwords are not stored in clear text.
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
