package jwt

import (
	"context"
	"maps"
	"slices"
)

// Check returns why Sign would fail for every request because of the fields of s, or nil. It does
// not call Claims. It requires a Lifetime of at least 10 seconds, which [Signer.Token] does not.
func (s *Signer) Check() error {
	p, err := s.ready()
	switch {
	case err != nil:
		return err
	case p.err != nil:
		return p.err
	case s.lifetime() < shortestLifetime:
		return errShort
	case s.lifetime() > longestLifetime && s.Claims == nil:
		return errLifetime
	}
	return nil
}

// Check returns why the Key cannot be used, or nil. The error wraps [ErrKey].
func (k *Key) Check() error {
	_, err := k.prepared()
	return err
}

// Check returns why Authenticate would fail for every request because of the fields of v, or nil.
// It checks Keys if they are a [*Key], a [KeyMap], or a KeySet with a method Check, as a [*JWKS]
// is. It fetches nothing.
func (v *Verifier) Check() error {
	if _, err := v.place(); err != nil {
		return err
	}
	switch keys := v.Keys.(type) {
	case *Key:
		if err := keys.Check(); err != nil {
			return unavailable("using the key", setupError{err})
		}
	case KeyMap:
		for _, kid := range slices.Sorted(maps.Keys(keys)) {
			if key := keys[kid]; key != nil && key.Check() != nil {
				return unavailable("using the key", setupError{key.Check()})
			}
		}
	case interface{ Check() error }:
		if err := keys.Check(); err != nil {
			return unavailable("looking up the key", err)
		}
	}
	return nil
}

// Check returns why the set cannot be fetched because of the fields of s, or nil. It fetches
// nothing.
func (s *JWKS) Check() error {
	if _, _, err := s.request(context.Background()); err != nil {
		return unavailable("fetching the key set of "+s.address(), setupError{err})
	}
	return nil
}

// Check returns why no session can begin because of the fields of s, its Signer and its Verifier,
// or nil.
func (s *Session) Check() error {
	set, err := s.ready()
	if err != nil {
		return err
	}
	return set.verifier.Check()
}
