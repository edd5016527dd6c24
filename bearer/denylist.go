package bearer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/countersign-go/countersign/auth"
)

// maxDenied is how many tokens a DenyList holds, which are about 10 MiB.
const maxDenied = 100_000

// A DenyList remembers in memory which tokens were withdrawn, each until it would have ended
// anyway. It goes by jti and iss, and not by how a token is written: whoever has a token that is
// signed with ECDSA can give its signature a second form. A token without jti cannot be on the
// list, and passes. One without exp stays on it for good.
//
// It holds 100,000 tokens, and then takes no more. So whoever may log in and out as often as he
// likes can keep everybody else from logging out: limit the logins, as by an [auth.Limiter].
//
// It knows only of what it was told since this process began. The zero value is empty, and ready
// for use. It must not be copied after first use, and is safe for concurrent use.
type DenyList struct {
	mu    sync.Mutex // guards what follows
	until map[tokenID]time.Time
	next  time.Time // no entry ends before that
	sweep int       // how many entries are worth a look for ended ones
}

// A tokenID is a hash of iss and jti, so that long ones need no more memory than short ones.
type tokenID [sha256.Size]byte

// forever is the end of a token that has none.
var forever = time.Unix(1<<60, 0)

// Revoke puts a token on the list, given the claims that a [Verifier] returned for it. A token
// without jti cannot be told from others, which is an error. If the list is full of tokens that
// have not ended, the error wraps [auth.ErrUnavailable], and the token is still good.
//
// A token stays on the list until it ends itself. Others of its session, which have the same jti,
// may end later: a [Session] is ended by [Session.Clear].
func (d *DenyList) Revoke(claims jwt.MapClaims) error {
	id, ok := tokenIDOf(claims)
	if !ok {
		return errors.New("bearer: a token without jti cannot be revoked: " +
			"have its issuer set one, or wait until it ends")
	}
	end, hasEnd, err := date(claims, "exp")
	if err != nil {
		return fmt.Errorf("bearer: the token cannot be revoked: %w", err)
	}
	if !hasEnd {
		end = forever
	} else {
		end = end.Add(maxLeeway) // by which a Verifier may still accept it
	}
	return d.add(id, end, time.Now())
}

// Revoked reports whether a token is on the list. It fits the field Revoked of a [Verifier].
func (d *DenyList) Revoked(_ context.Context, claims jwt.MapClaims) (bool, error) {
	id, ok := tokenIDOf(claims)
	if !ok {
		return false, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	_, found := d.until[id]
	return found, nil
}

func tokenIDOf(claims jwt.MapClaims) (tokenID, bool) {
	jti, _ := claims["jti"].(string)
	iss, _ := claims["iss"].(string)
	issuer := sha256.Sum256([]byte(iss))
	return sha256.Sum256(append(issuer[:], jti...)), jti != ""
}

func (d *DenyList) add(id tokenID, end, now time.Time) error {
	if !now.Before(end) {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if old, found := d.until[id]; found {
		if end.After(old) {
			d.until[id] = end
		}
		return nil
	}
	if len(d.until) >= d.sweep && !now.Before(d.next) {
		d.drop(now)
	}
	switch {
	case len(d.until) >= maxDenied:
		return fmt.Errorf("bearer: the DenyList is full, so the token is not revoked: %w",
			auth.ErrUnavailable)
	case d.until == nil:
		d.until = make(map[tokenID]time.Time)
	}
	if d.next.IsZero() || end.Before(d.next) {
		d.next = end
	}
	d.until[id] = end
	return nil
}

// drop forgets the tokens that have ended. Since the list has doubled in between, or is full, each
// entry is looked at a few times in its life.
func (d *DenyList) drop(now time.Time) {
	d.next = forever
	for id, end := range d.until {
		if !now.Before(end) {
			delete(d.until, id)
		} else if end.Before(d.next) {
			d.next = end
		}
	}
	d.sweep = min(max(2*len(d.until), 1024), maxDenied)
}
