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

// A Signer puts a token on each request (RFC 6750, section 2.1). It is a transport.Signer, and a
// Refuser, a Reader, a Refresher and an Observer of that package too. A token goes out as
// "Authorization: Bearer ...", unless Scheme, Header or Cookie say otherwise.
//
// If none of them is set, a token whose TokenType is neither "" nor "bearer" is not sent (RFC 6749,
// section 7.1), since a token of type DPoP, for instance, is of no use without a proof. To send it
// as a plain token, set a Scheme.
//
// The fields must not be changed after the first request. A Signer must not be copied then; it is
// safe for concurrent use, and so must Source be.
type Signer struct {
	// Source gives the token for each request: [StaticToken], a *[Tokens], or [FromTokenSource].
	// Required.
	Source creds.Source[*oauth2.Token]

	// Scheme is the word in front of the token in Authorization, for instance JWT. "": Bearer. It
	// is not used in another Header.
	Scheme string

	// Header is the field that the token goes into. "": Authorization. Any other holds the bare
	// token.
	Header string

	// Cookie is the name of the cookie that holds the token; other cookies stay. It excludes Header
	// and Scheme. If "", the token is in a field.
	//
	// With a Cookie, the Signer is also a jar of that cookie: Observe takes up the value that an
	// answer sets, by the method Replace of Source. The cookie goes to the origins that are signed
	// for, and nowhere else.
	Cookie string

	once  sync.Once
	where place.Place
	err   error // why there is no such place

	given atomic.Pointer[givenToken] // nil: Source does not want to know
}

var (
	_ transport.Signer    = (*Signer)(nil)
	_ transport.Refuser   = (*Signer)(nil)
	_ transport.Reader    = (*Signer)(nil)
	_ transport.Refresher = (*Signer)(nil)
	_ transport.Observer  = (*Signer)(nil)
)

// place returns where the token goes. The fields are read once.
func (s *Signer) place() (place.Place, error) {
	s.once.Do(func() {
		if s.where, s.err = place.New(s.Scheme, s.Header, s.Cookie); s.err != nil {
			s.err = fmt.Errorf("bearer: %w", s.err)
		}
	})
	return s.where, s.err
}

// Sign puts the token of Source in its place in req, and replaces what is there. It waits as long
// as Source does.
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

// Account returns whose tokens Source gives, if it has such a method, as [Tokens] does, and else
// "". A provision.Client asks for it.
func (s *Signer) Account() string {
	if a, ok := s.Source.(creds.Accounter); ok {
		return a.Account()
	}
	return ""
}

// Format writes where the token goes, and not the token, whatever the verb.
func (s *Signer) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{Scheme:%q Header:%q Cookie:%q}", s.Scheme, s.Header, s.Cookie)
}

// MarshalText writes the same, also for encoding/json, which would otherwise write out the Source.
func (s *Signer) MarshalText() ([]byte, error) { return []byte(fmt.Sprint(s)), nil }
