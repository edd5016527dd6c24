package mac

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/base64"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/digest"
	"github.com/countersign-go/countersign/internal/slip"
	"github.com/countersign-go/countersign/internal/view"
	"github.com/countersign-go/countersign/transport"
)

const (
	errNoSource problem = "the Signer has no Source: set it to credentials or what fetches them"
	errNoCreds  problem = "the Source gave nil and no error"
	errID       problem = "the ID has bytes other than printable ASCII, or a quote or backslash"
	errKey      problem = "the Key has bytes other than printable ASCII, or a quote or " +
		"backslash: encode it, on both sides"
	errAlgorithm problem = "the Algorithm is neither hmac-sha-256 nor hmac-sha-1"
	errSHA1      problem = "the Django dialect knows SHA-1 only: set the Algorithm to mac.SHA1"
	errExt       problem = "ext must be printable ASCII without quotes or backslashes"
	errTime      problem = "the time to sign with is outside the years that ts can hold"
	errLong      problem = "the header is over 8 KiB, which servers refuse: use a shorter ID or ext"
)

// A Signer signs requests with a MAC. It is a [transport.Signer]. It also understands refusals, as
// a [transport.Reader], a [transport.Refresher] and a [transport.Observer]. Most programs set
// Source, and Dialect if the server needs it.
//
// The fields must not be changed, and the Signer must not be copied, after the first request. A
// Signer is safe for concurrent use; Source and Ext must be too.
type Signer struct {
	// Source returns the credentials for each request. A *[Credentials] is a Source. Required.
	Source creds.Source[*Credentials]

	// Dialect is how the server reads requests. If zero, Draft01.
	Dialect Dialect

	// Port is the port of the server's own socket, for a server behind a proxy. If empty, the port
	// of the URL. Only the Django dialect uses it.
	Port string

	// Ext returns the text to send and sign as ext, in printable ASCII without quotes and
	// backslashes, or "" for none. It must not change the request. If nil, the Signer sends no such
	// text.
	Ext func(*http.Request) (string, error)

	// BodyDigest adds the SHA-256 of the body to ext, for a [Verifier] with BodyDigest. The Signer
	// reads the body from GetBody, so a request with a body must have one. http.NewRequest sets it
	// for the readers of packages bytes and strings.
	BodyDigest bool

	pens   atomic.Pointer[pencase] // for the credentials that Source returned last
	bodies digest.Hasher
}

var (
	_ transport.Signer    = (*Signer)(nil)
	_ transport.Reader    = (*Signer)(nil)
	_ transport.Refresher = (*Signer)(nil)
	_ transport.Observer  = (*Signer)(nil)
)

// A pencase holds the states that sign with one set of credentials. They are reused, because keying
// a hash costs more than a MAC does.
type pencase struct {
	creds    *Credentials
	pens     sync.Pool   // of *pen
	accepted atomic.Bool // Source knows that a server accepted creds
}

// maxText is the size of the largest buffer that is kept for the next request.
const maxText = 64 << 10

// A pen is the state of one signature.
type pen struct {
	keyed hash.Hash
	text  []byte // the base string, then the header
	nonce [12]byte
	sum   [32]byte
}

// Sign sets the Authorization field of req, and replaces one that is already there, however its
// name is spelled. now is the time by the server's clock. If Sign has to wait, for instance for a
// fetch of credentials, it adds the time that it waited to now. In the WebOb dialect, Sign also
// sets req.Host with an explicit port, if the host has none.
//
// Errors wrap [ErrCredentials] or [ErrUnsignable], or are the errors of Source, Ext and GetBody.
//
// Sign reads req as a client would send it, even if req came in through a server and still has its
// RequestURI. The exception is a request whose URL has no host or equals the RequestURI, as package
// httptest makes it. Sign reads such a request as [BaseString] does, so that a handler can be
// tested without a socket.
func (s *Signer) Sign(req *http.Request, now time.Time) error {
	start := s.stopwatch()
	p, err := s.pencase(req.Context())
	if err != nil {
		return err
	}
	ext, err := s.ext(req)
	if err != nil {
		return err
	}
	v, err := s.reading(req)
	if err != nil {
		return because(ErrUnsignable, err)
	}
	spell := s.Dialect == WebOb && v.Bare
	v.Bare = v.Bare && !spell
	if !start.IsZero() {
		now = now.Add(time.Since(start))
	}
	line, err := p.sign(&v, s.Dialect, ext, now.Unix())
	if err != nil {
		return because(ErrUnsignable, err)
	}
	setHeader(req, line)
	if spell {
		req.Host = v.Host + ":" + v.Port
	}
	return nil
}

// stopwatch returns the time, or the zero time if no part of Sign can wait. Reading the clock costs
// a third of a MAC.
func (s *Signer) stopwatch() time.Time {
	if _, ok := s.Source.(*Credentials); ok && s.Ext == nil && !s.BodyDigest {
		return time.Time{}
	}
	return time.Now()
}

