package authtest

import (
	"net/http"
	"net/http/httptest"

	"github.com/countersign-go/countersign/auth"
)

// Responder returns a function that answers a request as next does if a knows who sent it, and
// with 401 and the challenge of a if not, as auth.Require does. Both are an httpmock.Responder, so
// that a mock can verify what it is sent:
//
//	mock.RegisterResponder("GET", url,
//		authtest.Responder(verifier, httpmock.NewStringResponder(200, "42")))
//
// next finds the sender with auth.FromContext.
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
		sent.Body = known.Body // which the Authenticator may have replaced by one that checks it
		return next(sent)
	}
}
