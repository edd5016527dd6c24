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

// Memory is a [Checker] of [Password] and [Response] that holds all its users, by name, with their
// passwords in clear. It is for tests, examples and a few machine accounts with long random
// passwords; whoever reads the memory or the configuration of the program has them all. It must not
// be changed while in use.
//
// An empty name, an empty password and one over 1 KiB are always wrong, also where Memory holds the
// same. An unknown user costs as much time as a wrong password, to a few nanoseconds.
type Memory map[string]creds.Secret

// Format writes how many users there are, whatever the verb.
func (m Memory) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "%d users", len(m)) }

// Kinds returns the types of Password and Response.
func (Memory) Kinds() []reflect.Type { return passwordKinds(true) }

// Check returns the name of the user.
func (m Memory) Check(_ context.Context, c Credentials) (subject string, err error) {
	user, ok := userOf(c, true)
	if !ok {
		return "", unhandled(c, m.Kinds())
	}
	// All this work is done for everybody: what a user lacks, down to the name, is nil here.
	want := m.find(user)
	same := matches(c, want)
	if !same || !isName(user) || len(want) == 0 || len(want) > maxPassword {
		return "", ErrUnauthorized
	}
	return user, nil
}

// CheckPassword is Check for a [Password].
func (m Memory) CheckPassword(
	ctx context.Context, user string, password creds.Secret) (subject string, err error) {
	return m.Check(ctx, Password{user, password})
}

// find returns the password of user, nil if there is none. A map finds a name sooner than it misses
// one, so one name is found here and another one missed, in whichever order.
func (m Memory) find(user string) creds.Secret {
	decoys := [2]string{1: user + "\x00"} // is nobody, as isName says
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

// sameDigest takes the same time for every two passwords, so that it tells nothing of a length.
// Two that differ only beyond maxPassword can be the same to it.
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
