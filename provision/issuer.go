package provision

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
)

const (
	minSecret = 16 // bytes
	saltSize  = 8  // bytes: it keeps ids apart that are issued to one subject in one moment

	defaultLifetime = 5 * time.Minute
)

// An Issuer makes credentials that need no database: the id says, signed, who it belongs to and
// until when, and its key follows from the id and a master secret. Ids and keys are those of
// Mozilla's tokenlib, so that its services accept ours, and we theirs.
//
// Such credentials cannot be revoked one by one, only all at once, by removing their secret. The id
// travels in clear with each request and everybody can read it, so nothing but the subject and the
// expiry is put into it.
//
// The fields must not be changed once the Issuer is in use, and an Issuer must not be copied. It is
// safe for concurrent use.
type Issuer struct {
	// Secrets are the master secrets: the first one issues, all of them verify. To replace one,
	// put the new one in front of it, and remove the old one when its last credentials have
	// expired. To issue takes one of at least 16 bytes; they should be random. Shorter ones of
	// older services still verify, except an empty one.
	Secrets []creds.Secret

	Hash      string        // "sha1", "sha256" or "sha512", of the ids; "": "sha256"
	Algorithm mac.Algorithm // of the credentials; "": mac.SHA256
	Lifetime  time.Duration // of the credentials; 0: 5 minutes

	once     sync.Once
	settings *settings // what follows from the fields; a pointer, so that fmt does not show it
}

// Format writes the fields with the secrets redacted, under every verb: package fmt prints a struct
// by its bytes where a verb does not fit one of its fields.
func (i *Issuer) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{Secrets:%v Hash:%s Algorithm:%s Lifetime:%v}",
		i.Secrets, i.Hash, i.Algorithm, i.Lifetime)
}

type settings struct {
	sealers   []*sealer
	algorithm mac.Algorithm
	lifetime  time.Duration
	err       error // why the Issuer is unusable
}

func (i *Issuer) configure() {
	s := &settings{algorithm: i.Algorithm, lifetime: i.Lifetime}
	i.settings = s
	if s.algorithm == "" {
		s.algorithm = mac.SHA256
	}
	if s.lifetime == 0 {
		s.lifetime = defaultLifetime
	}
	hash, ok := digest(i.Hash)
	switch {
	case !ok:
		s.err = errors.New("provision: Issuer.Hash is none of sha1, sha256 and sha512")
		return
	case s.algorithm != mac.SHA256 && s.algorithm != mac.SHA1:
		s.err = errors.New("provision: Issuer.Algorithm is neither mac.SHA256 nor mac.SHA1")
		return
	case s.lifetime < 0:
		s.err = errors.New("provision: Issuer.Lifetime is negative")
		return
	case len(i.Secrets) == 0:
		s.err = errors.New("provision: Issuer.Secrets is empty: set a random master secret")
		return
	}
	for n, secret := range i.Secrets {
		if len(secret) == 0 {
			// Anybody could issue with it. It is what an unset environment variable leaves.
			s.err = fmt.Errorf("provision: Issuer.Secrets[%d] is empty: set or remove it", n)
			return
		}
		sealer, err := newSealer(hash, secret)
		if err != nil {
			s.err = fmt.Errorf("provision: Issuer.Secrets[%d]: %w", n, err)
			return
		}
		s.sealers = append(s.sealers, sealer)
	}
}

func (i *Issuer) set() (*settings, error) {
	i.once.Do(i.configure)
	return i.settings, i.settings.err
}

// Issue makes credentials for id.Subject. It is what a [Handler] takes. An error means that the
// Issuer is not usable, or that the subject is: one that is empty, too long or not UTF-8.
func (i *Issuer) Issue(_ context.Context, id *auth.Identity) (*mac.Credentials, error) {
	s, err := i.set()
	switch {
	case err != nil:
		return nil, err
	case len(i.Secrets[0]) < minSecret:
		return nil, fmt.Errorf(
			"provision: Issuer.Secrets[0] has %d bytes: to issue takes %d or more, random ones",
			len(i.Secrets[0]), minSecret)
	case id == nil || id.Subject == "":
		return nil, errors.New("provision: nobody to issue credentials to: the subject is empty")
	case !utf8.ValidString(id.Subject):
		return nil, errors.New("provision: the subject is not UTF-8")
	}
	expires := time.Now().Add(s.lifetime).Truncate(time.Millisecond)
	at, err := writeTime(expires)
	if err != nil {
		return nil, fmt.Errorf("provision: Issuer.Lifetime ends %w", err)
	}
	salt := make([]byte, saltSize)
	rand.Read(salt)
	payload := struct {
		Subject string      `json:"userid"`
		Salt    string      `json:"salt"`
		Expires json.Number `json:"expires"`
	}{id.Subject, hex.EncodeToString(salt), at}
	data, err := json.Marshal(payload)
	if err != nil {
		return nil, fmt.Errorf("provision: %w", err)
	}
	c := &mac.Credentials{ID: s.sealers[0].seal(data), Algorithm: s.algorithm, Expires: expires}
	if len(c.ID) > maxText {
		return nil, errors.New("provision: the subject is too long")
	}
	c.Key, err = s.sealers[0].key(c.ID, payload.Salt)
	return c, err
}

// Key returns the key of an id that this Issuer, or another one with one of its secrets, has
// issued. It is a [mac.KeyFunc]. The subject is the first of username, userid, uid and email, in
// text or as an integer; what else the id says is in Claims, numbers as [json.Number]. The id may
// have expired: its Expires tells, and a [mac.Verifier] refuses it after it has checked the MAC.
//
// An error wraps [mac.ErrUnknownID], unless the Issuer itself is unusable. Nothing of an id is
// interpreted before its tag has been verified.
func (i *Issuer) Key(_ context.Context, id string) (*mac.Key, error) {
	s, err := i.set()
	if err != nil {
		return nil, err
	}
	if len(id) > maxText {
		return nil, unknown(fmt.Errorf("longer than %d bytes", maxText))
	}
	raw, err := decode(id)
	if err != nil {
		return nil, unknown(errors.New("not in URL-safe base64, padded"))
	}
	for _, sealer := range s.sealers {
		payload, ok := sealer.open(raw)
		if !ok {
			continue
		}
		t, err := parse(payload)
		if err != nil {
			return nil, unknown(err)
		}
		secret, err := sealer.key(id, t.salt)
		if err != nil {
			return nil, fmt.Errorf("provision: %w", err)
		}
		return &mac.Key{Secret: secret, Algorithm: s.algorithm, Identity: t.identity}, nil
	}
	return nil, unknown(errors.New("not signed with any of the secrets"))
}

func unknown(reason error) error { return fmt.Errorf("%w: %w", mac.ErrUnknownID, reason) }
