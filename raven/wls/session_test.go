package wls

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

func TestSessionsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s sessions
		begin := func(life time.Duration) *http.Request {
			w := httptest.NewRecorder()
			s.begin(w, httptest.NewRequest(http.MethodGet, "/", nil), "abc12", life)
			req := httptest.NewRequest(http.MethodGet, "/", nil)
			req.AddCookie(w.Result().Cookies()[0])
			return req
		}
		for range maxSessions - 1 {
			begin(time.Minute)
		}
		long := begin(time.Hour)
		time.Sleep(time.Minute)
		begin(time.Hour)
		if _, ok := s.find(long); !ok || len(s.byID) != 2 {
			t.Errorf("%d sessions, one alive %v; want the two that have not ended", len(s.byID), ok)
		}
		for range maxSessions + 5 {
			long = begin(time.Hour)
		}
		if _, ok := s.find(long); !ok || len(s.byID) != maxSessions {
			t.Errorf("%d sessions, the newest alive %v; want %d", len(s.byID), ok, maxSessions)
		}
	})
}
