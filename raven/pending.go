package raven

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	// pendingLife is how long a browser may take to come back from the service.
	pendingLife = time.Hour
	// pendingSuffix follows the name of the session's cookie, so that a prefix such as __Host-
	// binds both cookies.
	pendingSuffix = "-login"
	// maxPending is the longest cookie value that is read, in bytes. A Login does not write longer
	// ones.
	maxPending = 4 << 10
	// maxMessage bounds the service's message in a cookie, in bytes. In JSON and base64 it takes
	// less than 3 KiB, and browsers keep cookies of 4 KiB.
	maxMessage = 1 << 10
	// minCookieKey is the least length of a key, in bytes: the output size of SHA-256.
	minCookieKey = 32
)

// processKey signs the cookies of all Logins without CookieKeys.
var processKey = sync.OnceValue(func() []byte {
	key := make([]byte, minCookieKey)
	rand.Read(key) // never fails
	return key
})

// A pending login is a login that a browser has begun and not finished. The browser keeps it in a
// signed cookie: if the server kept it, clients that have proved nothing could use up its memory.
// The cookie is not encrypted, because its user already knows everything in it.
type pending struct {
	// Token is the params of the request, and the answer must have the same. All tabs of a browser
	// share it until an answer uses it up; then it becomes Spent.
	Token  string  `json:"token,omitempty"`
	Spent  string  `json:"spent,omitempty"`
	Lost   string  `json:"lost,omitempty"` // the request whose body was lost, as nameTarget has it
	Failed *failed `json:"failed,omitempty"`
	Until  int64   `json:"until"` // Unix seconds
}

// failed is an answer other than a success that the user has not seen yet.
type failed struct {
	Status Status `json:"status"`
	Msg    string `json:"msg,omitempty"`
}

func newFailed(r *Response) *failed {
	f := &failed{Status: r.Status}
	if r.KeyID != "" {
		f.Msg = shorten(r.Msg, maxMessage)
	}
	return f
}

// shorten cuts text to at most the given number of bytes, between two characters.
func shorten(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}

// checkCookieKeys returns an error for keys that an attacker could guess.
func checkCookieKeys(keys [][]byte) error {
	if keys != nil && len(keys) == 0 {
		return errors.New("raven: CookieKeys of the Login is empty; if nil, the Login has its own")
	}
	for i, key := range keys {
		if len(key) < minCookieKey {
			return fmt.Errorf("raven: key %d of CookieKeys has %d bytes; use %d random bytes",
				i, len(key), minCookieKey)
		}
	}
	return nil
}

// readPending returns the pending login of a request, and whether there is one.
func (l *Login) readPending(req *http.Request, now time.Time) (p pending, ok bool) {
	cookie, err := req.Cookie(l.pendingName())
	if err != nil || len(cookie.Value) > maxPending {
		return pending{}, false
	}
	payload, signature, _ := strings.Cut(cookie.Value, ".")
	given, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || !l.isSigned(payload, given) {
		return pending{}, false
	}
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil || json.Unmarshal(text, &p) != nil || now.Unix() >= p.Until {
		return pending{}, false
	}
	return p, true
}

// writePending sets the cookie of a pending login, which lasts for pendingLife from now, or for the
// Lifetime of Sessions if that is shorter.
func (l *Login) writePending(w http.ResponseWriter, p pending) {
	life := min(pendingLife, l.set.sessions.Lifetime)
	p.Until = time.Now().Add(life).Unix()
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // escaping would turn one byte into six
	encoder.Encode(p)            //nolint:errcheck,errchkjson,gosec // text and numbers have a form
	payload := base64.RawURLEncoding.EncodeToString(text.Bytes())
	signature := l.signPending(l.set.cookieKeys[0], payload)
	l.setPending(w, payload+"."+base64.RawURLEncoding.EncodeToString(signature), life)
}

// dropPending deletes the cookie of the pending login.
func (l *Login) dropPending(w http.ResponseWriter) { l.setPending(w, "", -time.Second) }

// setPending sets the cookie, with the same attributes as the session's cookie.
func (l *Login) setPending(w http.ResponseWriter, value string, life time.Duration) {
	like := l.set.sessions.Cookie
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // checkCookie has looked at the attributes
		Name: l.pendingName(), Value: value, MaxAge: int(life / time.Second),
		Path: like.Path, Domain: like.Domain, Secure: like.Secure, HttpOnly: like.HttpOnly,
		SameSite: like.SameSite, Partitioned: like.Partitioned,
	})
}

func (l *Login) pendingName() string { return l.set.sessions.Cookie.Name + pendingSuffix }

func (l *Login) isSigned(payload string, signature []byte) bool {
	for _, key := range l.set.cookieKeys {
		if hmac.Equal(l.signPending(key, payload), signature) {
			return true
		}
	}
	return false
}

// signPending signs a payload for the cookie of this name. Logins with the same Sessions share the
// cookie.
func (l *Login) signPending(key []byte, payload string) []byte {
	sum := hmac.New(sha256.New, key)
	for _, part := range []string{"raven pending login", l.pendingName(), payload} {
		io.WriteString(sum, part+"\n") //nolint:errcheck,gosec // a hash takes all
	}
	return sum.Sum(nil)
}
