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

// An Issuer makes credentials that need no database: the signed id contains its subject and its
// expiry, and the key follows from the id and a master secret. Ids and keys are in the format of
// Mozilla's tokenlib, so each side accepts credentials of the other. Use its Issue as the Issue of
// a [Handler], and its Key as the Keys of a [mac.Verifier]. Such credentials can only be revoked
// all at once, by removing their secret; use a [Registry] to revoke single ones.
//
// The fields must not be changed once the Issuer is in use, and an Issuer must not be copied. It is
// safe for concurrent use.
type Issuer struct {
	// Secrets are the master secrets: the first one issues, all of them verify. The first secret
	// should be random, and must have at least 16 bytes, or Issue fails. Shorter ones of older
	// services still verify, except an empty one. See [Derive] for a master secret that has other
	// purposes too.
	//
	// To replace a secret, put the new one in front of it, and remove the old one when its last
	// credentials have expired. If several processes verify, first add the new one behind the old
	// one in all of them. To do so while requests are served, replace the Issuer, as the example
	// does.
	Secrets []creds.Secret

	// Hash is the hash of the ids: "sha1", "sha256", "sha512" or "tokenlib-0.1". The last one is
	// for services with the first version of tokenlib: SHA-1, with other derivations. If empty,
	// "sha256".
	Hash string

	Algorithm string        // of the credentials; if empty, mac.SHA256
	Lifetime  time.Duration // of the credentials; if zero, 5 minutes

	// Terms returns the lifetime of a credential and the claims that its id contains. The id is
	// sent in clear with each request. Anyone who sees it can read its subject, expiry, salt and
	// claims, but cannot change them. An error of Terms is returned by Issue, wrapped. If nil,
	// every credential lasts for Lifetime and has no claims.
	Terms func(context.Context, *auth.Identity) (Terms, error)

	once     sync.Once
	settings *settings // derived from the fields; a pointer, so that fmt does not show it
}

// Format writes the fields with the secrets redacted, whatever the verb: package fmt prints a
// struct by its bytes if a verb does not fit one of its fields.
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
			"issue: Issuer.Hash is not one of sha1, sha256, sha512 and tokenlib-0.1")
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
			// Any client could issue with it. An unset environment variable leads to one.
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
// or too short. Call it when a server starts: Issue returns the same error, which a [Handler]
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

// Issue makes credentials for id.Subject. Use it as the Issue of a [Handler]. It returns an error
// if the Issuer is not usable, if the subject is empty or not UTF-8, if Terms failed or returned
// unusable Terms, or if the id would be longer than 4096 bytes.
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

// Key returns the key of an id that was issued with one of the Issuer's secrets, by this Issuer or
// another one. It is a [mac.KeyFunc]. The subject is the first of username, userid, uid and email,
// as text or as an integer. The other members of the id are in Claims, numbers as [json.Number].
// The id may have expired: see its Expires, by which a [mac.Verifier] refuses it after it has
// checked the MAC.
//
// An error wraps [mac.ErrUnknownID], unless the Issuer itself is unusable. No part of an id is
// interpreted before its tag has been verified.
//
// An id that was issued takes some microseconds longer than any other. That tells an attacker
// nothing: ids are sealed, so they cannot be guessed, and the answer to a wrong MAC is the same.
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
