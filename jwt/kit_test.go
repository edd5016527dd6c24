package jwt_test

import "net/http"

// A network is a RoundTripper in one function.
type network func(*http.Request) (*http.Response, error)

func (f network) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
