package authtest

import (
	"net/http"
	"net/http/httptest"

	"github.com/countersign-go/countersign/auth"
)

// Responder returns a function that passes a request to next if a authenticates it, and otherwise
// answers 401 with the challenge of a, as auth.Require does. Both next and the result are an
// httpmock.Responder, so that a mock can verify the requests it receives:
//
//	mock.RegisterResponder("GET", url,
//		authtest.Responder(verifier, httpmock.NewStringResponder(200, "42")))
//
// next gets the sender's identity from auth.FromContext.
func Responder(
	a auth.Authenticator, next func(*http.Request) (*http.Response, error),
) func(*http.Request) (*http.Response, error) {
	return func(req *http.Request) (*http.Response, error) {
		var known *http.Request
		w := httptest.NewRecorder()
		auth.Require(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			known = r
		}), a).ServeHTTP(w, received(req))
		if known == nil {
			if req.Body != nil {
				_ = req.Body.Close()
			}
			resp := w.Result()
			resp.Request = req
			return resp, nil
		}
		sent := req.WithContext(known.Context())
		sent.Body = known.Body // the Authenticator may have replaced it by one that checks the body
		return next(sent)
	}
}
