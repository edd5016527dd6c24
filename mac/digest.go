package mac

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"hash"
	"io"
	"net/http"
	"strings"
)

const (
	digestOpen = "sha-256=:" // then base64 and a colon, like a byte sequence of RFC 8941
	chunkSize  = 32 << 10
	maxBuffer  = 1 << 20 // bodies up to this are checked before a handler runs
)

const (
	errGetBody    problem = "BodyDigest has to read the body first: set GetBody, or do without"
	errOwnDigest  problem = "Ext gave a digest of its own: leave it to BodyDigest"
	errNoDigest   problem = "the body is not covered: no digest was signed"
	errTwoDigests problem = "more than one digest was signed"
	errBadDigest  problem = "the digest is no canonical base64 between colons"
)

// digest is the field of ext that covers the body, made without buffering it.
func (s *Signer) digest(req *http.Request) (string, error) {
	h := sha256.New()
	if req.Body != nil && req.Body != http.NoBody {
		if req.GetBody == nil {
			return "", because(ErrUnsignable, errGetBody)
		}
		body, err := req.GetBody()
		if err != nil {
			return "", err
		}
		chunk, _ := s.chunks.Get().(*[chunkSize]byte)
		if chunk == nil {
			chunk = new([chunkSize]byte)
		}
		_, err = io.CopyBuffer(h, body, chunk[:])
		s.chunks.Put(chunk)
		if err = errors.Join(err, body.Close()); err != nil {
			return "", err
		}
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

// findDigest reads the digest in ext. It is nil if there is none.
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

// checkBody compares the body of req with the digest in ext. A long body is compared while it is
// read. It is called for a request whose MAC is right, so that strangers make nobody read anything.
func checkBody(req *http.Request, ext string) error {
	want, err := findDigest(ext)
	if err != nil {
		return because(ErrDigest, err)
	}
	if req.Body == nil || req.Body == http.NoBody {
		if want != nil {
			return compareDigest(sha256.New(), want)
		}
		return nil
	}
	if want == nil {
		return because(ErrDigest, errNoDigest)
	}
	body := newCheckedBody(req.Body, want)
	if req.ContentLength > maxBuffer {
		req.Body = body
		return nil
	}
	var start bytes.Buffer
	_, err = io.Copy(&start, io.LimitReader(body, maxBuffer+1))
	if errors.Is(err, ErrDigest) {
		// For whoever looks into the refusal, as Explain does.
		read := io.MultiReader(&start, bytes.NewReader(body.held), req.Body)
		req.Body = readCloser{read, req.Body}
		return err
	}
	// Who sent too little, or is cut off by a limit, gets to hear that from the handler.
	req.Body = readCloser{io.MultiReader(&start, body), body}
	return nil
}

type readCloser struct {
	io.Reader
	io.Closer
}

// A checkedBody passes a body on and ends it with an error if it was not the one that was signed.
// It gives nothing before it knows that more follows, or that all is well: io.ReadFull and its like
// forget an error that comes along with the last of what they want.
type checkedBody struct {
	body io.ReadCloser
	all  *bufio.Reader // reads body into hash
	hash hash.Hash
	want *tag
	end  error  // what every Read returns from now on
	held []byte // read from body, and not given because it was not what was signed
}

func newCheckedBody(body io.ReadCloser, want *tag) *checkedBody {
	h := sha256.New()
	return &checkedBody{
		body: body, all: bufio.NewReader(io.TeeReader(body, h)), hash: h, want: want,
	}
}

func (b *checkedBody) Read(p []byte) (int, error) {
	if b.end != nil || len(p) == 0 {
		return 0, b.end
	}
	n, err := b.all.Read(p)
	if err == nil {
		_, err = b.all.Peek(1)
	}
	if err == io.EOF {
		if bad := compareDigest(b.hash, b.want); bad != nil {
			b.held = bytes.Clone(p[:n])
			n, err = 0, bad
		}
	}
	b.end = err
	return n, err
}

func (b *checkedBody) Close() error { return b.body.Close() }

func compareDigest(h hash.Hash, want *tag) error {
	if subtle.ConstantTimeCompare(h.Sum(nil), want.slice()) == 1 {
		return nil
	}
	return ErrDigest
}
