package wls

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// logIn logs a user in, and returns a request of that browser.
func (s *sessions) logIn(user string, life time.Duration) *http.Request {
	w := httptest.NewRecorder()
	s.begin(w, httptest.NewRequest(http.MethodGet, "/", nil), user, life)
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, c := range w.Result().Cookies() {
		req.AddCookie(c)
	}
	return req
}

func (s *sessions) knows(req *http.Request, user string) bool {
	known, ok := s.find(req)
	return ok && known.user == user
}

// TestOthersStayLoggedIn has one user log in many times, and many users log in once. A login must
// not end another user's session.
func TestOthersStayLoggedIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s sessions
		victim := s.logIn("victim", time.Hour)
		for range maxSessions + 5 {
			s.logIn("greedy", 2*time.Hour)
		}
		if !s.knows(victim, "victim") || len(s.byID) != 1+maxPerUser {
			t.Errorf("%d sessions; want the victim's and %d more", len(s.byID), maxPerUser)
		}
		for i := range maxSessions + 5 {
			s.logIn(strconv.Itoa(i), 2*time.Hour)
		}
		if !s.knows(victim, "victim") || len(s.byID) != maxSessions ||
			len(s.byUser) != maxSessions-maxPerUser+1 {
			t.Errorf("%d sessions; want the victim's and %d more", len(s.byID), maxSessions-1)
		}
		if late := s.logIn("late", time.Hour); s.knows(late, "late") {
			t.Error("there was room for one more")
		}
		time.Sleep(time.Hour)
		if s.knows(victim, "victim") {
			t.Error("a session does not end")
		}
		if late := s.logIn("late", time.Hour); !s.knows(late, "late") {
			t.Error("an ended session leaves no room")
		}
	})
}

// TestOwnOldestEnds has one user log in with too many browsers. Their oldest session ends.
func TestOwnOldestEnds(t *testing.T) {
	var s sessions
	oldest := s.logIn("abc12", time.Hour)
	second := s.logIn("abc12", time.Hour)
	for range maxPerUser - 1 {
		s.logIn("abc12", time.Hour)
	}
	if s.knows(oldest, "abc12") || !s.knows(second, "abc12") || len(s.byID) != maxPerUser {
		t.Errorf("%d sessions", len(s.byID))
	}
	s.end(httptest.NewRecorder(), second)
	if s.knows(second, "abc12") || len(s.byUser["abc12"]) != maxPerUser-1 {
		t.Errorf("after a logout: %q", s.byUser)
	}
}

// A site refuses an answer whose Life has ended, so a user whose session is about to end has to log
// in again.
func TestSessionAboutToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(900 * time.Millisecond) // a fraction that Issue drops
		var s Server
		req := s.sessions.logIn("abc12", time.Minute)
		for left := time.Minute; left > 0; left -= 100 * time.Millisecond {
			if known, ok := s.sessions.find(req); ok {
				r := s.again(known)
				issue, life := time.Now().Truncate(time.Second), r.Life.Truncate(time.Second)
				if wait := time.Until(issue.Add(life)); wait < time.Second {
					t.Fatalf("%v before its end, the answer is good for %v", left, wait)
				}
			} else if left > 3*time.Second {
				t.Fatalf("the session has ended %v too early", left)
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
}
