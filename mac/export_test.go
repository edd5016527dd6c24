package mac

import (
	"net/http"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/internal/clock"
)

// AuthenticateAt is Authenticate with another clock. Some vectors are dated in the year 44317, and
// package testing/synctest cannot set a clock back.
func (v *Verifier) AuthenticateAt(req *http.Request, now time.Time) (*auth.Identity, error) {
	at := req.WithContext(clock.At(req.Context(), now))
	id, err := v.Authenticate(at)
	req.Body = at.Body
	return id, err
}

// Reprint parses an Authorization field and formats it again.
func Reprint(line string) (text string, params map[string]string, err error) {
	h, err := parseHeader(line)
	if err != nil {
		return "", nil, err
	}
	params = map[string]string{"id": h.id, "ts": h.ts, "nonce": h.nonce}
	if h.ext != "" {
		params["ext"] = h.ext
	}
	params["mac"] = strict.EncodeToString(h.mac.slice())
	return string(h.append(nil)), params, nil
}

// HMAC returns the MAC as a Verifier computes it.
func HMAC(name string, key, message []byte) []byte {
	t := algorithm(name).mac(key, append(make([]byte, blockSize), message...))
	return t.slice()
}

// UnknownKey is the key that a Verifier uses for unknown identifiers.
const UnknownKey = unknownKey

// Cost returns how many HMACs e has computed, and of how many bytes, except for the last one.
func (e *Explanation) Cost() (tries, hashed int) { return e.tries, e.hashed }

// ExplainAt is Explain with another clock.
func ExplainAt(req *http.Request, key *Key, v *Verifier, now time.Time) (*Explanation, error) {
	return explain(req, key, v, "", now)
}
