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

// observeCookie applies the Set-Cookie of a response to a request with sent.
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
// It returns false if the cookie has no value or has ended.
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
		return t, true // the exp is a hint, and does not clear the cookie
	}
	return t, a.Received.Before(t.Expiry)
}

// receivedNow returns the part of a response that tells the time.
func receivedNow(resp *http.Response) *fetch.Answer {
	return &fetch.Answer{Status: resp.StatusCode, Header: resp.Header, Received: time.Now()}
}

// localTime converts t from the server's clock to this machine's, if the response tells the
// server's time.
func localTime(a *fetch.Answer, t time.Time) time.Time {
	now, ok := a.Date()
	if !ok {
		now = a.Received
	}
	return a.Received.Add(t.Sub(now.Round(0)))
}

// longest stands for a token without a foreseeable end. A Duration can hold it.
const longest = 100 * 366 * 24 * time.Hour

func seconds(n int64) time.Duration {
	return time.Duration(min(n, int64(longest/time.Second))) * time.Second
}

// endInside returns the exp of a JSON Web Token, which it does not verify. It also reads the cookie
// values of pyramid_jwt.
func endInside(token string) (time.Time, bool) {
	if plain, err := (place.Pyramid{}).Decode(token); err == nil {
		token = plain
	}
	return jose.Expiry(token)
}

// endOfTime is the first second of the year 10000, which RFC 3339 cannot represent.
const endOfTime = 253402300800
