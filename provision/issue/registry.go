package issue

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision"
)

const (
	// idSize makes ids of 16 characters, the most that the tables of some older programs hold. An
	// id is not a secret; it has 96 random bits so that none occurs twice.
	idSize  = 12 // bytes
	keySize = 32 // bytes

	// serialSize is enough to distinguish credentials that had the same id one after the other.
	serialSize = 6 // bytes

	registryLifetime = 24 * time.Hour
	registryQuota    = 100

	// cleanUpTime is how long a Store may take for cleaning up, even if the caller has gone.
	cleanUpTime = 3 * time.Second
)

// ErrQuota means that a subject has as many credentials as it may have. The error of
// [Registry.Issue] that wraps it has a method RetryAfter() time.Duration, the time until one of
// them ends. A [Handler] answers it with 429 and Retry-After.
var ErrQuota = errors.New("issue: too many credentials for one subject: revoke some")

// A Registry makes random credentials and remembers them, so that each can be listed and revoked.
// It is the alternative to an [Issuer], which remembers nothing. Use its Issue as the Issue of a
// [Handler], and its Key as the Keys of a [mac.Verifier]. Errors of the Store wrap
// [auth.ErrUnavailable], which is answered with 503.
//
// The fields must not be changed once the Registry is in use, and a Registry must not be copied. It
// is safe for concurrent use, and so are several of them, in one process or many, on one Store.
type Registry struct {
	// Store keeps the credentials, keys included and in clear, since a MAC is checked with the key
	// itself. There are at most two records for each credential, under names that start with
	// "registry-". A Store holds one Registry. If nil, credentials are kept in memory and end with
	// the process.
	Store creds.Store

	Lifetime  time.Duration // of the credentials; if zero, 24 hours
	Algorithm string        // of the credentials; if empty, mac.SHA256

	// Quota is how many credentials one subject may have at a time. If zero, 100. If negative, the
	// only limit is the size of a record of the Store, which lists them; the 64 KiB of a Dir of
	// package creds/file hold about 800. The size of a Registry is bounded by the Quota and the
	// number of subjects, since Issue removes credentials that have ended.
	Quota int

	// Terms returns the lifetime of a credential and the claims of its subject. Unlike the claims
	// of an Issuer, they stay in the Store. An error of Terms is returned by Issue, wrapped. If
	// nil, every credential lasts for Lifetime and has no claims.
	Terms func(context.Context, *auth.Identity) (Terms, error)

	once   sync.Once      // sets memory
	memory func() *memory // used if Store is nil; a func, as fmt may follow a pointer

	decoy atomic.Pointer[decoy] // like the first record that Key found; nil before that
}

// Format writes the settings and the type of the Store, whatever the verb. It writes none of the
// stored credentials.
func (r *Registry) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{Store:%T Lifetime:%v Quota:%d Algorithm:%s}",
		r.Store, r.Lifetime, r.Quota, r.Algorithm)
}

// Check returns an error if the Registry cannot issue because of its Lifetime or Algorithm. Call it
// when a server starts. It does not call the Store.
func (r *Registry) Check() error {
	switch r.Algorithm {
	case "", mac.SHA256, mac.SHA1:
	default:
		return errors.New("issue: Registry.Algorithm is neither mac.SHA256 nor mac.SHA1")
	}
	if r.Lifetime < 0 {
		return errors.New("issue: Registry.Lifetime is negative: set it to 0 for 24 hours")
	}
	return nil
}

// An Entry describes a credential of a [Registry], without its key.
type Entry struct {
	ID        string
	Subject   string
	Algorithm string
	Created   time.Time
	Expires   time.Time
}

// Issue makes credentials for id.Subject. Use it as the Issue of a [Handler]. The error wraps
// [ErrQuota] if the subject has too many.
//
// Issue also removes those credentials of the subject that ended an hour ago, or all that have
// ended if the Quota needs their place.
func (r *Registry) Issue(ctx context.Context, id *auth.Identity) (*mac.Credentials, error) {
	return r.Add(ctx, id, mac.Credentials{})
}

