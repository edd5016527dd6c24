package portal

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-crypt/x/crypt"
	"github.com/go-crypt/x/yescrypt"
	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// The highest cost that a stored hash may have, as stated in the package comment. Each bound is
// some seconds of one core.
const (
	maxBcryptCost     = 16
	maxYescryptMemory = 256 << 20 // bytes
	maxArgonMemory    = 256 << 10 // KiB, at any one time
	maxArgonWork      = 1 << 20   // KiB, over all passes
	maxPBKDF2Rounds   = 10_000_000
	maxCryptRounds    = 1_000_000

	maxHash = 512 // bytes of a stored hash; all formats need less
)

// bcryptLimit is how many bytes of a password bcrypt uses.
const bcryptLimit = 72

// cryptLimit keeps an attacker from multiplying the cost of SHA-crypt by sending long passwords:
// each round hashes the whole password.
const cryptLimit = 256

// A passwordHash is a stored hash that was parsed and found valid.
type passwordHash struct {
	match func(password []byte) bool
	limit int   // how many bytes of a password count
	long  error // the error for a longer password
}

var errCost = errors.New("costs more than is allowed")

// parseHash parses a stored hash. Its errors name the format and repeat nothing else of the hash.
func parseHash(stored string) (*passwordHash, error) {
	// usermod -L and passwd -l write these characters in front of the hash or in its place.
	if stored != "" && (stored[0] == '!' || stored[0] == '*') {
		return nil, errClosed
	}
	format, parse := formatOf(stored)
	if parse == nil && format == clearText {
		return nil, errClear
	}
	if parse == nil {
		return nil, notSupported(format)
	}
	if len(stored) > maxHash {
		return nil, fmt.Errorf("a %s hash over %d bytes", format, maxHash)
	}
	h, err := parse(stored)
	if err != nil {
		return nil, fmt.Errorf("a %s hash that %w", format, err)
	}
	h.long = refused(fmt.Errorf("the password is over the %d bytes that its hash takes", h.limit))
	return h, nil
}

// errClear is the fault of text that may be a password in clear text.
var errClear = notSupported(clearText)

const clearText = "a password in clear or as crypt(3) makes it"

func notSupported(format string) error {
	return fmt.Errorf("%s is not supported: store bcrypt, yescrypt, Argon2id, PBKDF2 or SHA-crypt",
		format)
}

var errMalformed = errors.New("is malformed")

// formatOf names the format of a stored hash and returns its parser. The parser is nil if the
// format is not supported.
func formatOf(stored string) (name string, parse func(string) (*passwordHash, error)) {
	word, _, dollars := strings.Cut(strings.TrimPrefix(stored, "$"), "$")
	if stored[:min(len(stored), 1)] == "$" && dollars {
		switch word {
		case "2a", "2b", "2y":
			return "bcrypt", parseBcrypt
		case "y":
			return "yescrypt", parseYescrypt
		case "argon2id":
			return "Argon2id", parseArgon2id
		case "pbkdf2-sha256", "pbkdf2-sha512":
			return "PBKDF2", parsePBKDF2
		case "5", "6":
			return "SHA-crypt", parseSHACrypt
		case "1", "apr1", "md5":
			return "$" + word + "$ (MD5)", nil
		case "2x", "2", "3", "7", "gy", "sha1", "scrypt", "argon2i", "argon2d", "pbkdf2":
			return "$" + word + "$", nil
		}
		return "this $ format", nil
	}
	for _, scheme := range []string{"{SHA}", "{SSHA}", "{MD5}", "{SMD5}", "{CRYPT}", "{PLAIN}"} {
		if strings.HasPrefix(stored, scheme) {
			return scheme, nil
		}
	}
	return clearText, nil
}

// parseBcrypt parses $2b$10$ and 53 characters: 22 of salt, 31 of hash.
func parseBcrypt(stored string) (*passwordHash, error) {
	const alphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	if len(stored) != 60 || stored[6] != '$' || strings.Trim(stored[7:], alphabet) != "" {
		return nil, errMalformed
	}
	text := []byte(stored)
	cost, err := bcrypt.Cost(text)
	switch {
	case err != nil:
		return nil, errMalformed
	case cost > maxBcryptCost:
		return nil, errCost
	}
	return &passwordHash{limit: bcryptLimit, match: func(password []byte) bool {
		// bcrypt appends a NUL to the password and repeats it, so different passwords can match if
		// one of them contains a NUL.
		same := bcrypt.CompareHashAndPassword(text, password) == nil
		return same && bytes.IndexByte(password, 0) < 0
	}}, nil
}

