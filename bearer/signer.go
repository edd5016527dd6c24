package bearer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/place"
	"github.com/countersign-go/countersign/transport"
)

// A Signer puts a token on each request (RFC 6750, section 2.1), as "Authorization: Bearer ..."
// unless Scheme, Header or Cookie is set. It is a transport.Signer, and also a Refuser, a Reader, a
// Refresher and an Observer of that package.
//
// A Signer must not be changed or copied after first use. It is safe for concurrent use.
type Signer struct {
	// Source returns the token for each request: [StaticToken], a *[Tokens], or [FromTokenSource].
	// It must be safe for concurrent use. Required.
	Source creds.Source[*oauth2.Token]

	// Scheme precedes the token in the Authorization field, for instance JWT. If "", Bearer. It is
	// not used with another Header.
	Scheme string

	// Header is the field that holds the token. If "", Authorization. Any other field holds the
	// bare token.
	Header string

	// Cookie is the name of the cookie that holds the token. Other cookies stay. It excludes Header
	// and Scheme. If "", a field holds the token.
	//
	// With a Cookie, the Signer is also the jar of that cookie: [Signer.Observe] takes the value
	// that a response sets. The cookie is sent only to the origins that requests are signed for.
	Cookie string

	once  sync.Once
	where place.Place
	err   error // why where cannot be used

	given atomic.Pointer[givenToken] // nil unless Source is a creds.Accepter
}

var (
	_ transport.Signer    = (*Signer)(nil)
	_ transport.Refuser   = (*Signer)(nil)
	_ transport.Reader    = (*Signer)(nil)
	_ transport.Refresher = (*Signer)(nil)
	_ transport.Observer  = (*Signer)(nil)
)

// place returns where the token goes. It reads the fields once.
func (s *Signer) place() (place.Place, error) {
	s.once.Do(func() {
		if s.where, s.err = place.New(s.Scheme, s.Header, s.Cookie); s.err != nil {
			s.err = fmt.Errorf("bearer: %w", s.err)
		}
	})
	return s.where, s.err
}

// Sign puts the token of Source into req, replacing one that is there. It waits as long as Source
// does.
//
// If Scheme, Header and Cookie are "", Sign refuses a token whose TokenType is neither "" nor
// "bearer" (RFC 6749, section 7.1). A token of type DPoP, for instance, is useless without a proof.
// Set Scheme to send it as a plain token.
func (s *Signer) Sign(req *http.Request, _ time.Time) error {
	p, err := s.place()
	if err != nil {
		return err
	}
	t, err := s.token(req.Context())
	if err != nil {
		return err
	}
	if err := s.checkType(t.TokenType); err != nil {
		return err
	}
	if req.Header == nil {
		req.Header = make(http.Header, 1)
	}
	s.note(t)
	return put(p, req.Header, t.AccessToken)
}

func put(p place.Place, header http.Header, token string) error {
	if err := p.Put(header, token); err != nil {
		return fmt.Errorf("bearer: %w", err)
	}
	return nil
}

func (s *Signer) token(ctx context.Context) (*oauth2.Token, error) {
	if s.Source == nil {
		return nil, errors.New("bearer: the Signer has no Source: set it to a StaticToken, or to " +
			"Tokens that are fetched")
	}
	t, err := s.Source.Credentials(ctx)
	if err == nil && t == nil {
		err = errors.New("bearer: the Source gave nil and no error")
	}
	return t, err
}

func (s *Signer) checkType(name string) error {
	if name == "" || s.Scheme != "" || s.Header != "" || s.Cookie != "" ||
		strings.EqualFold(name, place.Bearer) {
		return nil
	}
	if len(name) > 32 || !place.IsWord(name) {
		name = "another type"
	}
	return fmt.Errorf("bearer: the token is not of type Bearer but %s: "+
		"if it can be sent as it is, set the Scheme of the Signer", name)
}

// Account returns the account of Source if that has such a method, as [Tokens] does, and otherwise
// "". A provision.Client calls it.
func (s *Signer) Account() string {
	if a, ok := s.Source.(creds.Accounter); ok {
		return a.Account()
	}
	return ""
}

// Format writes the Scheme, Header and Cookie, not the token, for every verb.
func (s *Signer) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{Scheme:%q Header:%q Cookie:%q}", s.Scheme, s.Header, s.Cookie)
}

// MarshalText writes the same text, also for encoding/json, which would otherwise write the Source.
func (s *Signer) MarshalText() ([]byte, error) { return []byte(fmt.Sprint(s)), nil }
