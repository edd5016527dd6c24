package issue

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/internal/seconds"
)

// The reasons for which a [Handler] refuses a client with valid credentials.
var (
	// ErrScheme means that the scheme of the credentials gives no others: it is MAC, and AllowMAC
	// is false. The answer is 403, as sending them again would not help.
	ErrScheme = errors.New("issue: MAC credentials get no others: log in another way")

	// ErrLogin means that the login is older than MaxLoginAge, or that the identity does not have
	// the time of the login. The error's text tells which. The answer is 401.
	ErrLogin = errors.New("issue: the login is not recent")

	// ErrLimit means that a subject has asked more often than PerSubject allows. The answer is 429.
	ErrLimit = errors.New("issue: asked for too often")
)

// admit returns an error if a client with valid credentials may not have others.
func (h *Handler) admit(req *http.Request, id *auth.Identity) (*auth.Identity, error) {
	// An identity may have a Scheme of the application's own, so look at the request too.
	switch isMAC := strings.EqualFold(id.Scheme, "MAC") || showsMAC(req); {
	case isMAC && !h.AllowMAC:
		return nil, ErrScheme
	case h.MaxLoginAge > 0:
		if err := checkLogin(id, h.MaxLoginAge, time.Now()); err != nil {
			return nil, err
		}
	}
	return id, nil
}

// showsMAC reports whether any credentials of a request are of the scheme MAC, even malformed ones.
func showsMAC(req *http.Request) bool {
	return slices.ContainsFunc(req.Header.Values("Authorization"), func(line string) bool {
		words := strings.FieldsFunc(line, func(c rune) bool {
			return strings.ContainsRune(" \t,=;", c)
		})
		return len(words) > 0 && strings.EqualFold(words[0], "MAC")
	})
}

// loginSkew is how far the clock of the server that saw the login may be ahead.
const loginSkew = time.Minute

// A loginError is ErrLogin with its reason.
type loginError struct {
	reason string
	again  bool // another login of the same kind helps
}

func (e *loginError) Error() string { return ErrLogin.Error() + ": " + e.reason }
func (e *loginError) Unwrap() error { return ErrLogin }

// loginAdvice returns the line that tells a client how to mend a loginError.
func loginAdvice(err error) string {
	if e, ok := errors.AsType[*loginError](err); ok && !e.again {
		return "log in another way: the time of this login is not known"
	}
	return "log in again"
}

// checkLogin returns an error unless the login is known to be at most limit old.
func checkLogin(id *auth.Identity, limit time.Duration, now time.Time) error {
	claim, ok := id.Claims["auth_time"]
	if !ok {
		if strings.EqualFold(id.Scheme, "Basic") {
			return nil // the password came with this request
		}
		return &loginError{reason: fmt.Sprintf("the identity, of scheme %q, has no claim "+
			"auth_time: see Handler.MaxLoginAge for the logins that set it", id.Scheme)}
	}
	at, ok := loginTime(claim)
	if !ok {
		return &loginError{reason: "the claim auth_time is not a number of seconds or a time.Time"}
	}
	switch age := now.Sub(at); {
	case age < -loginSkew:
		return &loginError{reason: "the claim auth_time is in the future: compare the clocks"}
	case age > limit:
		return &loginError{"it was more than " + limit.String() + " ago", true}
	}
	return nil
}

// loginTime reads the claim auth_time, in seconds since 1970 (OpenID Connect Core 1.0, section 2).
func loginTime(claim any) (time.Time, bool) {
	switch v := claim.(type) {
	case json.Number:
		at, err := seconds.Time(v)
		return at, err == nil
	case float64:
		if !(0 <= v && v < seconds.End) { // written so that NaN is refused
			return time.Time{}, false
		}
		return time.Unix(int64(v), 0), true
	case int64:
		return time.Unix(v, 0), 0 <= v && v < seconds.End
	case int:
		return time.Unix(int64(v), 0), 0 <= v && int64(v) < seconds.End
	case time.Time:
		return v, true
	}
	return time.Time{}, false
}