// Add is like Issue, but takes the credentials from c, so that credentials of another service can
// be moved here. It fills in the empty fields of c: the ID with 96 random bits in 16 characters,
// and the Key with 256 random bits. It returns the stored credentials. A Key must have at least 16
// bytes. An ID that is already in use is refused.
func (r *Registry) Add(ctx context.Context, id *auth.Identity, c mac.Credentials) (
	*mac.Credentials, error) {
	made, err := r.make(ctx, id, c)
	if err != nil {
		return nil, fmt.Errorf("issue: %w", err)
	}
	data, err := json.Marshal(made)
	if err != nil {
		return nil, fmt.Errorf("issue: %w", err)
	}
	gone, err := r.makeRoom(ctx, made)
	if err != nil {
		return nil, err
	}
	// The record of the credential comes first and its place in the list second. So whatever is
	// revoked in the meantime, and wherever this ends early, the list has every credential that a
	// client holds.
	err = r.update(ctx, idName(made.ID), func(old []byte) ([]byte, error) {
		if old != nil {
			return nil, errTaken
		}
		return data, nil
	})
	if err == nil {
		err = r.updateList(ctx, made.Subject, func(l *list) error {
			l.drop(gone)
			if err := l.complete(); err != nil {
				return err
			}
			if err := l.full(made.Created, r.quota()); err != nil {
				return err
			}
			l.Entries = append(l.Entries, listed{made.ID, made.Serial, made.Expires})
			return nil
		})
	}
	if err == nil {
		return made.credentials(), nil
	}
	if !errors.Is(err, errTaken) {
		// Do this even if the caller has gone. If it fails too, a record remains whose key was sent
		// to no client.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
		defer cancel()
		_ = r.remove(ctx, made.ID, func(old *record) bool { return old.Serial == made.Serial })
	}
	return nil, err
}

// make returns the record for c, with the missing fields filled in.
func (r *Registry) make(ctx context.Context, id *auth.Identity, c mac.Credentials) (
	*record, error) {
	if err := checkSubject(id); err != nil {
		return nil, err
	}
	lifetime := r.Lifetime
	if lifetime == 0 {
		lifetime = registryLifetime
	}
	lifetime, claims, err := decide(ctx, r.Terms, id, lifetime)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	made := &record{
		Version: recordVersion, ID: c.ID, Serial: random(serialSize), Key: string(c.Key),
		Algorithm: cmp.Or(c.Algorithm, r.Algorithm, mac.SHA256),
		Subject:   id.Subject, Claims: claims,
		Created: now.Truncate(time.Millisecond).UTC(), Expires: c.Expires.UTC(),
	}
	if made.ID == "" {
		made.ID = random(idSize)
	}
	if made.Key == "" {
		made.Key = random(keySize)
	}
	if c.Expires.IsZero() {
		made.Expires = now.Add(lifetime).Truncate(time.Millisecond).UTC()
	}
	switch {
	case len(made.Key) < minSecret:
		return nil, fmt.Errorf("a key of %d bytes: it takes %d or more, random ones",
			len(made.Key), minSecret)
	case !made.Expires.After(now):
		return nil, errors.New("the credentials would have ended already: see Lifetime")
	}
	_, err = provision.Marshal(made.credentials())
	return made, err
}

// random returns URL-safe text, which fits the grammar of ids and keys. It does not begin with a
// hyphen, as a command line would take such text for a flag.
func random(size int) string {
	b := make([]byte, size)
	for {
		rand.Read(b) // never fails
		if text := base64.RawURLEncoding.EncodeToString(b); text[0] != '-' {
			return text
		}
	}
}

// makeRoom removes the credentials that made's subject no longer needs, and returns their list
// entries. It returns an error early if the subject has too many.
func (r *Registry) makeRoom(ctx context.Context, made *record) (gone []listed, err error) {
	l, err := r.completeList(ctx, made.Subject)
	if err != nil {
		return nil, err
	}
	useless := l.useless(made.Created, r.quota())
	for _, e := range l.Entries {
		if !useless(e) {
			continue
		}
		// Keep credentials that were added later under this id.
		err := r.remove(ctx, e.ID, func(old *record) bool {
			return old.Subject == made.Subject && old.Serial == e.Serial
		})
		if err != nil {
			return nil, err
		}
		gone = append(gone, e)
	}
	return gone, l.full(made.Created, r.quota())
}

func (r *Registry) quota() int { return cmp.Or(r.Quota, registryQuota) }

