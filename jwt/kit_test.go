package jwt_test

import (
	"net/http"
	"testing"

	"github.com/countersign-go/countersign/transport"
)

// observe has o observe an answer, which it must believe.
func observe(t *testing.T, o transport.Observer, resp *http.Response, outcome transport.Outcome) {
	t.Helper()
	if err := o.Observe(resp, outcome); err != nil {
		t.Error(err)
	}
}

// A network is a RoundTripper in one function.
type network func(*http.Request) (*http.Response, error)

func (f network) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// answer is a response with pairs of field names and values.
func answer(req *http.Request, status int, fields ...string) *http.Response {
	resp := &http.Response{
		StatusCode: status, Header: make(http.Header), Body: http.NoBody, Request: req,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	for i := 0; i < len(fields); i += 2 {
		resp.Header.Add(fields[i], fields[i+1])
	}
	return resp
}
