package portal

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"reflect"

	"github.com/countersign-go/countersign/creds"
)

// Memory is a [Checker] of [Password] and [Response] that maps user names to passwords in clear
// text. It is for tests, examples and a few machine accounts with long random passwords: an
// attacker who can read the program's memory or configuration has all passwords. Do not change it
// while it is in use.
type Memory map[string]creds.Secret

// Format writes how many users there are, under every verb.
func (m Memory) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "%d users", len(m)) }

// Kinds returns the types of Password and Response.
func (Memory) Kinds() []reflect.Type { return passwordKinds(true) }

// Check returns the name of the user. An empty name, an empty password and a password over 1 KiB
// are always wrong, even if Memory holds the same. An unknown user costs as much time as a wrong
// password, within a few nanoseconds.
func (m Memory) Check(_ context.Context, c Credentials) (subject string, err error) {
	user, ok := userOf(c, true)
	if !ok {
		return "", unhandled(c, m.Kinds())
	}
	// Do all this work for unknown users, too: their name and password are nil here.
	want := m.find(user)
	same := matches(c, want)
	if !same || !isName(user) || len(want) == 0 || len(want) > maxPassword {
		return "", ErrUnauthorized
	}
	return user, nil
}

// CheckPassword calls Check with a [Password].
func (m Memory) CheckPassword(
	ctx context.Context, user string, password creds.Secret) (subject string, err error) {
	return m.Check(ctx, Password{user, password})
}

// find returns the password of user, or nil if user is unknown. A map finds a key faster than it
// misses one. So find looks up one name that exists and one that does not, in either order.
func (m Memory) find(user string) creds.Secret {
	decoys := [2]string{1: user + "\x00"} // not a valid name, see isName
	for name := range m {
		decoys[0] = name
		break
	}
	want, known := m[user]
	i := 0
	if known {
		i = 1
	}
	_ = m[decoys[i]]
	return want
}

// sameDigest compares two passwords in a time that does not depend on their lengths. It may report
// two passwords as equal that differ only beyond maxPassword.
func sameDigest(given, stored creds.Secret) bool {
	a, b := digest(given), digest(stored)
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

func digest(password creds.Secret) [sha256.Size]byte {
	var block [8 + maxPassword]byte
	binary.BigEndian.PutUint64(block[:], uint64(len(password)))
	copy(block[8:], password)
	return sha256.Sum256(block[:])
}
