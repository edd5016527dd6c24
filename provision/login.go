package provision

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/mac"
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

// A visit is one request to a Handler.
type visit struct {
	*Handler

	refused *auth.Identity // whose credentials are right and not enough
	err     error          // why the request got nothing, for Denied
}

// fit returns a, or the members of the Stack that it is, each with the rules of the Handler added.
func (v *visit) fit(a auth.Authenticator) auth.Authenticator {
	switch a := a.(type) {
	case nil:
		return nil
	case auth.Stack:
		all := make(auth.Stack, 0, len(a))
		for _, member := range a {
			all = append(all, v.fit(member))
		}
		return all
	}
	return fitting{a, v}
}

// A fitting is an Authenticator that also asks whether who is known may have credentials.
type fitting struct {
	auth.Authenticator

	visit *visit
}

func (f fitting) Authenticate(req *http.Request) (*auth.Identity, error) {
	id, err := f.Authenticator.Authenticate(req)
	if err != nil || id == nil { // nil is for the Stack to deal with
		return id, err
	}
	// An identity may have a Scheme of the application's own, and the Authenticator may hide behind
	// another one, so all that tells of MAC is asked.
	_, verifier := f.Authenticator.(*mac.Verifier)
	switch isMAC := verifier || strings.EqualFold(id.Scheme, "MAC") || showsMAC(req); {
	case isMAC && !f.visit.AllowMAC:
		err = ErrScheme
	case f.visit.MaxLoginAge > 0 && !loggedIn(id, f.visit.MaxLoginAge, time.Now()):
		err = ErrLogin
	}
	if err != nil {
		f.visit.refused = id
		return nil, err
	}
	return id, nil
}

// showsMAC reports whether any credentials of a request are of the scheme MAC.
func showsMAC(req *http.Request) bool {
	return slices.ContainsFunc(req.Header.Values("Authorization"), func(line string) bool {
		words := strings.Fields(line)
		return len(words) > 0 && strings.EqualFold(words[0], "MAC")
	})
}

func (f fitting) Challenge(req *http.Request, err error) string {
	c, ok := f.Authenticator.(auth.Challenger)
	if !ok {
		return ""
	}
	if errors.Is(err, ErrScheme) || errors.Is(err, ErrLogin) {
		err = auth.ErrNone // it would not know what these mean
	}
	return c.Challenge(req, err)
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
