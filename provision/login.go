package provision

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/countersign-go/countersign/auth"
)

// Why a [Handler] refuses somebody whose credentials are right.
var (
	// ErrScheme means that the credentials are of a scheme that gets no others: MAC, unless
	// AllowMAC. The answer is 403, as to send them again would not help.
	ErrScheme = errors.New("provision: MAC credentials get no others: log in another way")

	// ErrLogin means that the login is longer ago than MaxLoginAge, or that it is not known how
	// long. The answer is 401.
	ErrLogin = errors.New("provision: the login is too long ago, or nobody knows when it was")

	// ErrLimit means that a subject has asked too often: PerSubject. The answer is 429.
	ErrLimit = errors.New("provision: asked for too often")
)

// admit asks whether somebody whose credentials are right may have others.
func (h *Handler) admit(req *http.Request, id *auth.Identity) (*auth.Identity, error) {
	// An identity may have a Scheme of the application's own, so what was sent counts too.
	switch isMAC := strings.EqualFold(id.Scheme, "MAC") || showsMAC(req); {
	case isMAC && !h.AllowMAC:
		return nil, ErrScheme
	case h.MaxLoginAge > 0 && !loggedIn(id, h.MaxLoginAge, time.Now()):
		return nil, ErrLogin
	}
	return id, nil
}

// showsMAC reports whether any credentials of a request are of the scheme MAC, however broken.
func showsMAC(req *http.Request) bool {
	return slices.ContainsFunc(req.Header.Values("Authorization"), func(line string) bool {
		words := strings.FieldsFunc(line, func(c rune) bool {
			return strings.ContainsRune(" \t,=;", c)
		})
		return len(words) > 0 && strings.EqualFold(words[0], "MAC")
	})
}

// loginSkew is how far the clock of who saw the login may be ahead.
const loginSkew = time.Minute

// loggedIn reports whether the login is known to be no longer ago than limit.
func loggedIn(id *auth.Identity, limit time.Duration, now time.Time) bool {
	at, ok := loginTime(id)
	if !ok {
		// The password came with this request.
		return strings.EqualFold(id.Scheme, "Basic")
	}
	age := now.Sub(at)
	return -loginSkew <= age && age <= limit
}

// loginTime reads the claim auth_time, in seconds since 1970 (OpenID Connect Core 1.0, section 2).
func loginTime(id *auth.Identity) (time.Time, bool) {
	switch v := id.Claims["auth_time"].(type) {
	case json.Number:
		at, err := readTime(v)
		return at, err == nil
	case float64:
		ok := 0 <= v && v < endOfTime
		if !ok {
			v = 0
		}
		return time.Unix(int64(v), 0), ok
	case int64:
		return time.Unix(v, 0), true
	case int:
		return time.Unix(int64(v), 0), true
	case time.Time:
		return v, true
	}
	return time.Time{}, false
}
