package basic

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/slip"
	"github.com/countersign-go/countersign/transport"
)

// A Signer sends a user name and a password in the Authorization field. It has no way to get better
// ones, so a request that was refused is not sent again with the same. It is safe for concurrent
// use.
//
// Both are sent as they are, without the normalization of RFC 8265. Neither may hold control
// characters or invalid UTF-8, and the user name no colon. One of them may be empty, as services
// want it that take a key in place of either.
type Signer struct {
	User     string
	Password creds.Secret
}

var (
	_ transport.Signer = Signer{}
	_ transport.Reader = Signer{}
)

// Format writes the fields with the password redacted, whatever the verb: package fmt prints what a
// pointer points to by its bytes, where the verb is not one for pointers.
func (s Signer) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{User:%q Password:%v}", s.User, s.Password)
}

// Sign sets the Authorization field of req. It fails if the user name or the password can't be
// sent.
func (s Signer) Sign(req *http.Request, _ time.Time) error {
	field, err := s.field()
	if err != nil {
		return err
	}
	for key := range req.Header {
		if strings.EqualFold(key, "Authorization") { // also "authorization", which Set would leave
			delete(req.Header, key)
		}
	}
	req.Header.Set("Authorization", field)
	return nil
}

// Check returns the error that Sign would return, so that a program can fail when it starts.
func (s Signer) Check() error {
	_, err := s.field()
	return err
}

// field returns the value of the Authorization field.
func (s Signer) field() (string, error) {
	if s.User == "" && len(s.Password) == 0 {
		return "", errors.New("basic: the User and the Password are empty: set one of them")
	}
	token, err := encode(s.User, string(s.Password))
	if errors.Is(err, errControl) {
		err = s.control()
	}
	if err != nil {
		return "", fmt.Errorf("basic: cannot sign: %w", err)
	}
	if len(scheme)+1+len(token) > maxField {
		return "", fmt.Errorf("basic: cannot sign: a header field over %d bytes", maxField)
	}
	return scheme + " " + token, nil
}

// control says where a control character is, and what it is doing there.
func (s Signer) control() error {
	for _, part := range []struct{ name, value string }{
		{"User", s.User}, {"Password", string(s.Password)},
	} {
		if strings.ContainsFunc(part.value, unicode.IsControl) {
			if text := slip.Of(part.value, scheme); text != "" {
				return fmt.Errorf("the %s %s", part.name, text)
			}
		}
	}
	return errControl
}

// Account returns User: whose credentials are had by requests that s signs. A provision.Client
// names them after it in its Store. It is "" where the password alone tells who asks, as nothing
// that follows from a password should lie about in names; such a Client needs a Name.
func (s Signer) Account() string { return s.User }

// Read returns no cause for any refusal: none is mended by sending the same password once more,
// which would only count as one more failed login.
func (Signer) Read(*http.Response) transport.Refusal { return transport.Refusal{} }
