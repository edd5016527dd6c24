package raven_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// BenchmarkLogin measures a request of a user who has logged in, beside the session alone.
func BenchmarkLogin(b *testing.B) {
	page := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	visitor := newBrowser(b, newLogin(b))
	visitor.logIn(secret, answer{})
	for name, handler := range map[string]http.Handler{
		"scs":   visitor.sessions.LoadAndSave(page),
		"raven": visitor.login.Require(page),
	} {
		b.Run(name, func(b *testing.B) {
			req := visitor.request("GET", secret)
			w := httptest.NewRecorder()
			b.ReportAllocs()
			for b.Loop() {
				clear(w.Header())
				handler.ServeHTTP(w, req)
			}
			if w.Code != 200 {
				b.Error(w.Code)
			}
		})
	}
}