// parseYescrypt parses $y$j9T$salt$hash, as described in crypt(5) of libxcrypt: one letter for the
// flags, one for N, one for r. It refuses hashes with more parameters, which libxcrypt never
// writes.
func parseYescrypt(stored string) (*passwordHash, error) {
	fields := strings.Split(stored, "$")
	if len(fields) != 5 || len(fields[4]) != 43 {
		return nil, errMalformed
	}
	_, logN, r, err := yescrypt.DecodeSetting([]byte(fields[2]))
	salt, key := yescrypt.Decode64([]byte(fields[3])), yescrypt.Decode64([]byte(fields[4]))
	switch {
	// A letter outside the alphabet is decoded as 65. The least N is the same as in libxcrypt.
	case err != nil, logN > 64, r > 64, logN < 10, len(salt) < 1, len(salt) > 64, len(key) != 32:
		return nil, errMalformed
	case logN > 30, uint64(r)<<logN > maxYescryptMemory/128:
		return nil, errCost
	}
	return &passwordHash{limit: maxPassword, match: func(password []byte) bool {
		got, err := yescrypt.Key(password, salt, 1<<logN, r, 1, len(key))
		return err == nil && subtle.ConstantTimeCompare(got, key) == 1
	}}, nil
}

// parseArgon2id parses $argon2id$v=19$m=65536,t=3,p=4$salt$hash.
func parseArgon2id(stored string) (*passwordHash, error) {
	fields := strings.Split(stored, "$")
	if len(fields) != 6 || fields[2] != "v=19" {
		return nil, errMalformed
	}
	var costs [3]int
	for i, word := range strings.SplitN(fields[3], ",", len(costs)) {
		var err error
		if costs[i], err = number(word, "mtp"[i:i+1]+"="); err != nil {
			return nil, err
		}
	}
	memory, passes, lanes := costs[0], costs[1], costs[2]
	salt, saltErr := base64.RawStdEncoding.DecodeString(fields[4])
	key, keyErr := base64.RawStdEncoding.DecodeString(fields[5])
	switch {
	case saltErr != nil, keyErr != nil, len(salt) < 8, len(key) < 16, passes < 1, lanes < 1,
		memory < 8*lanes: // RFC 9106, section 3.1
		return nil, errMalformed
	case memory > maxArgonMemory, passes > maxArgonWork/memory, lanes > 255:
		return nil, errCost
	}
	return &passwordHash{limit: maxPassword, match: func(password []byte) bool {
		got := argon2.IDKey(password, salt,
			uint32(passes), uint32(memory), uint8(lanes), uint32(len(key)))
		return subtle.ConstantTimeCompare(got, key) == 1
	}}, nil
}

// parsePBKDF2 parses $pbkdf2-sha256$600000$salt$hash, where the base64 may have a dot for the plus.
// It also parses the form with i=600000, which may be followed by l, the length.
func parsePBKDF2(stored string) (*passwordHash, error) {
	fields := strings.Split(stored, "$")
	if len(fields) != 5 {
		return nil, errMalformed
	}
	newHash := sha256.New
	if fields[1] == "pbkdf2-sha512" {
		newHash = sha512.New
	}
	cost, length, hasLength := strings.Cut(fields[2], ",")
	rounds, err := number(strings.TrimPrefix(cost, "i="), "")
	if err != nil {
		return nil, err
	}
	salt, saltErr := decodeAdapted(fields[3])
	key, keyErr := decodeAdapted(fields[4])
	switch {
	case saltErr != nil, keyErr != nil, len(salt) < 8, rounds < 1, len(key) < 16,
		len(key) > newHash().Size(), hasLength && length != "l="+strconv.Itoa(len(key)):
		return nil, errMalformed
	case rounds > maxPBKDF2Rounds:
		return nil, errCost
	}
	return &passwordHash{limit: maxPassword, match: func(password []byte) bool {
		got, err := pbkdf2.Key(newHash, string(password), salt, rounds, len(key))
		return err == nil && subtle.ConstantTimeCompare(got, key) == 1
	}}, nil
}

func decodeAdapted(text string) ([]byte, error) {
	return base64.RawStdEncoding.DecodeString(strings.ReplaceAll(text, ".", "+"))
}

// parseSHACrypt parses $6$salt$hash, with an optional field such as rounds=5000 before the salt.
func parseSHACrypt(stored string) (*passwordHash, error) {
	fields := strings.Split(stored, "$")[1:]
	rounds := 5000
	if len(fields) == 4 {
		var err error
		if rounds, err = number(fields[1], "rounds="); err != nil {
			return nil, err
		}
		fields = append(fields[:1], fields[2:]...)
	}
	newHash, length := sha512.New, 86
	if fields[0] == "5" {
		newHash, length = sha256.New, 43
	}
	switch {
	case len(fields) != 3, len(fields[1]) > 16, len(fields[2]) != length, rounds < 1000:
		return nil, errMalformed
	case rounds > maxCryptRounds:
		return nil, errCost
	}
	salt, key := []byte(fields[1]), []byte(fields[2])
	return &passwordHash{limit: cryptLimit, match: func(password []byte) bool {
		got := crypt.KeySHACrypt(newHash, password, salt, rounds)
		return subtle.ConstantTimeCompare(got, key) == 1
	}}, nil
}

// number parses a number of up to nine digits after a prefix. A number with more digits is a cost
// that no machine can afford.
func number(text, prefix string) (int, error) {
	digits, ok := strings.CutPrefix(text, prefix)
	if !ok || digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, errMalformed
	}
	if len(digits) > 9 {
		return 0, errCost
	}
	return strconv.Atoi(digits)
}
