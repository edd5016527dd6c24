package bearer

import (
	"net/http"
	"time"

	"golang.org/x/oauth2"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/fetch"
	"github.com/countersign-go/countersign/internal/jose"
	"github.com/countersign-go/countersign/internal/place"
)

// observeCookie takes up what an answer to a request with sent says about the cookie.
func (s *Signer) observeCookie(resp *http.Response, sent sentToken) {
	c := place.TakeCookie(resp, s.Cookie)
	if c == nil {
		return
	}
	token, alive := cookieToken(c, receivedNow(resp))
	if !alive {
		if r, ok := s.Source.(creds.Rejecter[*oauth2.Token]); ok {
			r.Reject(sent.is, nil)
		}
		return
	}
	if r, ok := s.Source.(creds.Replacer[*oauth2.Token]); ok && checkToken(token) == nil {
		r.Replace(sent.is, token)
	}
}

// cookieToken returns the value of a cookie as a token, with its end by the clock of this machine.
// It reports false if the cookie has none, or has ended.
func cookieToken(c *http.Cookie, a *fetch.Answer) (t *oauth2.Token, alive bool) {
	t = &oauth2.Token{AccessToken: c.Value}
	switch {
	case c.Value == "", c.MaxAge < 0:
		return nil, false
	case c.MaxAge > 0:
		t.Expiry = a.Received.Add(seconds(int64(c.MaxAge)))
	case !c.Expires.IsZero():
		t.Expiry = localTime(a, c.Expires)
	default:
		if end, ok := endInside(c.Value); ok {
			t.Expiry = localTime(a, end)
		}
		return t, true // what is inside is a hint, and clears nothing
	}
	return t, a.Received.Before(t.Expiry)
}

// receivedNow is the part of an answer that tells the time.
func receivedNow(resp *http.Response) *fetch.Answer {
	return &fetch.Answer{Status: resp.StatusCode, Header: resp.Header, Received: time.Now()}
}

// localTime turns a time by the clock of the server into one of this machine, if the answer tells
// the time there.
func localTime(a *fetch.Answer, t time.Time) time.Time {
	now, ok := a.Date()
	if !ok {
		now = a.Received
	}
	return a.Received.Add(t.Sub(now.Round(0)))
}

// longest is a life of a token that nobody sees the end of, and that a Duration can hold.
const longest = 100 * 366 * 24 * time.Hour

func seconds(n int64) time.Duration {
	return time.Duration(min(n, int64(longest/time.Second))) * time.Second
}

// endInside returns when a JSON Web Token ends, by its own word: it is not verified. The value of a
// cookie of pyramid_jwt is read too.
func endInside(token string) (time.Time, bool) {
	if plain, err := (place.Pyramid{}).Decode(token); err == nil {
		token = plain
	}
	return jose.Expiry(token)
}

// endOfTime is the first second of the year 10000, which RFC 3339 cannot write any more.
const endOfTime = 253402300800
