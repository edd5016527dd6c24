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

// A Signer sends a user name and a password in the Authorization field. It cannot obtain new ones,
// so a refused request is not sent again. It is safe for concurrent use.
//
// Both are sent unchanged, without the normalization of RFC 8265. Neither may contain control
// characters or invalid UTF-8, and the user name must not contain a colon. One of them may be
// empty, for services that accept a key in place of either.
type Signer struct {
	User     string
	Password creds.Secret
}

var (
	_ transport.Signer = Signer{}
	_ transport.Reader = Signer{}
)

// Format writes the fields with the password redacted, whatever the verb. Without it, a verb that
// does not fit would make package fmt print the bytes behind a pointer to a Signer.
func (s Signer) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{User:%q Password:%v}", s.User, s.Password)
}

// Sign sets the Authorization field of req. It returns an error if the user name or the password
// cannot be sent.
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

// control returns an error that says where a control character is, and its likely cause.
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

// Account returns User, the account that requests signed by s act for. A provision.Client uses it
// to name the credentials in its Store. It is "" if the password alone identifies the client, since
// names must not be derived from a password. Such a provision.Client needs a Name.
func (s Signer) Account() string { return s.User }

// Read returns no cause for any refusal. Sending the same password again would not help, and would
// count as one more failed login.
func (Signer) Read(*http.Response) transport.Refusal { return transport.Refusal{} }
