package jwt

import (
	"fmt"
	"slices"
	"sync"
	"time"

	jwtlib "github.com/golang-jwt/jwt/v5"

	"github.com/countersign-go/countersign/internal/origin"
)

const (
	// maxMinted is how many tokens a Signer keeps.
	maxMinted = 64

	// clockStep is how far the time of a server may seem to jump before its token is replaced.
	clockStep = time.Second

	// youth is how long a token counts as new. A server that refuses a new token would refuse its
	// replacement too.
	youth = 5 * time.Second
)

// A purpose is the origin and the claims that a token was made for.
type purpose struct {
	origin origin.Origin
	claims string // as JSON, or ""
}

// A mintedToken is a token that can be used again.
type mintedToken struct {
	text  *string   // a pointer, so that a Signer that is printed by value does not show it
	now   time.Time // by the server's clock, when it was made
	local time.Time // the same moment, with its monotonic part
	renew time.Time // by the server's clock
}

// usable reports whether the token is not about to expire, and the clock has not been set since it
// was made.
func (m *mintedToken) usable(now, local time.Time) bool {
	step := now.Sub(m.now) - local.Sub(m.local)
	return now.Before(m.renew) && step.Abs() <= clockStep
}

// minted holds the tokens to use again. The zero value is empty.
type minted struct {
	mu     sync.Mutex // guards tokens
	tokens map[purpose]*mintedToken
}

// find returns the token for a purpose, if there is a usable one.
func (m *minted) find(use purpose, now, local time.Time) (string, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	token := m.tokens[use]
	if token == nil || !token.usable(now, local) {
		return "", false
	}
	return *token.text, true
}

// keep stores a token. If there are too many, it removes those that have ended, or else any one.
func (m *minted) keep(use purpose, token *mintedToken) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tokens == nil {
		m.tokens = make(map[purpose]*mintedToken)
	}
	if len(m.tokens) >= maxMinted && m.tokens[use] == nil {
		m.makeRoom(token.local)
	}
	m.tokens[use] = token
}

// makeRoom is called with m.mu held.
func (m *minted) makeRoom(local time.Time) {
	for use, token := range m.tokens {
		if local.Sub(token.local) >= token.renew.Sub(token.now) {
			delete(m.tokens, use)
		}
	}
	for use := range m.tokens {
		if len(m.tokens) < maxMinted {
			return
		}
		delete(m.tokens, use)
	}
}

// drop removes the token with that text, unless it is new. It reports whether another token is
// worth sending. A token that is not kept has been replaced already, or is about to be.
func (m *minted) drop(text string) bool {
	local := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	for use, token := range m.tokens {
		if *token.text != text {
			continue
		}
		if local.Sub(token.local) < youth {
			return false
		}
		delete(m.tokens, use)
		return true
	}
	return true
}

// An aheadError reports a token that would be dated too far ahead.
type aheadError struct{ origin origin.Origin }

func (e *aheadError) Error() string {
	return fmt.Sprintf("jwt: the clock of %v is over 24 hours ahead of this machine's, and the "+
		"token would be good at other servers then: have Claims set aud to %[1]v alone, or "+
		"correct the clock of this machine", e.origin)
}

// namesOnly reports whether aud holds name and nothing else.
func namesOnly(aud any, name string) bool {
	alone := true
	switch aud := aud.(type) {
	case []string:
		alone = len(aud) == 1
	case jwtlib.ClaimStrings:
		alone = len(aud) == 1
	case []any:
		alone = len(aud) == 1
	}
	return alone && names(aud, name)
}

// names reports whether aud, which is a string or a list of strings (RFC 7519, section 4.1.3),
// holds name.
func names(aud any, name string) bool {
	switch aud := aud.(type) {
	case string:
		return aud == name
	case []string:
		return slices.Contains(aud, name)
	case jwtlib.ClaimStrings:
		return slices.Contains(aud, name)
	case []any:
		return slices.Contains(aud, any(name))
	}
	return false
}
