package issue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/internal/strictjson"
)

// Terms are the lifetime and the claims of one credential of an [Issuer] or a [Registry]. They do
// not include groups: when a service verifies the credential, it should look up the groups that the
// subject has then.
type Terms struct {
	Lifetime time.Duration // if zero, the Lifetime of the Issuer or Registry

	// Claims are the credential's claims about its subject, as JSON of up to 2 KiB. They come back
	// as Claims of its identity, numbers as [json.Number]. The names salt, expires, username,
	// userid, uid and email are taken, however they are spelled. If nil, the credential has no
	// claims.
	Claims map[string]any
}

// maxClaims leaves room for a subject in an id; see maxText.
const maxClaims = 2048 // bytes

// reserved has the names that have a meaning in an id. A reader of an id takes the first of
// subjectNames for its subject, so no claim may have one of them as its name.
var (
	reserved     = append([]string{"salt", "expires"}, subjectNames...)
	subjectNames = []string{"username", "userid", "uid", "email"}
)

// encode returns the claims as JSON, nil without claims. It returns an error for claims that
// could not be read back unchanged.
func (t Terms) encode() ([]byte, error) {
	if t.Lifetime < 0 {
		return nil, errors.New("Terms.Lifetime is negative")
	}
	if len(t.Claims) == 0 {
		return nil, nil
	}
	for name := range t.Claims {
		if slices.Contains(reserved, strings.ToLower(name)) {
			return nil, fmt.Errorf("Terms.Claims has %q, which is reserved", strings.ToLower(name))
		}
	}
	data, err := json.Marshal(t.Claims)
	switch {
	case err != nil: // its text may hold a value
		return nil, errors.New("Terms.Claims cannot be written as JSON")
	case len(data) > maxClaims:
		return nil, fmt.Errorf("Terms.Claims take more than %d bytes", maxClaims)
	case bytes.Contains(data, []byte(`\ufffd`)):
		// Bytes that are not UTF-8 are written so, and two values could become the same.
		return nil, errors.New("Terms.Claims are not UTF-8")
	}
	if _, err := strictjson.Object(data); err != nil {
		return nil, fmt.Errorf("Terms.Claims are %w", err)
	}
	return data, nil
}

// checkSubject returns an error if the subject is too long, or cannot be distinguished from others
// once it is written as JSON.
func checkSubject(id *auth.Identity) error {
	switch {
	case id == nil || id.Subject == "":
		return errors.New("nobody to issue credentials to: the subject is empty")
	case !utf8.ValidString(id.Subject):
		return errors.New("the subject is not UTF-8")
	case len(id.Subject) > maxText:
		return errors.New("the subject is too long")
	}
	return nil
}

// decide returns the lifetime and the encoded claims of one credential: from terms, or else the
// given lifetime and no claims.
func decide(ctx context.Context, terms func(context.Context, *auth.Identity) (Terms, error),
	id *auth.Identity, lifetime time.Duration) (time.Duration, []byte, error) {
	if terms == nil {
		return lifetime, nil, nil
	}
	t, err := terms(ctx, id)
	if err != nil {
		return 0, nil, fmt.Errorf("the Terms: %w", err)
	}
	claims, err := t.encode()
	if t.Lifetime != 0 {
		lifetime = t.Lifetime
	}
	return lifetime, claims, err
}
