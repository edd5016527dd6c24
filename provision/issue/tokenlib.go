package issue

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"strings"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/seconds"
	"github.com/countersign-go/countersign/internal/strictjson"
)

// The format of Mozilla's tokenlib, version 2.0. An id is the URL-safe base64, with padding,
// of a JSON object followed by its tag: the HMAC under a key that is derived from the master
// secret. The MAC key that belongs to the id is derived from the master secret, the salt in the
// object and the text of the id.
const (
	signingInfo = "services.mozilla.com/tokenlib/v1/signing"
	deriveInfo  = "services.mozilla.com/tokenlib/v1/derive/"
)

// A format is one version of the format: the hash, and the info texts of both key derivations.
type format struct {
	hash            func() hash.Hash
	signing, derive string
}

func formatOf(name string) (f format, ok bool) {
	switch name {
	case "", "sha256":
		return format{sha256.New, signingInfo, deriveInfo}, true
	case "sha1":
		return format{sha1.New, signingInfo, deriveInfo}, true
	case "sha512":
		return format{sha512.New, signingInfo, deriveInfo}, true
	case "tokenlib-0.1":
		return format{sha1.New, "SIGNING", ""}, true
	}
	return format{}, false
}

// base64text is the encoding of ids and keys. It is strict: each value has exactly one text.
var base64text = base64.URLEncoding.Strict()

// decode decodes base64text. It refuses line ends, which Go's decoder would skip.
func decode(text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("a line end in base64")
	}
	return base64text.DecodeString(text)
}

// A sealer seals and opens ids under one master secret.
type sealer struct {
	format
	size   int // of a tag and of a derived key
	secret creds.Secret
	tagKey creds.Secret
}

func newSealer(f format, secret creds.Secret) (*sealer, error) {
	size := f.hash().Size()
	tagKey, err := hkdf.Key(f.hash, secret, make([]byte, size), f.signing, size)
	return &sealer{f, size, secret, tagKey}, err
}

func (s *sealer) tag(payload []byte) []byte {
	m := hmac.New(s.hash, s.tagKey)
	m.Write(payload)
	return m.Sum(nil)
}

// seal returns the id for a payload.
func (s *sealer) seal(payload []byte) string {
	return base64text.EncodeToString(append(payload, s.tag(payload)...))
}

// open returns the payload of a decoded id. Callers must not read the payload unless open reports
// true.
func (s *sealer) open(raw []byte) ([]byte, bool) {
	if len(raw) < s.size {
		return nil, false
	}
	payload, tag := raw[:len(raw)-s.size], raw[len(raw)-s.size:]
	return payload, hmac.Equal(tag, s.tag(payload))
}

// key derives the MAC key of an id. The key is the base64 text itself.
func (s *sealer) key(id, salt string) (creds.Secret, error) {
	key, err := hkdf.Key(s.hash, s.secret, []byte(salt), s.derive+id, s.size)
	return []byte(base64text.EncodeToString(key)), err
}

// saltSize is enough to distinguish ids that are issued to one subject in one moment.
const saltSize = 8 // bytes

// write returns a payload that parse reads, and its salt. The claims are a JSON object without the
// reserved names, or nil.
func write(subject string, expires time.Time, claims []byte) (
	payload []byte, salt string, err error) {
	at, err := seconds.Number(expires)
	if err != nil {
		return nil, "", fmt.Errorf("the lifetime ends %w", err)
	}
	random := make([]byte, saltSize)
	rand.Read(random) // never fails
	salt = hex.EncodeToString(random)
	payload, err = json.Marshal(struct {
		Subject string      `json:"userid"`
		Salt    string      `json:"salt"`
		Expires json.Number `json:"expires"`
	}{subject, salt, at})
	if len(claims) > 0 {
		payload = append(payload[:len(payload)-1], ',')
		payload = append(payload, claims[1:]...)
	}
	return payload, salt, err
}

// A token is the payload of an id.
type token struct {
	identity auth.Identity
	salt     string
}

// parse reads a payload, which must be one that open has verified.
func parse(payload []byte) (*token, error) {
	object, err := strictjson.Object(payload)
	if err != nil {
		return nil, err
	}
	t := new(token)
	var ok bool
	if t.salt, ok = object["salt"].(string); !ok || !isASCII(t.salt) {
		return nil, errors.New("no salt in ASCII")
	}
	expires, ok := object["expires"]
	if !ok {
		return nil, errors.New("no expires")
	}
	if t.identity.Expires, err = seconds.Time(expires); err != nil {
		return nil, errors.New("expires is " + err.Error())
	}
	delete(object, "salt")
	delete(object, "expires")
	if t.identity.Subject, err = takeSubject(object); err != nil {
		return nil, err
	}
	if len(object) > 0 {
		t.identity.Claims = object
	}
	return t, nil
}

// takeSubject removes from object the first of the names of a subject, and returns its value. If
// that value is of no use, it returns an error and does not try the other names: they may name
// another subject.
func takeSubject(object map[string]any) (string, error) {
	for _, name := range subjectNames {
		v, ok := object[name]
		if !ok {
			continue
		}
		delete(object, name)
		switch v := v.(type) {
		case string:
			if v != "" {
				return v, nil
			}
		case json.Number:
			if n := v.String(); !strings.ContainsAny(n, ".eE") && n != "-0" {
				return n, nil
			}
		}
		return "", errors.New(name + " is neither text nor an integer")
	}
	return "", errors.New("no username, userid, uid or email")
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > 127 }) < 0
}
