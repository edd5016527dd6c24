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

// Terms are what an [Issuer] or a [Registry] decides anew for each credential. Groups are not among
// them: whoever verifies the credential should ask what its subject belongs to now.
type Terms struct {
	Lifetime time.Duration // 0: that of the Issuer or Registry

	// Claims are what else the credential is to say of its subject, in JSON of up to 2 KiB; they
	// come back as Claims of its identity, numbers as [json.Number]. Nil: nothing. The names salt,
	// expires, username, userid, uid and email are taken, however they are spelled.
	Claims map[string]any
}

// maxClaims leaves room for a subject in an id, see maxText.
const maxClaims = 2048 // bytes

// reserved are what an id has a meaning for already. Whoever reads an id takes the first of
// subjectNames for its subject, so none of them may be chosen.
var (
	reserved     = append([]string{"salt", "expires"}, subjectNames...)
	subjectNames = []string{"username", "userid", "uid", "email"}
)

// encode returns the claims as JSON, nil if there are none, and refuses what could not be read back
// as it was meant.
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
		// That is what bytes which are no text become, so two values could become the same.
		return nil, errors.New("Terms.Claims are not UTF-8")
	}
	if _, err := strictjson.Object(data); err != nil {
		return nil, fmt.Errorf("Terms.Claims are %w", err)
	}
	return data, nil
}

// checkSubject refuses whom nobody could tell from somebody else.
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

// decide asks for the Terms of one credential, which are those of terms where they say something.
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
