package raven

import (
	"net/http"
	"net/http/httptest"
	"time"
)

// StateKey is the key under which tests write sessions that an earlier login left.
const StateKey = stateKey

// A Pending is the pending login that a browser keeps while its user logs in.
type Pending = pending

// A PendingFailure is an answer other than a success that the user has not seen yet.
type PendingFailure = failed

// PendingCookie returns the cookie of a pending login.
func (l *Login) PendingCookie(p Pending) *http.Cookie {
	if _, err := l.ready(); err != nil {
		panic(err)
	}
	w := httptest.NewRecorder()
	l.writePending(w, p)
	return w.Result().Cookies()[0]
}

// ReadPending returns the pending login in a cookie.
func (l *Login) ReadPending(cookie *http.Cookie) (Pending, bool) {
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	req.AddCookie(cookie)
	return l.readPending(req, time.Now())
}

// FillMemory leaves no room to remember another answer.
func (l *Login) FillMemory() {
	now := time.Now()
	for i := range maxRemembered {
		l.set.answers.add(nameAnswer(int64(i), ""), now, now.Add(time.Hour))
	}
}
