package mac

import (
	"errors"
	"net/http"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/transport"
)

// Refresh asks Source to replace the credentials that resp.Request was signed with, by
// [creds.Refresh]. Credentials are the same if they have the same ID and make the same MAC. A new
// key for an old ID is therefore a different credential. again reports whether it is worth signing
// again. If the server may not know the new credentials yet, err is [transport.ErrYoung].
func (s *Signer) Refresh(resp *http.Response) (again bool, err error) {
	sent, err := s.readSent(resp)
	if err != nil {
		return false, err
	}
	again, young, err := creds.Refresh(
		resp.Request.Context(), s.Source, sent.madeWith, resp.Header)
	if young {
		err = transport.ErrYoung
	}
	return again, err
}

// Observe tells Source how its credentials fared. If they were accepted and Source is a
// [creds.Accepter], Observe calls Accept. If they mended a call and Source is a [creds.Confirmer],
// it calls Confirm. The error is always nil.
func (s *Signer) Observe(resp *http.Response, o transport.Outcome) error {
	switch o {
	case transport.OutcomeAccepted:
		if p := s.pens.Load(); p != nil && !p.accepted.Load() {
			s.accept(resp, p)
		}
	case transport.OutcomeMended:
		c, ok := s.Source.(creds.Confirmer[*Credentials])
		if !ok {
			return nil
		}
		if sent, err := s.readSent(resp); err == nil {
			c.Confirm(sent.madeWith)
		}
	}
	return nil
}

// accept tells Source that the credentials of p were accepted, if resp.Request was signed with
// them.
func (s *Signer) accept(resp *http.Response, p *pencase) {
	a, ok := s.Source.(creds.Accepter[*Credentials])
	if !ok {
		p.accepted.Store(true)
		return
	}
	if sent, err := s.readSent(resp); err == nil && sent.madeWith(p.creds) {
		p.accepted.Store(true)
		a.Accept(sent.madeWith)
	}
}

var errNotOurs = errors.New("mac: the request that was refused carries no header of this Signer")

// A sentRequest holds the header and the base string of a request that was sent.
type sentRequest struct {
	header
	text []byte // the base string, after room for a key
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
	v, err := s.reading(resp.Request)
	if err != nil {
		return nil, errNotOurs
	}
	sent.text = appendLines(make([]byte, blockSize), sent.ts, sent.nonce)
	if sent.text, err = v.append(sent.text, s.Dialect, sent.ext); err != nil {
		return nil, errNotOurs
	}
	return sent, nil
}

// madeWith reports whether the request was signed with c.
func (sent *sentRequest) madeWith(c *Credentials) bool {
	if c == nil || c.ID != sent.id || algorithm(c.Algorithm).size() != sent.mac.size {
		return false
	}
	// Use a copy, because several goroutines may call madeWith at the same time.
	mac := algorithm(c.Algorithm).mac(c.Key, append([]byte(nil), sent.text...))
	return mac.equal(&sent.mac)
}
