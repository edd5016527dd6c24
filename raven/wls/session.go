package wls

import (
	"crypto/rand"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	cookieName = "wls-session"

	// maxSessions bounds the memory. When the limit is reached, new logins get no session, and no
	// existing session is dropped.
	maxSessions = 10000
	// maxPerUser is the number of sessions that one user may have. One more replaces the user's
	// oldest session.
	maxPerUser = 20

	// leastLife is the least remaining life of a usable session. Issue and Life are whole seconds,
	// so with less the login would have ended when it reached the site, which would refuse the
	// answer.
	leastLife = 2 * time.Second
)

// A session records that a user has logged in with one browser.
type session struct {
	user  string
	until time.Time
}

type sessions struct {
	mu     sync.Mutex // guards the maps
	byID   map[string]session
	byUser map[string][]string // the ids of each user's sessions, the oldest first
}

func (s *sessions) find(req *http.Request) (session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.byID[cookie(req)]
	if !ok || time.Until(known.until) < leastLife {
		return session{}, false
	}
	return known, true
}

// begin starts a session with a new id, which an attacker cannot have planted in the browser. If
// there is no room, the browser gets no session.
func (s *sessions) begin(
	w http.ResponseWriter, req *http.Request, user string, life time.Duration,
) {
	id := rand.Text()
	now := time.Now()
	s.mu.Lock()
	s.remove(cookie(req))
	if s.makeRoom(user, now) {
		s.byID[id] = session{user, now.Add(life)}
		s.byUser[user] = append(s.byUser[user], id)
	} else {
		id = ""
	}
	s.mu.Unlock()
	setCookie(w, req, id)
}

// makeRoom drops the user's oldest session if they have maxPerUser, and all sessions that have
// ended if there are maxSessions. It reports whether there is room for one more. The caller must
// hold mu.
func (s *sessions) makeRoom(user string, now time.Time) bool {
	if s.byID == nil {
		s.byID, s.byUser = make(map[string]session), make(map[string][]string)
	}
	if own := s.byUser[user]; len(own) >= maxPerUser {
		s.remove(own[0])
	}
	if len(s.byID) >= maxSessions {
		for id, known := range s.byID {
			if !now.Before(known.until) {
				s.remove(id)
			}
		}
	}
	return len(s.byID) < maxSessions
}

// remove drops the session with the given id, if any. The caller must hold mu.
func (s *sessions) remove(id string) {
	known, ok := s.byID[id]
	if !ok {
		return
	}
	delete(s.byID, id)
	others := slices.DeleteFunc(s.byUser[known.user], func(own string) bool { return own == id })
	if len(others) == 0 {
		delete(s.byUser, known.user)
	} else {
		s.byUser[known.user] = others
	}
}

func (s *sessions) end(w http.ResponseWriter, req *http.Request) {
	s.mu.Lock()
	s.remove(cookie(req))
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

// setCookie sets a cookie that the browser keeps until it is closed; the session itself may end
// earlier. If id is empty, setCookie deletes the cookie.
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