// Key returns the key of an id. It is a [mac.KeyFunc]. It asks the Store each time, so revoked
// credentials are refused from the next request on, in every process. Its error wraps
// [mac.ErrUnknownID] for an id that is not stored, or no longer, and [auth.ErrUnavailable]
// otherwise. Credentials that have ended are returned as long as they are remembered.
//
// An unknown id takes as long as a known one, apart from the time of the Store. In memory and on a
// Dir of package creds/file, the two differ by some hundred nanoseconds at most; claims that are
// longer than the claims of the first known id take some nanoseconds more for each byte. Other
// Stores have their own times.
func (r *Registry) Key(ctx context.Context, id string) (*mac.Key, error) {
	found, err := r.load(ctx, id)
	if errors.Is(err, mac.ErrUnknownID) {
		r.pretend()
	}
	if err != nil {
		return nil, err
	}
	claims, err := found.claims()
	if err != nil {
		return nil, broken(err)
	}
	if r.decoy.Load() == nil {
		r.decoy.Store(newDecoy(*found))
	}
	return &mac.Key{
		Secret: creds.Secret(found.Key), Algorithm: found.Algorithm,
		Identity: auth.Identity{Subject: found.Subject, Claims: claims, Expires: found.Expires},
	}, nil
}

// List returns the credentials of a subject that have not ended, oldest first. If none are left, it
// returns nil and no error.
func (r *Registry) List(ctx context.Context, subject string) ([]Entry, error) {
	l, err := r.completeList(ctx, subject)
	if err != nil {
		return nil, err
	}
	var entries []Entry
	now := time.Now()
	for _, e := range l.Entries {
		found, err := r.load(ctx, e.ID)
		switch {
		case errors.Is(err, mac.ErrUnknownID): // revoked by a process that did not finish
			continue
		case err != nil:
			return nil, err
		case found.Subject != subject || found.Serial != e.Serial || !now.Before(found.Expires):
			continue
		}
		entries = append(entries, found.entry())
	}
	slices.SortStableFunc(entries, func(a, b Entry) int { return a.Created.Compare(b.Created) })
	return entries, nil
}

// All yields the credentials of all subjects that have not ended, in no particular order, for an
// administrator. It holds one record at a time. The loop may stop early, and may revoke the
// credentials that it is given. Credentials that are issued or revoked during the loop may be
// missing or not. An error stands for one record that cannot be used, whose credentials may still
// be good, and the loop goes on; an error of the Store itself ends it.
//
// The Store must be a [creds.Lister], such as a Dir of package creds/file; otherwise All yields an
// error.
func (r *Registry) All(ctx context.Context) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		store, ok := r.store().(creds.Lister)
		if !ok {
			yield(Entry{}, fmt.Errorf("issue: the Store, a %T, is not a creds.Lister: "+
				"list the credentials of each subject", r.Store))
			return
		}
		now := time.Now()
		for data, err := range store.Records(ctx, idPrefix) {
			var found *record
			if err != nil {
				err = storeError(err)
			} else {
				found, err = decodeAny(data)
			}
			switch {
			case err != nil:
				if !yield(Entry{}, err) {
					return
				}
			case now.Before(found.Expires):
				if !yield(found.entry(), nil) {
					return
				}
			}
		}
	}
}

// Revoke ends the credentials with an id, at once. It does not check their subject: a program that
// lets users revoke their own must first look for the id in their List. The error wraps
// [mac.ErrUnknownID] if the id is not stored. After any other error they may still be good.
func (r *Registry) Revoke(ctx context.Context, id string) error {
	if _, err := r.load(ctx, id); err != nil { // takes no lock for a made-up id
		return err
	}
	subject, gone := "", listed{ID: id}
	err := r.remove(ctx, id, func(old *record) bool {
		subject, gone.Serial = old.Subject, old.Serial
		return true
	})
	switch {
	case err != nil:
		return err
	case subject == "":
		return unknown(errors.New("not in the registry any more"))
	}
	return r.unlist(ctx, subject, []listed{gone})
}

// RevokeAll ends all credentials of a subject, at once. A subject without credentials is not an
// error. Credentials that are being issued at the same moment may remain, so first make sure that
// the subject gets no more. After an error, some may still be good.
//
// If the list of a subject was damaged, the subject's credentials can no longer be found. From then
// on RevokeAll, List and Issue fail for it, and the error says how to mend that.
func (r *Registry) RevokeAll(ctx context.Context, subject string) error {
	l, err := r.loadList(ctx, subject)
	if err != nil {
		return err
	}
	var gone []listed
	var errs []error
	for _, e := range l.Entries {
		err := r.remove(ctx, e.ID, func(old *record) bool { return old.Subject == subject })
		if err != nil {
			errs = append(errs, err)
			continue
		}
		gone = append(gone, e)
	}
	if len(gone) > 0 {
		errs = append(errs, r.unlist(ctx, subject, gone))
	}
	return errors.Join(append(errs, l.complete())...)
}
