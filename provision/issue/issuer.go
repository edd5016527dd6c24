package issue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
)

const (
	minSecret = 16 // bytes

	defaultLifetime = 5 * time.Minute
)

// An Issuer makes credentials that need no database: the id says, signed, who it belongs to and
// until when, and its key follows from the id and a master secret. Ids and keys are those of
// Mozilla's tokenlib, so that its services accept ours, and we theirs.
//
// Such credentials cannot be revoked one by one, only all at once, by removing their secret; those
// of a [Registry] can. The id travels in clear with each request and everybody can read it, so
// nothing is put into it but the subject, the expiry and what Terms says.
//
// The fields must not be changed once the Issuer is in use, and an Issuer must not be copied. To
// replace a secret while requests are served, put another Issuer in its place, as the example does.
// It is safe for concurrent use.
type Issuer struct {
	// Secrets are the master secrets: the first one issues, all of them verify. To replace one,
	// put the new one in front of it, and remove the old one when its last credentials have
	// expired. If several processes verify, first add the new one behind the old one in all of
	// them. To issue takes one of at least 16 bytes; they should be random. Shorter ones of older
	// services still verify, except an empty one. See [Derive] for a master that serves other
	// purposes too.
	Secrets []creds.Secret

	// Hash is that of the ids: "sha1", "sha256" or "sha512"; "": "sha256". "tokenlib-0.1" is for
	// services with the first version of tokenlib: SHA-1, and other derivations.
	Hash string

	Algorithm string        // of the credentials; "": mac.SHA256
	Lifetime  time.Duration // of the credentials; 0: 5 minutes

	// Terms decides for each credential how long it lasts and what else its id says. Everybody on
	// the way can read that, though not change it. Its error is that of Issue, wrapped. Nil: every
	// credential lasts for Lifetime and says nothing else.
	Terms func(context.Context, *auth.Identity) (Terms, error)

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
	algorithm string
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
	format, ok := formatOf(i.Hash)
	switch {
	case !ok:
		s.err = errors.New(
			"issue: Issuer.Hash is none of sha1, sha256, sha512 and tokenlib-0.1")
		return
	case s.algorithm != mac.SHA256 && s.algorithm != mac.SHA1:
		s.err = errors.New("issue: Issuer.Algorithm is neither mac.SHA256 nor mac.SHA1")
		return
	case s.lifetime < 0:
		s.err = errors.New("issue: Issuer.Lifetime is negative")
		return
	case len(i.Secrets) == 0:
		s.err = errors.New("issue: Issuer.Secrets is empty: set a random master secret")
		return
	}
	for n, secret := range i.Secrets {
		if len(secret) == 0 {
			// Anybody could issue with it. It is what an unset environment variable leaves.
			s.err = fmt.Errorf("issue: Issuer.Secrets[%d] is empty: set or remove it", n)
			return
		}
		sealer, err := newSealer(format, secret)
		if err != nil {
			s.err = fmt.Errorf("issue: Issuer.Secrets[%d]: %w", n, err)
			return
		}
		s.sealers = append(s.sealers, sealer)
	}
}

func (i *Issuer) set() (*settings, error) {
	i.once.Do(i.configure)
	return i.settings, i.settings.err
}

// Check returns an error if the Issuer cannot issue, for instance because its first secret is empty
// or too short. Call it at the start of a server: Issue returns the same error, which a [Handler]
// answers with 500.
func (i *Issuer) Check() error {
	if _, err := i.set(); err != nil {
		return err
	}
	if n := len(i.Secrets[0]); n < minSecret {
		return fmt.Errorf("issue: Issuer.Secrets[0] has %d bytes: to issue takes %d or more, "+
			"random ones", n, minSecret)
	}
	return nil
}

// Issue makes credentials for id.Subject. It is what a [Handler] takes. An error means that the
// Issuer is not usable, or that the subject or the Terms are not: one that is empty or not UTF-8,
// or too much for an id, which has up to 4096 bytes.
func (i *Issuer) Issue(ctx context.Context, id *auth.Identity) (*mac.Credentials, error) {
	if err := i.Check(); err != nil {
		return nil, err
	}
	s := i.settings
	if err := checkSubject(id); err != nil {
		return nil, fmt.Errorf("issue: %w", err)
	}
	lifetime, claims, err := decide(ctx, i.Terms, id, s.lifetime)
	if err != nil {
		return nil, fmt.Errorf("issue: %w", err)
	}
	expires := time.Now().Add(lifetime).Truncate(time.Millisecond)
	payload, salt, err := write(id.Subject, expires, claims)
	if err != nil {
		return nil, fmt.Errorf("issue: %w", err)
	}
	c := &mac.Credentials{ID: s.sealers[0].seal(payload), Algorithm: s.algorithm, Expires: expires}
	if len(c.ID) > maxText {
		return nil, fmt.Errorf("issue: the subject and its claims are too long for an id: %d "+
			"bytes, at most %d", len(c.ID), maxText)
	}
	if c.Key, err = s.sealers[0].key(c.ID, salt); err != nil {
		return nil, fmt.Errorf("issue: %w", err)
	}
	return c, nil
}

// Key returns the key of an id that this Issuer, or another one with one of its secrets, has
// issued. It is a [mac.KeyFunc]. The subject is the first of username, userid, uid and email, in
// text or as an integer; what else the id says is in Claims, numbers as [json.Number]. The id may
// have expired: its Expires tells, and a [mac.Verifier] refuses it after it has checked the MAC.
//
// An error wraps [mac.ErrUnknownID], unless the Issuer itself is unusable. Nothing of an id is
// interpreted before its tag has been verified.
//
// An id that was issued takes some microseconds longer than another. That tells an attacker
// nothing: ids are sealed, so none can be guessed, and the answer to a wrong MAC is the same.
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
			return nil, fmt.Errorf("issue: %w", err)
		}
		return &mac.Key{Secret: secret, Algorithm: s.algorithm, Identity: t.identity}, nil
	}
	return nil, unknown(errors.New("not signed with any of the secrets"))
}

func unknown(reason error) error { return fmt.Errorf("%w: %w", mac.ErrUnknownID, reason) }
