package mac

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"hash"
)

// blockSize is the size of the blocks of both SHA-1 and SHA-256. HMAC pads keys to it (RFC 2104,
// section 2).
const blockSize = 64

// hashPadding is the smallest number of bytes that each hash adds to a message.
const hashPadding = 9

// maxBlocks is the largest result of blocksOf. A longer key costs more than an unknown id.
const maxBlocks = 17

// blocksOf returns how many blocks must be hashed for n bytes, up to maxBlocks.
func blocksOf(n int) int64 { return min(int64((n+hashPadding-1)/blockSize)+1, maxBlocks) }

// zeros must not be written.
var zeros [maxBlocks * blockSize]byte

// The paddings of HMAC. They must not be written.
var (
	ipad = bytes.Repeat([]byte{0x36}, blockSize)
	opad = bytes.Repeat([]byte{0x5c}, blockSize)
)

// strict is base64 with exactly one encoding for each value (RFC 4648, sections 3.5 and 4). It
// would skip CR and LF, but no value of the header can contain them.
var strict = base64.StdEncoding.Strict()

// An algorithm is a name of the hash of a MAC.
type algorithm string

func (a algorithm) isSHA1() bool { return a == SHA1 || a == "sha1" }

// size returns the length of a MAC in bytes, or 0 for an unknown algorithm.
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

// A tag is a MAC, or another hash, of 20 or 32 bytes.
type tag struct {
	bytes [sha256.Size]byte
	size  int
}

func (t *tag) slice() []byte { return t.bytes[:t.size] }

// equal reports whether t and other are equal. Its running time depends on their sizes only.
func (t *tag) equal(other *tag) bool {
	return subtle.ConstantTimeCompare(t.slice(), other.slice()) == 1
}

// parseTag decodes canonical base64 of exactly the size of a MAC.
func parseTag(text string) (t tag, ok bool) {
	switch len(text) {
	case base64.StdEncoding.EncodedLen(sha1.Size):
		t.size = sha1.Size
	case base64.StdEncoding.EncodedLen(sha256.Size):
		t.size = sha256.Size
	default:
		return t, false
	}
	var src, dst [44]byte // a copy of text on the stack, and as much room as Decode asks for
	n, err := strict.Decode(dst[:], src[:copy(src[:], text)])
	if err != nil || n != t.size {
		return t, false
	}
	copy(t.bytes[:], dst[:n])
	return t, true
}

// sum returns the hash of data, without a key.
func (a algorithm) sum(data []byte) (t tag) {
	if a.isSHA1() {
		s := sha1.Sum(data)
		t.size = copy(t.bytes[:], s[:])
		return t
	}
	t.bytes, t.size = sha256.Sum256(data), sha256.Size
	return t
}

// mac returns the HMAC of message[blockSize:] (RFC 2104, section 2). The first block of message is
// room for the padded key. It must be zero, and it is zero again afterwards.
//
// crypto/hmac is not used here, because it allocates a state for each key. If that state were kept,
// an identifier that was seen recently would cost less than an unknown one. mac costs the same for
// every key of up to a block, and keeps no part of the key.
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
