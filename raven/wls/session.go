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

	// maxSessions bounds the memory. When it is reached, users who log in are not remembered: no
	// login ends another user's session.
	maxSessions = 10000
	// maxPerUser is how many browsers remember one user. One more takes the place of the user's
	// oldest session.
	maxPerUser = 20

	// leastLife is the least time that a session can still last. Issue and Life are whole seconds,
	// so less would leave a site no time, and it would refuse the answer.
	leastLife = 2 * time.Second
)

// A session is one browser in which a user has logged in.
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

// begin starts a session under a new name, which no attacker can have put into the browser before.
// If there is no room, the browser is left without a session.
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

// makeRoom drops the user's oldest session if they have many, and those that have ended if there
// are many in all. It reports whether there is room for one more. The caller holds mu.
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

// remove drops a session, if there is one with that id. The caller holds mu.
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
