package mac

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"hash"
)

// blockSize is that of SHA-1 and of SHA-256 alike, which HMAC builds upon (RFC 2104, section 2).
const blockSize = 64

// hashPadding is how many bytes both hashes add to a message at least.
const hashPadding = 9

// maxBlocks bounds blocksOf. A longer key costs more than an unknown id.
const maxBlocks = 17

// blocksOf is how many blocks it takes to hash n bytes.
func blocksOf(n int) int64 { return min(int64((n+hashPadding-1)/blockSize)+1, maxBlocks) }

// zeros is never written.
var zeros [maxBlocks * blockSize]byte

// The paddings of HMAC, never written again.
var (
	ipad = bytes.Repeat([]byte{0x36}, blockSize)
	opad = bytes.Repeat([]byte{0x5c}, blockSize)
)

// strict is base64 with exactly one spelling per value (RFC 4648, sections 3.5 and 4). It would
// skip CR and LF, which no value of the header can contain.
var strict = base64.StdEncoding.Strict()

// An algorithm is the hash of a MAC, by one of its names.
type algorithm string

func (a algorithm) isSHA1() bool { return a == SHA1 || a == "sha1" }

// size is the length of a MAC in bytes, 0 for an algorithm that is not known.
func (a algorithm) size() int {
	switch {
	case a.isSHA1():
		return sha1.Size
	case a == SHA256, a == "sha256", a == "":
		return sha256.Size
	}
	return 0
}

func (a algorithm) new() hash.Hash {
	if a.isSHA1() {
		return sha1.New()
	}
	return sha256.New()
}

// A tag is a MAC, or any other hash: 20 or 32 bytes.
type tag struct {
	bytes [sha256.Size]byte
	size  int
}

func (t *tag) slice() []byte { return t.bytes[:t.size] }

// equal compares in a time that depends on the sizes only.
func (t *tag) equal(other *tag) bool {
	return subtle.ConstantTimeCompare(t.slice(), other.slice()) == 1
}

// parseTag reads canonical base64 of exactly a MAC's size.
func parseTag(text string) (t tag, ok bool) {
	switch len(text) {
	case base64.StdEncoding.EncodedLen(sha1.Size):
		t.size = sha1.Size
	case base64.StdEncoding.EncodedLen(sha256.Size):
		t.size = sha256.Size
	default:
		return t, false
	}
	var src, dst [44]byte // a copy of text on the stack, and room for what Decode calls DecodedLen
	n, err := strict.Decode(dst[:], src[:copy(src[:], text)])
	if err != nil || n != t.size {
		return t, false
	}
	copy(t.bytes[:], dst[:n])
	return t, true
}

// sum is the plain hash of data.
func (a algorithm) sum(data []byte) (t tag) {
	if a.isSHA1() {
		s := sha1.Sum(data)
		t.size = copy(t.bytes[:], s[:])
		return t
	}
	t.bytes, t.size = sha256.Sum256(data), sha256.Size
	return t
}

// mac is the HMAC of message[blockSize:] (RFC 2104, section 2). The block in front of it is room
// for the padded key. It has to be zero, and is zero again afterwards.
//
// crypto/hmac is not used here because it allocates a state per key, and a state that is kept would
// make an identifier seen lately cost less than an unknown one. This costs the same for every key
// of up to a block, and keeps nothing of it.
func (a algorithm) mac(key, message []byte) tag {
	if len(key) > blockSize {
		short := a.sum(key)
		key = short.slice()
	}
	pad := message[:blockSize]
	copy(pad, key)
	var outer [blockSize + sha256.Size]byte
	subtle.XORBytes(outer[:], pad, opad)
	subtle.XORBytes(pad, pad, ipad)
	inner := a.sum(message)
	clear(pad)
	n := copy(outer[blockSize:], inner.slice())
	return a.sum(outer[:blockSize+n])
}
