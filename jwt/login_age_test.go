package jwt_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/jwt/pyramid"
	"github.com/countersign-go/countersign/provision/issue"
)

// TestMaxLoginAgeBehindSession issues keys to users of a Session. They logged in just now, a while
// ago with a renewed cookie, or too long ago.
func TestMaxLoginAgeBehindSession(t *testing.T) {
	for _, old := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newSession()
			s.Signer.Lifetime, s.ReissueAfter = 40*time.Minute, 20*time.Minute
			if old {
				s.Encoding, s.NoIssuedAt = pyramid.Cookie{}, true
			}
			issuer := &issue.Issuer{Secrets: []creds.Secret{mintSecret}}
			h := s.Handler(&issue.Handler{
				Auth: s, Issue: issuer.Issue, MaxLoginAge: time.Hour,
			})
			w := httptest.NewRecorder()
			if err := s.Set(w, "ann", nil); err != nil {
				t.Fatal(err)
			}
			cookie := w.Result().Cookies()[0]
			post := func() int {
				req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/keys", nil)
				req.AddCookie(cookie)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, req)
				if cookies := w.Result().Cookies(); len(cookies) > 0 {
					cookie = cookies[0]
				}
				return w.Code
			}
			for minutes, want := range []int{200, 200, 200, 200, 401, 401} {
				if got := post(); got != want {
					t.Errorf("%d minutes after the login, pyramid %t: status %d, want %d",
						minutes*18, old, got, want)
				}
				time.Sleep(18 * time.Minute)
			}
		})
	}
}

// TestSessionLoginClaim checks that an identity has the time of the login from the first cookie on,
// even if the token does not hold it.
func TestSessionLoginClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession()
		now := time.Now().Unix()
		w := httptest.NewRecorder()
		if err := s.Set(w, "ann", map[string]any{"auth_time": now + 60}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		for name, token := range map[string]string{
			"of Set":    w.Result().Cookies()[0].Value,
			"of others": must(s.Signer.Token("ann", nil, 0)),
			"of the future": must(s.Signer.Token("ann", map[string]any{
				"auth_time": time.Now().Unix() + 60}, 0)),
		} {
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			req.AddCookie(&http.Cookie{Name: "__Host-session", Value: token})
			id, err := s.Authenticate(req)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if id.Claims["auth_time"] != id.Claims["iat"] {
				t.Errorf("%s: auth_time %v, iat %v", name, id.Claims["auth_time"],
					id.Claims["iat"])
			}
		}
		_, claims := opened(t, w.Result().Cookies()[0].Value)
		if claims["auth_time"] != json.Number(fmt.Sprint(now)) {
			t.Errorf("the first cookie says auth_time %v, want %d", claims["auth_time"], now)
		}
	})
}
