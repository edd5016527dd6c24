package wls

import (
	"crypto/rand"
	"net/http"
	"sync"
	"time"
)

const (
	cookieName = "wls-session"

	// maxSessions bounds the memory. When it is reached, somebody has to log in again.
	maxSessions = 10000
)

// A session is one browser in which somebody has logged in.
type session struct {
	user  string
	until time.Time
}

type sessions struct {
	mu   sync.Mutex // guards byID
	byID map[string]session
}

func (s *sessions) find(req *http.Request) (session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.byID[cookie(req)]
	if !ok || !time.Now().Before(known.until) {
		return session{}, false
	}
	return known, true
}

// begin starts a session under a new name, so that nobody can have put it there before.
func (s *sessions) begin(
	w http.ResponseWriter, req *http.Request, user string, life time.Duration,
) {
	id := rand.Text()
	now := time.Now()
	s.mu.Lock()
	delete(s.byID, cookie(req))
	if s.byID == nil {
		s.byID = make(map[string]session)
	}
	if len(s.byID) >= maxSessions {
		s.shrink(now)
	}
	s.byID[id] = session{user, now.Add(life)}
	s.mu.Unlock()
	setCookie(w, req, id)
}

// shrink drops what has expired, and any one session more. The caller holds mu.
func (s *sessions) shrink(now time.Time) {
	for id, known := range s.byID {
		if !now.Before(known.until) {
			delete(s.byID, id)
		}
	}
	for id := range s.byID {
		if len(s.byID) < maxSessions {
			return
		}
		delete(s.byID, id)
	}
}

func (s *sessions) end(w http.ResponseWriter, req *http.Request) {
	s.mu.Lock()
	delete(s.byID, cookie(req))
	s.mu.Unlock()
	setCookie(w, req, "")
}

func cookie(req *http.Request) string {
	c, err := req.Cookie(cookieName)
	if err != nil {
		return ""
	}
	return c.Value
}

// setCookie lets the browser keep the name until it is closed; the session itself may end earlier.
// With no name it deletes the cookie.
func setCookie(w http.ResponseWriter, req *http.Request, id string) {
	c := &http.Cookie{ //nolint:gosec // Secure where there is TLS; tests often have none
		Name: cookieName, Value: id, Path: "/auth/", Secure: req.TLS != nil,
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode, // an agent sends the browser here
	}
	if id == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}