// pencase asks Source for credentials, and returns the pencase that signs with them.
func (s *Signer) pencase(ctx context.Context) (*pencase, error) {
	if s.Source == nil {
		return nil, because(ErrCredentials, errNoSource)
	}
	c, err := s.Source.Credentials(ctx)
	if err != nil {
		return nil, err
	}
	if p := s.pens.Load(); p != nil && p.creds == c {
		return p, nil
	}
	if err := s.check(c); err != nil {
		return nil, because(ErrCredentials, err)
	}
	p := &pencase{creds: c}
	p.pens.New = func() any { return &pen{keyed: hmac.New(algorithm(c.Algorithm).new, c.Key)} }
	s.pens.Store(p)
	return p, nil
}

// check refuses credentials that would not survive the header, or that the draft does not allow
// (section 2).
func (s *Signer) check(c *Credentials) error {
	switch {
	case c == nil:
		return errNoCreds
	case c.ID == "" || !plain.all(c.ID):
		return slipped("the ID ", c.ID, errID)
	case len(c.Key) == 0 || !plain.all(string(c.Key)):
		return slipped("the Key ", string(c.Key), errKey)
	case algorithm(c.Algorithm).size() == 0:
		return errAlgorithm
	case s.Dialect == Django && !algorithm(c.Algorithm).isSHA1():
		return errSHA1
	}
	return nil
}

// slipped returns a problem that names the usual slip in value, or other if value has no such slip.
func slipped(name, value string, other problem) error {
	if text := slip.Of(value, scheme); text != "" {
		return problem(name + text)
	}
	return other
}

// Check returns an error if the Signer is set up wrongly. Call it when a program starts. It checks
// credentials only if Source is a *[Credentials], and it fetches none. If Source has a method
// Check, as a provision.Client does, Check calls it.
func (s *Signer) Check() error {
	if s.Source == nil {
		return because(ErrCredentials, errNoSource)
	}
	if s.Dialect < Draft01 || s.Dialect > Django {
		return because(ErrUnsignable, errDialect)
	}
	if s.Port != "" && !view.IsPort(s.Port) {
		return because(ErrUnsignable, view.ErrPort)
	}
	if s.Dialect == Django && (s.Ext != nil || s.BodyDigest) {
		return because(ErrUnsignable, errDjangoExt)
	}
	switch source := s.Source.(type) {
	case *Credentials:
		if err := s.check(source); err != nil {
			return because(ErrCredentials, err)
		}
	case interface{ Check() error }:
		return source.Check()
	}
	return nil
}

// ext returns the text of Ext and the digest of the body, joined by a blank.
func (s *Signer) ext(req *http.Request) (ext string, err error) {
	if s.Ext != nil {
		if ext, err = s.Ext(req); err != nil {
			return "", err
		}
		if !plain.all(ext) {
			return "", because(ErrUnsignable, errExt)
		}
	}
	if !s.BodyDigest {
		return ext, nil
	}
	if hasDigest(ext) {
		return "", because(ErrUnsignable, errOwnDigest)
	}
	digest, err := s.digest(req)
	if err != nil {
		return "", err
	}
	if ext == "" {
		return digest, nil
	}
	return ext + " " + digest, nil
}

func (s *Signer) reading(req *http.Request) (reading, error) {
	if req.URL == nil {
		return reading{}, view.ErrNoURL
	}
	if req.RequestURI == "" || req.URL.Host != "" && req.URL.String() != req.RequestURI {
		return clientReading(req, s.Dialect, s.Port)
	}
	if s.Dialect == Django {
		return reading{}, errDjango
	}
	return receivedReading(req, nil)
}

// sign returns the header for the request in v.
func (c *pencase) sign(v *reading, d Dialect, ext string, seconds int64) (string, error) {
	if seconds < 1 || seconds > maxSeconds {
		return "", errTime
	}
	p := c.pens.Get().(*pen)
	rand.Read(p.nonce[:]) // never fails

	text := append(strconv.AppendInt(p.text[:0], seconds, 10), '\n')
	ts := len(text) - 1
	text = append(base64.RawURLEncoding.AppendEncode(text, p.nonce[:]), '\n')
	nonce := len(text) - 1
	text, err := v.append(text, d, ext)
	if err != nil {
		return "", err
	}
	p.keyed.Reset()
	p.keyed.Write(text)

	head := len(text)
	text = append(append(text, scheme+` id="`...), c.creds.ID...)
	text = append(append(text, `", ts="`...), text[:ts]...)
	text = append(append(text, `", nonce="`...), text[ts+1:nonce]...)
	text = append(appendExt(text, ext), `", mac="`...)
	text = append(base64.StdEncoding.AppendEncode(text, p.keyed.Sum(p.sum[:0])), '"')
	if len(text)-head > maxHeader {
		return "", errLong
	}
	line := string(text[head:])
	if p.text = text; cap(text) <= maxText {
		c.pens.Put(p)
	}
	return line, nil
}

// setHeader replaces any Authorization field. It deletes a key that is not in canonical form,
// because net/http would send it as a second field.
func setHeader(req *http.Request, line string) {
	if req.Header == nil {
		req.Header = make(http.Header, 1)
	}
	for name := range req.Header {
		if len(name) == len(fieldName) && name != fieldName && strings.EqualFold(name, fieldName) {
			delete(req.Header, name)
		}
	}
	req.Header[fieldName] = []string{line}
}
