package mac

import (
	"errors"
	"net/http"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/transport"
)

// Refresh rejects the credentials that resp.Request was signed with, if Source can do so, and
// reports whether Source now gives others. Credentials are the same if they have the same ID and
// make the same MAC: a new key for an old ID is another credential. Where it does not, err is that
// of the Source, or what its method Err() error gives, as a [creds.Cache] has it, since a Source
// may give refused credentials on while there are no others.
func (s *Signer) Refresh(resp *http.Response) (again bool, err error) {
	sent, err := s.readSent(resp)
	if err != nil {
		return false, err
	}
	if r, ok := s.Source.(creds.Rejecter[*Credentials]); ok {
		r.Reject(sent.madeWith)
	}
	c, err := s.Source.Credentials(resp.Request.Context())
	if err != nil {
		return false, err
	}
	if c == nil {
		return false, because(ErrCredentials, errNoCreds)
	}
	if !sent.madeWith(c) {
		return true, nil
	}
	if f, ok := s.Source.(failer); ok {
		err = f.Err()
	}
	return false, err
}

// Observe tells a Source that is a [creds.Confirmer] that its credentials mended a call.
func (s *Signer) Observe(resp *http.Response, o transport.Outcome) error {
	if o != transport.OutcomeMended {
		return nil
	}
	c, ok := s.Source.(creds.Confirmer[*Credentials])
	if !ok {
		return nil
	}
	if sent, err := s.readSent(resp); err == nil {
		c.Confirm(sent.madeWith)
	}
	return nil
}

// failer is a Source that can tell why it has no other credentials.
type failer interface {
	Err() error
}

var errNotOurs = errors.New("mac: the request that was refused carries no header of this Signer")

// A sentRequest is what a request carried when it was sent.
type sentRequest struct {
	header
	text []byte // the base string behind room for a key
}

func (s *Signer) readSent(resp *http.Response) (*sentRequest, error) {
	if s.Source == nil || resp == nil || resp.Request == nil {
		return nil, errNotOurs
	}
	line, err := findHeader(resp.Request.Header)
	if err != nil {
		return nil, errNotOurs
	}
	sent := &sentRequest{}
	if sent.header, err = parseHeader(line); err != nil {
		return nil, errNotOurs
	}
	v, err := s.view(resp.Request)
	if err != nil {
		return nil, errNotOurs
	}
	sent.text = appendLines(make([]byte, blockSize), sent.ts, sent.nonce)
	if sent.text, err = v.append(sent.text, s.Dialect, sent.ext); err != nil {
		return nil, errNotOurs
	}
	return sent, nil
}

// madeWith reports whether it was c that signed the request.
func (sent *sentRequest) madeWith(c *Credentials) bool {
	if c == nil || c.ID != sent.id || c.Algorithm.size() != sent.mac.size {
		return false
	}
	// A copy, since the same question may be asked from several goroutines.
	mac := c.Algorithm.mac(c.Key, append([]byte(nil), sent.text...))
	return mac.equal(&sent.mac)
}
