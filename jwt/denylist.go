package jwt

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/countersign-go/countersign/auth"
)

const (
	// maxDenied is how many tokens a DenyList holds, in about 20 MiB.
	maxDenied = 100_000

	// maxDeniedOf is how many of them may have the same subject.
	maxDeniedOf = 1000
)

// A DenyList holds revoked tokens in memory, each by its iss and jti, until the token would have
// expired. It holds at most 100,000 tokens, and at most 1,000 with the same iss and sub.
//
// The zero value is an empty list. A DenyList must not be copied after first use. It is safe for
// concurrent use.
type DenyList struct {
	mu    sync.Mutex // guards the fields below
	began time.Time  // when the monotonic clock was read first
	until map[tokenID]denied
	of    map[subjectID]deniedSubject
	next  time.Duration // by the monotonic clock; no entry ends earlier
	sweep int           // how many entries there must be for drop to be worth its time
}

// A moment is one point in time by the wall clock and by the monotonic clock.
type moment struct {
	wall    time.Time
	elapsed time.Duration // by the monotonic clock, since the list began
}

// now is called with d.mu held.
func (d *DenyList) now() moment {
	now := time.Now()
	if d.began.IsZero() {
		d.began = now
	}
	return moment{now.Round(0), now.Sub(d.began)}
}

// A denied is an entry of the list.
type denied struct {
	end     time.Time
	kept    time.Duration // the end by the monotonic clock
	subject subjectID
}

// left returns how long an entry is still needed. It is not positive if the token has ended by both
// clocks.
func (t denied) left(now moment) time.Duration {
	return max(t.end.Sub(now.wall), t.kept-now.elapsed)
}

// A deniedSubject counts the tokens of a subject on the list.
type deniedSubject struct {
	tokens int
	next   time.Duration // by the monotonic clock; none of them ends earlier
}

// A tokenID is a hash of iss and jti, and a subjectID is a hash of iss and sub. So long names need
// no more memory than short ones.
type (
	tokenID   [sha256.Size]byte
	subjectID [sha256.Size]byte
)

// forever is the end of a token without exp.
var forever = time.Unix(1<<60, 0)

// Revoke adds the token with these claims, which must have a jti. If the list, or the subject's
// share of it, is full, the error wraps [auth.ErrUnavailable], and the token stays valid. To end a
// session, use [Session.Clear] instead, since later tokens of the session have the same jti.
func (d *DenyList) Revoke(claims map[string]any) error {
	id, ok := tokenIDOf(claims)
	if !ok {
		return errors.New("jwt: a token without jti cannot be revoked: " +
			"have its issuer set one, or wait until it ends")
	}
	end, hasEnd, err := date(claims, "exp")
	if err != nil {
		return fmt.Errorf("jwt: the token cannot be revoked: %w", err)
	}
	if !hasEnd {
		end = forever
	} else {
		end = end.Add(maxLeeway) // a Verifier may accept it until then
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.add(id, denied{end: end, subject: subjectIDOf(claims)}, d.now())
}

// Revoked reports whether the token with these claims is on the list. It fits [Verifier.Revoked].
func (d *DenyList) Revoked(_ context.Context, claims map[string]any) (bool, error) {
	id, ok := tokenIDOf(claims)
	if !ok {
		return false, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	_, found := d.until[id]
	return found, nil
}

func tokenIDOf(claims map[string]any) (tokenID, bool) {
	jti, _ := claims["jti"].(string)
	return hashOf(claims, jti), jti != ""
}

func subjectIDOf(claims map[string]any) subjectID {
	sub, _ := subject(claims) // "" without a sub
	return hashOf(claims, sub)
}

// hashOf hashes the iss, and a name that is unique for that issuer.
func hashOf(claims map[string]any, name string) [sha256.Size]byte {
	iss, _ := claims["iss"].(string)
	issuer := sha256.Sum256([]byte(iss))
	return sha256.Sum256(append(issuer[:], name...))
}

// add is called with d.mu held.
func (d *DenyList) add(id tokenID, token denied, now moment) error {
	life := token.end.Sub(now.wall)
	if life <= 0 {
		return nil
	}
	token.kept = now.elapsed + min(life, never)
	if old, found := d.until[id]; found {
		old.end = later(old.end, token.end)
		old.kept = max(old.kept, token.kept)
		d.until[id] = old
		return nil
	}
	of := d.of[token.subject]
	if len(d.until) >= d.sweep && now.elapsed >= d.next ||
		of.tokens >= maxDeniedOf && now.elapsed >= of.next {
		d.drop(now)
		of = d.of[token.subject]
	}
	switch {
	case len(d.until) >= maxDenied:
		return fmt.Errorf("jwt: the DenyList is full, so the token is not revoked: %w",
			auth.ErrUnavailable)
	case of.tokens >= maxDeniedOf:
		return fmt.Errorf("jwt: the DenyList holds %d tokens of this subject, so the token is "+
			"not revoked: %w", maxDeniedOf, auth.ErrUnavailable)
	case d.until == nil:
		d.until = make(map[tokenID]denied)
		d.of = make(map[subjectID]deniedSubject)
		d.next = never
	}
	d.next = min(d.next, d.put(id, token, now))
	return nil
}

// never is a duration that does not pass, small enough to be added to another one.
const never = time.Duration(1 << 62)

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// put adds a token, and returns when it ends by the monotonic clock. It is called with d.mu held.
func (d *DenyList) put(id tokenID, token denied, now moment) time.Duration {
	d.until[id] = token
	end := now.elapsed + min(token.left(now), never)
	of, found := d.of[token.subject]
	if !found {
		of.next = never
	}
	d.of[token.subject] = deniedSubject{of.tokens + 1, min(of.next, end)}
	return end
}

// drop removes the entries that have ended by both clocks. The list has doubled since the last
// drop, or is full, so each entry is visited only a few times in its life. For a subject at its
// limit, the list is scanned once for each second in which one of the subject's tokens ends.
func (d *DenyList) drop(now moment) {
	d.next = never
	clear(d.of)
	for id, token := range d.until {
		if token.left(now) <= 0 {
			delete(d.until, id)
			continue
		}
		d.next = min(d.next, d.put(id, token, now))
	}
	d.sweep = min(max(2*len(d.until), 1024), maxDenied)
}
