package mac

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"

	"github.com/countersign-go/countersign/internal/digest"
)

const digestOpen = "sha-256=:" // followed by base64 and a colon, like a byte sequence of RFC 8941

const (
	errGetBody    problem = "BodyDigest has to read the body first: set GetBody, or do without"
	errOwnDigest  problem = "Ext gave a digest of its own: leave it to BodyDigest"
	errNoDigest   problem = "the body is not covered: no digest was signed"
	errTwoDigests problem = "more than one digest was signed"
	errBadDigest  problem = "the digest is not canonical base64 between colons"
)

// digest returns the field of ext that covers the request's body.
func (s *Signer) digest(req *http.Request) (string, error) {
	h := sha256.New()
	if err := s.bodies.Hash(h, req); errors.Is(err, digest.ErrNoGetBody) {
		return "", because(ErrUnsignable, errGetBody)
	} else if err != nil {
		return "", err
	}
	field := make([]byte, 0, len(digestOpen)+45)
	field = append(field, digestOpen...)
	field = strict.AppendEncode(field, h.Sum(nil))
	return string(append(field, ':')), nil
}

func hasDigest(ext string) bool {
	for field := range strings.SplitSeq(ext, " ") {
		if strings.HasPrefix(field, "sha-256=") {
			return true
		}
	}
	return false
}

// findDigest returns the digest in ext, or nil if ext holds none.
func findDigest(ext string) (*tag, error) {
	var found *tag
	for field := range strings.SplitSeq(ext, " ") {
		if !strings.HasPrefix(field, "sha-256=") {
			continue
		}
		if found != nil {
			return nil, errTwoDigests
		}
		text, closed := strings.CutSuffix(strings.TrimPrefix(field, digestOpen), ":")
		t, ok := parseTag(text)
		if !closed || !ok {
			return nil, errBadDigest
		}
		found = &t
	}
	return found, nil
}

// checkBody compares the body of req with the digest in ext. Authenticate calls it only after the
// MAC was found correct, so that a client without a key cannot make the server read a body.
func checkBody(req *http.Request, ext string) error {
	want, err := findDigest(ext)
	switch {
	case err != nil:
		return because(ErrDigest, err)
	case want != nil:
		return digest.Check(req, sha256.New(), want.slice(), ErrDigest)
	case req.Body != nil && req.Body != http.NoBody:
		return because(ErrDigest, errNoDigest)
	}
	return nil
}
