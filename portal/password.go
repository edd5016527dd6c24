package portal

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"

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

// maxPassword is the longest password, in bytes, that [Memory] compares.
const maxPassword = 1 << 10

// Memory is a [Checker] of [Password] that holds all its users, by name, with their passwords in
// clear. It is for tests, examples and a few machine accounts with long random passwords; whoever
// reads the memory or the configuration of the program has them all. It must not be changed while
// in use.
//
// An empty name, an empty password and one over 1 KiB are always wrong, also where Memory holds the
// same. An unknown user costs as much time as a wrong password.
type Memory map[string]creds.Secret

// Format writes how many users there are, whatever the verb.
func (m Memory) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "%d users", len(m)) }

// Check returns the name of the user.
func (m Memory) Check(_ context.Context, c Credentials) (subject string, err error) {
	p, ok := c.(Password)
	if !ok {
		return "", fmt.Errorf("%w: %T", ErrUnhandled, c)
	}
	// All this work is done for everybody: what a user lacks, down to the name, is nil here.
	want := m[p.User]
	given, stored := digest(p.Password), digest(want)
	same := subtle.ConstantTimeCompare(given[:], stored[:]) == 1
	if !same || p.User == "" || len(want) == 0 || len(want) > maxPassword {
		return "", ErrUnauthorized
	}
	return p.User, nil
}

// digest takes the same time for every password, so that it tells nothing of a length. Beyond
// maxPassword two digests can be the same.
func digest(password creds.Secret) [sha256.Size]byte {
	var block [8 + maxPassword]byte
	binary.BigEndian.PutUint64(block[:], uint64(len(password)))
	copy(block[8:], password)
	return sha256.Sum256(block[:])
}
