package jwt_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/jwt"
	"github.com/countersign-go/countersign/transport"
)

// A program can have a session like a browser: it logs in once, uses each new cookie, and logs in
// again when the session has reached its end.
func TestSignerKeepsSession_J16(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := creds.Secret("a secret of 32 bytes for HS256..")
		session := &jwt.Session{
			Signer:       &jwt.Signer{Key: key, Method: "HS256", Lifetime: time.Hour},
			ReissueAfter: 10 * time.Minute,
			MaxAge:       6 * time.Hour,
		}
		logins, calls, refused := 0, 0, 0
		mux := http.NewServeMux()
		mux.HandleFunc("POST /login", func(w http.ResponseWriter, req *http.Request) {
			logins++
			if req.PostFormValue("username") != "ann" || req.PostFormValue("password") != "pw" {
				http.Error(w, "wrong", http.StatusUnauthorized)
			} else if err := session.Set(w, "ann", nil); err != nil {
				t.Error(err)
			}
		})
		mux.Handle("GET /me", auth.Require(http.HandlerFunc(
			func(http.ResponseWriter, *http.Request) { calls++ }), session))
		handler := session.Handler(mux)
		site := network(func(req *http.Request) (*http.Response, error) {
			w := httptest.NewRecorder()
			in := req.Clone(req.Context())
			if in.Body == nil {
				in.Body = http.NoBody
			}
			handler.ServeHTTP(w, in)
			return w.Result(), nil
		})

		login := &bearer.Login{
			URL: "https://app.example/login", User: "ann", Password: creds.Secret("pw"),
			Cookie: "__Host-session", HTTP: &http.Client{Transport: site},
		}
		client := &http.Client{Transport: &transport.Transport{
			Signer: &bearer.Signer{
				Source: &bearer.Tokens{Fetch: login.Token}, Cookie: "__Host-session",
			},
			Base: site,
		}}
		for range 24 * 12 {
			resp, err := client.Get("https://app.example/me")
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != http.StatusOK {
				refused++
			}
			_ = resp.Body.Close()
			if len(resp.Header["Set-Cookie"]) != 0 {
				t.Error("the cookie is left to whoever reads the answer")
			}
			time.Sleep(5 * time.Minute)
		}
		// These are the sessions of a day, of six hours each.
		if logins < 4 || logins > 5 || calls != 24*12 || refused != 0 {
			t.Errorf("%d logins, %d calls, %d refused", logins, calls, refused)
		}
	})
}
